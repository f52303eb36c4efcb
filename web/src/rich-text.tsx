// Renders message text: recognizes links, and marks search hits. Never interprets it as HTML.

import { LinkifyIt } from "linkify-it";
import { Fragment } from "react";
import type { ReactNode } from "react";

import { webUrl } from "./urls.js";

const linkify = new LinkifyIt();
linkify.set({ fuzzyEmail: false });
/** Maximum length in which links are recognized. */
const MAX_LINKIFY_LENGTH = 10_000;

/** Text with links or, if there are any marks, with marked ranges. Marks count Unicode scalar values. */
export function RichText({ text, marks = [] }: { text: string; marks?: readonly [number, number][] }) {
  if (marks.length > 0) return <>{marked(text, marks)}</>;
  const found = text.length <= MAX_LINKIFY_LENGTH ? linkify.match(text) : null;
  if (!found) return <>{text}</>;
  const parts: ReactNode[] = [];
  let end = 0;
  for (const { index, lastIndex, url } of found) {
    const href = webUrl(url);
    if (!href) continue;
    parts.push(text.slice(end, index));
    parts.push(
      <a key={index} href={href} target="_blank" rel="noopener noreferrer" dir="auto">
        {text.slice(index, lastIndex)}
      </a>,
    );
    end = lastIndex;
  }
  return (
    <>
      {parts}
      {text.slice(end)}
    </>
  );
}

function marked(text: string, marks: readonly [number, number][]): ReactNode[] {
  const chars = Array.from(text);
  const parts: ReactNode[] = [];
  let end = 0;
  for (const [from, to] of marks) {
    if (from < end) continue;
    parts.push(<Fragment key={`${from} before`}>{chars.slice(end, from).join("")}</Fragment>);
    parts.push(<mark key={from}>{chars.slice(from, to).join("")}</mark>);
    end = to;
  }
  parts.push(<Fragment key="rest">{chars.slice(end).join("")}</Fragment>);
  return parts;
}

/** Returns an excerpt around the first mark, on one line. */
export function excerpt(text: string, marks: readonly [number, number][]): { text: string; marks: [number, number][] } {
  const first = marks[0]?.[0] ?? 0;
  const start = first > 40 ? first - 24 : 0;
  const chars = Array.from(text).slice(start, start + 160);
  const lead = start > 0 ? 1 : 0;
  const shift = ([from, to]: readonly [number, number]): [number, number] => [from - start + lead, to - start + lead];
  const within = marks.map(shift).filter(([from, to]) => from >= 0 && to <= chars.length + lead);
  return { text: (lead ? "…" : "") + chars.join("").replace(/\s/gu, " "), marks: within };
}

/** Whether a text consists of one to three emoji. */
export function isJumbo(text: string): boolean {
  return text.length <= 40 && /^(?:\p{RGI_Emoji}\s?){1,3}$/v.test(text);
}
