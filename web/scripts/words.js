// Fails if a view has a text of its own instead of one of `src/words`, if a text there is not used, or if the first load
// uses words of the parts that are loaded later. The argument is another folder of sources.

import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

import ts from "typescript";

const SOURCES = process.argv[2] ?? fileURLToPath(new URL("../src/", import.meta.url));
/** Files whose texts are no words: the languages themselves, and the keywords of programming languages. */
const EXEMPT = /^(words\/[\w-]+\.tsx|text\/code\.tsx)$/;
/** Attributes and properties that users see or hear. */
const SHOWN = /^(aria-(label|description|valuetext|roledescription|placeholder)|alt|label|placeholder|submit|success|title|unit|group|about)$/;
/** The files of texts, the variable that each one defines, and the name under which views use it. */
const LANGUAGE = [
  { file: "words/en.tsx", variable: "en", name: "words" },
  { file: "words/en-parts.tsx", variable: "enParts", name: "partWords" },
];
/** Functions whose arguments users see. */
const SHOWING = new Set(["toast", "confirm", "alert"]);
/** A text that reads like a sentence or a label is one, wherever it is. */
const SENTENCE = /^[“"]?[A-Z][a-z’']+[ ,].*[a-z]|^[A-Z][a-z’' ]+[.…]$/;

const hasLetters = (text) => /\p{L}{2}/u.test(text);

/** Returns the texts within an expression that is shown: both branches of conditions, and both sides of operators. */
function texts(node) {
  if (ts.isStringLiteralLike(node)) return [node];
  if (ts.isTemplateExpression(node)) return [node.head, ...node.templateSpans.flatMap((span) => [...texts(span.expression), span.literal])];
  if (ts.isConditionalExpression(node)) return [...texts(node.whenTrue), ...texts(node.whenFalse)];
  if (ts.isParenthesizedExpression(node)) return texts(node.expression);
  if (ts.isArrayLiteralExpression(node)) return node.elements.flatMap(texts);
  if (ts.isBinaryExpression(node)) {
    const isChoice = [ts.SyntaxKind.AmpersandAmpersandToken, ts.SyntaxKind.BarBarToken, ts.SyntaxKind.QuestionQuestionToken];
    if (isChoice.includes(node.operatorToken.kind)) return texts(node.right);
    return node.operatorToken.kind === ts.SyntaxKind.PlusToken ? [...texts(node.left), ...texts(node.right)] : [];
  }
  return [];
}

/** Returns the texts that a node shows. */
function shownBy(node) {
  if (ts.isJsxText(node)) return [node];
  if (ts.isJsxExpression(node) && node.expression && !ts.isJsxAttribute(node.parent)) return texts(node.expression);
  if (ts.isJsxAttribute(node) && SHOWN.test(node.name.getText()) && node.initializer) {
    return ts.isJsxExpression(node.initializer) ? texts(node.initializer.expression) : texts(node.initializer);
  }
  if (ts.isPropertyAssignment(node) && SHOWN.test(node.name.getText())) return texts(node.initializer);
  if (ts.isCallExpression(node) && SHOWING.has(node.expression.getText())) return node.arguments.flatMap(texts);
  if (ts.isStringLiteralLike(node) && SENTENCE.test(node.text) && !isForDevelopers(node)) return [node];
  return [];
}

/** Whether a text is an attribute that is not shown, or only gets into the browser's console. */
const isForDevelopers = ({ parent }) =>
  ts.isJsxAttribute(parent) || (ts.isNewExpression(parent) && parent.expression.getText() === "Error");

/** Returns the complaints about the texts of a file. */
function ownTexts(name, content) {
  const file = ts.createSourceFile(name, content, ts.ScriptTarget.Latest, true, name.endsWith("x") ? ts.ScriptKind.TSX : ts.ScriptKind.TS);
  const found = new Map();
  const visit = (node) => {
    for (const text of shownBy(node)) {
      const { line } = file.getLineAndCharacterOfPosition(text.getStart());
      if (hasLetters(text.text)) found.set(text.pos, `${name}:${line + 1}: a text of its own: ${text.text.trim()}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return [...found.values()];
}

/** Returns the paths of all texts of a language, such as "inbox.filters.all". */
function paths(content, variable) {
  const file = ts.createSourceFile("en.tsx", content, ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX);
  const all = [];
  const visit = (node, path) => {
    for (const property of node.properties) {
      const here = [...path, property.name.getText()];
      if (property.initializer && ts.isObjectLiteralExpression(property.initializer)) visit(property.initializer, here);
      else all.push(here);
    }
  };
  for (const statement of file.statements) {
    if (!ts.isVariableStatement(statement)) continue;
    for (const { name, initializer } of statement.declarationList.declarations) {
      if (name.getText() === variable) visit(initializer, []);
    }
  }
  return all;
}

/** Returns the texts that no source names. A text may also be chosen by a key, as `words.kinds[kind]`. */
function unused({ file, variable, name }, sources) {
  const all = sources.join("\n");
  const isNamed = (path) => {
    const group = path.slice(0, -1).join(".");
    const isChosen = group !== "" && new RegExp(`\\b${name}\\.${group.replaceAll(".", "\\.")}(\\[|;)`).test(all);
    const isDirect = new RegExp(`\\b${name}\\.${path.join("\\.")}\\b`).test(all);
    // `const { keys } = words`, and then `keys.find`.
    const isTaken = new RegExp(`const \\{ ${path[0]} \\} = ${name}`).test(all) && new RegExp(`\\b${path.join("\\.")}\\b|"${path.at(-1)}"`).test(all);
    return isDirect || isChosen || isTaken;
  };
  const content = readFileSync(join(SOURCES, file), "utf8");
  return paths(content, variable).filter((path) => !isNamed(path)).map((path) => `src/${file}: not used: ${path.join(".")}`);
}

/** Returns the files of the first load: all that `main.tsx` imports, directly or through others, but for types. */
function firstLoad(contents) {
  const found = new Set();
  const add = (name) => {
    if (!contents.has(name) || found.has(name)) return;
    found.add(name);
    for (const [, path] of contents.get(name).matchAll(/^(?:import|export) (?!type )[^;]*?from "(\.[^"]+)\.js"/gm)) {
      const imported = join(dirname(name), path);
      add(`${imported}.ts`);
      add(`${imported}.tsx`);
    }
  };
  add("main.tsx");
  return found;
}

const files = readdirSync(SOURCES, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
  .map((entry) => relative(SOURCES, join(entry.parentPath, entry.name)))
  .filter((name) => !EXEMPT.test(name));
const contents = new Map(files.map((name) => [name, readFileSync(join(SOURCES, name), "utf8")]));
const complaints = [...contents].flatMap(([name, content]) => ownTexts(`src/${name}`, content));
for (const language of LANGUAGE) complaints.push(...unused(language, [...contents.values()]));
for (const name of firstLoad(contents)) {
  const isUsed = name !== "words/language.ts" && /\bpartWords\b/.test(contents.get(name));
  if (isUsed) complaints.push(`src/${name}: uses words that are loaded later`);
}
for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exit(1);
