// Every call of the API, typed; nothing is remembered here.

import type { CallOptions, Http, Page, Query } from "./http.js";
import type {
  BlockedUser,
  Conversation,
  ConversationDetails,
  Draft,
  Hit,
  Message,
  OwnUser,
  Participant,
  Poll,
  Presence,
  Receipt,
  Room,
  RoomUser,
  Status,
  UnreadTotal,
  User,
  Watermark,
} from "./types.js";

/** Which messages of a conversation, and from where on. */
export interface HistoryQuery extends CallOptions {
  /** Older than this message. */
  before?: string;
  /** Newer than this message: then in ascending order. */
  after?: string;
  /** Messages per call, 1-100. */
  limit?: number;
}

/** Which messages to search. */
export interface SearchQuery extends CallOptions {
  conversation_id?: string;
  /** Only this user's. */
  from?: string;
  /** Times (RFC 3339). */
  before?: string;
  after?: string;
  limit?: number;
}

/** The API, call by call. All of them throw `TidingsError`. */
export class Api {
  readonly #http: Http;
  /** Called once something of the caller's has been written. */
  readonly #written: () => void;

  constructor(http: Http, written: () => void = () => {}) {
    this.#http = http;
    this.#written = written;
  }

  // Messages

  /** Sends a message. Again with the same `client_message_id` within 24 h: the same message. */
  send(draft: Draft, options?: CallOptions): Promise<Message> {
    return this.#write("POST", "/messages/send", draft, options);
  }

  /** Changes the text of one's own message. */
  edit(messageId: string, text: string, options?: CallOptions): Promise<Message> {
    return this.#write("PATCH", `/messages/${at(messageId)}`, { message_text: text }, options);
  }

  /** Deletes a message for everyone, or hides it from oneself; null then. */
  delete(messageId: string, scope: "everyone" | "me" = "everyone", options?: CallOptions): Promise<Message | null> {
    return this.#write("DELETE", `/messages/${at(messageId)}?scope=${scope}`, undefined, options);
  }

  /** Moves the read watermark to a message; never back. */
  markAsRead(messageId: string, options?: CallOptions): Promise<Watermark> {
    return this.#write("PUT", `/messages/mark-as-read/${at(messageId)}`, undefined, options);
  }

  /** Marks all of a conversation read. */
  markAllAsRead(conversationId: string, options?: CallOptions): Promise<Watermark> {
    return this.#write("PUT", `/conversations/${at(conversationId)}/read`, undefined, options);
  }

  /** Who has read a message, and when. */
  receipts(messageId: string, options?: CallOptions): Promise<Receipt[]> {
    return this.#read(`/messages/${at(messageId)}/receipts`, undefined, options);
  }

  /** Unread messages in all. */
  unreadCount(options?: CallOptions): Promise<UnreadTotal> {
    return this.#read("/messages/unread-count", undefined, options);
  }

  /** A page of messages in ascending order; it goes on towards older ones or, with `after`, newer ones. */
  messages(
    conversationId: string,
    query: { before?: string; after?: string; limit?: number; cursor?: string; offset?: number } = {},
    options?: CallOptions,
  ): Promise<Page<Message[]>> {
    return this.#page(`/conversations/${at(conversationId)}/messages`, query, options);
  }

  /** The messages of a conversation, newest first; with `after`, oldest first. */
  async *history(conversationId: string, query: HistoryQuery = {}): AsyncGenerator<Message, void, undefined> {
    const { signal, ...rest } = query;
    let cursor: string | undefined;
    do {
      const page = await this.messages(conversationId, { ...rest, ...(cursor ? { cursor } : {}) }, { signal });
      yield* query.after === undefined ? page.data.reverse() : page.data;
      cursor = page.next ?? undefined;
    } while (cursor);
  }

  /** A page of the inbox, latest activity first. */
  inboxPage(query: { limit?: number; cursor?: string } = {}, options?: CallOptions): Promise<Page<Conversation[]>> {
    return this.#page("/messages/inbox", query, options);
  }

  /** All conversations, latest activity first. */
  inbox(options?: CallOptions): AsyncGenerator<Conversation, void, undefined> {
    return this.#list("/messages/inbox", {}, options);
  }

  /** Messages that hold words and `"phrases"`, newest first. */
  search(q: string, query: SearchQuery = {}): AsyncGenerator<Hit, void, undefined> {
    const { signal, ...rest } = query;
    return this.#list("/messages/search", { q, ...rest }, { signal });
  }

  // Conversations, groups and rooms

  /** Opens the direct conversation with a user. */
  openDirect(userId: string, options?: CallOptions): Promise<Conversation> {
    return this.#write("POST", "/conversations", { type: "direct", participant_ids: [userId] }, options);
  }

  /** Makes a group. Again with the same `client_conversation_id`: the same group. */
  createGroup(
    group: { name: string; participant_ids: string[]; client_conversation_id?: string },
    options?: CallOptions,
  ): Promise<Conversation> {
    return this.#write("POST", "/conversations", { type: "group", ...group }, options);
  }

  /** A conversation with the first 100 of its participants. */
  conversation(conversationId: string, options?: CallOptions): Promise<ConversationDetails> {
    return this.#read(`/conversations/${at(conversationId)}`, undefined, options);
  }

  /** All participants of a conversation. */
  async *participants(
    conversationId: string,
    options?: CallOptions,
  ): AsyncGenerator<Participant, void, undefined> {
    let cursor: string | undefined;
    do {
      const path = `/conversations/${at(conversationId)}`;
      const page = await this.#page<ConversationDetails>(path, { cursor }, options);
      yield* page.data.participants;
      cursor = page.next ?? undefined;
    } while (cursor);
  }

  /** Changes a group or room; null takes a description or photo away. For admins. */
  updateConversation(
    conversationId: string,
    change: { name?: string; description?: string | null; photo_url?: string | null },
    options?: CallOptions,
  ): Promise<Conversation> {
    return this.#write("PATCH", `/conversations/${at(conversationId)}`, change, options);
  }

  /** Adds participants. For admins of groups. */
  addParticipants(conversationId: string, userIds: string[], options?: CallOptions): Promise<Conversation> {
    return this.#write("POST", `/conversations/${at(conversationId)}/participants`, { user_ids: userIds }, options);
  }

  /** Removes a participant; oneself to leave. */
  removeParticipant(conversationId: string, userId: string, options?: CallOptions): Promise<void> {
    return this.#write("DELETE", `/conversations/${at(conversationId)}/participants/${at(userId)}`, undefined, options);
  }

  /** Makes a participant an admin, or no longer one. */
  setAdmin(conversationId: string, userId: string, isAdmin: boolean, options?: CallOptions): Promise<void> {
    const path = `/conversations/${at(conversationId)}/participants/${at(userId)}`;
    return this.#write("PATCH", path, { is_admin: isAdmin }, options);
  }

  /** Removes a conversation from one's own inbox, with its history up to now. */
  deleteConversation(conversationId: string, options?: CallOptions): Promise<void> {
    return this.#write("DELETE", `/messages/conversation/${at(conversationId)}`, undefined, options);
  }

  /** All rooms, by name. */
  rooms(options?: CallOptions): AsyncGenerator<Room, void, undefined> {
    return this.#list("/rooms", {}, options);
  }

  /** Makes a room; `already_exists` where the name is taken. */
  createRoom(room: { name: string; description?: string }, options?: CallOptions): Promise<Conversation> {
    return this.#write("POST", "/rooms", room, options);
  }

  /** Joins a room. */
  joinRoom(roomId: string, options?: CallOptions): Promise<Conversation> {
    return this.#write("POST", `/rooms/${at(roomId)}/join`, undefined, options);
  }

  /** Leaves a room. */
  leaveRoom(roomId: string, options?: CallOptions): Promise<void> {
    return this.#write("POST", `/rooms/${at(roomId)}/leave`, undefined, options);
  }

  /** Deletes a room; for its creator. */
  deleteRoom(roomId: string, options?: CallOptions): Promise<void> {
    return this.#write("DELETE", `/rooms/${at(roomId)}`, undefined, options);
  }

  /** Who is in a room, those online first. */
  roomUsers(roomId: string, options?: CallOptions): AsyncGenerator<RoomUser, void, undefined> {
    return this.#list(`/rooms/${at(roomId)}/users`, {}, options);
  }

  // People

  /** Oneself. */
  me(options?: CallOptions): Promise<OwnUser> {
    return this.#read("/users/me", undefined, options);
  }

  /** Changes one's own profile; a null picture is taken away. */
  updateMe(
    change: { full_name?: string; avatar_url?: string | null },
    options?: CallOptions,
  ): Promise<OwnUser> {
    return this.#write("PATCH", "/users/me", change, options);
  }

  /** Ends the account; its messages stay, without a name. */
  deleteAccount(password: string, options?: CallOptions): Promise<void> {
    return this.#write("DELETE", "/users/me", { password }, options);
  }

  /** Changes the password, and ends all other sessions. */
  changePassword(current: string, next: string, options?: CallOptions): Promise<void> {
    const body = { current_password: current, new_password: next };
    return this.#write("POST", "/auth/change-password", body, options);
  }

  /** Someone. */
  user(userId: string, options?: CallOptions): Promise<User> {
    return this.#read(`/users/${at(userId)}`, undefined, options);
  }

  /** People by the start of their username or of a word of their name. */
  users(q: string, query: { limit?: number } & CallOptions = {}): AsyncGenerator<User, void, undefined> {
    const { signal, ...rest } = query;
    return this.#list("/users", { q, ...rest }, { signal });
  }

  /** Blocks someone. */
  block(userId: string, options?: CallOptions): Promise<void> {
    return this.#write("POST", "/messages/block-user", { blocked_user_id: userId }, options);
  }

  /** Takes a block away. */
  unblock(userId: string, options?: CallOptions): Promise<void> {
    return this.#write("DELETE", `/messages/block-user/${at(userId)}`, undefined, options);
  }

  /** Whom one has blocked. */
  blockedUsers(options?: CallOptions): AsyncGenerator<BlockedUser, void, undefined> {
    return this.#list("/messages/blocked-users", {}, options);
  }

  // What passes

  /** Tells that one types, or has stopped; ends by itself after 6 s. */
  typing(conversationId: string, isTyping: boolean, options?: CallOptions): Promise<void> {
    const body = { conversation_id: conversationId, is_typing: isTyping };
    return this.#http.call("POST", "/api/typing", body, options);
  }

  /** What some people show; up to 100. */
  presence(userIds: readonly string[], options?: CallOptions): Promise<Presence[]> {
    return this.#read("/presence", { user_ids: userIds.join(",") }, options);
  }

  /** What oneself shows, and in which conversation. */
  setPresence(status: Status, conversationId?: string, options?: CallOptions): Promise<Presence> {
    const body = { status, ...(conversationId ? { current_conversation_id: conversationId } : {}) };
    return this.#http.call("PUT", "/api/presence", body, options);
  }

  // Sync

  /** Events after a cursor; without one, a cursor to begin with. */
  events(cursor: string | undefined, options?: CallOptions): Promise<Poll> {
    return this.#read("/events", { cursor, limit: 100 }, options);
  }

  /** A ticket that opens one socket within 30 s. */
  async ticket(options?: CallOptions): Promise<string> {
    return (await this.#http.call<{ ticket: string }>("POST", "/api/ws-ticket", undefined, options)).ticket;
  }

  async #write<T>(method: string, path: string, body: unknown, options?: CallOptions): Promise<T> {
    const data = await this.#http.call<T>(method, `/api${path}`, body, options);
    this.#written();
    return data;
  }

  async #read<T>(path: string, query?: Query, options?: CallOptions): Promise<T> {
    return (await this.#page<T>(path, query, options)).data;
  }

  #page<T>(path: string, query?: Query, options?: CallOptions): Promise<Page<T>> {
    return this.#http.page("GET", `/api${path}`, query, options);
  }

  async *#list<T>(path: string, query: Query, options?: CallOptions): AsyncGenerator<T, void, undefined> {
    let cursor: string | undefined;
    do {
      const page = await this.#page<T[]>(path, { ...query, cursor }, options);
      yield* page.data;
      cursor = page.next ?? undefined;
    } while (cursor);
  }
}

function at(id: string): string {
  return encodeURIComponent(id);
}
