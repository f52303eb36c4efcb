// Parses the formatting that people type into messages: *bold*, _italic_, ~strike~, `code`, fences, quotes and lists.
//
// Invariant: every leaf knows where it stands in the message, so that marks, which count characters of the message, fall
// on the right letters. What is no formatting stays as it was typed.

/** A piece of text, and where it begins in the message, in UTF-16 units. */
export interface Leaf {
  kind: "text" | "code";
  text: string;
  at: number;
}

/** A piece of a line. */
export type Inline = Leaf | { kind: "bold" | "italic" | "strike"; at: number; children: Inline[] };

/** An item of a list; `number` as it was typed. */
export interface Item {
  at: number;
  number: number | null;
  children: Inline[];
}

/** A part of a message. */
export type Block =
  | { kind: "lines"; at: number; children: Inline[] }
  | { kind: "quote"; at: number; children: Inline[] }
  | { kind: "list"; at: number; items: Item[] }
  | { kind: "fence"; at: number; language: string; text: string };

/** Returns ranges of a text that are not searched for formatting, such as links: start and end. */
export type Opaque = (text: string) => readonly (readonly [number, number])[];

const NOTHING_OPAQUE: Opaque = () => [];

/** Characters without one of which nothing is formatted. */
const MARKERS = /[*_~`>]|^\s{0,3}(?:[-•]|\d{1,4}[.)])\s/m;
const FENCE = /^```([\w+#.-]{0,20})[ \t]*$/;
const ONE_LINE_FENCE = /^```(.+?)```$/;
const QUOTE = /^>(?: |$)/;
const ITEM = /^\s{0,6}(?:[-*•]|(\d{1,4})[.)])\s+(?=\S)/;
/** A message has at most so many blocks: what follows them is drawn as ordinary lines. */
const MAX_BLOCKS = 200;
/** How deep formatting can be nested. */
const MAX_DEPTH = 4;

/** A line, and where it begins. */
interface Line {
  text: string;
  at: number;
}

/** Parses a message. */
export function parse(text: string, opaque: Opaque = NOTHING_OPAQUE): Block[] {
  if (!MARKERS.test(text)) return text === "" ? [] : [{ kind: "lines", at: 0, children: [{ kind: "text", text, at: 0 }] }];
  const lines = splitLines(text);
  const blocks: Block[] = [];
  let plain: Line[] = [];
  const endPlain = () => {
    if (plain.length > 0) blocks.push({ kind: "lines", at: plain[0]?.at ?? 0, children: joined(plain, opaque) });
    plain = [];
  };
  let at = 0;
  while (at < lines.length) {
    const found = blocks.length < MAX_BLOCKS ? blockAt(lines, at, opaque) : undefined;
    if (found) {
      endPlain();
      blocks.push(found.block);
      at = found.end;
    } else {
      plain.push(lines[at] as Line);
      at += 1;
    }
  }
  endPlain();
  return blocks;
}

/** Returns a message without its markers, for where it is quoted in a line or two. */
export function plainText(text: string): string {
  const inlineText = (parts: readonly Inline[]): string =>
    parts.map((part) => ("children" in part ? inlineText(part.children) : part.text)).join("");
  const blockText = (block: Block): string => {
    if (block.kind === "fence") return block.text;
    if (block.kind !== "list") return inlineText(block.children);
    return block.items.map(({ number, children }) => `${number === null ? "•" : `${number}.`} ${inlineText(children)}`).join("\n");
  };
  return parse(text).map(blockText).join("\n");
}

function splitLines(text: string): Line[] {
  let at = 0;
  return text.split("\n").map((line) => {
    const start = at;
    at += line.length + 1;
    return { text: line, at: start };
  });
}

/** Returns the block that begins with a line, and the line after it; nothing if it is an ordinary line. */
function blockAt(lines: readonly Line[], at: number, opaque: Opaque): { block: Block; end: number } | undefined {
  const line = lines[at] as Line;
  return fenceAt(lines, at, line) ?? quoteAt(lines, at, line, opaque) ?? listAt(lines, at, line, opaque);
}

function fenceAt(lines: readonly Line[], at: number, line: Line): { block: Block; end: number } | undefined {
  const inside = ONE_LINE_FENCE.exec(line.text)?.[1];
  if (inside !== undefined) return { block: { kind: "fence", at: line.at + 3, language: "", text: inside }, end: at + 1 };
  const language = FENCE.exec(line.text)?.[1];
  if (language === undefined) return undefined;
  const end = lines.findIndex(({ text }, index) => index > at && text.trimEnd() === "```");
  if (end < 0) return undefined;
  const text = lines.slice(at + 1, end).map((each) => each.text).join("\n");
  return { block: { kind: "fence", at: lines[at + 1]?.at ?? line.at, language, text }, end: end + 1 };
}

function quoteAt(lines: readonly Line[], at: number, line: Line, opaque: Opaque): { block: Block; end: number } | undefined {
  let end = at;
  while (QUOTE.test(lines[end]?.text ?? "")) end += 1;
  if (end === at) return undefined;
  const inside = lines.slice(at, end).map(({ text, at }) => ({ text: text.slice(2), at: at + 2 }));
  return { block: { kind: "quote", at: line.at, children: joined(inside, opaque) }, end };
}

function listAt(lines: readonly Line[], at: number, line: Line, opaque: Opaque): { block: Block; end: number } | undefined {
  const isNumbered = ITEM.exec(line.text)?.[1] !== undefined;
  const items: Item[] = [];
  for (const { text, at: start } of lines.slice(at)) {
    const found = ITEM.exec(text);
    if (!found || (found[1] !== undefined) !== isNumbered) break;
    const from = found[0].length;
    const number = found[1] === undefined ? null : Number(found[1]);
    items.push({ at: start, number, children: inline(text.slice(from), start + from, opaque, 0) });
  }
  return items.length > 0 ? { block: { kind: "list", at: line.at, items }, end: at + items.length } : undefined;
}

/** Parses lines one by one, because formatting does not go beyond a line. */
function joined(lines: readonly Line[], opaque: Opaque): Inline[] {
  return lines.flatMap(({ text, at }, index) => {
    const parts = inline(text, at, opaque, 0);
    return index < lines.length - 1 ? [...parts, { kind: "text" as const, text: "\n", at: at + text.length }] : parts;
  });
}

const KINDS = { "*": "bold", _: "italic", "~": "strike" } as const;
const LETTER = /[\p{L}\p{N}]/u;

/** Parses a line. */
function inline(text: string, base: number, opaque: Opaque, depth: number): Inline[] {
  if (depth > MAX_DEPTH || !/[*_~`]/.test(text)) return leaf(text, base);
  const ranges = opaque(text);
  const parts: Inline[] = [];
  let end = 0;
  let at = 0;
  while (at < text.length) {
    const range = ranges.find(([from, to]) => from <= at && at < to);
    const found = range ? undefined : formattedAt(text, at, ranges);
    if (!found) {
      at = range ? range[1] : at + 1;
      continue;
    }
    parts.push(...leaf(text.slice(end, at), base + end));
    const inside = text.slice(found.from, found.to);
    const position = base + found.from;
    if (found.kind === "code") parts.push({ kind: "code", text: inside, at: position });
    else parts.push({ kind: found.kind, at: base + at, children: inline(inside, position, opaque, depth + 1) });
    at = end = found.end;
  }
  parts.push(...leaf(text.slice(end), base + end));
  return parts;
}

const leaf = (text: string, at: number): Inline[] => (text === "" ? [] : [{ kind: "text", text, at }]);

/** A formatted range: its content is `from` to `to`, and the marker after it ends at `end`. */
interface Formatted {
  kind: "code" | (typeof KINDS)[keyof typeof KINDS];
  from: number;
  to: number;
  end: number;
}

/** Returns code between two runs of as many backticks. */
function codeAt(text: string, at: number): Formatted | undefined {
  if (text[at - 1] === "`") return undefined;
  const length = /^`+/.exec(text.slice(at))?.[0].length ?? 1;
  const from = at + length;
  const to = text.indexOf("`".repeat(length), from);
  return to > from ? { kind: "code", from, to, end: to + length } : undefined;
}

/** Returns what a marker formats. It has to stand outside of words, and may not be beside a space within. */
function formattedAt(text: string, at: number, ranges: readonly (readonly [number, number])[]): Formatted | undefined {
  const char = text[at] as keyof typeof KINDS | "`";
  if (char !== "`" && !(char in KINDS)) return undefined;
  if (char === "`") return codeAt(text, at);
  const length = text[at + 1] === char ? 2 : 1;
  const marker = char.repeat(length);
  const from = at + length;
  if (LETTER.test(text[at - 1] ?? "") || text[at - 1] === char || /^(?:\s|$)/.test(text.slice(from, from + 1))) return undefined;
  for (let to = text.indexOf(marker, from); to >= 0; to = text.indexOf(marker, to + 1)) {
    const isInside = ranges.some(([start, end]) => start <= to && to < end);
    const after = text[to + length] ?? "";
    if (to === from || isInside || /\s/.test(text[to - 1] ?? "") || after === char || LETTER.test(after)) continue;
    return { kind: KINDS[char], from, to, end: to + length };
  }
  return undefined;
}
