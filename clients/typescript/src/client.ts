// The client: connects sync, outbox and store, and offers the calls that act on them.

import { Api } from "./api.js";
import type { HistoryQuery, InboxQuery, MentionsQuery, SearchQuery } from "./api.js";
import { TidingsError } from "./error.js";
import { Http } from "./http.js";
import type { CallOptions, TokenProvider } from "./http.js";
import { Lanes } from "./lanes.js";
import { notify } from "./listeners.js";
import { MessageLoader } from "./message-loader.js";
import { Outbox } from "./outbox.js";
import { loadUploading } from "./outgoing-files.js";
import type { OfflineOptions, OfflineState } from "./offline.js";
import type { PresenceWatcher } from "./presence-watcher.js";
import type { SocketConstructor } from "./socket.js";
import { defaultStorage } from "./storage.js";
import type { OutboxStorage } from "./storage.js";
import { Store } from "./store.js";
import { Sync } from "./sync.js";
import { Tabs } from "./tabs.js";
import type { TabTools } from "./tabs.js";
import { onAbort, retrying } from "./time.js";
import type { Conversation, EditDetails, FileToSend, Hit, Message, NewDraft, OwnUser, SettingsChange, Status, TidingsEvent } from "./types.js";
import type { Prepared } from "./uploading.js";

/** Options of `Tidings`. Only `url` and `token` are required. */
export interface TidingsOptions {
  /** Base URL of the API, without `/api`. */
  url: string;
  /** Returns the access token; called before each request. */
  token: TokenProvider;
  /** Socket URL; by default `ws(s)://…/ws` of `url`. Null disables sockets: the client only polls. */
  socketUrl?: string | null;
  /** Creates the outbox storage from a name that is unique to the user; by default IndexedDB, or memory without it. */
  storage?: (name: string) => OutboxStorage;
  /** Keeps the last state in IndexedDB, and shows it until the server answers. By default, none is kept. */
  offline?: OfflineOptions;
  fetch?: typeof fetch;
  /** By default the global one. Node 20 has none; pass the one from the `ws` package. */
  WebSocket?: SocketConstructor;
  /** Browser APIs that coordinate tabs; `{}` turns coordination off. */
  tabs?: TabTools;
}

/** Options of `edit`: what else changes. */
export interface EditOptions extends CallOptions, EditDetails {}

/** An event type, or `event` for all of them. */
export type EventType = TidingsEvent["type"] | "event";
/** The events of a type. */
export type EventOf<T extends EventType> = T extends "event" ? TidingsEvent : Extract<TidingsEvent, { type: T }>;

/** Kept, because importing again takes some time, too, and a change must show at once. */
let loaded: [typeof import("./optimistic.js"), unknown] | undefined;

/** Loads the code for changes that show at once (settings, reactions, pins) and for jumps. A page may load it ahead. */
export async function loadOptimistic(): Promise<typeof import("./optimistic.js")> {
  loaded ??= await Promise.all([import("./optimistic.js"), import("./jumps.js")]);
  return loaded[0];
}

/** Exists while the client is connected. */
interface ActiveSession {
  stop: AbortController;
  ready: Promise<void>;
  outbox?: Outbox;
  sync?: Sync;
}

/** A client for one user. */
export class Tidings {
  /** Observable state for views. */
  readonly store = new Store();
  /** All API calls. Their changes reach the store as events. */
  readonly api: Api;
  readonly #options: TidingsOptions;
  #messages: MessageLoader;
  #presenceWatcher: PresenceWatcher | undefined;
  /** Changes that are being sent, by the id of what they change. */
  readonly #lanes = new Lanes();
  readonly #listeners = new Map<EventType, Set<(event: TidingsEvent) => void>>();
  #session: ActiveSession | undefined;
  /** Undefined until it is loaded. */
  #offlineState: OfflineState | undefined;
  /** The outbox storage of the last session. */
  #storage: OutboxStorage | undefined;

  constructor(options: TidingsOptions) {
    this.#options = options;
    const http = new Http(options.url, options.token, options.fetch);
    this.api = new Api(http, () => this.#session?.sync?.pollAfterWrite());
    this.#messages = new MessageLoader(this.api, this.store);
    this.store.subscribe(() => this.#refresh());
  }

  /**
   * Connects, and keeps the store in sync until `disconnect`. Resolves when the first page of the inbox is loaded, and
   * retries while the server is unreachable. Rejects if the token is refused or `disconnect` is called.
   */
  connect(): Promise<void> {
    if (this.#session) return this.#session.ready;
    const stop = new AbortController();
    const session: ActiveSession = { stop, ready: Promise.resolve() };
    this.#session = session;
    this.store.set({ connection: "connecting" });
    // Settles at once when the session ends, whatever it is waiting for.
    const ended = new Promise<never>((_, reject) => onAbort(stop.signal, () => reject(stop.signal.reason)));
    session.ready = Promise.race([this.#start(session), ended]).catch((error: unknown) => {
      if (this.#session === session) this.#end(error);
      throw error;
    });
    // A caller may ignore the promise and watch the store instead.
    session.ready.catch(() => {});
    return session.ready;
  }

  /** Disconnects. The store keeps its state, and the outbox keeps unsent messages. */
  disconnect(): void {
    this.#end(new DOMException("The client was disconnected.", "AbortError"));
  }

  /** Disconnects, and deletes the state and everything that is stored for the user, unsent messages included. */
  async forget(): Promise<void> {
    this.disconnect();
    this.#clear();
    await Promise.all([this.#storage?.clear(), this.#clearOffline()]);
  }

  #clear(): void {
    this.store.reset();
    this.#messages = new MessageLoader(this.api, this.store);
  }

  #end(reason: unknown): void {
    const session = this.#session;
    if (!session) return;
    this.#session = undefined;
    session.stop.abort(reason);
    const isSignedOut = reason instanceof TidingsError && reason.status === 401;
    if (isSignedOut) this.#clearOffline().catch(() => {});
    this.store.set({ connection: isSignedOut ? "signed_out" : "idle" });
  }

  async #start(session: ActiveSession): Promise<void> {
    const { signal } = session.stop;
    // Without this code, no state is kept.
    const offline = await this.#offline().catch(() => undefined);
    const saved = this.store.state.me ? undefined : await offline?.load();
    signal.throwIfAborted();
    saved?.show(this.store);
    const me = saved?.me ?? (await this.#loadMe(signal));
    signal.throwIfAborted();
    if (this.store.state.me?.id !== me.id) this.#clear();
    this.store.set({ me });
    const name = `tidings ${this.#options.url} ${me.id}`;
    const storage = (this.#options.storage ?? defaultStorage)(name);
    this.#storage = storage;
    const { socketUrl = this.#options.url.replace(/^http/, "ws").replace(/\/*$/, "/ws") } = this.#options;
    const sync = new Sync({
      api: this.api,
      store: this.store,
      socketUrl,
      WebSocket: this.#options.WebSocket ?? globalThis.WebSocket,
      tabs: (onMessage) => new Tabs(name, this.#options.tabs ?? browserTabs(), onMessage, signal),
      loadWindows: () => this.#messages.loadWindows(signal),
      saved,
      signal,
      onEvent: (event) => this.#onEvent(event),
      onOutboxChanged: () => void session.outbox?.load().catch(() => {}),
      onReachable: () => {
        session.outbox?.flush(true);
        this.#refresh();
      },
      onSignedOut: (error) => {
        if (this.#session === session) this.#end(error);
      },
    });
    session.sync = sync;
    const outbox = new Outbox(this.api, this.store, storage, sync.tabs, signal);
    session.outbox = outbox;
    await outbox.load();
    signal.throwIfAborted();
    offline?.start(this.store, sync, signal);
    await sync.start();
  }

  /** Loads what keeps the state, if that is wanted. */
  async #offline(): Promise<OfflineState | undefined> {
    const { offline, url } = this.#options;
    return offline && (this.#offlineState ??= new (await import("./offline.js")).OfflineState(url, offline));
  }

  async #clearOffline(): Promise<void> {
    await (await this.#offline())?.clear();
  }

  #loadMe(signal: AbortSignal): Promise<OwnUser> {
    const show = ({ code }: TidingsError) =>
      this.store.set({ connection: code === "network" ? "offline" : "connecting" });
    return retrying(() => this.api.me({ signal }), signal, Infinity, show);
  }

  #onEvent(event: TidingsEvent): void {
    if (event.type === "message.created") {
      this.#session?.outbox?.confirm([event.data.message], this.store.state.me?.id ?? "");
    }
    for (const type of [event.type, "event"] as const) {
      for (const listener of [...(this.#listeners.get(type) ?? [])]) notify(() => listener(event));
    }
  }

  /** Calls a listener once per event, after the store has applied it. Returns a function that removes the listener. */
  on<T extends EventType>(type: T, listener: (event: EventOf<T>) => void): () => void {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners);
    const mine = (event: TidingsEvent) => listener(event as EventOf<T>);
    listeners.add(mine);
    return () => void listeners.delete(mine);
  }

  // Messages

  /**
   * Sends a message. It shows at once as `pending`, survives a reload, and is retried until the server has it. The
   * promise may be ignored; it rejects if the message is refused, which the timeline shows as `failed`. Its files are
   * uploaded first: `state.uploads` shows how far. To cancel it, `delete` it.
   */
  send(draft: NewDraft): Promise<Message> {
    const outbox = this.#outbox;
    const direct = draft.recipient_id === undefined ? undefined : this.store.directWith(draft.recipient_id);
    if (!direct) return outbox.add(draft);
    const { recipient_id: _, ...rest } = draft;
    return outbox.add({ ...rest, conversation_id: direct });
  }

  /**
   * Prepares a file as `send` does, to show what will be sent. The result is used when the same file is sent. Loads the
   * code that only uploads need.
   */
  async prepare(file: Blob | FileToSend, options?: CallOptions): Promise<Prepared> {
    return (await loadUploading()).prepare(file, options?.signal);
  }

  /** Uploads and sets the user's picture: at most 640 pixels of it. */
  async setAvatar(picture: Blob, options?: CallOptions): Promise<OwnUser> {
    return (await loadUploading()).setAvatar(this.#context(options), picture);
  }

  /** Uploads and sets the picture of a group or room. Admins only. */
  async setPhoto(conversationId: string, picture: Blob, options?: CallOptions): Promise<Conversation> {
    return (await loadUploading()).setPhoto(this.#context(options), conversationId, picture);
  }

  /** Retries a failed message or edit, by the id of its outbox entry. */
  retry(id: string): Promise<void> {
    return this.#outbox.retry(id);
  }

  /**
   * Edits one of the user's messages, sent or pending. A failed edit stays in `state.outbox`, with `message_id` and
   * `failed`, until it is retried, discarded or replaced by another edit.
   */
  async edit(id: string, text: string, { signal, ...details }: EditOptions = {}): Promise<void> {
    const outbox = this.#session?.outbox;
    if (outbox?.isPending(id)) return outbox.edit(id, text, details);
    const checkpoint = this.store.checkpoint;
    try {
      this.store.merge(checkpoint, [await this.api.edit(id, { message_text: text, ...details }, { signal })]);
    } catch (error) {
      if (error instanceof TidingsError) await outbox?.keepFailedEdit(id, text, details, error);
      throw error;
    }
    await outbox?.discard(id);
  }

  /** Discards the failed edits of a message. */
  async discard(messageId: string): Promise<void> {
    await this.#outbox.discard(messageId);
  }

  /** Deletes a message; discards it if it is pending or failed. */
  async delete(id: string, scope: "everyone" | "me" = "everyone", options?: CallOptions): Promise<void> {
    if (this.#session?.outbox?.isPending(id)) return this.#session.outbox.delete(id);
    const checkpoint = this.store.checkpoint;
    const deleted = await this.api.delete(id, scope, options);
    if (deleted) this.store.merge(checkpoint, [deleted]);
  }

  /** Marks a conversation as read up to a message, by default the newest known one. */
  async markAsRead(conversationId: string, messageId?: string, options?: CallOptions): Promise<void> {
    const id = messageId ?? this.store.newestId(conversationId);
    if (!id || this.#session?.outbox?.isPending(id) || this.store.hasRead(conversationId, id)) return;
    this.store.setOptimisticRead(conversationId, id, true);
    try {
      await this.api.markAsRead(id, options);
    } catch (error) {
      this.store.setOptimisticRead(conversationId, id, false);
      throw error;
    }
  }

  /**
   * Adds the user's reaction to a message: one emoji. It shows at once; if it is refused, it is rolled back and the
   * promise rejects.
   */
  async react(messageId: string, emoji: string, options?: CallOptions): Promise<Message> {
    return (await loadOptimistic()).react(this.#context(options), messageId, emoji, true);
  }

  /** Removes the user's reaction, as `react` adds it. */
  async unreact(messageId: string, emoji: string, options?: CallOptions): Promise<Message> {
    return (await loadOptimistic()).react(this.#context(options), messageId, emoji, false);
  }

  /** Pins a message for all participants, as `react` adds a reaction. In conversations of more than 24, admins only. */
  async pin(messageId: string, options?: CallOptions): Promise<Message> {
    return (await loadOptimistic()).pin(this.#context(options), messageId, true);
  }

  /** Unpins a message, as `pin` pins it. */
  async unpin(messageId: string, options?: CallOptions): Promise<Message> {
    return (await loadOptimistic()).pin(this.#context(options), messageId, false);
  }

  #context(options: CallOptions | undefined) {
    return { api: this.api, store: this.store, lanes: this.#lanes, retry: retrying, signal: this.#signal(options) };
  }

  /** Returns the pinned messages of a conversation, up to 50, the latest pin first. */
  pins(conversationId: string, options?: CallOptions): Promise<Message[]> {
    return this.api.pins(conversationId, options);
  }

  /** Iterates over the messages that mention the user, newest first. */
  mentions(query?: MentionsQuery): AsyncGenerator<Message, void, undefined> {
    return this.api.mentions(query);
  }

  /** Iterates over the messages of a conversation, newest first; with `after`, oldest first. */
  history(conversationId: string, query?: HistoryQuery): AsyncGenerator<Message, void, undefined> {
    return this.api.history(conversationId, query);
  }

  /** Iterates over the conversations of the inbox, or of the archive: pinned ones first, then the most recently active. */
  inbox(query?: InboxQuery): AsyncGenerator<Conversation, void, undefined> {
    return this.api.inbox(query);
  }

  /** Searches messages for words and `"phrases"`, newest first. */
  search(q: string, query?: SearchQuery): AsyncGenerator<Hit, void, undefined> {
    return this.api.search(q, query);
  }

  // Conversations

  /** Loads the archive into `state.archived`, in the background, and keeps it loaded. */
  loadArchive(): void {
    this.store.wantsArchive = true;
    this.#session?.sync?.loadArchive();
  }

  /**
   * Changes the user's own settings of a conversation, on all devices: mute, notifications, pin and archive. The change
   * shows at once; if it is refused, it is rolled back and the promise rejects.
   */
  async changeSettings(conversationId: string, change: SettingsChange, options?: CallOptions): Promise<void> {
    return (await loadOptimistic()).changeSettings(this.#context(options), conversationId, change);
  }

  /** Opens the direct conversation with a user; creates it if necessary. */
  async openDirect(userId: string, options?: CallOptions): Promise<Conversation> {
    return this.#addOpened(await this.api.openDirect(userId, options));
  }

  /** Creates a group with the user and the given participants. */
  async createGroup(name: string, participantIds: string[], options?: CallOptions): Promise<Conversation> {
    return this.#addOpened(await (await loadOptimistic()).createGroup(this.#context(options), name, participantIds));
  }

  /** Creates a room and joins it. */
  async createRoom(name: string, description?: string, options?: CallOptions): Promise<Conversation> {
    return this.#addOpened(await this.api.createRoom({ name, ...(description ? { description } : {}) }, options));
  }

  /** Joins a room. */
  async joinRoom(roomId: string, options?: CallOptions): Promise<Conversation> {
    return this.#addOpened(await this.api.joinRoom(roomId, options));
  }

  #addOpened(row: Conversation): Conversation {
    this.store.addOpened(row);
    return row;
  }

  /**
   * Loads a conversation into `state.timelines`, and keeps it loaded until the returned function is called. Does not
   * mark it as read.
   */
  open(conversationId: string): () => void {
    const close = this.#messages.open(conversationId);
    this.#refresh();
    return close;
  }

  /** Loads older messages into a timeline; see `hasOlder`. */
  loadOlder(conversationId: string, options?: CallOptions): Promise<void> {
    return this.#messages.older(conversationId, this.#signal(options));
  }

  /** Loads newer messages into a timeline; see `hasNewer`. */
  loadNewer(conversationId: string, options?: CallOptions): Promise<void> {
    return this.#messages.newer(conversationId, this.#signal(options));
  }

  /** Shows the messages around a message. */
  jumpTo(conversationId: string, messageId: string, options?: CallOptions): Promise<void> {
    return this.#messages.jumpTo(conversationId, messageId, this.#signal(options));
  }

  /**
   * Shows the messages around the first unread one. An estimate if nothing in the conversation was ever read, or if
   * messages were marked as unread.
   */
  jumpToUnread(conversationId: string, options?: CallOptions): Promise<void> {
    const row = this.store.state.byId.get(conversationId);
    const { last_read_message_id: read, unread_count = 1, marked_unread: isMarked } = row ?? {};
    const signal = this.#signal(options);
    if (read && !isMarked) return this.#messages.jumpTo(conversationId, read, signal);
    return this.#messages.jumpBack(conversationId, unread_count - 1, signal);
  }

  /** Shows the newest messages again. */
  jumpToLatest(conversationId: string, options?: CallOptions): Promise<void> {
    return this.#messages.toLatest(conversationId, this.#signal(options));
  }

  /** Returns a single message, loaded if necessary; undefined if the user cannot see it. */
  message(conversationId: string, messageId: string, options?: CallOptions): Promise<Message | undefined> {
    return this.#messages.message(conversationId, messageId, this.#signal(options));
  }

  /** Gets new links to the files of a message. Links are good for at least a day after the message was loaded. */
  async renewLinks(conversationId: string, messageId: string, options?: CallOptions): Promise<void> {
    await this.#messages.renew(conversationId, messageId, this.#signal(options));
  }

  // Typing and presence

  /** Signals that the user is typing; call it on every keystroke. Throttled to one signal in 4 s. `false` ends it. */
  typing(conversationId: string, isTyping = true): void {
    this.#presence.then((watcher) => watcher.typing(conversationId, isTyping)).catch(() => {});
  }

  /** Sets the user's presence status and, if given, the conversation the user is viewing. */
  async setStatus(status: Status, conversationId?: string, options?: CallOptions): Promise<void> {
    await this.api.setPresence(status, conversationId, options);
  }

  /**
   * Tells the other participant of a direct conversation that the user is viewing it; null means none. Keeps the
   * status, and does nothing while it is offline (invisible).
   */
  async lookAt(conversationId: string | null, options?: CallOptions): Promise<void> {
    await (await this.#presence).lookAt(conversationId, options);
  }

  /** Keeps `state.presence` of some users up to date until the returned function is called. */
  watchPresence(userIds: readonly string[]): () => void {
    const stop = this.#presence.then((watcher) => watcher.watch(userIds));
    return () => void stop.then((end) => end()).catch(() => {});
  }

  /** Loads the code that only typing and presence need. */
  get #presence(): Promise<PresenceWatcher> {
    return import("./presence-watcher.js").then(
      ({ PresenceWatcher }) => (this.#presenceWatcher ??= new PresenceWatcher(this.api, this.store, () => this.#session)),
    );
  }

  get #outbox(): Outbox {
    const outbox = this.#session?.outbox;
    if (!outbox) throw new Error("Call connect() first.");
    return outbox;
  }

  #signal(options: CallOptions | undefined): AbortSignal {
    return options?.signal ?? this.#session?.stop.signal ?? new AbortController().signal;
  }

  /** Loads open conversations that have no messages yet. */
  #refresh(): void {
    const session = this.#session;
    if (session && this.store.state.me) void this.#messages.refresh(session.stop.signal);
  }
}

function browserTabs(): TabTools {
  // Node has BroadcastChannel and, in newer versions, locks, but no tabs.
  if (typeof document === "undefined") return {};
  return { locks: navigator.locks, BroadcastChannel: globalThis.BroadcastChannel };
}
