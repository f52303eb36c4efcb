// Loads the inbox: its pages, and single rows that events do not provide.

import type { Api } from "./api.js";
import { TidingsError } from "./error.js";
import type { Store } from "./store.js";
import { MAX_BACKOFF, backoff, sleep } from "./time.js";
import type { Conversation } from "./types.js";

/** Rows per page. */
const PAGE_SIZE = 100;

/** Loads the windows of open conversations, for `Store.replace`. */
export type LoadWindows = () => Promise<Parameters<Store["replace"]>[1]>;

/** Loads rows into the store. */
export class InboxLoader {
  readonly #api: Api;
  readonly #store: Store;
  readonly #loadWindows: LoadWindows;
  readonly #signal: AbortSignal;
  /** Called when the remaining pages have been loaded in the background. */
  readonly #onComplete: () => void;

  constructor(api: Api, store: Store, loadWindows: LoadWindows, signal: AbortSignal, onComplete: () => void) {
    this.#api = api;
    this.#store = store;
    this.#loadWindows = loadWindows;
    this.#signal = signal;
    this.#onComplete = onComplete;
  }

  /** Loads everything. The first time, it resolves after the first page and loads the others in the background. */
  async load(): Promise<void> {
    const store = this.#store;
    const isFirst = store.state.conversations.length === 0;
    store.set({ isComplete: false });
    const first = await this.#page();
    if (isFirst) {
      store.replace(first.data, await this.#loadWindows());
      void this.#loadRest(first.next);
      return;
    }
    // The previous state stays visible until its complete replacement is loaded.
    const rows: Conversation[] = first.data;
    for (let next = first.next; next; ) {
      const page = await this.#page(next);
      rows.push(...page.data);
      next = page.next;
    }
    store.replace(rows, await this.#loadWindows());
    store.set({ isComplete: true });
  }

  /** Loads rows that cannot be derived from events. */
  async loadStaleRows(): Promise<void> {
    const store = this.#store;
    for (const id of store.staleRows) {
      const checkpoint = store.checkpoint;
      try {
        const { participants: _, description: __, ...row } = await this.#api.conversation(id, { signal: this.#signal });
        store.rowLoaded(checkpoint, id, row);
      } catch (error) {
        if (!(error instanceof TidingsError) || error.retryable || error.status === 401) throw error;
        store.rowLoaded(checkpoint, id, null);
      }
    }
  }

  async #loadRest(cursor: string | null): Promise<void> {
    const store = this.#store;
    const { generation } = store.checkpoint;
    let failures = 0;
    for (let next = cursor; next; ) {
      try {
        const page = await this.#page(next);
        // A full reload has replaced this one.
        if (store.checkpoint.generation !== generation) return;
        store.addRows(page.data);
        next = page.next;
        failures = 0;
      } catch (error) {
        if (this.#signal.aborted || (error instanceof TidingsError && !error.retryable)) return;
        await sleep(backoff(failures, MAX_BACKOFF), this.#signal).catch(() => {});
        failures += 1;
      }
    }
    store.set({ isComplete: true });
    this.#onComplete();
  }

  #page(cursor?: string) {
    return this.#api.inboxPage({ limit: PAGE_SIZE, ...(cursor ? { cursor } : {}) }, { signal: this.#signal });
  }
}
