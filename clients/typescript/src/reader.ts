// Opening conversations: which stretch of each is loaded and shown.

import type { Api } from "./api.js";
import type { Window } from "./chat.js";
import { TidingsError } from "./error.js";
import type { Page } from "./http.js";
import type { Moment, Store } from "./store.js";
import type { Message } from "./types.js";

/** Messages of a page. */
const PAGE = 50;

/** Messages that the server counts back at most. */
const MOST_BACK = 10_000;

/** Loads what is shown of the conversations that are open. */
export class Reader {
  readonly #api: Api;
  readonly #store: Store;
  /** How often each conversation is open. */
  readonly #open = new Map<string, number>();
  /** Open conversations that are not to be had. */
  readonly #refused = new Set<string>();
  /** What is being loaded of each, so that nothing is loaded twice at once. */
  readonly #loading = new Map<string, Promise<void>>();
  /** Single messages that are being loaded, and those that are not there for the user. */
  readonly #single = new Map<string, Promise<Message | undefined>>();
  readonly #missing = new Set<string>();

  constructor(api: Api, store: Store) {
    this.#api = api;
    this.#store = store;
  }

  /** Keeps a conversation open until the answer is called. */
  open(id: string): () => void {
    this.#open.set(id, (this.#open.get(id) ?? 0) + 1);
    this.#refused.delete(id);
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      const left = (this.#open.get(id) ?? 1) - 1;
      if (left > 0) this.#open.set(id, left);
      else this.#open.delete(id);
    };
  }

  /** Loads the newest messages of open conversations that show none: opened just now, or emptied by an event. */
  async refresh(signal: AbortSignal): Promise<void> {
    const isBare = (id: string) => this.#store.window(id) === null && !this.#loading.has(id) && !this.#refused.has(id);
    const load = async (id: string) => {
      try {
        await this.toLatest(id, signal);
      } catch (error) {
        if (error instanceof TidingsError && !error.retryable) this.#refused.add(id);
      }
    };
    await Promise.all([...this.#open.keys()].filter(isBare).map(load));
  }

  /** The newest pages of the open conversations, to begin anew with. Those that are not to be had are left out. */
  async reload(signal: AbortSignal): Promise<Map<string, { window: Window; messages: Message[] }>> {
    const pages = new Map<string, { window: Window; messages: Message[] }>();
    for (const id of this.#open.keys()) {
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
    return this.#once(id, async () => {
      const asked = this.#store.now;
      const { window, messages } = await this.#latest(id, signal);
      this.#show(asked, id, messages, window);
    });
  }

  /** Shows older messages above those that are there; nothing where there are none. */
  older(id: string, signal: AbortSignal): Promise<void> {
    return this.#once(id, async () => {
      const window = this.#store.window(id);
      if (!window?.older) return;
      const asked = this.#store.now;
      const page = await this.#page(id, { cursor: window.older }, signal);
      // Something else may be shown by now.
      if (this.#store.window(id) !== window) return;
      const from = page.next === null ? "" : (page.data[0]?.id ?? window.from);
      this.#show(asked, id, page.data, { ...window, from, older: page.next });
    });
  }

  /** Shows newer messages below those that are there, up to the present. */
  newer(id: string, signal: AbortSignal): Promise<void> {
    return this.#once(id, async () => {
      const window = this.#store.window(id);
      if (!window?.newer) return;
      const asked = this.#store.now;
      const page = await this.#page(id, { cursor: window.newer }, signal);
      if (this.#store.window(id) !== window) return;
      const to = page.next === null ? null : (page.data.at(-1)?.id ?? window.to);
      this.#show(asked, id, page.data, { ...window, to, newer: page.next });
    });
  }

  /** Shows a message among those around it. Where it is there already, nothing changes. */
  jumpTo(id: string, messageId: string, signal: AbortSignal): Promise<void> {
    return this.#once(id, async () => {
      const shown = this.#store.window(id);
      const isShown = shown && shown.from <= messageId && (shown.to === null || messageId <= shown.to);
      if (isShown && this.#store.message(id, messageId)) return;
      const asked = this.#store.now;
      const after = await this.#page(id, { after: messageId, limit: PAGE / 2 }, signal);
      const first = after.data[0];
      if (!first) {
        const { window, messages } = await this.#latest(id, signal);
        this.#show(asked, id, messages, window);
        return;
      }
      const before = await this.#page(id, { before: first.id, limit: PAGE / 2 }, signal);
      const window = {
        from: before.next === null ? "" : (before.data[0] ?? first).id,
        older: before.next,
        to: after.next === null ? null : (after.data.at(-1) ?? first).id,
        newer: after.next,
      };
      this.#show(asked, id, [...before.data, ...after.data], window);
    });
  }

  /** Shows a message that is so many from the newest, counted from 0; the oldest where there are fewer. */
  async jumpBack(id: string, count: number, signal: AbortSignal): Promise<void> {
    const [there] = (await this.#page(id, { offset: Math.min(count, MOST_BACK), limit: 1 }, signal)).data;
    if (there) await this.jumpTo(id, there.id, signal);
  }

  /** A message, loaded where it is not known; undefined where it is not there for the user. */
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

  /** There is no call for one message: it is the last before the one after it. */
  async #one(id: string, messageId: string, signal: AbortSignal): Promise<Message | undefined> {
    const asked = this.#store.now;
    const [next] = (await this.#page(id, { after: messageId, limit: 1 }, signal)).data;
    const { data } = await this.#page(id, { limit: 1, ...(next ? { before: next.id } : {}) }, signal);
    const found = data.find((message) => message.id === messageId);
    if (found) this.#store.hold(asked, [found]);
    else this.#missing.add(messageId);
    return found;
  }

  async #latest(id: string, signal: AbortSignal): Promise<{ window: Window; messages: Message[] }> {
    const page = await this.#page(id, {}, signal);
    const from = page.next === null ? "" : (page.data[0]?.id ?? "");
    return { messages: page.data, window: { from, older: page.next, to: null, newer: null } };
  }

  /** A page with at least one message; only at the end of a list there is none. */
  async #page(
    id: string,
    query: { before?: string; after?: string; limit?: number; cursor?: string; offset?: number },
    signal: AbortSignal,
  ): Promise<Page<Message[]>> {
    let page = await this.#api.messages(id, { limit: PAGE, ...query }, { signal });
    while (page.data.length === 0 && page.next !== null) {
      page = await this.#api.messages(id, { limit: PAGE, cursor: page.next }, { signal });
    }
    return page;
  }

  #show(asked: Moment, id: string, messages: Message[], window: Window): void {
    this.#store.show(asked, id, messages, window);
  }

  /** One at a time for a conversation: whoever asks meanwhile waits for what is under way, and then for its own. */
  async #once(id: string, load: () => Promise<void>): Promise<void> {
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
