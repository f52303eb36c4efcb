// The observable store: applies rows, messages and events, and publishes one immutable state.
//
// Invariant: parts of the state that have not changed keep their identity, so that views which select them do not
// render again.

import { Chat, isMuteOver } from "./chat.js";
import type { MessageChange, Window } from "./chat.js";
import { EphemeralState } from "./ephemeral.js";
import { notify } from "./listeners.js";
import type { OutboxEntry } from "./outbox-entry.js";
import { EMPTY_STATE, directConversation, isEqual, laneOf } from "./state.js";
import type { State } from "./state.js";
import { TimelineBuilder } from "./timeline.js";
import type { LocalFile } from "./timeline.js";
import type { Conversation, Message, Presence, TidingsEvent } from "./types.js";

/**
 * The state of the store when a request was sent: the id of the latest event, and the generation, which counts full
 * reloads. Responses from an earlier generation are dropped, because no event will tell what has changed since.
 */
export interface Checkpoint {
  asOf: string;
  generation: number;
}

/** The state of a store that `offline.ts` stores. */
export type SavedStore = [chats: Map<string, Chat>, latestEvent: string];

/** See `Store.subscribe`. */
export interface Subscribe {
  (listener: () => void): () => void;
  <T>(selector: (state: State) => T, listener: (selected: T) => void): () => void;
}

/** The observable store. */
export class Store {
  #state: State = EMPTY_STATE;
  /** The state that listeners were last notified of. */
  #notified: State = EMPTY_STATE;
  #chats = new Map<string, Chat>();
  /** How many times each conversation is open. @internal */
  readonly open = new Map<string, number>();
  /** Whether the archive is to be loaded with the inbox. @internal */
  wantsArchive = false;
  readonly #ephemeral = new EphemeralState(() => this.batch(() => {}));
  readonly #timelines = new TimelineBuilder();
  #latestEvent = "";
  #generation = 0;
  /** Position in the inbox, and time of the latest activity, of the last row loaded. */
  #order = 0;
  #lastActivity = "";
  readonly #listeners = new Set<() => void>();
  readonly #dirty = new Set<string>();
  #isOrderDirty = false;
  #depth = 0;

  /** The current state: the same object until something changes. */
  get state(): State {
    return this.#state;
  }

  /**
   * Subscribes to every change of `state` and of what `message` returns or, with a selector, to changes of the selected
   * value (compared by `Object.is`). Returns a function that unsubscribes. Suitable for React's `useSyncExternalStore`.
   */
  readonly subscribe: Subscribe = <T>(
    first: (() => void) | ((state: State) => T),
    second?: (selected: T) => void,
  ): (() => void) => {
    // A new function each time, so that the same listener can subscribe twice.
    let listener = () => (first as () => void)();
    if (second) {
      const select = first as (state: State) => T;
      let last = select(this.#state);
      listener = () => {
        const next = select(this.#state);
        if (Object.is(last, next)) return;
        last = next;
        second(next);
      };
    }
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** Returns a message if it is loaded. */
  message(conversationId: string, messageId: string): Message | undefined {
    return this.#chats.get(conversationId)?.message(messageId);
  }

  /** Id of the direct conversation with a user, if it is in the inbox. */
  directWith(userId: string): string | undefined {
    return directConversation(this.#state, userId);
  }

  // Internal to this package

  /** Take it before sending a request, and pass it along with the response. @internal */
  get checkpoint(): Checkpoint {
    return { asOf: this.#latestEvent, generation: this.#generation };
  }

  /** Everything that events change. @internal */
  get saved(): SavedStore {
    return [this.#chats, this.#latestEvent];
  }

  set saved(saved: SavedStore) {
    this.batch(() => {
      [this.#chats, this.#latestEvent] = saved;
      for (const id of this.#chats.keys()) this.#dirty.add(id);
      this.#isOrderDirty = true;
    });
  }

  /** Ids of the conversations whose rows have to be loaded; none before the inbox is complete. @internal */
  get staleRows(): string[] {
    return this.#state.isComplete ? [...this.#chats.values()].filter((c) => c.needsRow).map((c) => c.id) : [];
  }

  /** Publishes several changes as one. @internal */
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
  set(change: Partial<Pick<State, "me" | "connection" | "staleSince" | "isComplete" | "isArchiveLoaded">>): void {
    this.batch(() => {
      for (const [name, value] of Object.entries(change)) {
        if (!Object.is(this.#state[name as keyof State], value)) this.#state = { ...this.#state, [name]: value };
      }
    });
  }

  /** Clears everything, for another user. @internal */
  reset(): void {
    this.batch(() => {
      this.#generation += 1;
      this.#chats = new Map();
      this.#ephemeral.clear();
      this.#timelines.outbox = [];
      this.#latestEvent = "";
      const { connection } = this.#state;
      this.#state = { ...EMPTY_STATE, connection };
    });
  }

  /** Replaces everything after a full reload: the rows, and the windows of open conversations. @internal */
  replace(rows: readonly Conversation[], open: ReadonlyMap<string, { window: Window; messages: Message[] }>): void {
    this.batch(() => {
      this.#generation += 1;
      const before = this.#chats;
      this.#chats = new Map();
      this.#order = 0;
      this.#lastActivity = new Date().toISOString();
      for (const id of before.keys()) this.#dirty.add(id);
      this.addRows(rows);
      for (const [id, { window, messages }] of open) {
        const chat = this.#chat(id);
        for (const message of messages) chat.merge("", message);
        chat.window = window;
      }
    });
  }

  /** Adds a page of the inbox or the archive. @internal */
  addRows(rows: readonly Conversation[]): void {
    this.batch(() => {
      for (const row of rows) {
        // A row without messages has no time of its own: it stays below the row before it.
        this.#lastActivity = row.last_message_at ?? this.#lastActivity;
        const chat = this.#chat(row.conversation_id);
        chat.order = this.#order++;
        chat.showRow("", row, this.#lastActivity);
        if (chat.activity < this.#lastActivity) chat.activity = this.#lastActivity;
      }
      this.#isOrderDirty = true;
    });
  }

  /** @internal */
  apply(events: readonly TidingsEvent[]): void {
    this.batch(() => {
      for (const event of events) this.#apply(event);
    });
  }

  #apply(event: TidingsEvent): void {
    if (event.type === "presence") {
      const { expires_at, ...presence } = event.data;
      const ttl = expires_at ? Date.parse(expires_at) - Date.parse(event.occurred_at) : Infinity;
      this.#ephemeral.pushPresence(event.id, presence, ttl);
      return;
    }
    if (event.id > this.#latestEvent) this.#latestEvent = event.id;
    if (event.type === "typing") {
      const { user_id, is_typing, expires_at } = event.data;
      const ttl = Date.parse(expires_at) - Date.parse(event.occurred_at);
      this.#ephemeral.setTyping(event.id, event.conversation_id, user_id, is_typing, ttl);
      return;
    }
    this.#chat(event.conversation_id).apply(event, this.#state.me?.id ?? "");
    if (event.type === "message.created") {
      this.#ephemeral.setTyping(event.id, event.conversation_id, event.data.message.sender_id, false, 0);
    }
  }

  /** Merges a loaded row; null if the server refused it. @internal */
  rowLoaded({ asOf, generation }: Checkpoint, id: string, row: Conversation | null): void {
    if (generation !== this.#generation) return;
    this.batch(() => {
      const chat = this.#chat(id);
      if (row) chat.rowLoaded(asOf, row);
      else chat.rowRefused();
    });
  }

  /** Adds a conversation that the user has just opened, created or joined. @internal */
  addOpened(row: Conversation): void {
    this.batch(() => {
      const chat = this.#chat(row.conversation_id);
      if (!chat.isInInbox) chat.showRow(this.#latestEvent, row, new Date().toISOString());
    });
  }

  /** Merges loaded messages. @internal */
  merge({ asOf, generation }: Checkpoint, messages: readonly Message[]): void {
    if (generation !== this.#generation) return;
    this.batch(() => {
      for (const message of messages) this.#chat(message.conversation_id).merge(asOf, message);
    });
  }

  /** Drops messages of a conversation that is no longer open, if there are too many. @internal */
  close(id: string): void {
    this.open.delete(id);
    this.batch(() => this.#dirty.add(id));
  }

  /** The range of a conversation that is shown. @internal */
  window(id: string): Window | null {
    return this.#chats.get(id)?.window ?? null;
  }

  /** Merges loaded messages, and shows the range they belong to. @internal */
  showWindow({ asOf, generation }: Checkpoint, id: string, messages: readonly Message[], window: Window): void {
    if (generation !== this.#generation) return;
    this.batch(() => {
      const chat = this.#chat(id);
      for (const message of messages) chat.merge(asOf, message);
      // If the history was removed in the meantime, some of the messages were not merged.
      if (!chat.wasClearedAfter(asOf)) chat.window = window;
    });
  }

  /** @internal */
  hasRead(conversationId: string, messageId: string): boolean {
    return this.#chats.get(conversationId)?.hasRead(messageId) ?? false;
  }

  /** The newest known message. @internal */
  newestId(conversationId: string): string | undefined {
    return this.#chats.get(conversationId)?.newestId;
  }

  /** Marks messages as read before the server confirms it, or rolls that back. @internal */
  setOptimisticRead(conversationId: string, messageId: string, isRead: boolean): void {
    this.batch(() => this.#chat(conversationId).setOptimisticRead(messageId, isRead));
  }

  /** Shows a change of settings before the server confirms it. Call the result when it does, or refuses. @internal */
  showChange(conversationId: string, fields: Partial<Conversation>): (isConfirmed: boolean) => void {
    const generation = this.#generation;
    const change = this.batch(() => this.#chat(conversationId).optimisticChanges.add(fields));
    return (isConfirmed) => {
      if (generation !== this.#generation) return;
      this.batch(() => this.#chat(conversationId).optimisticChanges.end(change, isConfirmed));
    };
  }

  /** Shows a change of a message, or ends that. @internal */
  setMessageChange(id: string, change: MessageChange, isShown: boolean): void {
    this.batch(() => {
      for (const chat of this.#chats.values()) if (chat.setChange(id, change, isShown)) this.#dirty.add(chat.id);
    });
  }

  /** Ends mutes whose time has passed. @internal */
  endMutes(): void {
    this.batch(() => {
      for (const row of this.#state.byId.values()) if (isMuteOver(row)) this.#dirty.add(row.conversation_id);
    });
  }

  /** @internal */
  setOutbox(entries: readonly OutboxEntry[]): void {
    this.batch(() => {
      for (const entry of [...this.#timelines.outbox, ...entries]) {
        const id = this.laneOf(entry);
        if (this.#chats.has(id)) this.#dirty.add(id);
      }
      this.#timelines.outbox = entries;
      this.#state = { ...this.#state, outbox: entries };
    });
  }

  /** Addresses at which this page shows the files of unsent messages, by message. @internal */
  get localFiles(): Map<string, readonly LocalFile[]> {
    return this.#timelines.localFiles;
  }

  /** Sets how much of a message's files is uploaded; undefined if nothing is being uploaded. @internal */
  setUploads(id: string, progress: readonly number[] | undefined): void {
    this.batch(() => {
      if (!progress && !this.#state.uploads.has(id)) return;
      const uploads = new Map(this.#state.uploads);
      if (progress) uploads.set(id, progress);
      else uploads.delete(id);
      this.#state = { ...this.#state, uploads };
    });
  }

  /** Merges the response to a send. @internal */
  mergeSent({ asOf, generation }: Checkpoint, message: Message): void {
    if (generation !== this.#generation) return;
    this.batch(() => this.#chat(message.conversation_id).mergeSent(asOf, message));
  }

  /** @internal */
  laneOf(entry: OutboxEntry): string {
    return laneOf(this.#state, entry);
  }

  /** Returns the event with which a user's presence was pushed last; "" if it was not. @internal */
  presenceAsOf(user: string): string {
    return this.#ephemeral.presenceAsOf(user);
  }

  /** Sets a user's presence as it was looked up, unless it was pushed since `asOf`. @internal */
  setPresence(asOf: string, presence: Presence, ttlMs: number): void {
    this.batch(() => this.#ephemeral.setPresence(asOf, presence, ttlMs));
  }

  /** Returns a conversation, created if unknown, and marks it as dirty. */
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
      if (!this.open.has(id)) chat?.trim(Chat.maxClosed, Chat.maxClosed / 2);
      const row = chat?.row(me);
      if (!isEqual(row, before.byId.get(id))) {
        rows ??= new Map(before.byId);
        if (row) rows.set(id, row);
        else rows.delete(id);
      }
      const timeline = chat && this.#timelines.build(chat, timelines.get(id), before);
      if (timeline !== timelines.get(id)) {
        const changed = new Map(timelines);
        if (timeline) changed.set(id, timeline);
        else changed.delete(id);
        timelines = changed;
      }
    }
    if (this.#isOrderDirty) rows ??= new Map(before.byId);
    this.#isOrderDirty = false;
    // Listeners may depend on `message`, which can change without the state.
    const mayHaveChanged = this.#dirty.size > 0;
    this.#dirty.clear();
    const updated = this.#ephemeral.update(before);
    if (rows || timelines !== before.timelines || updated !== before) {
      this.#state = { ...updated, timelines, ...(rows && this.#lists(rows)) };
    }
    if (this.#state === this.#notified && !mayHaveChanged) return;
    this.#notified = this.#state;
    for (const listener of [...this.#listeners]) notify(listener);
  }

  /** The inbox, the archive and the totals. */
  #lists(byId: ReadonlyMap<string, Conversation>): Partial<State> {
    const rows = this.#sorted(byId);
    const conversations = rows.filter((row) => !row.is_archived);
    const sum = (list: Conversation[]) => list.reduce((sum, row) => sum + row.unread_count, 0);
    return {
      byId,
      conversations,
      archived: rows.filter((row) => row.is_archived),
      unread: sum(rows),
      unmutedUnread: sum(conversations.filter((row) => row.muted_until === null)),
    };
  }

  /** Rows as the inbox lists them: pinned ones, then the most recently active, then in the order they were loaded. */
  #sorted(rows: ReadonlyMap<string, Conversation>): Conversation[] {
    const byActivity = (a: Chat, b: Chat) =>
      a.activity === b.activity ? a.order - b.order : a.activity < b.activity ? 1 : -1;
    // Sorts after every time.
    const pinned = (row: Conversation) => row.pinned_at ?? "~";
    return [...rows.values()]
      .map((row) => ({ row, chat: this.#chat(row.conversation_id) }))
      .sort((a, b) =>
        pinned(a.row) === pinned(b.row) ? byActivity(a.chat, b.chat) : pinned(a.row) < pinned(b.row) ? -1 : 1,
      )
      .map(({ row }) => row);
  }
}
