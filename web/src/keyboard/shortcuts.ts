// Keys that work everywhere in the chat. The dialog `keys.tsx` lists them for the user.

import type { Conversation, Tidings } from "@tidings/client";
import { useTidings } from "@tidings/client/react";
import { useEffect } from "react";

import { isUnread } from "../conversation-settings.js";
import { currentRoute, navigate } from "../route.js";
import { composerField } from "./focus.js";
import { latin } from "./latin.js";
import { moveToRegion } from "./regions.js";

/** The views that the keys open. */
export interface ShortcutActions {
  openPalette: () => void;
  openKeys: () => void;
}

/** Whether something is open that has keys of its own. */
const isCovered = () => document.querySelector("dialog[open], [role=menu]") !== null;

export function useShortcuts(actions: ShortcutActions): void {
  const client = useTidings();
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.isComposing || event.defaultPrevented || isCovered()) return;
      if (withCommand(event, actions) || withAlt(event, client) || scrolls(event)) event.preventDefault();
      else if (event.key === "F6") {
        event.preventDefault();
        moveToRegion(event.shiftKey ? -1 : 1);
      } else if (writes(event)) composerField()?.focus();
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  });
}

/** Ctrl or, on a Mac, Command. */
function withCommand(event: KeyboardEvent, actions: ShortcutActions): boolean {
  if (!event.ctrlKey && !event.metaKey) return false;
  if (latin(event) === "k") actions.openPalette();
  else if (event.key === "/") actions.openKeys();
  else return false;
  return true;
}

/** Alt and an arrow open the next or previous conversation; with Shift, the next or previous unread one. */
function withAlt(event: KeyboardEvent, client: Tidings): boolean {
  if (!event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return false;
  openNeighbour(client, event.key === "ArrowUp" ? -1 : 1, event.shiftKey);
  return true;
}

/** Opens the next or previous conversation. Unread ones are looked for around the end of the list as well. */
function openNeighbour(client: Tidings, direction: 1 | -1, isUnreadOnly: boolean): void {
  const rows = client.store.state.conversations;
  const at = rows.findIndex(({ conversation_id }) => conversation_id === currentRoute().conversation);
  let next: Conversation | undefined = rows[Math.min(rows.length - 1, Math.max(0, at + direction))];
  if (isUnreadOnly) {
    const start = at < 0 && direction < 0 ? rows.length : at;
    const order = rows.map((_, step) => rows[(start + direction * (step + 1) + 2 * rows.length) % rows.length]);
    next = order.find((row) => row && isUnread(row) && row.conversation_id !== currentRoute().conversation);
  }
  if (next) navigate(next.conversation_id);
}

/** Page up and down scroll the messages while the user writes. */
function scrolls(event: KeyboardEvent): boolean {
  if ((event.key !== "PageUp" && event.key !== "PageDown") || event.shiftKey || event.target !== composerField()) return false;
  const scroller = document.querySelector(".scroller");
  scroller?.scrollBy({ top: (event.key === "PageUp" ? -0.9 : 0.9) * scroller.clientHeight });
  return true;
}

/** Whether a key writes something, or pastes it, while no field has the focus. */
function writes(event: KeyboardEvent): boolean {
  const { target, key } = event;
  if (target instanceof Element && target.closest("input, textarea, select, [contenteditable]")) return false;
  const isPaste = (event.ctrlKey || event.metaKey) && latin(event) === "v";
  const isLetter = Array.from(key).length === 1 && key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey;
  return isPaste || isLetter;
}
