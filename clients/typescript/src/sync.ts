// Follows the event queue: takes a cursor, loads the state, then polls from the cursor.
//
// Invariant: the queue is the truth, and every tab polls it with a cursor of its own. Sockets, and the leader tab that
// holds one, only make it faster: the queue contains every pushed event, so a lost push costs time and nothing else.

import type { Api } from "./api.js";
import { TidingsError } from "./error.js";
import type { PingFrame, SetTypingFrame, TruncatedEvent } from "./generated/types.gen.js";
import { InboxLoader } from "./inbox-loader.js";
import type { LoadWindows } from "./inbox-loader.js";
import { ReconnectingSocket } from "./reconnecting-socket.js";
import type { SocketConstructor } from "./socket.js";
import type { Connection } from "./state.js";
import type { Store } from "./store.js";
import type { TabMessage, Tabs } from "./tabs.js";
import { MAX_BACKOFF, backoff, onAbort, sleep } from "./time.js";
import type { OwnUser, TidingsEvent } from "./types.js";

/**
 * Milliseconds between polls while events are pushed: as many as have passed since the last event or write, within
 * these limits. A lost push is thus found within seconds in a lively chat, and a quiet one costs one poll a minute.
 */
const MIN_LIVE_INTERVAL = 10_000;
const MAX_LIVE_INTERVAL = 60_000;
/** Milliseconds between clock checks, and the delay of one that shows that the machine has slept. */
const TICK = 15_000;
const SLEEP_THRESHOLD = 20_000;
/** Milliseconds within which the leader tab must answer. */
const LEADER_TIMEOUT = 3_000;
/** Minimum number of event ids that are remembered, so that a push that comes after the poll is recognized. */
const MIN_SEEN = 5_000;

/** How much of the event queue the store contains. */
export interface Position {
  /** All events before it are applied. Undefined if the state has to be loaded. */
  readonly cursor: string | undefined;
  /** When the store was last up to date (milliseconds, local clock); 0 before that. */
  readonly syncedAt: number;
}

/** A state from an earlier visit. */
export interface SavedState extends Position {
  me: OwnUser;
  /** Shows it in the store. */
  show(store: Store): void;
  /** Checks that the state is the user's, and updates `me`. Rejects with a 401 if it is another user's. */
  verify(api: Api, store: Store, signal: AbortSignal): Promise<void>;
}

/** Dependencies and callbacks of `Sync`. */
export interface SyncOptions {
  api: Api;
  store: Store;
  /** Without a URL or a constructor, no socket is opened. */
  socketUrl: string | null;
  WebSocket: SocketConstructor | undefined;
  tabs: (onMessage: (message: TabMessage) => void) => Tabs;
  loadWindows: LoadWindows;
  /** The state from an earlier visit that the store shows, to be verified first. */
  saved: SavedState | undefined;
  /** Stops everything. */
  signal: AbortSignal;
  /** Called once per event, after the store has applied it. */
  onEvent: (event: TidingsEvent) => void;
  /** Called when another tab has changed the outbox. */
  onOutboxChanged: () => void;
  /** Called when the server is, or may be, reachable again. */
  onReachable: () => void;
  /** Called when the token was refused. */
  onSignedOut: (error: TidingsError) => void;
}

/** Keeps the store in sync with the server until its signal is aborted. The store keeps its state. */
export class Sync implements Position {
  readonly tabs: Tabs;
  readonly #options: SyncOptions;
  readonly #signal: AbortSignal;
  readonly #inbox: InboxLoader;
  readonly #socket: ReconnectingSocket;
  cursor: string | undefined;
  syncedAt: number;
  /**
   * Ids of the events that were reported, so that an event which is both pushed and polled is reported once: first those
   * since the last rotation, then those before it. A rotation follows a poll that has emptied the queue, so a set is
   * not dropped before a poll has returned all of its events.
   */
  #seen = new Set<string>();
  #seenBefore = new Set<string>();
  /** Whether another tab leads and has a socket. */
  #isLeaderLive = false;
  /** When the leader last sent a message; 0 before that. */
  #leaderSeenAt = 0;
  /** Aborted to end the wait before the next poll. */
  #pollWait = new AbortController();
  #isPollDue = false;
  /** Time of the last event or write. */
  #activeAt = Date.now();
  /** Ends the wait before the next poll early, because of an event or write. */
  #earlyPoll: ReturnType<typeof setTimeout> | undefined;
  #isReachable = true;
  #ticker: ReturnType<typeof setInterval> | undefined;
  #lastTick = Date.now();

  constructor(options: SyncOptions) {
    const { api, store, socketUrl, WebSocket, loadWindows, signal } = options;
    this.#options = options;
    this.#signal = signal;
    this.cursor = options.saved?.cursor;
    this.syncedAt = options.saved?.syncedAt ?? 0;
    onAbort(signal, () => this.#stop());
    this.tabs = options.tabs((message) => this.#onTabMessage(message));
    this.#inbox = new InboxLoader(api, store, loadWindows, signal, () => this.#pollNow());
    this.#socket = new ReconnectingSocket({
      api,
      url: socketUrl,
      WebSocket,
      signal,
      onFrame: (frame) => this.#onFrame(frame),
      onChange: () => this.#onSocketChange(),
    });
  }

  /** Loads the state and keeps it in sync. Resolves when the first page of the inbox is loaded, unless it is stopped. */
  async start(): Promise<void> {
    const ready = new Promise<void>((resolve) => void this.#run(resolve));
    this.#listen();
    this.tabs.requestLeadership(() => {
      void this.#socket.run();
      this.tabs.post({ kind: "leader", isLive: false });
    });
    this.tabs.post({ kind: "hello" });
    await ready;
  }

  #stop(): void {
    this.#socket.close();
    clearInterval(this.#ticker);
    clearTimeout(this.#earlyPoll);
  }

  /** Polls at once after a write, unless this tab has a socket that will push its events. */
  pollAfterWrite(): void {
    this.#noteActivity();
    if (!this.#socket.isOpen) this.#pollNow();
  }

  /** Sends a frame. Returns false if this tab has no open socket. */
  send(frame: PingFrame | SetTypingFrame): boolean {
    return this.#socket.send(frame);
  }

  /** Whether events are pushed, to this tab or to the leader. */
  get isLive(): boolean {
    return this.#socket.isOpen || (!this.tabs.isLeader && this.#isLeaderLive && this.#isLeaderAlive);
  }

  /** Whether events are pushed, or will be as soon as the leader has a socket. */
  get #isPushed(): boolean {
    return this.isLive || (!this.tabs.isLeader && this.#isLeaderAlive);
  }

  get #isLeaderAlive(): boolean {
    return Date.now() - this.#leaderSeenAt < TICK + LEADER_TIMEOUT;
  }

  /** Loads the archive, unless that happens anyway when the inbox is loaded. */
  loadArchive(): void {
    if (this.cursor !== undefined) void this.#inbox.loadArchive();
  }

  // Polling

  async #run(onReady: () => void): Promise<void> {
    let failures = 0;
    const { api, store } = this.#options;
    let { saved } = this.#options;
    while (!this.#signal.aborted) {
      let pause = 0;
      try {
        await saved?.verify(api, store, this.#signal);
        saved = undefined;
        if (this.cursor === undefined) await this.#load();
        onReady();
        pause = await this.#poll();
        failures = 0;
        if (store.state.isComplete) await this.#inbox.loadMissing();
      } catch (error) {
        if (this.#signal.aborted) return;
        if (error instanceof TidingsError && error.status === 401) {
          this.#options.onSignedOut(error);
          return;
        }
        pause = this.#onFailure(error, failures);
        failures += 1;
      }
      await this.#wait(pause);
    }
  }

  /** Takes a cursor, then loads the state, so that no event in between is missed. */
  async #load(): Promise<void> {
    const { cursor } = await this.#options.api.events(undefined, { signal: this.#signal });
    await this.#inbox.load();
    this.cursor = cursor;
    this.#isReachable = true;
    this.#showConnection();
  }

  /** Polls until the queue is empty. Returns the milliseconds to wait before the next poll. */
  async #poll(): Promise<number> {
    const signal = this.#signal;
    const polled: TidingsEvent[] = [];
    for (;;) {
      this.#isPollDue = false;
      clearTimeout(this.#earlyPoll);
      this.#earlyPoll = undefined;
      const poll = await this.#options.api.events(this.cursor, { signal });
      this.cursor = poll.cursor;
      this.#receive(poll.events);
      polled.push(...poll.events);
      if (!this.#isReachable) {
        this.#isReachable = true;
        this.#options.onReachable();
      }
      this.#showConnection();
      if (!poll.has_more) {
        // Invariant: tabs receive all events up to the present or none, because a tab that loaded its state after some
        // of them must not apply those without the ones that followed.
        this.#forward(polled);
        this.syncedAt = Date.now();
        this.#options.store.set({ staleSince: null });
        this.#rotateSeen();
        return this.#pollInterval(poll.poll_after_ms);
      }
    }
  }

  #pollInterval(requested: number): number {
    if (!this.#isPushed) return requested;
    const quiet = Math.abs(Date.now() - this.#activeAt);
    return Math.min(Math.max(quiet, MIN_LIVE_INTERVAL), MAX_LIVE_INTERVAL);
  }

  /** Brings the next poll forward, so that it follows the first event or write after the last poll by 10 s at most. */
  #noteActivity(): void {
    this.#activeAt = Date.now();
    if (this.#isPushed) this.#earlyPoll ??= setTimeout(() => this.#pollNow(), MIN_LIVE_INTERVAL);
  }

  /** Returns the milliseconds to wait before the next attempt. */
  #onFailure(error: unknown, failures: number): number {
    // The server answers 400 to a cursor that was signed with an earlier secret.
    if (error instanceof TidingsError && (error.code === "cursor_expired" || error.status === 400)) {
      this.cursor = undefined;
      return backoff(failures, MAX_BACKOFF);
    }
    this.#isReachable = !(error instanceof TidingsError && error.code === "network");
    this.#showConnection();
    const retryAfter = error instanceof TidingsError ? error.retryAfterMs : undefined;
    return retryAfter ?? backoff(failures, MAX_BACKOFF);
  }

  /** Applies events, and reports those that are new. */
  #receive(events: readonly TidingsEvent[]): void {
    const { store, onEvent } = this.#options;
    // The store also needs events seen before: after a reload, the loaded state may lack them.
    store.apply(events);
    const fresh = events.filter(({ id }) => !this.#seen.has(id) && !this.#seenBefore.has(id));
    for (const { id } of fresh) this.#seen.add(id);
    // Presence is pushed about idle users, too, and a lost push of it does no harm.
    if (fresh.some(({ type }) => type !== "presence")) this.#noteActivity();
    fresh.forEach(onEvent);
  }

  #rotateSeen(): void {
    if (this.#seen.size < MIN_SEEN) return;
    this.#seenBefore = this.#seen;
    this.#seen = new Set();
  }

  #forward(events: TidingsEvent[]): void {
    if (events.length > 0 && this.tabs.isLeader) this.tabs.post({ kind: "events", events });
  }

  /** Waits, unless a poll has become due in the meantime. */
  async #wait(ms: number): Promise<void> {
    if (this.#isPollDue) return;
    this.#pollWait = new AbortController();
    await sleep(ms, this.#signal, this.#pollWait.signal).catch(() => {});
  }

  #pollNow(): void {
    this.#isPollDue = true;
    this.#pollWait.abort();
  }

  // Socket

  #onSocketChange(): void {
    this.tabs.post({ kind: "leader", isLive: this.#socket.isOpen });
    this.#showConnection();
    // Events from before the socket was registered, or after it was lost, were not pushed.
    this.#pollNow();
  }

  #onFrame(frame: unknown): void {
    const event = frame as TidingsEvent | TruncatedEvent;
    // Replies to frames have no id.
    if (typeof event.id !== "string" || typeof event.type !== "string") return;
    if ("data" in event) {
      this.#receive([event]);
      this.#forward([event]);
    } else {
      this.#pollNow();
    }
  }

  // Other tabs, the network and the machine

  #onTabMessage(message: TabMessage): void {
    switch (message.kind) {
      case "events":
        if (!this.tabs.isLeader) this.#receive(message.events as TidingsEvent[]);
        break;
      case "hello":
        if (this.tabs.isLeader) this.tabs.post({ kind: "leader", isLive: this.#socket.isOpen });
        break;
      case "leader": {
        const wasLive = this.isLive;
        this.#leaderSeenAt = Date.now();
        this.#isLeaderLive = message.isLive;
        if (wasLive !== this.isLive) this.#pollNow();
        this.#showConnection();
        break;
      }
      case "outbox":
        this.#options.onOutboxChanged();
        break;
      default:
        // A tab with a newer version of this package may send other messages.
        message satisfies never;
    }
  }

  #listen(): void {
    this.#lastTick = Date.now();
    this.#ticker = setInterval(() => this.#tick(), TICK);
    if (typeof addEventListener === "undefined") return;
    const options = { signal: this.#signal };
    for (const name of ["online", "offline", "pageshow"]) addEventListener(name, this.#onPageEvent, options);
    if (typeof document !== "undefined") document.addEventListener("visibilitychange", this.#onPageEvent, options);
  }

  readonly #onPageEvent = (event: Event): void => {
    if (event.type === "offline") {
      this.#isReachable = false;
      this.#showConnection();
    } else if (typeof document === "undefined" || document.visibilityState === "visible") {
      this.#resume();
    }
  };

  #tick(): void {
    const late = Math.abs(Date.now() - this.#lastTick - TICK);
    this.#lastTick = Date.now();
    if (late > SLEEP_THRESHOLD) this.#resume();
    this.#options.store.endMutes();
    if (this.tabs.isLeader) return;
    // The leader does not answer: poll as if there were none.
    if (this.#leaderSeenAt !== 0 && !this.#isLeaderAlive) {
      this.#leaderSeenAt = 0;
      this.#showConnection();
      this.#pollNow();
    }
    this.tabs.post({ kind: "hello" });
  }

  /** After sleep or a network change, an open socket may be dead: checks it, and retries everything now. */
  #resume(): void {
    this.#socket.ping();
    this.#socket.retryNow();
    this.#pollNow();
    this.tabs.post({ kind: "hello" });
    this.#options.onReachable();
  }

  #showConnection(): void {
    if (this.#signal.aborted) return;
    const connection: Connection = !this.#isReachable
      ? "offline"
      : this.cursor === undefined
        ? "connecting"
        : this.isLive
          ? "live"
          : "polling";
    this.#options.store.set({ connection });
    if (!this.#isReachable && this.syncedAt) {
      this.#options.store.set({ staleSince: new Date(this.syncedAt).toISOString() });
    }
  }
}
