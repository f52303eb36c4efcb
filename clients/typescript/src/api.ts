// Typed calls for every endpoint of the API. Stateless.

import type { CallOptions, Http, Page, Query, RequestOptions } from "./http.js";
import type {
  BlockedUser,
  Conversation,
  ConversationDetails,
  ConversationType,
  Draft,
  Hit,
  Message,
  MessageEdit,
  NewAttachment,
  NewUpload,
  OwnUser,
  Participant,
  Poll,
  Presence,
  Receipt,
  Room,
  RoomUser,
  SettingsChange,
  Status,
  UnreadTotal,
  Upload,
  User,
  Watermark,
} from "./types.js";

/** A message to send; it needs a text, an attachment or a message to forward. */
export type SendDraft = Partial<Draft> & { attachments?: NewAttachment[] | undefined };

/** Options of `history`. */
export interface HistoryQuery extends CallOptions {
  /** Only messages before this one. */
  before?: string;
  /** Only messages after this one, oldest first. */
  after?: string;
  /** Messages per call, 1-100. */
  limit?: number;
}

/** Options of `inbox`. */
export interface InboxQuery extends CallOptions {
  /** Lists the archived conversations instead of the others. */
  archived?: boolean;
  /** Only conversations of this type. */
  type?: ConversationType;
}

/** Options of `search`. */
export interface SearchQuery extends CallOptions {
  conversation_id?: string;
  /** Only messages of this sender: a user id, or `me`. */
  from?: string;
  /** Only messages with any attachment, a web address in the text, an image, or another file. */
  has?: "attachment" | "link" | "image" | "file";
  /** Only messages sent before, or after, a time or date (RFC 3339). */
  before?: string;
  after?: string;
  /** Messages per call. */
  limit?: number;
}

/** Options of `mentions`. */
export interface MentionsQuery extends CallOptions {
  /** Messages per call, 1-100. */
  limit?: number;
}

/** All API calls. They throw `TidingsError`, or the signal's reason if aborted. */
export class Api {
  readonly #http: Http;
  /** Called after each successful write that results in events. */
  readonly #onWrite: () => void;

  constructor(http: Http, onWrite: () => void = () => {}) {
    this.#http = http;
    this.#onWrite = onWrite;
  }

  /** Sends the requests of the code that is loaded later. @internal */
  get http(): Http {
    return this.#http;
  }

  // Messages

  /** Sends a message. A retry with the same `client_message_id` within 24 h returns the same message. */
  send(draft: SendDraft, options?: CallOptions): Promise<Message> {
    return this.#write("POST", "/messages/send", options, draft);
  }

  /** Asks where to upload a file, which a message can name within a day. The form is valid for 15 minutes. */
  requestUpload(file: NewUpload, options?: CallOptions): Promise<Upload> {
    return this.#http.call("POST", "/api/attachments", file, options);
  }

  /** Edits one of the caller's messages. */
  edit(messageId: string, change: MessageEdit, options?: CallOptions): Promise<Message> {
    return this.#write("PATCH", `/messages/${encode(messageId)}`, options, change);
  }

  /** Adds the caller's reaction to a message, or with `isOn` false removes it. `emoji` is a single emoji. */
  react(messageId: string, emoji: string, isOn = true, options?: CallOptions): Promise<Message> {
    return this.#mark(messageId, `reactions/${encode(emoji)}`, isOn, options);
  }

  /** Pins a message for all participants, or with `isOn` false unpins it. In large conversations, admins only. */
  pin(messageId: string, isOn = true, options?: CallOptions): Promise<Message> {
    return this.#mark(messageId, "pin", isOn, options);
  }

  #mark(messageId: string, name: string, isOn: boolean, options?: CallOptions): Promise<Message> {
    return this.#write(isOn ? "PUT" : "DELETE", `/messages/${encode(messageId)}/${name}`, options);
  }

  /** Returns the pinned messages of a conversation, up to 50, the latest pin first. */
  pins(conversationId: string, options?: CallOptions): Promise<Message[]> {
    return this.#read(`/conversations/${encode(conversationId)}/pins`, options);
  }

  /** Iterates over the messages that mention the caller, newest first. */
  mentions(query: MentionsQuery = {}): AsyncGenerator<Message, void, undefined> {
    const { signal, ...rest } = query;
    return this.#list("/mentions", rest, { signal });
  }

  /** Deletes a message for everyone, or hides it from the caller. Returns null if hidden. */
  delete(messageId: string, scope: "everyone" | "me" = "everyone", options?: CallOptions): Promise<Message | null> {
    return this.#write("DELETE", `/messages/${encode(messageId)}?scope=${scope}`, options);
  }

  /** Advances the read watermark to a message. An older message has no effect. */
  markAsRead(messageId: string, options?: CallOptions): Promise<Watermark> {
    return this.#write("PUT", `/messages/mark-as-read/${encode(messageId)}`, options);
  }

  /**
   * Marks the messages of others as unread again, from a message on, for the caller alone: the watermark, and what the
   * senders see, stay as they are.
   */
  markAsUnread(messageId: string, options?: CallOptions): Promise<Watermark> {
    return this.#write("PUT", `/messages/mark-as-unread/${encode(messageId)}`, options);
  }

  /** Marks all messages of a conversation as read. */
  markAllAsRead(conversationId: string, options?: CallOptions): Promise<Watermark> {
    return this.#write("PUT", `/conversations/${encode(conversationId)}/read`, options);
  }

  /** Lists who has read a message, and when. */
  receipts(messageId: string, options?: CallOptions): Promise<Receipt[]> {
    return this.#read(`/messages/${encode(messageId)}/receipts`, options);
  }

  /** Returns the total number of unread messages. */
  unreadCount(options?: CallOptions): Promise<UnreadTotal> {
    return this.#read("/messages/unread-count", options);
  }

  /** Returns a page of messages, oldest first. The next page is older or, with `after`, newer. */
  messages(
    conversationId: string,
    query: { before?: string; after?: string; limit?: number; cursor?: string; offset?: number } = {},
    options?: CallOptions,
  ): Promise<Page<Message[]>> {
    return this.#page(`/conversations/${encode(conversationId)}/messages`, query, options);
  }

  /** Iterates over the messages of a conversation, newest first; with `after`, oldest first. */
  async *history(conversationId: string, query: HistoryQuery = {}): AsyncGenerator<Message, void, undefined> {
    const { signal, ...rest } = query;
    const path = `/conversations/${encode(conversationId)}/messages`;
    for await (const page of this.#pages<Message[]>(path, rest, { signal })) {
      yield* query.after === undefined ? page.reverse() : page;
    }
  }

  /** Returns a page of the inbox: pinned conversations first, then the most recently active. */
  inboxPage(
    query: { limit?: number; cursor?: string; archived?: boolean; type?: ConversationType } = {},
    options?: CallOptions,
  ): Promise<Page<Conversation[]>> {
    return this.#page("/messages/inbox", query, options);
  }

  /** Iterates over the conversations of the inbox, or of the archive: pinned ones first, then the most recently active. */
  inbox(query: InboxQuery = {}): AsyncGenerator<Conversation, void, undefined> {
    const { signal, ...rest } = query;
    return this.#list("/messages/inbox", rest, { signal });
  }

  /** Searches messages for words, `"phrases"` and filters such as `-word` or `has:image`, newest first. */
  search(q: string, query: SearchQuery = {}): AsyncGenerator<Hit, void, undefined> {
    const { signal, ...rest } = query;
    return this.#list("/messages/search", { q, ...rest }, { signal });
  }

  // Conversations, groups and rooms

  /** Opens the direct conversation with a user; creates it if necessary. */
  openDirect(userId: string, options?: CallOptions): Promise<Conversation> {
    return this.#write("POST", "/conversations", options, { type: "direct", participant_ids: [userId] });
  }

  /** Creates a group. A retry with the same `client_conversation_id` returns the same group. */
  createGroup(
    group: { name: string; participant_ids: string[]; client_conversation_id?: string },
    options?: CallOptions,
  ): Promise<Conversation> {
    return this.#write("POST", "/conversations", options, { type: "group", ...group });
  }

  /** Returns a conversation with its first 100 participants. */
  conversation(conversationId: string, options?: CallOptions): Promise<ConversationDetails> {
    return this.#read(`/conversations/${encode(conversationId)}`, options);
  }

  /** Iterates over all participants of a conversation. */
  async *participants(
    conversationId: string,
    options?: CallOptions,
  ): AsyncGenerator<Participant, void, undefined> {
    const path = `/conversations/${encode(conversationId)}`;
    for await (const page of this.#pages<ConversationDetails>(path, {}, options)) yield* page.participants;
  }

  /** Updates a group or room; null removes the description, photo or custom data. Admins only. */
  updateConversation(
    conversationId: string,
    change: {
      name?: string;
      description?: string | null;
      photo_url?: string | null;
      photo_attachment_id?: string;
      custom?: Record<string, unknown> | null;
    },
    options?: CallOptions,
  ): Promise<Conversation> {
    return this.#write("PATCH", `/conversations/${encode(conversationId)}`, options, change);
  }

  /** Changes the caller's own settings of a conversation. Returns the row. */
  changeSettings(conversationId: string, change: SettingsChange, options?: CallOptions): Promise<Conversation> {
    return this.#write("PATCH", `/conversations/${encode(conversationId)}/me`, options, change);
  }

  /** Adds participants to a group. Admins only. */
  addParticipants(conversationId: string, userIds: string[], options?: CallOptions): Promise<Conversation> {
    return this.#write("POST", `/conversations/${encode(conversationId)}/participants`, options, { user_ids: userIds });
  }

  /** Removes a participant (admins only), or leaves if it is the caller. */
  removeParticipant(conversationId: string, userId: string, options?: CallOptions): Promise<void> {
    const path = `/conversations/${encode(conversationId)}/participants/${encode(userId)}`;
    return this.#write("DELETE", path, options);
  }

  /** Grants or revokes a participant's admin rights. */
  setAdmin(conversationId: string, userId: string, isAdmin: boolean, options?: CallOptions): Promise<void> {
    const path = `/conversations/${encode(conversationId)}/participants/${encode(userId)}`;
    return this.#write("PATCH", path, options, { is_admin: isAdmin });
  }

  /** Removes a conversation and its history so far from the caller's inbox. */
  deleteConversation(conversationId: string, options?: CallOptions): Promise<void> {
    return this.#write("DELETE", `/messages/conversation/${encode(conversationId)}`, options);
  }

  /** Iterates over all rooms, ordered by name. */
  rooms(options?: CallOptions): AsyncGenerator<Room, void, undefined> {
    return this.#list("/rooms", {}, options);
  }

  /** Creates a room. Fails with `already_exists` if the name is taken. */
  createRoom(room: { name: string; description?: string }, options?: CallOptions): Promise<Conversation> {
    return this.#write("POST", "/rooms", options, room);
  }

  /** Joins a room. */
  joinRoom(roomId: string, options?: CallOptions): Promise<Conversation> {
    return this.#write("POST", `/rooms/${encode(roomId)}/join`, options);
  }

  /** Leaves a room. */
  leaveRoom(roomId: string, options?: CallOptions): Promise<void> {
    return this.#write("POST", `/rooms/${encode(roomId)}/leave`, options);
  }

  /** Deletes a room. Creator only. */
  deleteRoom(roomId: string, options?: CallOptions): Promise<void> {
    return this.#write("DELETE", `/rooms/${encode(roomId)}`, options);
  }

  /** Iterates over the users in a room, online users first. */
  roomUsers(roomId: string, options?: CallOptions): AsyncGenerator<RoomUser, void, undefined> {
    return this.#list(`/rooms/${encode(roomId)}/users`, {}, options);
  }

  // Users

  /** Returns the signed-in user. */
  me(options?: CallOptions): Promise<OwnUser> {
    return this.#read("/users/me", options);
  }

  /** Updates the caller's profile; null removes the picture or custom data. */
  updateMe(
    change: { full_name?: string; avatar_url?: string | null; avatar_attachment_id?: string; custom?: Record<string, unknown> | null },
    options?: CallOptions,
  ): Promise<OwnUser> {
    return this.#write("PATCH", "/users/me", options, change);
  }

  /** Deletes the caller's account. Its messages stay, without a name. Fails with status 401 if the password is wrong. */
  deleteAccount(password: string, options?: CallOptions): Promise<void> {
    return this.#write("DELETE", "/users/me", { ...options, checksPassword: true }, { password });
  }

  /** Changes the caller's password and ends all other sessions. Fails with status 401 if the current one is wrong. */
  changePassword(current: string, next: string, options?: CallOptions): Promise<void> {
    const body = { current_password: current, new_password: next };
    return this.#write("POST", "/auth/change-password", { ...options, checksPassword: true }, body);
  }

  /** Returns a user's profile. */
  user(userId: string, options?: CallOptions): Promise<User> {
    return this.#read(`/users/${encode(userId)}`, options);
  }

  /** Searches users by a prefix of their username or of a word of their name. */
  users(q: string, query: { limit?: number } & CallOptions = {}): AsyncGenerator<User, void, undefined> {
    const { signal, ...rest } = query;
    return this.#list("/users", { q, ...rest }, { signal });
  }

  /** Blocks a user. */
  block(userId: string, options?: CallOptions): Promise<void> {
    return this.#write("POST", "/messages/block-user", options, { blocked_user_id: userId });
  }

  /** Unblocks a user. */
  unblock(userId: string, options?: CallOptions): Promise<void> {
    return this.#write("DELETE", `/messages/block-user/${encode(userId)}`, options);
  }

  /** Iterates over the users the caller has blocked. */
  blockedUsers(options?: CallOptions): AsyncGenerator<BlockedUser, void, undefined> {
    return this.#list("/messages/blocked-users", {}, options);
  }

  // Typing and presence

  /** Signals that the caller is typing, or has stopped. Expires after 6 s. */
  typing(conversationId: string, isTyping: boolean, options?: CallOptions): Promise<void> {
    const body = { conversation_id: conversationId, is_typing: isTyping };
    return this.#http.call("POST", "/api/typing", body, options);
  }

  /** Returns the presence of up to 100 users. */
  presence(userIds: readonly string[], options?: CallOptions): Promise<Presence[]> {
    return this.#read("/presence", options, { user_ids: userIds.join(",") });
  }

  /** Sets the caller's status and, if given, the conversation they are viewing. */
  setPresence(status: Status, conversationId?: string, options?: CallOptions): Promise<Presence> {
    const body = { status, ...(conversationId ? { current_conversation_id: conversationId } : {}) };
    return this.#http.call("PUT", "/api/presence", body, options);
  }

  // Sync

  /** Polls for events after a cursor. Without one, returns no events but a cursor to start from. */
  events(cursor: string | undefined, options?: CallOptions): Promise<Poll> {
    return this.#read("/events", options, { cursor, limit: 100 });
  }

  /** Returns a ticket that opens one socket within 30 s. */
  async ticket(options?: CallOptions): Promise<string> {
    return (await this.#http.call<{ ticket: string }>("POST", "/api/ws-ticket", undefined, options)).ticket;
  }

  async #write<T>(method: string, path: string, options?: RequestOptions, body?: unknown): Promise<T> {
    const data = await this.#http.call<T>(method, `/api${path}`, body, options);
    this.#onWrite();
    return data;
  }

  async #read<T>(path: string, options?: CallOptions, query?: Query): Promise<T> {
    return (await this.#page<T>(path, query, options)).data;
  }

  #page<T>(path: string, query?: Query, options?: CallOptions): Promise<Page<T>> {
    return this.#http.page("GET", `/api${path}`, query, options);
  }

  async *#list<T>(path: string, query: Query, options?: CallOptions): AsyncGenerator<T, void, undefined> {
    for await (const page of this.#pages<T[]>(path, query, options)) yield* page;
  }

  /** Yields the `data` of each page of a list. */
  async *#pages<T>(path: string, query: Query, options?: CallOptions): AsyncGenerator<T, void, undefined> {
    let cursor: string | undefined;
    do {
      const page = await this.#page<T>(path, { ...query, cursor }, options);
      yield page.data;
      cursor = page.next ?? undefined;
    } while (cursor);
  }
}

const encode = encodeURIComponent;
