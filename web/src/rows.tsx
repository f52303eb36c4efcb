// A long list, of which only the rows near the view are in the page.
//
// Invariant: whatever is added, removed, or changes its height, the row that one looks at keeps its place on the screen,
// or the list stays at its end. It is the row's lower edge that stays: what comes in above changes its upper part, where
// a day or a name may stand.

import { useImperativeHandle, useLayoutEffect, useState } from "react";
import type { ReactNode, Ref } from "react";
import { flushSync } from "react-dom";

import { Heights } from "./heights.js";

/** Pixels around the view within which rows are in the page. */
const AROUND = 800;
/** Pixels from the end within which one is at it. */
const AT_END = 48;
/** Milliseconds without scrolling after which it has ended. */
const QUIET = 150;

/** What can be asked of a list. */
export interface RowsHandle {
  /** Whether the end shows, and is stayed at. */
  readonly isAtEnd: boolean;
  /** Pixels that are out of sight above, and below. */
  readonly above: number;
  readonly below: number;
  /** The last row of which something shows; -1 where there is none. */
  readonly lastInView: number;
  /** Puts a row's upper edge below the top of the view, or its middle into the middle. */
  show(at: number, where: { below: number } | "middle"): void;
  /** Goes to the end, and stays there. */
  toEnd(): void;
}

interface Range<T> {
  items: readonly T[];
  from: number;
  to: number;
}

/** The list; the element that it is in scrolls. It begins at its end. */
export function Rows<T extends { key: string }>(props: {
  ref: Ref<RowsHandle>;
  items: readonly T[];
  /** Whether the end stays in sight as it grows. */
  sticks: boolean;
  /** Called when it was scrolled, and when what is below or above has grown. */
  onMove: () => void;
  onQuiet: () => void;
  children: (item: T, at: number) => ReactNode;
}) {
  const { items, children } = props;
  const [range, setRange] = useState<Range<T>>({ items: [], from: 0, to: 0 });
  const [view] = useState(() => new View<T>());
  const shown = moved(range, items);
  useImperativeHandle(props.ref, () => view, [view]);
  useLayoutEffect(() => view.watch(), [view]);
  useLayoutEffect(() => {
    Object.assign(view, { range: shown, setRange, sticks: props.sticks, onMove: props.onMove, onQuiet: props.onQuiet });
    view.settle();
  });
  return (
    <div className="virtual" ref={(box) => void (view.box = box)}>
      {items.slice(shown.from, shown.to).map((item, at) => (
        <div key={item.key} className="virtual-row">
          {children(item, shown.from + at)}
        </div>
      ))}
    </div>
  );
}

/** The same rows in another list; its end where none of them is in it. */
function moved<T extends { key: string }>(range: Range<T>, items: readonly T[]): Range<T> {
  const { from, to } = range;
  if (range.items === items) return range;
  for (let at = from; at < to; at += 1) {
    const key = range.items[at]?.key;
    const now = items[at]?.key === key ? at : items.findIndex((item) => item.key === key);
    if (now >= 0) return { items, from: Math.max(0, now - (at - from)), to: Math.min(items.length, now + (to - at)) };
  }
  return { items, from: Math.max(0, items.length - 20), to: items.length };
}

/** A point of a row, from its upper edge (0) to its lower one (1), and its distance from the top of the view. */
interface Anchor {
  key: string;
  edge: number;
  place: number;
}

class View<T extends { key: string }> implements RowsHandle {
  box: HTMLElement | null = null;
  range: Range<T> = { items: [], from: 0, to: 0 };
  setRange: (range: Range<T>) => void = () => {};
  sticks = true;
  onMove: () => void = () => {};
  onQuiet: () => void = () => {};
  isAtEnd = true;
  readonly #heights = new Heights();
  #scroller: HTMLElement | null = null;
  #anchor: Anchor | null = null;
  /** Where the view was put here, as against by its user. */
  #put = -1;
  /** How far the rows are from where the view's place has them, until that may be set. */
  #owed = 0;
  #quiet: ReturnType<typeof setTimeout> | undefined;

  get above(): number {
    return this.#scroller ? this.#offset : 0;
  }

  get below(): number {
    const height = this.#scroller?.clientHeight ?? 0;
    return this.#heights.total - this.#offset - height;
  }

  get lastInView(): number {
    return this.#heights.at(this.#offset + (this.#scroller?.clientHeight ?? 0) - 8);
  }

  /** Follows the size of the view and of its rows, and scrolling, until the answer is called. */
  watch(): (() => void) | undefined {
    const { box } = this;
    const scroller = box?.parentElement;
    if (!box || !scroller) return undefined;
    this.#scroller = scroller;
    const observer = new ResizeObserver(() => {
      this.settle();
      this.onMove();
    });
    observer.observe(scroller);
    observer.observe(box);
    const scrolled = () => this.#scrolled();
    scroller.addEventListener("scroll", scrolled, { passive: true });
    return () => {
      observer.disconnect();
      scroller.removeEventListener("scroll", scrolled);
      clearTimeout(this.#quiet);
    };
  }

  /** Measures the rows in the page, and puts the view to where it belongs. */
  settle(): void {
    const { box, range } = this;
    // Where it is not shown, nothing has a height.
    if (!box || !this.#scroller?.clientHeight) return;
    this.#heights.take(range.items);
    [...box.children].forEach((row, at) => this.#heights.measured(range.from + at, row.getBoundingClientRect().height));
    this.#pad();
    const isThere = this.#align();
    if (!this.#cover() && !isThere) this.#look();
  }

  show(at: number, where: { below: number } | "middle"): void {
    const key = this.range.items[at]?.key;
    if (!this.#scroller || key === undefined) return;
    this.isAtEnd = false;
    this.#anchor =
      where === "middle"
        ? { key, edge: 0.5, place: this.#scroller.clientHeight / 2 }
        : { key, edge: 0, place: where.below };
    this.settle();
  }

  toEnd(): void {
    this.isAtEnd = true;
    this.settle();
  }

  #pad(): void {
    const { from, to } = this.range;
    const heights = this.#heights;
    if (this.box) this.box.style.paddingBlock = `${heights.top(from)}px ${heights.total - heights.top(to)}px`;
  }

  /** How far the top of the view is below that of the rows. */
  get #offset(): number {
    if (!this.box || !this.#scroller) return 0;
    return this.#scroller.getBoundingClientRect().top - this.box.getBoundingClientRect().top;
  }

  /** Puts the view to where its anchor has its place. Whether that was possible. */
  #align(): boolean {
    const scroller = this.#scroller;
    if (!scroller) return true;
    if (this.isAtEnd) {
      this.#moveTo(scroller.scrollHeight - scroller.clientHeight);
      return true;
    }
    const off = this.#off();
    if (Math.abs(off) <= 0.5) return true;
    // Setting the place can end the scrolling by momentum: what is to be set waits until that has ended.
    if (this.#quiet !== undefined) {
      this.#owe(this.#owed + off);
      return true;
    }
    this.#moveTo(scroller.scrollTop + off);
    return Math.abs(this.#off()) <= 1;
  }

  #moveTo(top: number): void {
    if (!this.#scroller) return;
    this.#scroller.scrollTop = top;
    this.#put = this.#scroller.scrollTop;
  }

  #owe(owed: number): void {
    this.#owed = owed;
    if (this.box) this.box.style.marginBlockStart = `${-owed}px`;
  }

  /** How far the anchor is below its place. */
  #off(): number {
    const anchor = this.#anchor;
    if (!anchor) return 0;
    const { items, from, to } = this.range;
    let at = from;
    while (at < to && items[at]?.key !== anchor.key) at += 1;
    if (at === to) at = items.findIndex(({ key }) => key === anchor.key);
    if (at < 0) return 0;
    const upper = this.#heights.top(at);
    return upper + (this.#heights.top(at + 1) - upper) * anchor.edge - this.#offset - anchor.place;
  }

  /** Makes the first row that shows the one that keeps its place. One that is not in the page yet may be of any height. */
  #look(): void {
    const { items, from, to } = this.range;
    const offset = this.#offset;
    const at = this.#heights.at(offset + 1);
    const item = items[at];
    const edge = at >= from && at < to ? 1 : 0;
    this.#anchor = item ? { key: item.key, edge, place: this.#heights.top(at + edge) - offset } : null;
  }

  /** Sees to it that the rows around the view are in the page. Whether they were not. */
  #cover(): boolean {
    const { items, from, to } = this.range;
    const heights = this.#heights;
    const upper = this.#offset;
    const lower = upper + (this.#scroller?.clientHeight ?? 0);
    const around = (pixels: number) => ({ from: heights.at(upper - pixels), to: heights.at(lower + pixels) + 1 });
    const needed = around(AROUND / 2);
    const wanted = around(AROUND);
    const isTooMuch = to - from > 2 * (wanted.to - wanted.from);
    if (items.length === 0 || (from <= needed.from && to >= needed.to && !isTooMuch)) return false;
    this.setRange({ items, ...wanted });
    return true;
  }

  #scrolled(): void {
    const scroller = this.#scroller;
    if (!scroller) return;
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#ended(), QUIET);
    if (Math.abs(scroller.scrollTop - this.#put) >= 1) {
      this.#put = -1;
      this.isAtEnd = this.sticks && this.below <= AT_END;
      this.#look();
      // Not a frame later, which would show without them.
      flushSync(() => this.#cover());
      this.#look();
    }
    this.onMove();
  }

  #ended(): void {
    this.#quiet = undefined;
    if (this.#owed !== 0) {
      const owed = this.#owed;
      this.#owe(0);
      this.#moveTo((this.#scroller?.scrollTop ?? 0) + owed);
    }
    this.onQuiet();
  }
}
