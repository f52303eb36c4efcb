// A long list that only renders the rows near the viewport.
//
// Invariant: when rows are added, removed or resized, the row at the top of the viewport keeps its position on the
// screen, or the list stays scrolled to its end, because reading must not be disturbed. The row's lower edge is what
// stays: rows added above it may add or remove a day separator or a name in its upper part.

import { useImperativeHandle, useLayoutEffect, useState } from "react";
import type { ReactNode, Ref } from "react";
import { flushSync } from "react-dom";

import { Heights } from "./heights.js";

/** Pixels above and below the viewport within which rows are rendered. */
const OVERSCAN = 800;
/** Maximum pixels from the end at which the list counts as scrolled to it. */
const END_TOLERANCE = 48;
/** Rows that are rendered before any is measured. More follow before the browser paints, as many as the screen needs. */
const FIRST_ROWS = 6;
/** Milliseconds without scroll events after which scrolling has ended. */
const SCROLL_END_DELAY = 150;

/** Position of the list, and ways to change it. */
export interface VirtualListHandle {
  /** Whether the list is scrolled to its end, and follows it. */
  readonly isAtEnd: boolean;
  /** Pixels that are hidden above the viewport. */
  readonly above: number;
  /** Pixels that are hidden below the viewport. */
  readonly below: number;
  /** Index of the first visible row; -1 if there is none. */
  readonly firstInView: number;
  /** Index of the last visible row; -1 if there is none. */
  readonly lastInView: number;
  /** Scrolls a row's upper edge to a distance from the top of the viewport, or its middle to the middle. */
  scrollTo(at: number, where: { below: number } | "middle"): void;
  /** Scrolls to the end, and follows it. */
  scrollToEnd(): void;
}

/** The rendered rows: `from` up to but not including `to`. */
interface Range<T> {
  items: readonly T[];
  from: number;
  to: number;
}

/** The list. Its parent element scrolls. It starts at its end. */
export function VirtualList<T extends { key: string }>(props: {
  ref: Ref<VirtualListHandle>;
  items: readonly T[];
  /** Whether the list stays at its end when it grows there. */
  followsEnd: boolean;
  /** Called after scrolling, and after rows have changed their height. */
  onScroll: () => void;
  onScrollEnd: () => void;
  children: (item: T, at: number) => ReactNode;
}) {
  const { items, children, followsEnd, onScroll, onScrollEnd } = props;
  const [range, setRange] = useState<Range<T>>({ items: [], from: 0, to: 0 });
  const [viewport] = useState(() => new Viewport<T>());
  const rendered = moveRange(range, items);
  useImperativeHandle(props.ref, () => viewport, [viewport]);
  useLayoutEffect(() => viewport.observe(), [viewport]);
  useLayoutEffect(() => {
    Object.assign(viewport, { range: rendered, setRange, followsEnd, onScroll, onScrollEnd });
    viewport.layout();
  });
  return (
    <div className="virtual" ref={(box) => void (viewport.box = box)}>
      {items.slice(rendered.from, rendered.to).map((item, at) => (
        <div key={item.key} className="virtual-row">
          {children(item, rendered.from + at)}
        </div>
      ))}
    </div>
  );
}

/** Returns the range of the same rows in changed items, or of the last rows if none of them is left. */
function moveRange<T extends { key: string }>(range: Range<T>, items: readonly T[]): Range<T> {
  const { from, to } = range;
  if (range.items === items) return range;
  for (let at = from; at < to; at += 1) {
    const key = range.items[at]?.key;
    const now = items[at]?.key === key ? at : items.findIndex((item) => item.key === key);
    if (now >= 0) return { items, from: Math.max(0, now - (at - from)), to: Math.min(items.length, now + (to - at)) };
  }
  return { items, from: Math.max(0, items.length - FIRST_ROWS), to: items.length };
}

/** A point of a row that keeps its position. */
interface Anchor {
  key: string;
  /** Which point: 0 is the row's upper edge, 1 its lower edge. */
  edge: number;
  /** Distance of the point from the top of the viewport, in pixels. */
  offset: number;
}

/** Measures the rows, and keeps the scroll position. */
class Viewport<T extends { key: string }> implements VirtualListHandle {
  box: HTMLElement | null = null;
  range: Range<T> = { items: [], from: 0, to: 0 };
  setRange: (range: Range<T>) => void = () => {};
  followsEnd = true;
  onScroll: () => void = () => {};
  onScrollEnd: () => void = () => {};
  isAtEnd = true;
  readonly #heights = new Heights();
  #scroller: HTMLElement | null = null;
  #anchor: Anchor | null = null;
  /** The `scrollTop` that this class set last; -1 after the user has scrolled. */
  #ownScrollTop = -1;
  /** Correction of `scrollTop` that is deferred until scrolling ends; a margin shows it in the meantime. */
  #deferredShift = 0;
  /** Runs while the user scrolls. */
  #scrollEndTimer: ReturnType<typeof setTimeout> | undefined;

  get above(): number {
    return this.#scroller ? this.#top : 0;
  }

  get below(): number {
    const height = this.#scroller?.clientHeight ?? 0;
    return this.#heights.total - this.#top - height;
  }

  get firstInView(): number {
    return this.#heights.indexAt(this.#top + 8);
  }

  get lastInView(): number {
    return this.#heights.indexAt(this.#top + (this.#scroller?.clientHeight ?? 0) - 8);
  }

  /** Observes scrolling and resizing. Returns a function that stops it. */
  observe(): (() => void) | undefined {
    const { box } = this;
    const scroller = box?.parentElement;
    if (!box || !scroller) return undefined;
    this.#scroller = scroller;
    const observer = new ResizeObserver(() => {
      this.layout();
      this.onScroll();
    });
    observer.observe(scroller);
    observer.observe(box);
    const handleScroll = () => this.#handleScroll();
    scroller.addEventListener("scroll", handleScroll, { passive: true });
    return () => {
      observer.disconnect();
      scroller.removeEventListener("scroll", handleScroll);
      clearTimeout(this.#scrollEndTimer);
    };
  }

  /** Measures the rendered rows and restores the scroll position. */
  layout(): void {
    const { box, range } = this;
    // While the list is not displayed, rows have no height.
    if (!box || !this.#scroller?.clientHeight) return;
    this.#heights.setItems(range.items);
    [...box.children].forEach((row, at) =>
      this.#heights.setHeight(range.from + at, row.getBoundingClientRect().height),
    );
    this.#pad();
    const isAligned = this.#align();
    if (!this.#renderVisible() && !isAligned) this.#pickAnchor();
  }

  scrollTo(at: number, where: { below: number } | "middle"): void {
    const key = this.range.items[at]?.key;
    if (!this.#scroller || key === undefined) return;
    this.isAtEnd = false;
    this.#anchor =
      where === "middle"
        ? { key, edge: 0.5, offset: this.#scroller.clientHeight / 2 }
        : { key, edge: 0, offset: where.below };
    this.layout();
  }

  scrollToEnd(): void {
    this.isAtEnd = true;
    this.layout();
  }

  /** Replaces the rows that are not rendered by padding. */
  #pad(): void {
    const { from, to } = this.range;
    const heights = this.#heights;
    if (this.box) this.box.style.paddingBlock = `${heights.top(from)}px ${heights.total - heights.top(to)}px`;
  }

  /** Distance from the top of the list to the top of the viewport. */
  get #top(): number {
    if (!this.box || !this.#scroller) return 0;
    return this.#scroller.getBoundingClientRect().top - this.box.getBoundingClientRect().top;
  }

  /** Scrolls so that the anchor is at its position. Returns whether that was possible. */
  #align(): boolean {
    const scroller = this.#scroller;
    if (!scroller) return true;
    if (this.isAtEnd) {
      this.#setScrollTop(scroller.scrollHeight - scroller.clientHeight);
      return true;
    }
    const shift = this.#anchorShift();
    if (Math.abs(shift) <= 0.5) return true;
    // Setting `scrollTop` can stop momentum scrolling, so the correction is deferred until scrolling ends.
    if (this.#scrollEndTimer !== undefined) {
      this.#deferShift(this.#deferredShift + shift);
      return true;
    }
    this.#setScrollTop(scroller.scrollTop + shift);
    return Math.abs(this.#anchorShift()) <= 1;
  }

  #setScrollTop(top: number): void {
    if (!this.#scroller) return;
    this.#scroller.scrollTop = top;
    this.#ownScrollTop = this.#scroller.scrollTop;
  }

  #deferShift(shift: number): void {
    this.#deferredShift = shift;
    if (this.box) this.box.style.marginBlockStart = `${-shift}px`;
  }

  /** How far the anchor is below its position, in pixels. */
  #anchorShift(): number {
    const anchor = this.#anchor;
    if (!anchor) return 0;
    const { items, from, to } = this.range;
    let at = from;
    while (at < to && items[at]?.key !== anchor.key) at += 1;
    if (at === to) at = items.findIndex(({ key }) => key === anchor.key);
    if (at < 0) return 0;
    const upper = this.#heights.top(at);
    return upper + (this.#heights.top(at + 1) - upper) * anchor.edge - this.#top - anchor.offset;
  }

  /** Makes the first visible row the anchor: its lower edge or, if its height is only estimated, its upper edge. */
  #pickAnchor(): void {
    const { items, from, to } = this.range;
    const top = this.#top;
    const at = this.#heights.indexAt(top + 1);
    const item = items[at];
    const edge = at >= from && at < to ? 1 : 0;
    this.#anchor = item ? { key: item.key, edge, offset: this.#heights.top(at + edge) - top } : null;
  }

  /** Renders the rows around the viewport, unless they are rendered already. Returns whether the range changed. */
  #renderVisible(): boolean {
    const { items, from, to } = this.range;
    const heights = this.#heights;
    const upper = this.#top;
    const lower = upper + (this.#scroller?.clientHeight ?? 0);
    const around = (pixels: number) => ({ from: heights.indexAt(upper - pixels), to: heights.indexAt(lower + pixels) + 1 });
    const needed = around(OVERSCAN / 2);
    const wanted = around(OVERSCAN);
    const isTooLarge = to - from > 2 * (wanted.to - wanted.from);
    if (items.length === 0 || (from <= needed.from && to >= needed.to && !isTooLarge)) return false;
    this.setRange({ items, ...wanted });
    return true;
  }

  #handleScroll(): void {
    const scroller = this.#scroller;
    if (!scroller) return;
    clearTimeout(this.#scrollEndTimer);
    this.#scrollEndTimer = setTimeout(() => this.#handleScrollEnd(), SCROLL_END_DELAY);
    if (Math.abs(scroller.scrollTop - this.#ownScrollTop) >= 1) {
      this.#ownScrollTop = -1;
      this.isAtEnd = this.followsEnd && this.below <= END_TOLERANCE;
      this.#pickAnchor();
      // Synchronous, because otherwise one frame would show a gap instead of the rows.
      flushSync(() => this.#renderVisible());
      this.#pickAnchor();
    }
    this.onScroll();
  }

  #handleScrollEnd(): void {
    this.#scrollEndTimer = undefined;
    if (this.#deferredShift !== 0) {
      const shift = this.#deferredShift;
      this.#deferShift(0);
      this.#setScrollTop((this.#scroller?.scrollTop ?? 0) + shift);
    }
    this.onScrollEnd();
  }
}
