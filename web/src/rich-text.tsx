// Renders message text: recognizes links, and marks search hits. Never interprets it as HTML.

import { LinkifyIt } from "linkify-it";
import { Fragment } from "react";
import type { ReactNode } from "react";

import { showOverrides, splitAtControls } from "./bidi.js";
import { webUrl } from "./urls.js";

const linkify = new LinkifyIt();
linkify.set({ fuzzyEmail: false });
/** Maximum length in which links are recognized. */
const MAX_LINKIFY_LENGTH = 10_000;

/**
 * Text with links or, if there are any marks, with marked ranges. Marks count Unicode scalar values. `plain` renders
 * what is no link. A linkless text is code, or part of something that is clicked as a whole.
 */
export function RichText(props: {
  text: string;
  marks?: readonly [number, number][];
  plain?: ((text: string) => ReactNode) | undefined;
  isLinkless?: boolean;
}) {
  const { marks = [], plain } = props;
  const shown = showOverrides(props.text);
  if (marks.length > 0) return <>{marked(shown, marks)}</>;
  if (props.isLinkless) return <>{shown}</>;
  if (shown.length > MAX_LINKIFY_LENGTH) return <>{plain?.(shown) ?? shown}</>;
  return splitAtControls(shown).map((part, at) => (
    <Fragment key={at}>
      {withLinks(part).map((node, n) => (plain && typeof node === "string" ? <Fragment key={`plain ${n}`}>{plain(node)}</Fragment> : node))}
    </Fragment>
  ));
}

/** Returns where a text has links: starts and ends. The marker of a format that surrounds a link is no part of it. */
export function linkRanges(text: string): [number, number][] {
  if (text.length > MAX_LINKIFY_LENGTH) return [];
  return (linkify.match(text) ?? []).map(({ index, lastIndex }) => {
    const marker = /[*_~]+$/.exec(text.slice(index, lastIndex))?.[0] ?? "";
    const isSurrounded = marker !== "" && text.slice(0, index).endsWith(marker);
    return [index, isSurrounded ? lastIndex - marker.length : lastIndex];
  });
}

function withLinks(text: string): ReactNode[] {
  const parts: ReactNode[] = [];
  let end = 0;
  for (const { index, lastIndex, url } of linkify.match(text) ?? []) {
    const href = webUrl(url);
    if (!href) continue;
    const label = text.slice(index, lastIndex);
    parts.push(text.slice(end, index));
    parts.push(
      <a key={index} href={href} title={href} target="_blank" rel="noopener noreferrer" dir="ltr">
        {label}
      </a>,
    );
    const host = hiddenHost(label, href);
    if (host !== null) parts.push(<bdi key={`${index} host`} className="link-host"> ({host})</bdi>);
    end = lastIndex;
  }
  parts.push(text.slice(end));
  return parts;
}

/** Returns the host that a link leads to, unless its text begins with it: letters may look alike, or hide it. */
function hiddenHost(label: string, href: string): string | null {
  const { host, hostname } = new URL(href);
  const shown = label.replace(/^https?:\/\//i, "").toLowerCase();
  return shown.startsWith(hostname) ? null : host;
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

const EMOJI = /^(?:\p{Emoji_Presentation}|\p{Emoji}\ufe0f|\p{Regional_Indicator}{2}|[0-9#*]\ufe0f?\u20e3)/u;
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** Whether a text consists of one to three emoji. */
export function isJumbo(text: string): boolean {
  // Compiling `\p{RGI_Emoji}` would take the browser 100 ms.
  if (text.length > 40 || !EMOJI.test(text)) return false;
  const parts = Array.from(graphemes.segment(text), ({ segment }) => segment).filter((part) => part.trim() !== "");
  return parts.length <= 3 && parts.every((part) => EMOJI.test(part));
}
