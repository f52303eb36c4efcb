// Loads messages out of turn: around a message, at an offset, or a single one. Loaded on first use.

import type { Api } from "./api.js";
import { PAGE_SIZE, loadLatest, loadPage } from "./pages.js";
import type { Range } from "./pages.js";
import type { OutboxEntry } from "./outbox-entry.js";
import type { Store } from "./store.js";
import type { Message } from "./types.js";

/** Maximum `offset` that the server accepts. */
const MAX_OFFSET = 10_000;

/** Whether the window of a conversation contains a message. */
export function isShown(store: Store, id: string, messageId: string): boolean {
  const shown = store.window(id);
  const isInside = shown && shown.from <= messageId && (shown.to === null || messageId <= shown.to);
  return isInside === true && store.message(id, messageId) !== undefined;
}

/** Loads the messages around a message. */
export async function loadAround(api: Api, id: string, messageId: string, signal: AbortSignal): Promise<Range> {
  const after = await loadPage(api, id, { after: messageId, limit: PAGE_SIZE / 2 }, signal);
  const first = after.data[0];
  if (!first) return loadLatest(api, id, signal);
  const before = await loadPage(api, id, { before: first.id, limit: PAGE_SIZE / 2 }, signal);
  const window = {
    from: before.next === null ? "" : (before.data[0] ?? first).id,
    to: after.next === null ? null : (after.data.at(-1) ?? first).id,
  };
  return { window, messages: [...before.data, ...after.data] };
}

/** Loads the message at an offset from the newest one (0), or the oldest message if there are fewer. */
export async function loadAt(api: Api, id: string, offset: number, signal: AbortSignal): Promise<Message | undefined> {
  return (await loadPage(api, id, { offset: Math.min(offset, MAX_OFFSET), limit: 1 }, signal)).data[0];
}

/** Loads single messages into the store. */
export class SingleMessages {
  readonly #api: Api;
  readonly #store: Store;
  /** Messages that are being loaded, and those the user cannot see. */
  readonly #loading = new Map<string, Promise<Message | undefined>>();
  readonly #missing = new Set<string>();

  constructor(api: Api, store: Store) {
    this.#api = api;
    this.#store = store;
  }

  /** Returns a message; undefined if the user cannot see it. */
  async load(id: string, messageId: string, signal: AbortSignal): Promise<Message | undefined> {
    if (this.#missing.has(messageId)) return undefined;
    const loading = this.#loading.get(messageId) ?? this.renew(id, messageId, signal);
    this.#loading.set(messageId, loading);
    try {
      return await loading;
    } finally {
      this.#loading.delete(messageId);
    }
  }

  /** Loads a message again, because the links to its files have expired. */
  async renew(id: string, messageId: string, signal: AbortSignal): Promise<Message | undefined> {
    const checkpoint = this.#store.checkpoint;
    const found = await loadOne(this.#api, id, messageId, signal);
    if (found) this.#store.merge(checkpoint, [found]);
    else this.#missing.add(messageId);
    return found;
  }
}

/** Loads one message. The API has no call for that, so it finds the next message and loads the one before it. */
async function loadOne(api: Api, id: string, messageId: string, signal: AbortSignal): Promise<Message | undefined> {
  const [next] = (await loadPage(api, id, { after: messageId, limit: 1 }, signal)).data;
  const { data } = await loadPage(api, id, { limit: 1, ...(next ? { before: next.id } : {}) }, signal);
  return data.find((message) => message.id === messageId);
}

/** Finds the message of an entry of the outbox in the history, back to the first attempt to send it. */
export async function findSent(api: Api, entry: OutboxEntry, signal: AbortSignal): Promise<Message | undefined> {
  const { id, draft, tried_at } = entry;
  const conversation =
    draft.conversation_id ?? (await api.openDirect(draft.recipient_id ?? "", { signal })).conversation_id;
  // Searches two days further back, in case the local clock was wrong.
  const earliest = new Date((tried_at ?? 0) - 2 * 86_400_000).toISOString();
  for await (const message of api.history(conversation, { limit: 100, signal })) {
    if (message.client_message_id === id) return message;
    if (message.sent_at < earliest) return undefined;
  }
  return undefined;
}
