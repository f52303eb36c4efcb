// The client: sync, outbox and store together, and what one does with them.

import { Api } from "./api.js";
import type { HistoryQuery, SearchQuery } from "./api.js";
import { TidingsError } from "./error.js";
import { Http } from "./http.js";
import type { CallOptions, TokenProvider } from "./http.js";
import { Outbox } from "./outbox.js";
import { Reader } from "./reader.js";
import type { SocketConstructor } from "./socket.js";
import { defaultStorage } from "./storage.js";
import type { OutboxStorage } from "./storage.js";
import { Store, tell } from "./store.js";
import { Sync } from "./sync.js";
import { Tabs } from "./tabs.js";
import type { TabTools } from "./tabs.js";
import { backoff, sleep } from "./time.js";
import type { Conversation, Draft, Hit, Message, OwnUser, Status, TidingsEvent } from "./types.js";
import { Watched } from "./watched.js";

/** How to reach a server, and with what. Only `url` and `token` have to be given. */
export interface TidingsOptions {
  /** Where the API is, without `/api`. */
  url: string;
  /** Gives the token for each call. */
  token: TokenProvider;
  /** Where sockets are opened: `ws(s)://…/ws` of `url` by default, null for polling alone. */
  socketUrl?: string | null;
  /** Keeps messages on their way, under a name for the user: IndexedDB, or memory where there is none. */
  storage?: (name: string) => OutboxStorage;
  fetch?: typeof fetch;
  /** Node 20 has none of its own: that of the package `ws` will do. */
  WebSocket?: SocketConstructor;
  /** What tabs share the work by; `{}` lets each tab work for itself. */
  tabs?: TabTools;
}

/** What `on` listens to: events by their type, or all of them. */
export type EventType = TidingsEvent["type"] | "event";
/** The events of a type. */
export type EventOf<T extends EventType> = T extends "event" ? TidingsEvent : Extract<TidingsEvent, { type: T }>;

/** Milliseconds after which typing is told again; it ends by itself after 6 s. */
const TYPING_AGAIN = 4_000;

/** What runs while the client is connected. */
interface Session {
  stop: AbortController;
  ready: Promise<void>;
  outbox?: Outbox;
  sync?: Sync;
}

/** A client of one user. */
export class Tidings {
  /** What to show. */
  readonly store = new Store();
  /** Every call of the API. What it changes comes to the store by its event. */
  readonly api: Api;
  readonly #options: TidingsOptions;
  readonly #reader: Reader;
  readonly #watched: Watched;
  readonly #listeners = new Map<EventType, Set<(event: TidingsEvent) => void>>();
  readonly #typed = new Map<string, number>();
  #session: Session | undefined;

  constructor(options: TidingsOptions) {
    this.#options = options;
    this.api = new Api(new Http(options.url, options.token, options.fetch), () => this.#session?.sync?.nudge());
    this.#reader = new Reader(this.api, this.store);
    this.#watched = new Watched(this.api, this.store, () => this.#session?.sync?.isLive ?? false);
    this.store.subscribe(() => this.#refresh());
  }

  /**
   * Connects, and keeps the store up to date until `disconnect`. Resolves once the inbox is there; while the server
   * cannot be reached it waits. Fails where the token is refused, or `disconnect` is called.
   */
  connect(): Promise<void> {
    if (this.#session) return this.#session.ready;
    const stop = new AbortController();
    const session: Session = { stop, ready: Promise.resolve() };
    this.#session = session;
    this.store.set({ connection: "connecting" });
    session.ready = this.#start(session).catch((error: unknown) => {
      if (this.#session === session) this.#end(error instanceof TidingsError && error.status === 401);
      throw error;
    });
    // Whoever looks at the store alone is not to be told by a crash.
    session.ready.catch(() => {});
    return session.ready;
  }

  /** Disconnects. What the store shows stays, what is unsent is kept. */
  disconnect(): void {
    this.#end(false);
  }

  #end(isSignedOut: boolean): void {
    const session = this.#session;
    if (!session) return;
    this.#session = undefined;
    session.stop.abort(new DOMException("The client was disconnected.", "AbortError"));
    session.outbox?.stop();
    session.sync?.stop();
    this.#watched.stop();
    this.store.set({ connection: isSignedOut ? "signed_out" : "idle" });
  }

  async #start(session: Session): Promise<void> {
    const { signal } = session.stop;
    const me = await this.#whoAmI(signal);
    signal.throwIfAborted();
    if (this.store.state.me?.id !== me.id) this.store.reset();
    this.store.set({ me });
    const name = `tidings ${this.#options.url} ${me.id}`;
    const storage = this.#options.storage?.(name) ?? (await defaultStorage(name));
    signal.throwIfAborted();
    const { socketUrl = this.#options.url.replace(/^http/, "ws").replace(/\/*$/, "/ws") } = this.#options;
    const sync = new Sync({
      api: this.api,
      store: this.store,
      socketUrl,
      WebSocket: this.#options.WebSocket ?? globalThis.WebSocket,
      tabs: (heard) => new Tabs(name, this.#options.tabs ?? browserTabs(), heard),
      reload: (signal) => this.#reader.reload(signal),
      heard: (event) => this.#heard(event),
      outboxChanged: () => void session.outbox?.reread().catch(() => {}),
      reached: () => {
        session.outbox?.kick(true);
        this.#refresh();
      },
      signedOut: () => {
        if (this.#session === session) this.#end(true);
      },
    });
    session.sync = sync;
    const exclusively = storage.isShared ? sync.tabs.exclusively : (work: () => Promise<void>) => work();
    const changed = () => sync.tabs.post({ kind: "outbox" });
    const outbox = new Outbox(this.api, this.store, storage, exclusively, changed);
    session.outbox = outbox;
    await outbox.start();
    this.#watched.start(signal);
    await sync.start();
  }

  async #whoAmI(signal: AbortSignal): Promise<OwnUser> {
    for (let failures = 0; ; failures += 1) {
      try {
        return await this.api.me({ signal });
      } catch (error) {
        if (!(error instanceof TidingsError) || !error.retryable) throw error;
        this.store.set({ connection: error.code === "network" ? "offline" : "connecting" });
        await sleep(error.retryAfterMs ?? backoff(failures, 30_000), signal);
      }
    }
  }

  #heard(event: TidingsEvent): void {
    if (event.type === "message.created") {
      this.#session?.outbox?.arrived([event.data.message], this.store.state.me?.id ?? "");
    }
    for (const type of [event.type, "event"] as const) {
      for (const listener of [...(this.#listeners.get(type) ?? [])]) tell(() => listener(event));
    }
  }

  /** Calls a listener with each new event of a type, once the store has it. The answer ends it. */
  on<T extends EventType>(type: T, listener: (event: EventOf<T>) => void): () => void {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners);
    const mine = (event: TidingsEvent) => listener(event as EventOf<T>);
    listeners.add(mine);
    return () => void listeners.delete(mine);
  }

  // Messages

  /**
   * Sends a message: it shows at once as `pending`, survives a reload, and is repeated until the server has it. The
   * promise may be ignored. It fails where the message is refused, which also shows as `failed`.
   */
  send(draft: Draft): Promise<Message> {
    const outbox = this.#outbox;
    const lane = draft.recipient_id === undefined ? undefined : this.store.directWith(draft.recipient_id);
    if (!lane) return outbox.add(draft);
    const { recipient_id: _, ...rest } = draft;
    return outbox.add({ ...rest, conversation_id: lane });
  }

  /** Sends a failed message again, or by its entry's id a change that was refused. */
  retry(id: string): Promise<void> {
    return this.#outbox.retry(id);
  }

  /**
   * Changes the text of one's own message, also of one on its way. What fails stays in `state.outbox`, with `message_id`
   * and `failed`, until it is tried again, discarded, or another text takes its place.
   */
  async edit(id: string, text: string, options?: CallOptions): Promise<void> {
    const outbox = this.#session?.outbox;
    if (outbox?.isOnItsWay(id)) return outbox.edit(id, text);
    const asked = this.store.now;
    try {
      this.store.hold(asked, [await this.api.edit(id, text, options)]);
    } catch (error) {
      if (error instanceof TidingsError) await outbox?.keep(id, text, error);
      throw error;
    }
    await outbox?.discard(id);
  }

  /** Gives up the changes of a message that were refused. */
  async discard(messageId: string): Promise<void> {
    await this.#outbox.discard(messageId);
  }

  /** Deletes a message; one that is on its way or has failed is taken back. */
  async delete(id: string, scope: "everyone" | "me" = "everyone", options?: CallOptions): Promise<void> {
    if (this.#session?.outbox?.isOnItsWay(id)) return this.#session.outbox.delete(id);
    const asked = this.store.now;
    const left = await this.api.delete(id, scope, options);
    if (left) this.store.hold(asked, [left]);
  }

  /** Marks a conversation read up to a message, or up to the newest that is known. */
  async markAsRead(conversationId: string, messageId?: string, options?: CallOptions): Promise<void> {
    const id = messageId ?? this.store.newestId(conversationId);
    if (!id || this.#session?.outbox?.isOnItsWay(id) || this.store.hasRead(conversationId, id)) return;
    this.store.readLocally(conversationId, id);
    try {
      await this.api.markAsRead(id, options);
    } catch (error) {
      this.store.readLocally(conversationId, null);
      throw error;
    }
  }

  /** The messages of a conversation, newest first; with `after`, oldest first. */
  history(conversationId: string, query?: HistoryQuery): AsyncGenerator<Message, void, undefined> {
    return this.api.history(conversationId, query);
  }

  /** All conversations, latest activity first. */
  inbox(options?: CallOptions): AsyncGenerator<Conversation, void, undefined> {
    return this.api.inbox(options);
  }

  /** Messages that hold words and `"phrases"`, newest first. */
  search(q: string, query?: SearchQuery): AsyncGenerator<Hit, void, undefined> {
    return this.api.search(q, query);
  }

  // Conversations

  /** The direct conversation with a user, opened where there is none. */
  async openDirect(userId: string, options?: CallOptions): Promise<Conversation> {
    return this.#opened(await this.api.openDirect(userId, options));
  }

  /** A new group. */
  async createGroup(name: string, participantIds: string[], options?: CallOptions): Promise<Conversation> {
    // Should the answer be lost, calling again makes a second group; so the call is repeated here, as the same one.
    const group = { name, participant_ids: participantIds, client_conversation_id: crypto.randomUUID() };
    for (let failures = 0; ; failures += 1) {
      try {
        return this.#opened(await this.api.createGroup(group, options));
      } catch (error) {
        if (!(error instanceof TidingsError) || !error.retryable || failures === 2) throw error;
        await sleep(error.retryAfterMs ?? backoff(failures, 5_000), this.#signal(options));
      }
    }
  }

  /** A new room. */
  async createRoom(name: string, description?: string, options?: CallOptions): Promise<Conversation> {
    return this.#opened(await this.api.createRoom({ name, ...(description ? { description } : {}) }, options));
  }

  /** Joins a room. */
  async joinRoom(roomId: string, options?: CallOptions): Promise<Conversation> {
    return this.#opened(await this.api.joinRoom(roomId, options));
  }

  #opened(row: Conversation): Conversation {
    this.store.opened(row);
    return row;
  }

  /**
   * Shows the messages of a conversation in `state.timelines`, and keeps them loaded until the answer is called. Marks
   * nothing read.
   */
  open(conversationId: string): () => void {
    const close = this.#reader.open(conversationId);
    this.#refresh();
    return close;
  }

  /** Adds older messages to a timeline; `hasOlder` says whether there are any. */
  loadOlder(conversationId: string, options?: CallOptions): Promise<void> {
    return this.#reader.older(conversationId, this.#signal(options));
  }

  /** Adds newer messages to a timeline that is not at the present. */
  loadNewer(conversationId: string, options?: CallOptions): Promise<void> {
    return this.#reader.newer(conversationId, this.#signal(options));
  }

  /** Shows a message among those around it. */
  jumpTo(conversationId: string, messageId: string, options?: CallOptions): Promise<void> {
    return this.#reader.jumpTo(conversationId, messageId, this.#signal(options));
  }

  /** Shows the first unread message among those around it, as far as can be told where nothing was read before. */
  jumpToUnread(conversationId: string, options?: CallOptions): Promise<void> {
    const { last_read_message_id: read, unread_count = 1 } = this.store.state.byId.get(conversationId) ?? {};
    const signal = this.#signal(options);
    if (read) return this.#reader.jumpTo(conversationId, read, signal);
    return this.#reader.jumpBack(conversationId, unread_count - 1, signal);
  }

  /** Shows the newest messages again. */
  jumpToLatest(conversationId: string, options?: CallOptions): Promise<void> {
    return this.#reader.toLatest(conversationId, this.#signal(options));
  }

  /** A message, loaded where it is not known, as one that is replied to; undefined where it is not there for the user. */
  message(conversationId: string, messageId: string, options?: CallOptions): Promise<Message | undefined> {
    return this.#reader.message(conversationId, messageId, this.#signal(options));
  }

  // What passes

  /** Tells that one types; to be called at each key. Told at most every 4 s; `false` ends it. */
  typing(conversationId: string, isTyping = true): void {
    const last = this.#typed.get(conversationId);
    if (isTyping ? last !== undefined && Math.abs(Date.now() - last) < TYPING_AGAIN : last === undefined) return;
    if (isTyping) this.#typed.set(conversationId, Date.now());
    else this.#typed.delete(conversationId);
    const frame = { action: "typing", conversation_id: conversationId, is_typing: isTyping } as const;
    if (this.#session?.sync?.send(frame)) return;
    // Nobody misses it.
    this.api.typing(conversationId, isTyping).catch(() => {});
  }

  /** What oneself shows to others, and which conversation one looks at. */
  async setStatus(status: Status, conversationId?: string, options?: CallOptions): Promise<void> {
    await this.api.setPresence(status, conversationId, options);
  }

  /**
   * Tells the other one of a direct conversation that one looks at it, or with null that one looks at none; the status
   * stays what it is. Whoever is not to be seen is not seen there either.
   */
  async lookAt(conversationId: string | null, options?: CallOptions): Promise<void> {
    const [own] = await this.api.presence([this.store.state.me?.id ?? ""], options);
    if (!own || own.status === "offline" || own.current_conversation_id === conversationId) return;
    await this.api.setPresence(own.status, conversationId ?? undefined, options);
  }

  /** Keeps `state.presence` of some users up to date until the answer is called. */
  watchPresence(userIds: readonly string[]): () => void {
    return this.#watched.watch(userIds);
  }

  get #outbox(): Outbox {
    const outbox = this.#session?.outbox;
    if (!outbox) throw new Error("Connect first.");
    return outbox;
  }

  #signal(options: CallOptions | undefined): AbortSignal {
    return options?.signal ?? this.#session?.stop.signal ?? new AbortController().signal;
  }

  /** Loads what is open and shows nothing. */
  #refresh(): void {
    const session = this.#session;
    if (session && this.store.state.me) void this.#reader.refresh(session.stop.signal);
  }
}

function browserTabs(): TabTools {
  // Node has BroadcastChannel, and lately locks, but no tabs.
  if (typeof document === "undefined") return {};
  return { locks: navigator.locks, BroadcastChannel: globalThis.BroadcastChannel };
}
