// Loads the inbox and the archive: their pages, and single rows that events do not provide.

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
  /** The generation whose archive is loaded, or is being loaded. */
  #archiveOf: number | undefined;

  constructor(api: Api, store: Store, loadWindows: LoadWindows, signal: AbortSignal, onComplete: () => void) {
    this.#api = api;
    this.#store = store;
    this.#loadWindows = loadWindows;
    this.#signal = signal;
    this.#onComplete = onComplete;
    // A state from an earlier visit may contain the archive.
    this.#archiveOf = store.state.isArchiveLoaded ? store.checkpoint.generation : undefined;
  }

  /** Loads everything. The first time, it resolves after the first page and loads the others in the background. */
  async load(): Promise<void> {
    const store = this.#store;
    const isFirst = store.state.byId.size === 0;
    store.set({ isComplete: false });
    if (isFirst) {
      const first = await this.#page();
      store.replace(first.data, await this.#loadWindows());
      void this.#loadRest(first.next);
      return;
    }
    // The previous state stays visible until its complete replacement is loaded.
    const withArchive = store.wantsArchive;
    const rows: Conversation[] = [];
    for (const archived of withArchive ? [false, true] : [false]) {
      for (let next: string | null | undefined; next !== null; ) {
        const page = await this.#page(next, archived);
        rows.push(...page.data);
        next = page.next;
      }
    }
    store.replace(rows, await this.#loadWindows());
    if (withArchive) this.#archiveOf = store.checkpoint.generation;
    store.set({ isComplete: true, isArchiveLoaded: withArchive });
  }

  /** Loads the archive in the background, once and after the inbox. */
  async loadArchive(): Promise<void> {
    const store = this.#store;
    const { generation } = store.checkpoint;
    if (!store.state.isComplete || this.#archiveOf === generation) return;
    this.#archiveOf = generation;
    if (await this.#addPages(undefined, true)) store.set({ isArchiveLoaded: true });
    else if (this.#archiveOf === generation) this.#archiveOf = undefined;
  }

  /** Loads what is missing once the inbox is complete: the archive, and rows that cannot be derived from events. */
  async loadMissing(): Promise<void> {
    const store = this.#store;
    if (store.wantsArchive) void this.loadArchive();
    for (const id of store.staleRows) {
      const checkpoint = store.checkpoint;
      try {
        // Only what rows of lists have, too.
        const { participants: _, description: __, custom: ___, ...row } = await this.#api.conversation(id, { signal: this.#signal });
        store.rowLoaded(checkpoint, id, row);
      } catch (error) {
        if (!(error instanceof TidingsError) || error.retryable || error.status === 401) throw error;
        store.rowLoaded(checkpoint, id, null);
      }
    }
  }

  async #loadRest(cursor: string | null): Promise<void> {
    const store = this.#store;
    if (!(await this.#addPages(cursor))) return;
    store.set({ isComplete: true });
    this.#onComplete();
  }

  /** Adds the pages of a list from a cursor on. Returns false if it was refused, or if a full reload has replaced it. */
  async #addPages(cursor: string | null | undefined, archived = false): Promise<boolean> {
    const store = this.#store;
    const { generation } = store.checkpoint;
    let failures = 0;
    for (let next = cursor; next !== null; ) {
      try {
        const page = await this.#page(next, archived);
        if (store.checkpoint.generation !== generation) return false;
        store.addRows(page.data);
        next = page.next;
        failures = 0;
      } catch (error) {
        if (this.#signal.aborted || (error instanceof TidingsError && !error.retryable)) return false;
        await sleep(backoff(failures, MAX_BACKOFF), this.#signal).catch(() => {});
        failures += 1;
      }
    }
    return true;
  }

  #page(cursor?: string, archived = false) {
    const query = { limit: PAGE_SIZE, ...(cursor ? { cursor } : {}), ...(archived ? { archived } : {}) };
    return this.#api.inboxPage(query, { signal: this.#signal });
  }
}
