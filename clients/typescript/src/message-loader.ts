// Loads the messages of open conversations, and decides which range of each is shown.

import type { Api } from "./api.js";
import type { Window } from "./chat.js";
import { TidingsError } from "./error.js";
import type { Page } from "./http.js";
import type { Store } from "./store.js";
import type { Message } from "./types.js";

/** Messages per page. */
const PAGE_SIZE = 50;

/** Maximum `offset` that the server accepts. */
const MAX_OFFSET = 10_000;

/** Loads messages into the store. */
export class MessageLoader {
  readonly #api: Api;
  readonly #store: Store;
  /** Open conversations that the server refused. */
  readonly #refused = new Set<string>();
  /** The last queued load by conversation. */
  readonly #loading = new Map<string, Promise<void>>();
  /** Single messages that are being loaded, and those the user cannot see. */
  readonly #single = new Map<string, Promise<Message | undefined>>();
  readonly #missing = new Set<string>();

  constructor(api: Api, store: Store) {
    this.#api = api;
    this.#store = store;
  }

  /** Keeps a conversation open. Returns a function that closes it. */
  open(id: string): () => void {
    const { open } = this.#store;
    open.set(id, (open.get(id) ?? 0) + 1);
    this.#refused.delete(id);
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      const left = (open.get(id) ?? 1) - 1;
      if (left > 0) open.set(id, left);
      else this.#store.close(id);
    };
  }

  /** Loads the newest messages of open conversations without a window: those just opened, or cleared by an event. */
  async refresh(signal: AbortSignal): Promise<void> {
    const needsWindow = (id: string) =>
      this.#store.window(id) === null && !this.#loading.has(id) && !this.#refused.has(id);
    const load = async (id: string) => {
      try {
        await this.toLatest(id, signal);
      } catch (error) {
        if (error instanceof TidingsError && !error.retryable) this.#refused.add(id);
      }
    };
    await Promise.all([...this.#store.open.keys()].filter(needsWindow).map(load));
  }

  /** Loads the newest page of each open conversation for a full reload; omits those the user may not see. */
  async loadWindows(signal: AbortSignal): Promise<Map<string, { window: Window; messages: Message[] }>> {
    const pages = new Map<string, { window: Window; messages: Message[] }>();
    for (const id of this.#store.open.keys()) {
      const page = await this.#latest(id, signal).catch((error: unknown) => {
        if (error instanceof TidingsError && error.status === 403) return undefined;
        throw error;
      });
      if (page) pages.set(id, page);
    }
    return pages;
  }

  /** Shows the newest messages. */
  toLatest(id: string, signal: AbortSignal): Promise<void> {
    return this.#enqueue(id, async () => {
      const checkpoint = this.#store.checkpoint;
      const { window, messages } = await this.#latest(id, signal);
      this.#store.showWindow(checkpoint, id, messages, window);
    });
  }

  /** Extends the window by a page of older messages, if there are any. */
  older(id: string, signal: AbortSignal): Promise<void> {
    return this.#enqueue(id, async () => {
      const window = this.#store.window(id);
      if (!window?.older) return;
      const checkpoint = this.#store.checkpoint;
      const page = await this.#page(id, { cursor: window.older }, signal);
      // The window may have been replaced in the meantime.
      if (this.#store.window(id) !== window) return;
      const from = page.next === null ? "" : (page.data[0]?.id ?? window.from);
      this.#store.showWindow(checkpoint, id, page.data, { ...window, from, older: page.next });
    });
  }

  /** Extends the window by a page of newer messages, if it does not reach the newest one. */
  newer(id: string, signal: AbortSignal): Promise<void> {
    return this.#enqueue(id, async () => {
      const window = this.#store.window(id);
      if (!window?.newer) return;
      const checkpoint = this.#store.checkpoint;
      const page = await this.#page(id, { cursor: window.newer }, signal);
      if (this.#store.window(id) !== window) return;
      const to = page.next === null ? null : (page.data.at(-1)?.id ?? window.to);
      this.#store.showWindow(checkpoint, id, page.data, { ...window, to, newer: page.next });
    });
  }

  /** Shows the messages around a message, unless the window contains it already. */
  jumpTo(id: string, messageId: string, signal: AbortSignal): Promise<void> {
    return this.#enqueue(id, async () => {
      const shown = this.#store.window(id);
      const isShown = shown && shown.from <= messageId && (shown.to === null || messageId <= shown.to);
      if (isShown && this.#store.message(id, messageId)) return;
      const checkpoint = this.#store.checkpoint;
      const after = await this.#page(id, { after: messageId, limit: PAGE_SIZE / 2 }, signal);
      const first = after.data[0];
      if (!first) {
        const { window, messages } = await this.#latest(id, signal);
        this.#store.showWindow(checkpoint, id, messages, window);
        return;
      }
      const before = await this.#page(id, { before: first.id, limit: PAGE_SIZE / 2 }, signal);
      const window = {
        from: before.next === null ? "" : (before.data[0] ?? first).id,
        older: before.next,
        to: after.next === null ? null : (after.data.at(-1) ?? first).id,
        newer: after.next,
      };
      this.#store.showWindow(checkpoint, id, [...before.data, ...after.data], window);
    });
  }

  /** Shows the message at an offset from the newest one (0), or the oldest message if there are fewer. */
  async jumpBack(id: string, offset: number, signal: AbortSignal): Promise<void> {
    const query = { offset: Math.min(offset, MAX_OFFSET), limit: 1 };
    const [message] = (await this.#page(id, query, signal)).data;
    if (message) await this.jumpTo(id, message.id, signal);
  }

  /** Returns a message, loaded if necessary; undefined if the user cannot see it. */
  async message(id: string, messageId: string, signal: AbortSignal): Promise<Message | undefined> {
    const known = this.#store.message(id, messageId);
    if (known || this.#missing.has(messageId)) return known;
    const loading = this.#single.get(messageId) ?? this.#one(id, messageId, signal);
    this.#single.set(messageId, loading);
    try {
      return await loading;
    } finally {
      this.#single.delete(messageId);
    }
  }

  /** Loads a message again, because the links to its files have expired. */
  async renew(id: string, messageId: string, signal: AbortSignal): Promise<void> {
    await this.#one(id, messageId, signal);
  }

  /** Loads one message. The API has no call for that, so it finds the next message and loads the one before it. */
  async #one(id: string, messageId: string, signal: AbortSignal): Promise<Message | undefined> {
    const checkpoint = this.#store.checkpoint;
    const [next] = (await this.#page(id, { after: messageId, limit: 1 }, signal)).data;
    const { data } = await this.#page(id, { limit: 1, ...(next ? { before: next.id } : {}) }, signal);
    const found = data.find((message) => message.id === messageId);
    if (found) this.#store.merge(checkpoint, [found]);
    else this.#missing.add(messageId);
    return found;
  }

  async #latest(id: string, signal: AbortSignal): Promise<{ window: Window; messages: Message[] }> {
    const page = await this.#page(id, {}, signal);
    const from = page.next === null ? "" : (page.data[0]?.id ?? "");
    return { messages: page.data, window: { from, older: page.next, to: null, newer: null } };
  }

  /** Loads a page, and skips empty ones: the result is only empty at the end of the list. */
  async #page(
    id: string,
    query: { before?: string; after?: string; limit?: number; cursor?: string; offset?: number },
    signal: AbortSignal,
  ): Promise<Page<Message[]>> {
    let page = await this.#api.messages(id, { limit: PAGE_SIZE, ...query }, { signal });
    while (page.data.length === 0 && page.next !== null) {
      page = await this.#api.messages(id, { limit: PAGE_SIZE, cursor: page.next }, { signal });
    }
    return page;
  }

  /** Runs loads of the same conversation one after the other. */
  async #enqueue(id: string, load: () => Promise<void>): Promise<void> {
    const before = this.#loading.get(id);
    const mine = (before ? before.catch(() => {}) : Promise.resolve()).then(load);
    this.#loading.set(id, mine);
    try {
      await mine;
    } finally {
      if (this.#loading.get(id) === mine) this.#loading.delete(id);
    }
  }
}
