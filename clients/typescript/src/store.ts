// What a client shows, as one immutable value that changes by replacement.
//
// Invariant: what has not changed keeps its identity, so that a view that selects it is not drawn again.

import { Chat } from "./chat.js";
import type { Window } from "./chat.js";
import type { OutboxEntry } from "./outbox-entry.js";
import type { Conversation, Message, Notice, OwnUser, Presence, TidingsEvent } from "./types.js";

/**
 * How the client stands with the server: `idle` (not connected), `connecting` (nothing loaded yet), `live` (events are
 * pushed), `polling`, `offline` (the server cannot be reached; it keeps trying), `signed_out` (the token was refused;
 * it has stopped).
 */
export type Connection = "idle" | "connecting" | "live" | "polling" | "offline" | "signed_out";

/** A message of a timeline. */
export interface TimelineMessage extends Message {
  /** Stays the same from before it is sent; fit for a list's key. */
  key: string;
  /** `pending` until the server has it; `failed` where it was refused and waits for `retry` or `discard`. */
  status: "sent" | "pending" | "failed";
  /** Why it failed. */
  error: { code: string; message: string } | null;
}

/** The stretch of a conversation that is shown, oldest first; one's own on their way come last. */
export interface Timeline {
  messages: readonly TimelineMessage[];
  /** What happened to it since it is followed, oldest first: to be shown between the messages, by the time. */
  notices: readonly Notice[];
  isLoaded: boolean;
  hasOlder: boolean;
  /** Not at the present: after a jump to an older message. */
  hasNewer: boolean;
}

/** All that a client shows. */
export interface State {
  /** Oneself; null until connected. */
  me: OwnUser | null;
  connection: Connection;
  /** The inbox, latest activity first. */
  conversations: readonly Conversation[];
  /** The same by id. */
  byId: ReadonlyMap<string, Conversation>;
  /** Whether all pages of the inbox are loaded. */
  isComplete: boolean;
  /** Unread messages in all of `conversations`. */
  unread: number;
  /** By conversation; those that were opened. */
  timelines: ReadonlyMap<string, Timeline>;
  /** Users who type, by conversation. */
  typing: ReadonlyMap<string, readonly string[]>;
  /** By user; those who were asked for, or pushed. */
  presence: ReadonlyMap<string, Presence>;
  /** What waits to be sent, in order. */
  outbox: readonly OutboxEntry[];
}

/**
 * When something was asked for: the latest event that was known, and how often everything had been loaded. What was asked
 * for before everything was loaded anew is not taken in: what has become of it since, no event will tell.
 */
export interface Moment {
  by: string;
  load: number;
}

/** See `Store.subscribe`. */
export interface Subscribe {
  (listener: () => void): () => void;
  <T>(selector: (state: State) => T, listener: (selected: T) => void): () => void;
}

const EMPTY: State = {
  me: null,
  connection: "idle",
  conversations: [],
  byId: new Map(),
  isComplete: false,
  unread: 0,
  timelines: new Map(),
  typing: new Map(),
  presence: new Map(),
  outbox: [],
};

/** Milliseconds that typing lasts at most without being told again. */
const TYPING_LASTS = 6_000;

/** Something that passes by itself. `until` is by this machine's clock. */
interface Passing<T> {
  by: string;
  until: number;
  value: T;
}

/** The observable store. */
export class Store {
  #state: State = EMPTY;
  #chats = new Map<string, Chat>();
  #typing = new Map<string, Map<string, Passing<boolean>>>();
  #presence = new Map<string, Passing<Presence>>();
  #outbox: readonly OutboxEntry[] = [];
  /** The keys of messages that were seen on their way. */
  readonly #keys = new Map<string, string>();
  #latest = "";
  #load = 0;
  /** The place in the inbox, and the latest activity, of the last row that was loaded. */
  #order = 0;
  #lastActivity = "";
  readonly #listeners = new Set<() => void>();
  readonly #dirty = new Set<string>();
  #isOrderDirty = false;
  #isTypingDirty = false;
  #isPresenceDirty = false;
  #depth = 0;
  #expiry: ReturnType<typeof setTimeout> | undefined;

  /** What is shown now. The same object until something changes. */
  get state(): State {
    return this.#state;
  }

  /**
   * Calls a listener after each change, of `state` or of what `message` gives, or with a selector after each change of
   * what it selects (compared by `Object.is`). The answer ends it. Fit for React's `useSyncExternalStore`.
   */
  readonly subscribe: Subscribe = <T>(
    first: (() => void) | ((state: State) => T),
    second?: (selected: T) => void,
  ): (() => void) => {
    // A function of its own, so that one listener can be there twice.
    let notify = () => (first as () => void)();
    if (second) {
      const select = first as (state: State) => T;
      let last = select(this.#state);
      notify = () => {
        const next = select(this.#state);
        if (Object.is(last, next)) return;
        last = next;
        second(next);
      };
    }
    this.#listeners.add(notify);
    return () => void this.#listeners.delete(notify);
  };

  // What follows is for the client alone.

  /** Now; what is asked for from now on contains what is known. @internal */
  get now(): Moment {
    return { by: this.#latest, load: this.#load };
  }

  /** The chats whose rows have to be loaded. @internal */
  get rowsNeeded(): string[] {
    return this.#state.isComplete ? [...this.#chats.values()].filter((c) => c.needsRow).map((c) => c.id) : [];
  }

  /** Several changes as one. @internal */
  batch<T>(change: () => T): T {
    this.#depth += 1;
    try {
      return change();
    } finally {
      this.#depth -= 1;
      if (this.#depth === 0) this.#commit();
    }
  }

  /** @internal */
  set(change: Partial<Pick<State, "me" | "connection" | "isComplete">>): void {
    this.batch(() => {
      for (const [name, value] of Object.entries(change)) {
        if (!Object.is(this.#state[name as keyof State], value)) this.#state = { ...this.#state, [name]: value };
      }
    });
  }

  /** Forgets everything, as for another user. @internal */
  reset(): void {
    this.batch(() => {
      this.#load += 1;
      this.#chats = new Map();
      this.#typing.clear();
      this.#presence.clear();
      this.#outbox = [];
      this.#latest = "";
      const { connection } = this.#state;
      this.#state = { ...EMPTY, connection };
    });
  }

  /** Begins anew with what was loaded: rows, and the windows of the conversations that are open. @internal */
  replace(rows: readonly Conversation[], open: ReadonlyMap<string, { window: Window; messages: Message[] }>): void {
    this.batch(() => {
      this.#load += 1;
      const before = this.#chats;
      this.#chats = new Map();
      this.#order = 0;
      this.#lastActivity = new Date().toISOString();
      for (const id of before.keys()) this.#dirty.add(id);
      this.addRows(rows);
      for (const [id, { window, messages }] of open) {
        const chat = this.#chat(id);
        for (const message of messages) chat.hold("", message);
        chat.window = window;
      }
    });
  }

  /** Another page of the inbox. @internal */
  addRows(rows: readonly Conversation[]): void {
    this.batch(() => {
      for (const row of rows) {
        // A row without messages stands where the inbox has it: below the one before.
        this.#lastActivity = row.last_message_at ?? this.#lastActivity;
        const chat = this.#chat(row.conversation_id);
        chat.order = this.#order++;
        chat.appears("", row, this.#lastActivity);
        if (chat.activity < this.#lastActivity) chat.activity = this.#lastActivity;
      }
      this.#isOrderDirty = true;
    });
  }

  /** Takes in events. @internal */
  apply(events: readonly TidingsEvent[]): void {
    this.batch(() => {
      for (const event of events) this.#apply(event);
    });
  }

  #apply(event: TidingsEvent): void {
    if (event.type === "presence") {
      const { expires_at, ...presence } = event.data;
      const lasts = expires_at ? Date.parse(expires_at) - Date.parse(event.occurred_at) : Infinity;
      this.#showPresence(event.id, presence, lasts);
      return;
    }
    if (event.id > this.#latest) this.#latest = event.id;
    if (event.type === "typing") {
      const { user_id, is_typing, expires_at } = event.data;
      // By how long it lasts, not by when it ends: this machine's clock may be wrong.
      const lasts = Math.min(Date.parse(expires_at) - Date.parse(event.occurred_at), TYPING_LASTS);
      this.#showTyping(event.conversation_id, user_id, { by: event.id, until: Date.now() + lasts, value: is_typing });
      return;
    }
    this.#chat(event.conversation_id).apply(event, this.#state.me?.id ?? "");
    if (event.type === "message.created") {
      const { sender_id } = event.data.message;
      this.#showTyping(event.conversation_id, sender_id, { by: event.id, until: Date.now(), value: false });
    }
  }

  /** A row that was asked for then; null where it is not to be had. @internal */
  rowLoaded({ by, load }: Moment, id: string, row: Conversation | null): void {
    if (load !== this.#load) return;
    this.batch(() => {
      const chat = this.#chat(id);
      if (row) chat.rowLoaded(by, row);
      else chat.rowRefused();
    });
  }

  /** A conversation that the user has just opened, made or joined. @internal */
  opened(row: Conversation): void {
    this.batch(() => {
      const chat = this.#chat(row.conversation_id);
      if (!chat.isThere) chat.appears(this.#latest, row, new Date().toISOString());
    });
  }

  /** Messages that were asked for then. @internal */
  hold({ by, load }: Moment, messages: readonly Message[]): void {
    if (load !== this.#load) return;
    this.batch(() => {
      for (const message of messages) this.#chat(message.conversation_id).hold(by, message);
    });
  }

  /** What is shown of a conversation. @internal */
  window(id: string): Window | null {
    return this.#chats.get(id)?.window ?? null;
  }

  /** Shows a stretch of a conversation that was asked for then. @internal */
  show({ by, load }: Moment, id: string, messages: readonly Message[], window: Window): void {
    if (load !== this.#load) return;
    this.batch(() => {
      const chat = this.#chat(id);
      for (const message of messages) chat.hold(by, message);
      // Where its history was removed meanwhile, not all of it is there.
      if (!chat.wasClearedAfter(by)) chat.window = window;
    });
  }

  /** A message, where it is known. */
  message(conversationId: string, messageId: string): Message | undefined {
    return this.#chats.get(conversationId)?.message(messageId);
  }

  /** Whether the user has read up to a message. @internal */
  hasRead(conversationId: string, messageId: string): boolean {
    return this.#chats.get(conversationId)?.hasRead(messageId) ?? false;
  }

  /** The newest message that is known. @internal */
  newestId(conversationId: string): string | undefined {
    return this.#chats.get(conversationId)?.newestId;
  }

  /** Shows as read what the server is yet to be told; null takes it back. @internal */
  readLocally(conversationId: string, messageId: string | null): void {
    this.batch(() => {
      const chat = this.#chat(conversationId);
      if (messageId === null) chat.forgetLocalRead();
      else chat.readLocally(messageId);
    });
  }

  /** What waits to be sent has changed. @internal */
  setOutbox(entries: readonly OutboxEntry[]): void {
    this.batch(() => {
      for (const entry of [...this.#outbox, ...entries]) {
        const id = this.laneOf(entry);
        if (this.#chats.has(id)) this.#dirty.add(id);
      }
      this.#outbox = entries;
      this.#state = { ...this.#state, outbox: entries };
    });
  }

  /**
   * A message that was on its way has arrived: it keeps its key. A call that was made then says so; where an event or a
   * page did, they have told the rest. @internal
   */
  sent(asked: Moment | undefined, entry: OutboxEntry, message: Message): void {
    this.#keys.set(message.id, entry.id);
    if (asked?.load !== this.#load) return;
    this.batch(() => this.#chat(message.conversation_id).sent(asked.by, message));
  }

  /** The conversation that an entry goes to; the recipient while that is unknown. @internal */
  laneOf({ draft }: OutboxEntry): string {
    if (draft.conversation_id) return draft.conversation_id;
    const peer = draft.recipient_id ?? "";
    return this.directWith(peer) ?? peer;
  }

  /** The direct conversation with a user, where it is in the inbox. */
  directWith(userId: string): string | undefined {
    return this.#state.conversations.find((row) => row.other_user_id === userId)?.conversation_id;
  }

  /** Presence that was looked up. @internal */
  showPresence(presences: readonly Presence[], lastsMs: number): void {
    this.batch(() => {
      for (const presence of presences) this.#showPresence("", presence, lastsMs);
    });
  }

  #showPresence(by: string, presence: Presence, lastsMs: number): void {
    const known = this.#presence.get(presence.user_id);
    // Pushes may come twice, or late. What is looked up is newer than what was pushed.
    if (known && by !== "" && by <= known.by) return;
    const until = presence.status === "offline" ? Infinity : Date.now() + lastsMs;
    this.#presence.set(presence.user_id, { by: by || (known?.by ?? ""), until, value: presence });
    this.#isPresenceDirty = true;
  }

  #showTyping(conversation: string, user: string, typing: Passing<boolean>): void {
    const there = this.#typing.get(conversation) ?? new Map<string, Passing<boolean>>();
    const known = there.get(user);
    if ((known && known.by >= typing.by) || (!known && !typing.value)) return;
    this.#typing.set(conversation, there.set(user, typing));
    this.#isTypingDirty = true;
  }

  #chat(id: string): Chat {
    this.#dirty.add(id);
    let chat = this.#chats.get(id);
    if (!chat) this.#chats.set(id, (chat = new Chat(id)));
    return chat;
  }

  #commit(): void {
    const before = this.#state;
    const me = before.me?.id ?? "";
    let { timelines } = before;
    let rows: Map<string, Conversation> | undefined;
    for (const id of this.#dirty) {
      const chat = this.#chats.get(id);
      const row = chat?.row(me);
      if (!isEqual(row, before.byId.get(id))) {
        rows ??= new Map(before.byId);
        if (row) rows.set(id, row);
        else rows.delete(id);
      }
      const timeline = chat && this.#timeline(chat, timelines.get(id));
      if (timeline !== timelines.get(id)) {
        const changed = new Map(timelines);
        if (timeline) changed.set(id, timeline);
        else changed.delete(id);
        timelines = changed;
      }
    }
    let { conversations, unread } = before;
    if (rows || this.#isOrderDirty) {
      this.#isOrderDirty = false;
      rows ??= new Map(before.byId);
      const shown = [...rows.values()].map((row) => ({ row, chat: this.#chat(row.conversation_id) }));
      const place = (a: Chat, b: Chat) => (a.activity === b.activity ? a.order - b.order : a.activity < b.activity ? 1 : -1);
      conversations = shown.sort((a, b) => place(a.chat, b.chat)).map(({ row }) => row);
      unread = conversations.reduce((sum, row) => sum + row.unread_count, 0);
    }
    // What `message` gives may have changed where nothing else has.
    const mayHaveChanged = this.#dirty.size > 0;
    this.#dirty.clear();
    const passing = this.#passing(before);
    if (rows || timelines !== before.timelines || passing !== before) {
      this.#state = { ...passing, timelines, conversations, unread, byId: rows ?? before.byId };
    }
    if (this.#state === this.#told && !mayHaveChanged) return;
    this.#told = this.#state;
    for (const listener of [...this.#listeners]) tell(listener);
  }

  #told: State = EMPTY;

  #timeline(chat: Chat, before: Timeline | undefined): Timeline | undefined {
    const { window } = chat;
    // What is on its way shows before anything is loaded.
    const pending = window?.to ? [] : this.#outbox.filter((entry) => this.laneOf(entry) === chat.id);
    if (!window && pending.length === 0) return undefined;
    const messages = chat.messages((message) => this.#view(message));
    const isShown = (e: OutboxEntry) => !chat.hasArrived(e.id) && !(e.then && "delete" in e.then) && !e.message_id;
    for (const entry of pending) if (isShown(entry)) messages.push(this.#onItsWay(entry, chat.id));
    const isLoaded = window !== null;
    const hasOlder = window !== null && window.older !== null;
    const hasNewer = window !== null && window.to !== null;
    const { notices } = chat;
    const isSame =
      before?.isLoaded === isLoaded &&
      before.notices === notices &&
      before.hasOlder === hasOlder &&
      before.hasNewer === hasNewer &&
      before.messages.length === messages.length &&
      before.messages.every((message, at) => message === messages[at]);
    return isSame ? before : { messages, notices, isLoaded, hasOlder, hasNewer };
  }

  #view(message: Message): TimelineMessage {
    // Its event may be faster than the answer to what sent it.
    const sent = message.client_message_id;
    if (sent !== null && this.#outbox.some(({ id }) => id === sent)) this.#keys.set(message.id, sent);
    return { ...message, key: this.#keys.get(message.id) ?? message.id, status: "sent", error: null };
  }

  readonly #onTheirWay = new WeakMap<OutboxEntry, TimelineMessage>();

  #onItsWay(entry: OutboxEntry, conversation_id: string): TimelineMessage {
    const known = this.#onTheirWay.get(entry);
    if (known) return known;
    const { draft, then } = entry;
    const view: TimelineMessage = {
      id: entry.id,
      key: entry.id,
      status: entry.failed ? "failed" : "pending",
      error: entry.failed,
      conversation_id,
      sender_id: this.#state.me?.id ?? "",
      recipient_id: draft.recipient_id ?? this.#state.byId.get(conversation_id)?.other_user_id ?? null,
      message_text: then && "edit" in then ? then.edit : draft.message_text,
      attachment_url: draft.attachment_url ?? null,
      attachment_type: draft.attachment_type ?? null,
      reply_to: draft.reply_to ?? null,
      client_message_id: entry.id,
      sent_at: entry.created_at,
      is_edited: false,
      edited_at: null,
      is_deleted: false,
      deleted_at: null,
      read: false,
      read_at: null,
      read_count: 0,
      version: 0,
    };
    this.#onTheirWay.set(entry, view);
    return view;
  }

  /** The state with what passes by itself, and a timer for when the next of it does. */
  #passing(before: State): State {
    const now = Date.now();
    let state = before;
    if (this.#isTypingDirty) {
      this.#isTypingDirty = false;
      const typing = new Map<string, readonly string[]>();
      for (const [conversation, users] of this.#typing) {
        for (const [user, { until }] of users) if (until <= now - TYPING_LASTS) users.delete(user);
        const typists = [...users].filter(([, { value, until }]) => value && until > now).map(([user]) => user);
        const known = before.typing.get(conversation);
        if (typists.length > 0) typing.set(conversation, isEqual(known, typists) && known ? known : typists);
      }
      state = { ...state, typing };
    }
    if (this.#isPresenceDirty) {
      this.#isPresenceDirty = false;
      const presence = new Map<string, Presence>();
      for (const [user, { until, value }] of this.#presence) {
        const shown: Presence = until > now ? value : { ...value, status: "offline", current_conversation_id: null };
        const known = before.presence.get(user);
        presence.set(user, known && isEqual(known, shown) ? known : shown);
      }
      state = { ...state, presence };
    }
    if (state !== before) this.#expireLater(now);
    return state;
  }

  #expireLater(now: number): void {
    clearTimeout(this.#expiry);
    const typing = [...this.#typing.values()].flatMap((users) => [...users.values()]).filter(({ value }) => value);
    const ends = [...typing, ...this.#presence.values()].map(({ until }) => until);
    const next = Math.min(...ends.filter((until) => until > now));
    if (!Number.isFinite(next)) return;
    this.#expiry = setTimeout(() => {
      this.#isTypingDirty = true;
      this.#isPresenceDirty = true;
      this.batch(() => {});
    }, Math.min(next - now, 2 ** 31 - 1));
    (this.#expiry as { unref?: () => void }).unref?.();
  }
}

/** Calls a listener. What it throws is its own affair: it is reported as uncaught, and the others are called as well. */
export function tell(listener: () => void): void {
  try {
    listener();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/** Whether two flat values hold the same. */
function isEqual(one: object | undefined, other: object | undefined): boolean {
  if (one === other || !one || !other) return one === other;
  const names = Object.keys(one) as (keyof typeof one)[];
  return names.length === Object.keys(other).length && names.every((name) => Object.is(one[name], other[name]));
}
