// Following the queue: take a cursor, load, read on from it.
//
// Invariant: the queue is the truth, and every tab reads it from a cursor of its own. Sockets, and the tab that holds
// one, only make it faster: what they bring is in the queue as well, so a lost push costs time and nothing else.

import type { Api } from "./api.js";
import { TidingsError } from "./error.js";
import type { PingFrame, SetTypingFrame, TruncatedEvent } from "./generated/types.gen.js";
import { Socket } from "./socket.js";
import type { SocketConstructor } from "./socket.js";
import type { Connection, Store } from "./store.js";
import { Tabs } from "./tabs.js";
import type { TabMessage } from "./tabs.js";
import { backoff, sleep } from "./time.js";
import type { Conversation, TidingsEvent } from "./types.js";

/** Milliseconds between polls while pushes arrive. */
const SAFETY = 60_000;
/** Milliseconds between attempts to poll at most, and to open a socket. */
const SLOWEST_POLL = 30_000;
const SLOWEST_SOCKET = 5 * 60_000;
/** Milliseconds after which a socket is replaced, before API Gateway ends it at 2 hours; up to a tenth sooner. */
const SOCKET_LIFE = 110 * 60_000;
/** Milliseconds between looks at the clock, and how late one is when the machine has slept. */
const TICK = 15_000;
const SLEPT = 20_000;
/** Milliseconds within which the leading tab answers. */
const LEADER_ANSWERS = 3_000;
/** Events that are remembered, so that one which comes both ways is told once. */
const REMEMBERED = 5_000;

/** What sync needs of its surroundings. */
export interface SyncOptions {
  api: Api;
  store: Store;
  /** Where to open sockets, and by what; without either there are none. */
  socketUrl: string | null;
  WebSocket: SocketConstructor | undefined;
  tabs: (heard: (message: TabMessage) => void) => Tabs;
  /** Loads what is shown of the open conversations, and gives what to show after a reload. */
  reload: (signal: AbortSignal) => Promise<Parameters<Store["replace"]>[1]>;
  /** An event that is new, after the store has it. */
  heard: (event: TidingsEvent) => void;
  /** The entries of the outbox were changed by another tab. */
  outboxChanged: () => void;
  /** The server can be reached again. */
  reached: () => void;
  /** The token was refused. */
  signedOut: () => void;
}

/** Keeps the store as the server has it, until it is stopped. */
export class Sync {
  readonly tabs: Tabs;
  readonly #options: SyncOptions;
  readonly #stop = new AbortController();
  #cursor: string | undefined;
  readonly #seen = new Set<string>();
  #socket: Socket | undefined;
  /** Whether the leading tab, where it is another one, has a socket. */
  #isLeaderLive = false;
  #leaderSeen = 0;
  /** Ends the wait before the next poll. */
  #hurry = new AbortController();
  /** Ends the wait before the next socket. */
  #hurrySocket = new AbortController();
  #isNudged = false;
  #isReachable = true;
  #ticker: ReturnType<typeof setInterval> | undefined;
  #lastTick = Date.now();

  constructor(options: SyncOptions) {
    this.#options = options;
    this.tabs = options.tabs((message) => this.#heardTab(message));
  }

  /** Loads, and follows from then on. Resolves once the first page of the inbox is there. */
  async start(): Promise<void> {
    const ready = new Promise<void>((resolve, reject) => {
      this.#stop.signal.addEventListener("abort", () => reject(this.#stop.signal.reason));
      void this.#follow(resolve);
    });
    this.#listen();
    this.tabs.stand(() => {
      void this.#holdSocket();
      this.tabs.post({ kind: "leader", isLive: false });
    });
    this.tabs.post({ kind: "hello" });
    await ready;
  }

  /** Stops; the store stays as it is. */
  stop(reason: unknown = new DOMException("The client was disconnected.", "AbortError")): void {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort(reason);
    this.#socket?.close();
    this.tabs.close();
    clearInterval(this.#ticker);
    if (typeof removeEventListener === "undefined") return;
    for (const name of ["online", "offline", "pageshow"]) removeEventListener(name, this.#surroundings);
    if (typeof document !== "undefined") document.removeEventListener("visibilitychange", this.#surroundings);
  }

  /** Polls soon: something was written that has not been pushed. */
  nudge(): void {
    if (!this.#socket) this.#pollNow();
  }

  /** Sends a frame, where this tab has a socket. */
  send(frame: PingFrame | SetTypingFrame): boolean {
    return this.#socket?.send(frame) ?? false;
  }

  /** Whether events are pushed: here, or to the tab that leads. */
  get isLive(): boolean {
    return this.#socket !== undefined || (!this.tabs.isLeader && this.#isLeaderLive && this.#hearsLeader);
  }

  get #hearsLeader(): boolean {
    return Date.now() - this.#leaderSeen < TICK + LEADER_ANSWERS;
  }

  // The queue

  async #follow(ready: () => void): Promise<void> {
    let failures = 0;
    while (!this.#stop.signal.aborted) {
      let pause = 0;
      try {
        if (this.#cursor === undefined) await this.#load();
        ready();
        pause = await this.#drain();
        failures = 0;
        if (this.#options.store.state.isComplete) await this.#loadRows();
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        if (error instanceof TidingsError && error.status === 401) {
          this.stop(error);
          this.#options.signedOut();
          return;
        }
        pause = this.#failed(error, failures);
        failures += 1;
      }
      await this.#wait(pause);
    }
  }

  #failed(error: unknown, failures: number): number {
    // One that is refused otherwise is from before the server's secret was changed.
    if (error instanceof TidingsError && (error.code === "cursor_expired" || error.status === 400)) {
      this.#cursor = undefined;
      return backoff(failures, SLOWEST_POLL);
    }
    this.#isReachable = !(error instanceof TidingsError && error.code === "network");
    this.#showConnection();
    const wanted = error instanceof TidingsError ? error.retryAfterMs : undefined;
    return wanted ?? backoff(failures, SLOWEST_POLL);
  }

  /** Everything after the cursor; how long to wait then. */
  async #drain(): Promise<number> {
    const signal = this.#stop.signal;
    const polled: TidingsEvent[] = [];
    for (;;) {
      this.#isNudged = false;
      const poll = await this.#options.api.events(this.#cursor, { signal });
      this.#cursor = poll.cursor;
      this.#taken(poll.events);
      polled.push(...poll.events);
      if (!this.#isReachable) {
        this.#isReachable = true;
        this.#options.reached();
      }
      this.#showConnection();
      if (!poll.has_more) {
        // All of it, up to the present, or nothing: another tab may have loaded later than some of this happened, and
        // must not hear of it without what came of it.
        this.#passOn(polled);
        return this.#pace(poll.poll_after_ms);
      }
      // With more than fits a cursor, an answer may be empty and the rest be had later.
      if (poll.events.length === 0) return poll.poll_after_ms;
    }
  }

  #pace(server: number): number {
    const isFollower = !this.tabs.isLeader && this.#hearsLeader;
    return this.isLive || isFollower ? SAFETY : server;
  }

  /** A new cursor, then what there is: at once its first page, the rest while following. */
  async #load(): Promise<void> {
    const { api, store, reload } = this.#options;
    const signal = this.#stop.signal;
    const { cursor } = await api.events(undefined, { signal });
    const isFirst = store.state.conversations.length === 0;
    store.set({ isComplete: false });
    const first = await api.inboxPage({ limit: 100 }, { signal });
    if (isFirst) {
      store.replace(first.data, await reload(signal));
      void this.#loadRest(first.next);
    } else {
      // What is shown stays until all that replaces it is there.
      const rows: Conversation[] = first.data;
      for (let next = first.next; next; ) {
        const page = await api.inboxPage({ limit: 100, cursor: next }, { signal });
        rows.push(...page.data);
        next = page.next;
      }
      store.replace(rows, await reload(signal));
      store.set({ isComplete: true });
    }
    this.#cursor = cursor;
    this.#isReachable = true;
    this.#showConnection();
  }

  async #loadRest(cursor: string | null): Promise<void> {
    const { api, store } = this.#options;
    const signal = this.#stop.signal;
    let failures = 0;
    const { load } = store.now;
    for (let next = cursor; next; ) {
      try {
        const page = await api.inboxPage({ limit: 100, cursor: next }, { signal });
        // Everything has been loaded anew meanwhile.
        if (store.now.load !== load) return;
        store.addRows(page.data);
        next = page.next;
        failures = 0;
      } catch (error) {
        if (signal.aborted || (error instanceof TidingsError && !error.retryable)) return;
        await sleep(backoff(failures, SLOWEST_POLL), signal).catch(() => {});
        failures += 1;
      }
    }
    store.set({ isComplete: true });
    this.#pollNow();
  }

  /** Rows that the events alone do not give. */
  async #loadRows(): Promise<void> {
    const { api, store } = this.#options;
    for (const id of store.rowsNeeded) {
      const asked = store.now;
      try {
        const { participants: _, description: __, ...row } = await api.conversation(id, { signal: this.#stop.signal });
        store.rowLoaded(asked, id, row);
      } catch (error) {
        if (!(error instanceof TidingsError) || error.retryable || error.status === 401) throw error;
        store.rowLoaded(asked, id, null);
      }
    }
  }

  #taken(events: readonly TidingsEvent[]): void {
    if (events.length === 0) return;
    const { store, heard } = this.#options;
    // The store takes in all of them: after a reload, what was heard before may not be in what was loaded.
    store.apply(events);
    const fresh = events.filter(({ id }) => !this.#seen.has(id));
    for (const { id } of fresh) this.#seen.add(id);
    for (const id of this.#seen) {
      if (this.#seen.size <= REMEMBERED) break;
      this.#seen.delete(id);
    }
    fresh.forEach(heard);
  }

  #passOn(events: TidingsEvent[]): void {
    if (events.length > 0 && this.tabs.isLeader) this.tabs.post({ kind: "events", events });
  }

  /** Waits, or not, where something has come up that cannot. */
  async #wait(ms: number): Promise<void> {
    if (this.#isNudged) return;
    this.#hurry = new AbortController();
    await sleep(ms, this.#stop.signal, this.#hurry.signal).catch(() => {});
  }

  #pollNow(): void {
    this.#isNudged = true;
    this.#hurry.abort();
  }

  // The socket

  /** Opens a socket, and another one when it ends or gets old, for as long as this tab leads. */
  async #holdSocket(): Promise<void> {
    const signal = this.#stop.signal;
    let failures = 0;
    while (!signal.aborted) {
      const opened = await this.#open();
      if (signal.aborted) {
        opened?.close();
        return;
      }
      failures += 1;
      if (opened) {
        // Make before break: the old one is closed once the new one is there.
        const before = this.#socket;
        this.#socket = opened;
        before?.close();
        void opened.ended.then(() => this.#lost(opened));
        this.#liveIs(true);
        const began = Date.now();
        await this.#lifeOf(opened);
        // One that ends at once is no better than none.
        if (Date.now() - began > SAFETY) failures = 0;
        if (this.#socket === opened) continue;
      }
      await this.#pauseSocket(backoff(failures, SLOWEST_SOCKET, 1_000));
    }
  }

  /** A socket; nothing where it is refused, blocked, or no ticket is to be had: then polling carries everything. */
  async #open(): Promise<Socket | undefined> {
    const { api, WebSocket, socketUrl } = this.#options;
    const signal = this.#stop.signal;
    if (!WebSocket || socketUrl === null) return undefined;
    try {
      const ticket = encodeURIComponent(await api.ticket({ signal }));
      return await Socket.open(WebSocket, `${socketUrl}?ticket=${ticket}`, (frame) => this.#heardFrame(frame), signal);
    } catch {
      return undefined;
    }
  }

  /** Waits until a socket ends, or is to be replaced. */
  async #lifeOf(socket: Socket): Promise<void> {
    const old = new AbortController();
    await Promise.race([socket.ended, sleep(SOCKET_LIFE * (1 - Math.random() / 10), old.signal).catch(() => {})]);
    old.abort();
  }

  #lost(socket: Socket): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    if (!this.#stop.signal.aborted) this.#liveIs(false);
  }

  #liveIs(isLive: boolean): void {
    this.tabs.post({ kind: "leader", isLive });
    this.#showConnection();
    // Events from before the socket was registered, and from after it was lost, were not pushed.
    this.#pollNow();
  }

  async #pauseSocket(ms: number): Promise<void> {
    this.#hurrySocket = new AbortController();
    await sleep(ms, this.#stop.signal, this.#hurrySocket.signal).catch(() => {});
  }

  #heardFrame(frame: unknown): void {
    const event = frame as TidingsEvent | TruncatedEvent;
    // Answers to frames have no id.
    if (typeof event.id !== "string" || typeof event.type !== "string") return;
    if ("data" in event) {
      this.#taken([event]);
      this.#passOn([event]);
    } else {
      this.#pollNow();
    }
  }

  // The surroundings

  #heardTab(message: TabMessage): void {
    switch (message.kind) {
      case "events":
        if (!this.tabs.isLeader) this.#taken(message.events as TidingsEvent[]);
        break;
      case "hello":
        if (this.tabs.isLeader) this.tabs.post({ kind: "leader", isLive: this.#socket !== undefined });
        break;
      case "leader": {
        const wasLive = this.isLive;
        this.#leaderSeen = Date.now();
        this.#isLeaderLive = message.isLive;
        if (wasLive !== this.isLive) this.#pollNow();
        this.#showConnection();
        break;
      }
      case "outbox":
        this.#options.outboxChanged();
        break;
      default:
        // From a tab with a newer version of this page.
        message satisfies never;
    }
  }

  #listen(): void {
    this.#lastTick = Date.now();
    this.#ticker = setInterval(() => this.#tick(), TICK);
    if (typeof addEventListener === "undefined") return;
    for (const name of ["online", "offline", "pageshow"]) addEventListener(name, this.#surroundings);
    if (typeof document !== "undefined") document.addEventListener("visibilitychange", this.#surroundings);
  }

  readonly #surroundings = (event: Event): void => {
    if (event.type === "offline") {
      this.#isReachable = false;
      this.#showConnection();
    } else if (typeof document === "undefined" || document.visibilityState === "visible") {
      this.#wake();
    }
  };

  #tick(): void {
    const late = Math.abs(Date.now() - this.#lastTick - TICK);
    this.#lastTick = Date.now();
    if (late > SLEPT) this.#wake();
    if (this.tabs.isLeader) return;
    // A tab that leads and does not answer is not waited for.
    if (this.#leaderSeen !== 0 && !this.#hearsLeader) {
      this.#leaderSeen = 0;
      this.#showConnection();
      this.#pollNow();
    }
    this.tabs.post({ kind: "hello" });
  }

  /** The machine has slept, or the network is back: what is open may be dead. */
  #wake(): void {
    this.#socket?.ping();
    this.#hurrySocket.abort();
    this.#pollNow();
    this.tabs.post({ kind: "hello" });
    this.#options.reached();
  }

  #showConnection(): void {
    if (this.#stop.signal.aborted) return;
    const connection: Connection = !this.#isReachable
      ? "offline"
      : this.#cursor === undefined
        ? "connecting"
        : this.isLive
          ? "live"
          : "polling";
    this.#options.store.set({ connection });
  }
}
