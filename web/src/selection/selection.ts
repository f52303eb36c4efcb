// The messages of the open conversation that the user has selected.
//
// Invariant: a selection has 1 to `MAX_SELECTED` messages; without any, it has ended. The limit bounds the
// calls that follow: one for each message that is forwarded or deleted.

import type { TimelineMessage } from "@tidings/client";
import { useSyncExternalStore } from "react";

import { observable } from "../observable.js";
import { toast } from "../toasts.js";
import { words } from "../words/language.js";

export const MAX_SELECTED = 100;

/** The selected messages of a conversation, by id. */
export interface Selection {
  conversation: string;
  ids: ReadonlySet<string>;
  /** The message from which a range extends. */
  anchor: string;
  /** The messages that were selected before the range. A new range from the same message replaces the earlier one. */
  base: ReadonlySet<string>;
}

const NONE: ReadonlySet<string> = new Set();

export const selection = observable<Selection | null>(null);

/** The ids that are selected in a conversation. */
export const selectedIn = (state: Selection | null, conversation: string): ReadonlySet<string> =>
  state?.conversation === conversation ? state.ids : NONE;

/** Whether a message is selected; undefined while none is. */
export function useIsSelected({ id, conversation_id }: TimelineMessage): boolean | undefined {
  return useSyncExternalStore(selection.subscribe, () => {
    const ids = selectedIn(selection.current, conversation_id);
    return ids.size === 0 ? undefined : ids.has(id);
  });
}

/** Selects a message, which may be the first one, or deselects it. */
export function toggleSelected(conversation: string, id: string): void {
  const ids = new Set(selectedIn(selection.current, conversation));
  if (!ids.delete(id)) {
    if (ids.size === MAX_SELECTED) return toast(words.selection.upTo(MAX_SELECTED));
    ids.add(id);
  }
  select({ conversation, ids, anchor: id, base: ids });
}

/** Selects the messages from the last toggled one to another. `order` has the messages that can be selected, in order. */
export function selectUpTo(conversation: string, id: string, order: readonly string[]): void {
  const state = selection.current;
  const from = state?.conversation === conversation ? order.indexOf(state.anchor) : -1;
  const to = order.indexOf(id);
  if (!state || from < 0 || to < 0) {
    if (!selectedIn(state, conversation).has(id)) toggleSelected(conversation, id);
    return;
  }
  const range = from <= to ? order.slice(from, to + 1) : order.slice(to, from + 1).reverse();
  const added = range.filter((each) => !state.base.has(each));
  const room = MAX_SELECTED - state.base.size;
  if (added.length > room) toast(words.selection.upTo(MAX_SELECTED));
  select({ ...state, ids: new Set([...state.base, ...added.slice(0, room)]) });
}

/** Deselects messages: those that are done, or that no longer exist. */
export function deselect(isOut: (id: string) => boolean): void {
  const state = selection.current;
  const left = (ids: ReadonlySet<string>) => new Set([...ids].filter((id) => !isOut(id)));
  const ids = left(state?.ids ?? NONE);
  if (state && ids.size < state.ids.size) select({ ...state, ids, base: left(state.base) });
}

/** Deselects all. */
export const endSelecting = (): void => selection.set(null);

const select = (next: Selection) => selection.set(next.ids.size > 0 ? next : null);
