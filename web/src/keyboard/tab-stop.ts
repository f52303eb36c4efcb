// Makes a list one stop of the Tab key: arrow keys move within it.
//
// Invariant: at most one item of the list, the current one, is reached by Tab, and the controls within an item only while
// the focus is in that item. The list may add and remove items at any time, as virtual lists do.

import { useEffect, useRef } from "react";
import type { RefObject } from "react";

/** Options of a list. */
export interface TabStopOptions {
  /** Selects the item that is current at first; by default the first one. */
  prefer?: string;
  /** Whether the last item is current at first. */
  startsAtEnd?: boolean;
  /** In a grid, all four arrow keys move; in a row, those to the left and right; otherwise, those up and down. */
  layout?: "column" | "row" | "grid";
  /** Whether the list only renders a part of its items, so that Home and End are left to the browser, which scrolls. */
  isPartial?: boolean;
  /** Called when an arrow key would move beyond either end. */
  onLeave?: (direction: 1 | -1) => void;
}

const CONTROLS = "a[href], button, input, audio, video, [tabindex]";
/** Fields use the arrow keys themselves. */
const FIELDS = "input:not([type=checkbox]), textarea, select, audio, video, [role=slider]";

/** Manages the items that a selector finds within an element. */
export function useTabStop(box: RefObject<HTMLElement | null>, items: string, options: TabStopOptions = {}): void {
  const { prefer, startsAtEnd = false, layout = "column", isPartial = false } = options;
  const onLeave = useRef(options.onLeave);
  onLeave.current = options.onLeave;
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    let current: HTMLElement | null = null;
    const all = () => [...element.querySelectorAll<HTMLElement>(items)];
    const update = () => {
      const list = all();
      const preferred = prefer === undefined ? null : list.find((item) => item.matches(prefer));
      if (!current?.isConnected || !element.contains(current)) {
        current = preferred ?? (startsAtEnd ? lastInView(element, list) : list[0]) ?? null;
      }
      for (const item of list) {
        setTabIndex(item, item === current ? 0 : -1);
        setControls(item, item.contains(document.activeElement));
      }
    };
    const onFocusIn = ({ target }: FocusEvent) => {
      const item = target instanceof Element ? target.closest<HTMLElement>(items) : null;
      if (item && element.contains(item)) current = item;
      update();
    };
    const onFocusOut = () => queueMicrotask(update);
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
      const { target } = event;
      const item = target instanceof Element ? target.closest<HTMLElement>(items) : null;
      if (!item || !(target instanceof Element) || target.matches(FIELDS)) return;
      if (isPartial && (event.key === "Home" || event.key === "End")) return;
      const list = all();
      const at = list.indexOf(item);
      const next = nextIndex(list, at, event.key, layout);
      if (next === undefined) return;
      event.preventDefault();
      const to = list[next];
      if (to && to !== item) focusItem(to);
      else if (!to) onLeave.current?.(next < 0 ? -1 : 1);
    };
    update();
    const observer = new MutationObserver(update);
    observer.observe(element, { childList: true, subtree: true });
    element.addEventListener("focusin", onFocusIn);
    element.addEventListener("focusout", onFocusOut);
    element.addEventListener("keydown", onKeyDown);
    return () => {
      observer.disconnect();
      element.removeEventListener("focusin", onFocusIn);
      element.removeEventListener("focusout", onFocusOut);
      element.removeEventListener("keydown", onKeyDown);
    };
  }, [box, items, prefer, startsAtEnd, layout, isPartial]);
}

/** Focuses an item, and scrolls no further than it takes to see it. */
export function focusItem(item: HTMLElement): void {
  item.focus({ preventScroll: true });
  item.scrollIntoView({ block: "nearest" });
}

function lastInView(box: HTMLElement, list: readonly HTMLElement[]): HTMLElement | undefined {
  const { bottom } = box.getBoundingClientRect();
  return list.findLast((item) => item.getBoundingClientRect().top < bottom) ?? list.at(-1);
}

/** Returns where a key moves to, which may be beyond the ends; undefined if it does not move. */
function nextIndex(list: readonly HTMLElement[], at: number, key: string, layout: "column" | "row" | "grid"): number | undefined {
  const forward = getComputedStyle(list[at] as HTMLElement).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
  const isAcross = key === "ArrowLeft" || key === "ArrowRight";
  if (key === "Home") return 0;
  if (key === "End") return list.length - 1;
  if (isAcross && layout !== "column") return at + (key === forward ? 1 : -1);
  if ((key === "ArrowUp" || key === "ArrowDown") && layout !== "row") {
    return at + (key === "ArrowDown" ? 1 : -1) * (layout === "grid" ? columns(list) : 1);
  }
  return undefined;
}

function columns(list: readonly HTMLElement[]): number {
  const top = list[0]?.offsetTop;
  const count = list.findIndex(({ offsetTop }) => offsetTop !== top);
  return count < 0 ? list.length : count;
}

function setTabIndex(element: HTMLElement, index: number): void {
  if (element.tabIndex !== index || !element.hasAttribute("tabindex")) element.tabIndex = index;
}

/** Lets Tab reach the controls within an item, or not. */
function setControls(item: HTMLElement, areReached: boolean): void {
  for (const control of item.querySelectorAll<HTMLElement>(CONTROLS)) {
    const isOut = control.dataset["out"] !== undefined;
    if (areReached === !isOut) continue;
    if (areReached) {
      const before = control.dataset["out"];
      delete control.dataset["out"];
      if (before === "") control.removeAttribute("tabindex");
      else control.setAttribute("tabindex", before ?? "0");
    } else {
      control.dataset["out"] = control.getAttribute("tabindex") ?? "";
      control.tabIndex = -1;
    }
  }
}
