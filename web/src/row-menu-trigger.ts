// Opens the menu of a row in the inbox: by a right click, a long press, or the menu key.

import type { KeyboardEvent, MouseEvent, PointerEvent } from "react";

import { observable } from "./observable.js";
import { pageDirection } from "./words/language.js";

/** The row whose menu is open, and where. */
export interface OpenMenu {
  conversation: string;
  x: number;
  y: number;
  /** The row, which gets the focus back. */
  row: HTMLElement;
}

export const openMenu = observable<OpenMenu | null>(null);

/** Milliseconds of a long press, and the pixels that a finger may move in the meantime. */
const LONG_PRESS = 500;
const MAX_MOVE = 10;

let press: { timer: ReturnType<typeof setTimeout>; x: number; y: number } | undefined;
/** Whether the click that follows belongs to a long press. */
let ignoresClick = false;

function cancelPress(): void {
  clearTimeout(press?.timer);
  press = undefined;
}

/** Returns a row's event handlers. */
export function menuHandlers(conversation: string) {
  const open = (row: HTMLElement, x: number, y: number) => openMenu.set({ conversation, x, y, row });
  return {
    onContextMenu: (event: MouseEvent<HTMLElement>) => {
      event.preventDefault();
      cancelPress();
      open(event.currentTarget, event.clientX, event.clientY);
    },
    onKeyDown: (event: KeyboardEvent<HTMLElement>) => {
      if (event.key !== "ContextMenu" && !(event.key === "F10" && event.shiftKey)) return;
      event.preventDefault();
      const { left, right, top, height } = event.currentTarget.getBoundingClientRect();
      open(event.currentTarget, pageDirection() === "rtl" ? right - height : left + height, top + height / 2);
    },
    // Not all browsers turn a long press into a right click.
    onPointerDown: (event: PointerEvent<HTMLElement>) => {
      cancelPress();
      ignoresClick = false;
      if (event.pointerType === "mouse") return;
      const { currentTarget: row, clientX: x, clientY: y } = event;
      const timer = setTimeout(() => {
        ignoresClick = true;
        open(row, x, y);
      }, LONG_PRESS);
      press = { timer, x, y };
    },
    onPointerMove: (event: PointerEvent<HTMLElement>) => {
      if (press && Math.hypot(event.clientX - press.x, event.clientY - press.y) > MAX_MOVE) cancelPress();
    },
    onPointerUp: cancelPress,
    onPointerCancel: cancelPress,
    onClickCapture: (event: MouseEvent<HTMLElement>) => {
      if (ignoresClick) event.preventDefault();
      ignoresClick = false;
    },
  };
}
