// Loads the messages of open conversations, and decides which range of each is shown.

import type { Api } from "./api.js";
import { TidingsError } from "./error.js";
import type { SingleMessages } from "./jumps.js";
import { Lanes } from "./lanes.js";
import { loadLatest, loadPage } from "./pages.js";
import type { Range } from "./pages.js";
import type { Store } from "./store.js";
import type { Message } from "./types.js";

/** Loads the code that only jumps need. */
const loadJumps = () => import("./jumps.js");

/** Loads messages into the store. */
export class MessageLoader {
  readonly #api: Api;
  readonly #store: Store;
  /** Open conversations that the server refused. */
  readonly #refused = new Set<string>();
  /** The loads of a conversation run one after the other. */
  readonly #loads = new Lanes();
  #singleMessages: SingleMessages | undefined;

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
      this.#store.window(id) === null && !this.#loads.isBusy(id) && !this.#refused.has(id);
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
  async loadWindows(signal: AbortSignal): Promise<Map<string, Range>> {
    const pages = new Map<string, Range>();
    for (const id of this.#store.open.keys()) {
      const page = await loadLatest(this.#api, id, signal).catch((error: unknown) => {
        if (error instanceof TidingsError && error.status === 403) return undefined;
        throw error;
      });
      if (page) pages.set(id, page);
    }
    return pages;
  }

  /** Shows the newest messages. */
  toLatest(id: string, signal: AbortSignal): Promise<void> {
    return this.#loads.run(id, () => this.#show(id, loadLatest(this.#api, id, signal)));
  }

  /** Shows a range that is being loaded. Call it as soon as the load starts. */
  async #show(id: string, loading: Promise<Range>): Promise<void> {
    const checkpoint = this.#store.checkpoint;
    const { window, messages } = await loading;
    this.#store.showWindow(checkpoint, id, messages, window);
  }

  /** Extends the window by a page of older messages, if there are any. */
  older(id: string, signal: AbortSignal): Promise<void> {
    return this.#loads.run(id, async () => {
      const window = this.#store.window(id);
      if (!window?.from) return;
      const checkpoint = this.#store.checkpoint;
      const page = await loadPage(this.#api, id, { before: window.from }, signal);
      // The window may have been replaced in the meantime.
      if (this.#store.window(id) !== window) return;
      const from = page.next === null ? "" : (page.data[0]?.id ?? window.from);
      this.#store.showWindow(checkpoint, id, page.data, { ...window, from });
    });
  }

  /** Extends the window by a page of newer messages, if it does not reach the newest one. */
  newer(id: string, signal: AbortSignal): Promise<void> {
    return this.#loads.run(id, async () => {
      const window = this.#store.window(id);
      if (!window?.to) return;
      const checkpoint = this.#store.checkpoint;
      const page = await loadPage(this.#api, id, { after: window.to }, signal);
      if (this.#store.window(id) !== window) return;
      const to = page.next === null ? null : (page.data.at(-1)?.id ?? window.to);
      this.#store.showWindow(checkpoint, id, page.data, { ...window, to });
    });
  }

  /** Shows the messages around a message, unless the window contains it already. */
  jumpTo(id: string, messageId: string, signal: AbortSignal): Promise<void> {
    return this.#loads.run(id, async () => {
      const { isShown, loadAround } = await loadJumps();
      if (!isShown(this.#store, id, messageId)) await this.#show(id, loadAround(this.#api, id, messageId, signal));
    });
  }

  /** Shows the message at an offset from the newest one (0), or the oldest message if there are fewer. */
  async jumpBack(id: string, offset: number, signal: AbortSignal): Promise<void> {
    const message = await (await loadJumps()).loadAt(this.#api, id, offset, signal);
    if (message) await this.jumpTo(id, message.id, signal);
  }

  /** Returns a message, loaded if necessary; undefined if the user cannot see it. */
  async message(id: string, messageId: string, signal: AbortSignal): Promise<Message | undefined> {
    return this.#store.message(id, messageId) ?? (await this.#single()).load(id, messageId, signal);
  }

  /** Loads a message again, because the links to its files have expired. */
  async renew(id: string, messageId: string, signal: AbortSignal): Promise<void> {
    await (await this.#single()).renew(id, messageId, signal);
  }

  async #single(): Promise<SingleMessages> {
    const { SingleMessages } = await loadJumps();
    return (this.#singleMessages ??= new SingleMessages(this.#api, this.#store));
  }
}
