// Code in colours. Loaded when the first fence is shown.
//
// One grammar serves all languages: strings, comments, numbers and the words that many of them share. It colours what is
// alike, and leaves the rest.

import type { ReactNode } from "react";

import { showOverrides } from "../bidi.js";

const WORDS =
  "abstract and as assert async await begin bool boolean break case catch char class const continue crate def default del do " +
  "double elif else elsif end enum except export extends extern false False final finally float fn for foreach from func " +
  "function global goto if impl implements import in instanceof int interface is lambda let long loop match mod module move " +
  "mut namespace new nil None not null nullptr of or override package pass private protected pub public raise readonly ref " +
  "require return self Self short static string struct super switch template then this throw throws trait true True try type " +
  "typedef typeof undefined union unless unsafe until use using var virtual void volatile when where while with yield " +
  "SELECT FROM WHERE INSERT INTO VALUES UPDATE SET DELETE CREATE TABLE JOIN LEFT INNER ON GROUP ORDER BY LIMIT AND OR NOT NULL";
const KEYWORDS = new Set(WORDS.split(" "));

const STRING = String.raw`"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n]){1,80}'|${"`"}(?:\\.|[^${"`"}\\])*${"`"}`;
const NUMBER = String.raw`\b(?:0[xob][\da-f_]+|\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?)\w*`;
const WORD = String.raw`[\p{L}_$][\p{L}\p{N}_$]*`;
const SLASHES = String.raw`\/\/[^\n]*|\/\*[\s\S]*?\*\/`;
const HASHES = String.raw`#[^\n]*`;
const DASHES = String.raw`--[^\n]*`;

const WITH_HASHES = new Set("py python rb ruby sh bash zsh shell yaml yml toml dockerfile makefile make r perl pl ini".split(" "));
const WITH_DASHES = new Set(["sql", "lua", "hs", "haskell", "elm"]);
/** Languages whose words have no meaning of their own. */
const PLAIN = new Set(["", "text", "txt", "plain", "log", "md", "markdown", "diff"]);

function grammar(language: string): RegExp {
  const comment = WITH_HASHES.has(language) ? HASHES : WITH_DASHES.has(language) ? `${DASHES}|${SLASHES}` : SLASHES;
  return new RegExp(`(?<comment>${comment})|(?<string>${STRING})|(?<number>${NUMBER})|(?<word>${WORD})`, "giu");
}

/** A fence. Without a language, only strings, comments and numbers are coloured. */
export default function Code({ language, text }: { language: string; text: ReactNode }) {
  return (
    <pre className="fence" dir="ltr" data-language={language || undefined}>
      <code>{typeof text === "string" ? coloured(showOverrides(text), language.toLowerCase()) : text}</code>
    </pre>
  );
}

function coloured(text: string, language: string): ReactNode[] {
  const parts: ReactNode[] = [];
  let end = 0;
  for (const { 0: token, index, groups = {} } of text.matchAll(grammar(language))) {
    const kind = groups["comment"] ? "comment" : groups["string"] ? "string" : groups["number"] ? "number" : "keyword";
    if (kind === "keyword" && (PLAIN.has(language) || !KEYWORDS.has(token))) continue;
    parts.push(text.slice(end, index), <span key={index} className={`code-${kind}`}>{token}</span>);
    end = index + token.length;
  }
  parts.push(text.slice(end));
  return parts;
}
