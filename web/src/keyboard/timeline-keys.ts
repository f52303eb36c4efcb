// Keys of the messages: arrows move between them, Enter opens the menu, Escape goes back to writing.

import type { KeyboardEvent, RefObject } from "react";

import { composerField } from "./focus.js";
import { useTabStop } from "./tab-stop.js";

/** Makes the messages one stop of the Tab key. Returns what handles the other keys. */
export function useTimelineKeys(scroller: RefObject<HTMLElement | null>): (event: KeyboardEvent) => void {
  const onLeave = (direction: 1 | -1) => {
    if (direction > 0) composerField()?.focus();
  };
  useTabStop(scroller, "article.message", { startsAtEnd: true, isPartial: true, onLeave });
  return onKeyDown;
}

/** Whether a key opens the menu of the message that has the focus. */
export function opensMenu({ target, currentTarget, key, shiftKey }: KeyboardEvent): boolean {
  return target === currentTarget && (key === "Enter" || key === "ContextMenu" || (key === "F10" && shiftKey));
}

function onKeyDown(event: KeyboardEvent): void {
  if (event.key !== "Escape" || event.defaultPrevented) return;
  // Menus close by themselves.
  if (event.target instanceof Element && event.target.closest("[role=menu], dialog")) return;
  event.preventDefault();
  composerField()?.focus();
}
