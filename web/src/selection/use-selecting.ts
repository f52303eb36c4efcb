// Selects messages with the pointer and the keyboard.

import type { TimelineMessage } from "@tidings/client";
import type { KeyboardEvent, MouseEvent, RefObject } from "react";

import { latin } from "../keyboard/latin.js";
import { focusItem } from "../keyboard/tab-stop.js";
import { useObservable } from "../observable.js";
import { isMarkable } from "../reactions/toggle.js";
import { endSelecting, selectUpTo, selectedIn, selection, toggleSelected } from "./selection.js";

/** Handlers for the element that contains the messages, and its class. */
export interface Selecting {
  className: string;
  onClickCapture: (event: MouseEvent) => void;
  onKeyDownCapture: (event: KeyboardEvent) => void;
}

/**
 * Selects the messages of a conversation: X and, while some are selected, Enter, the space bar and clicks select or
 * deselect one; Shift with an arrow key or a click selects all up to one; Escape ends.
 */
export function useSelecting(conversation: string, messages: readonly TimelineMessage[], box: RefObject<HTMLElement | null>): Selecting {
  const isSelecting = selectedIn(useObservable(selection), conversation).size > 0;
  const order = () => messages.filter(isMarkable).map(({ id }) => id);
  const canSelect = (id: string | undefined): id is string => messages.some((message) => message.id === id && isMarkable(message));

  const onClickCapture = (event: MouseEvent) => {
    if (!isSelecting || !(event.target instanceof Element) || event.target.matches(".select-box")) return;
    const id = messageAt(event.target)?.dataset["message"];
    event.preventDefault();
    event.stopPropagation();
    if (!canSelect(id)) return;
    if (event.shiftKey) selectUpTo(conversation, id, order());
    else toggleSelected(conversation, id);
  };

  /** Moves the focus to the next message that can be selected, and selects up to there. Returns whether there is one. */
  const extend = (from: HTMLElement, step: 1 | -1): boolean => {
    const all = [...(box.current?.querySelectorAll<HTMLElement>("article.message") ?? [])];
    const others = step > 0 ? all.slice(all.indexOf(from) + 1) : all.slice(0, all.indexOf(from)).reverse();
    const next = others.find((each) => canSelect(each.dataset["message"]));
    if (!next) return false;
    const id = from.dataset["message"];
    if (!isSelecting && canSelect(id)) toggleSelected(conversation, id);
    focusItem(next);
    selectUpTo(conversation, next.dataset["message"] ?? "", order());
    return true;
  };

  const onKeyDownCapture = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.target instanceof HTMLElement)) return;
    const article = messageAt(event.target);
    const isOnMessage = article === event.target;
    if (event.key === "Escape") {
      if (!isSelecting || event.target.closest("[role=menu], dialog")) return;
      endSelecting();
    } else if (!article || !isOnMessage) return;
    else if (event.shiftKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      if (!extend(article, event.key === "ArrowUp" ? -1 : 1)) return;
    } else if (!event.shiftKey && (latin(event) === "x" || (isSelecting && (event.key === "Enter" || event.key === " ")))) {
      const id = article.dataset["message"];
      if (canSelect(id)) toggleSelected(conversation, id);
    } else return;
    event.preventDefault();
    // Enter would open the message's menu.
    event.stopPropagation();
  };

  return { className: isSelecting ? "selecting" : "", onClickCapture, onKeyDownCapture };
}

const messageAt = (element: Element) => element.closest<HTMLElement>("article.message");
