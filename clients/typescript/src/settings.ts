// Changes the user's own settings of conversations, and shows them before the server confirms them.
//
// Invariant: the changes of a conversation are sent one after the other, so that the last one wins.

import type { Api } from "./api.js";
import type { Store } from "./store.js";
import { retrying } from "./time.js";
import type { Conversation, SettingsChange } from "./types.js";

/** How often a change is sent again before it fails. */
const MAX_RETRIES = 2;

/** Changes settings. */
export class SettingsWriter {
  readonly #api: Api;
  readonly #store: Store;
  /** The end of the last change, by conversation. */
  readonly #changing = new Map<string, Promise<void>>();

  constructor(api: Api, store: Store) {
    this.#api = api;
    this.#store = store;
  }

  /** Shows a change at once, sends it, and rolls it back if it is refused. */
  async change(id: string, change: SettingsChange, signal: AbortSignal): Promise<void> {
    const end = this.#store.showChange(id, fieldsOf(change, this.#store.state.byId.get(id)));
    const send = () => retrying(() => this.#api.changeSettings(id, change, { signal }), signal, MAX_RETRIES);
    // The response's row is not merged: except for the settings, it may be older than what is known.
    const sent = (this.#changing.get(id) ?? Promise.resolve()).then(send);
    const ended = sent.then(
      () => end(true),
      () => end(false),
    );
    this.#changing.set(id, ended);
    await ended;
    if (this.#changing.get(id) === ended) this.#changing.delete(id);
    await sent;
  }
}

/** What a change does to the row. */
function fieldsOf(change: SettingsChange, row: Conversation | undefined): Partial<Conversation> {
  const { pinned, archived, ...rest } = change;
  const fields: Partial<Conversation> = rest;
  if (pinned !== undefined || archived) fields.pinned_at = pinned ? (row?.pinned_at ?? new Date().toISOString()) : null;
  if (pinned || archived !== undefined) fields.is_archived = !pinned && archived === true;
  return fields;
}
