// The text of a message: formatted, shortened if it is long, and with the found words marked.

import { useLayoutEffect, useMemo, useRef, useState } from "react";
import type { ReactNode } from "react";

import { lazyView } from "../lazy.js";
import { useObservable } from "../observable.js";
import { RichText, linkRanges } from "../rich-text.js";
import { words } from "../words/language.js";
import { found, marksIn } from "./found.js";
import { parse } from "./parse.js";
import type { Block, Inline, Item } from "./parse.js";
import { until } from "./until.js";

const Code = lazyView(() => import("./code.js"), PlainCode);

/** Marked ranges of the message, in UTF-16 units. */
type Marks = readonly (readonly [number, number])[];

/** Texts shorter than this never have more lines than are shown, not even on a narrow screen. */
const SHORT = { characters: 500, lines: 12 };
/** UTF-16 units of a folded text that are rendered: more than 25 lines, unless all letters are narrow. */
const MAX_FOLDED = 3_000;
/** Messages that the user has unfolded stay so while the page is open. */
const unfolded = new Set<string>();

/** Renders a part of the text that is no link. */
type Plain = ((text: string) => ReactNode) | undefined;

/** The text of a message. `id` names the message; `plain` renders what is no link. */
export function MessageText({ id, text, plain }: { id: string; text: string; plain?: Plain }) {
  const marks = utf16(text, marksIn(useObservable(found), id, text));
  const blocks = useMemo(() => parse(text, linkRanges), [text]);
  const view = (shown: readonly Block[]) => shown.map((block) => <BlockView key={block.at} block={block} marks={marks} plain={plain} />);
  if (text.length < SHORT.characters && text.split("\n").length < SHORT.lines) return <div className="text" dir="auto">{view(blocks)}</div>;
  return (
    <Folded id={id} text={text} isOpen={marks.length > 0}>
      {(isFolded) => view(isFolded ? until(blocks, MAX_FOLDED) : blocks)}
    </Folded>
  );
}

/** Shows the first 25 lines, and offers the rest. */
function Folded(props: { id: string; text: string; isOpen: boolean; children: (isFolded: boolean) => ReactNode }) {
  const box = useRef<HTMLDivElement>(null);
  const [isUnfolded, setIsUnfolded] = useState(unfolded.has(props.id));
  const [isLong, setIsLong] = useState(false);
  const isFolded = !isUnfolded && !props.isOpen;
  // A text that is cut is long without being measured.
  const isCut = isFolded && (isLong || props.text.length > MAX_FOLDED);
  // Measured before the browser paints, because the height of the row depends on it.
  useLayoutEffect(() => {
    const element = box.current;
    if (!element || !isFolded) return;
    const measure = () => setIsLong(element.scrollHeight > element.clientHeight + 4);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [isFolded, props.text]);
  const unfold = () => {
    unfolded.add(props.id);
    setIsUnfolded(true);
  };
  return (
    <>
      <div ref={box} className={`text ${isFolded ? "folded" : ""} ${isCut ? "fades" : ""}`} dir="auto">
        {props.children(isFolded)}
      </div>
      {isCut && (
        <button className="link read-more" onClick={unfold}>
          {words.message.readMore}
        </button>
      )}
    </>
  );
}

function BlockView({ block, marks, plain }: { block: Block; marks: Marks; plain: Plain }): ReactNode {
  switch (block.kind) {
    case "lines":
      return <InlineView parts={block.children} marks={marks} plain={plain} />;
    case "quote":
      return (
        <blockquote className="quoted" dir="auto">
          <InlineView parts={block.children} marks={marks} plain={plain} />
        </blockquote>
      );
    case "list":
      return <List items={block.items} marks={marks} plain={plain} />;
    case "fence":
      return within(marks, block.at, block.text).length > 0 ? (
        <PlainCode language={block.language} text={<Leaf text={block.text} at={block.at} marks={marks} isCode />} />
      ) : (
        <Code language={block.language} text={block.text} />
      );
    default:
      return block satisfies never;
  }
}

function List({ items, marks, plain }: { items: readonly Item[]; marks: Marks; plain: Plain }) {
  const Kind = items[0]?.number === null ? "ul" : "ol";
  return (
    <Kind className="bullets">
      {items.map((item) => (
        <li key={item.at} dir="auto" value={item.number ?? undefined}>
          <InlineView parts={item.children} marks={marks} plain={plain} />
        </li>
      ))}
    </Kind>
  );
}

function InlineView({ parts, marks, plain }: { parts: readonly Inline[]; marks: Marks; plain: Plain }): ReactNode {
  return parts.map((part) => {
    switch (part.kind) {
      case "text":
        return <Leaf key={part.at} text={part.text} at={part.at} marks={marks} plain={plain} />;
      case "code":
        return (
          <code key={part.at} dir="auto">
            <Leaf text={part.text} at={part.at} marks={marks} isCode />
          </code>
        );
      default: {
        const Kind = ({ bold: "strong", italic: "em", strike: "s" } as const)[part.kind];
        return (
          <Kind key={part.at}>
            <InlineView parts={part.children} marks={marks} plain={plain} />
          </Kind>
        );
      }
    }
  });
}

/** Links are not recognized in code, and not beside marks. */
function Leaf(props: { text: string; at: number; marks: Marks; plain?: Plain; isCode?: boolean }): ReactNode {
  const inside = within(props.marks, props.at, props.text);
  return <RichText text={props.text} marks={inside} plain={props.plain} isLinkless={props.isCode === true} />;
}

/** Returns the marks within a leaf, in Unicode scalar values from its start. */
function within(marks: Marks, at: number, text: string): [number, number][] {
  const scalars = (end: number) => Array.from(text.slice(0, Math.max(0, end))).length;
  return marks
    .filter(([from, to]) => to > at && from < at + text.length)
    .map(([from, to]) => [scalars(from - at), scalars(to - at)]);
}

/** Converts ranges from Unicode scalar values to UTF-16 units. */
function utf16(text: string, marks: readonly (readonly [number, number])[]): Marks {
  if (marks.length === 0) return marks;
  const chars = Array.from(text);
  const units = (count: number) => chars.slice(0, count).join("").length;
  return marks.map(([from, to]) => [units(from), units(to)]);
}

/** Code without colours. */
function PlainCode({ text }: { language: string; text: ReactNode }) {
  return (
    <pre className="fence" dir="ltr">
      <code>{text}</code>
    </pre>
  );
}
