// A small model of the server. Every response is computed from the full history, so that it cannot drift.

import type { Conversation, Message, Presence, SettingsChange, TidingsEvent } from "../src/types.js";

/** Number of events by which the inbox may lag. A new cursor starts at least as far back. */
const MAX_LAG = 6;

/** A member's own settings. */
type Settings = Pick<Conversation, "muted_until" | "notify" | "pinned_at" | "is_archived">;

const NO_SETTINGS: Settings = { muted_until: null, notify: "all", pinned_at: null, is_archived: false };

/** Maximum number of pinned conversations. */
const MAX_PINNED = 10;

interface Member {
  /** Whether the conversation is in the member's inbox or archive. */
  isVisible: boolean;
  settings: Settings;
  /** The message from which on the member has marked messages as unread, and nothing as read since. */
  unreadFrom: string | null;
  /** Messages up to this one are removed for the member. */
  cleared: string;
  watermark: string;
  hidden: Set<string>;
  activity: number;
}

interface Chat {
  id: string;
  name: string | null;
  nameVersion: number;
  people: string[];
  members: Map<string, Member>;
  messages: Message[];
  /** Advances of the readers' watermarks. */
  advances: { reader: string; upTo: string; at: string }[];
}

interface Queue {
  events: { event: TidingsEvent; isRemoved: boolean }[];
  /** Recent states of the inbox, each with the number of events before it. */
  inboxes: { after: number; rows: RankedRow[] }[];
}

/** A row and its sort key: a higher activity is more recent. */
export interface RankedRow {
  row: Conversation;
  activity: number;
}

/** An error response. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
  ) {
    super(code);
  }
}

/** Whether a message mentions a user. */
function mentionsUser({ sender_id, mention_all, mentions }: Message, user: string): boolean {
  return sender_id !== user && (mention_all || mentions.includes(user));
}

/** The state of a server with a fixed set of users. */
export class Model {
  readonly chats = new Map<string, Chat>();
  readonly queues = new Map<string, Queue>();
  /** Incremented to expire all cursors. */
  generation = 1;
  /** Called with every event, for delivery to sockets. */
  onPush: (user: string, event: TidingsEvent) => void = () => {};
  readonly presence = new Map<string, Presence>();
  #next = 1;

  constructor(readonly users: string[]) {
    for (const user of users) this.queues.set(user, { events: [], inboxes: [{ after: 0, rows: [] }] });
  }

  #nextId(): string {
    return String(this.#next++).padStart(9, "0");
  }

  queue(user: string): Queue {
    const queue = this.queues.get(user);
    if (!queue) throw new ApiError(401, "not_authenticated");
    return queue;
  }

  chat(id: string, user: string): { chat: Chat; member: Member } {
    const chat = this.chats.get(id);
    const member = chat?.members.get(user);
    if (!chat || !member) throw new ApiError(403, "not_a_participant");
    return { chat, member };
  }

  #emit(user: string, chat: Chat, type: TidingsEvent["type"], data: object): void {
    const event = {
      id: `e${this.#nextId()}`,
      type,
      conversation_id: chat.id,
      occurred_at: new Date().toISOString(),
      data: structuredClone(data),
    } as TidingsEvent;
    this.queue(user).events.push({ event, isRemoved: false });
    this.onPush(user, event);
  }

  /** Records the current inboxes. */
  #recordInboxes(): void {
    for (const [user, queue] of this.queues) {
      queue.inboxes.push({ after: queue.events.length, rows: this.rankedRows(user) });
      while (queue.inboxes.length > 30) queue.inboxes.shift();
    }
  }

  // Queries

  message(chat: Chat, message: Message, viewer: string): Message {
    const direct = chat.name === null;
    const advance = chat.advances
      .filter(({ reader, upTo }) => reader !== message.sender_id && upTo >= message.id)
      .sort((a, b) => (a.upTo < b.upTo ? -1 : 1))[0];
    const isRead = direct && advance !== undefined;
    return {
      ...message,
      reactions: message.reactions.map((reaction) => ({ ...reaction, me: reaction.user_ids.includes(viewer) })),
      client_message_id: viewer === message.sender_id ? message.client_message_id : null,
      read: isRead,
      read_at: isRead ? advance.at : null,
      read_count: isRead ? 1 : 0,
    };
  }

  messages(id: string, user: string): Message[] {
    const { chat, member } = this.chat(id, user);
    const isShown = (m: Message) => m.id > member.cleared && !member.hidden.has(m.id);
    return chat.messages.filter(isShown).map((m) => this.message(chat, m, user));
  }

  /** The unread messages of others, oldest first. */
  unread(id: string, user: string): Message[] {
    const { chat, member } = this.chat(id, user);
    const isAfter = (m: Message) => m.id > member.watermark || (member.unreadFrom !== null && m.id >= member.unreadFrom);
    const isUnread = (m: Message) =>
      m.sender_id !== user && isAfter(m) && m.id > member.cleared && !m.is_deleted && !member.hidden.has(m.id);
    return chat.messages.filter(isUnread);
  }

  row(id: string, user: string): Conversation {
    const { chat, member } = this.chat(id, user);
    const other = chat.name === null ? (chat.people.find((p) => p !== user) ?? null) : null;
    const last = this.messages(id, user).at(-1);
    const unread = this.unread(id, user);
    const mentions = unread.filter((message) => mentionsUser(message, user));
    return {
      conversation_id: id,
      type: chat.name === null ? "direct" : "group",
      name: chat.name,
      other_user_id: other,
      other_user_name: other ?? chat.name ?? "",
      photo_url: null,
      last_message: last ? last.message_text.slice(0, 100) || (last.attachments[0]?.file_name ?? "") : null,
      last_message_kind: last ? (last.is_deleted ? "deleted" : (last.attachments[0]?.kind ?? "text")) : null,
      last_message_id: last?.id ?? null,
      last_message_at: last?.sent_at ?? null,
      last_message_from_me: last?.sender_id === user,
      unread_count: unread.length,
      counted_to: chat.messages.at(-1)?.id ?? null,
      last_read_message_id: member.watermark || null,
      participant_count: chat.people.length,
      is_admin: false,
      mention_count: mentions.length,
      first_mention_id: mentions[0]?.id ?? null,
      marked_unread: member.unreadFrom !== null,
      ...member.settings,
    };
  }

  /** The rows of the inbox, pinned ones first, and then those of the archive. */
  rankedRows(user: string): RankedRow[] {
    const rows = [...this.chats.values()].flatMap((chat) => {
      const member = chat.members.get(user);
      if (!member?.isVisible) return [];
      const { pinned_at } = member.settings;
      const activity = pinned_at === null ? member.activity : 1e15 - Date.parse(pinned_at);
      return [{ activity, row: this.row(chat.id, user) }];
    });
    return rows.sort((a, b) => b.activity - a.activity);
  }

  inbox(user: string): Conversation[] {
    return this.rankedRows(user).map(({ row }) => row).filter((row) => !row.is_archived);
  }

  archive(user: string): Conversation[] {
    return this.rankedRows(user).map(({ row }) => row).filter((row) => row.is_archived);
  }

  /** Returns a recent state of the inbox, as an eventually consistent index may. */
  laggingInbox(user: string, random: () => number): RankedRow[] {
    const queue = this.queue(user);
    const recent = queue.inboxes.filter(({ after }) => after >= queue.events.length - MAX_LAG);
    return structuredClone(recent[Math.floor(random() * recent.length)]?.rows ?? this.rankedRows(user));
  }

  /** Position of a new cursor: 15 s back, and far enough to cover a lagging inbox. */
  #startOf(queue: Queue): number {
    const since = new Date(Date.now() - 15_000).toISOString();
    const recent = queue.events.findIndex(({ event }) => event.occurred_at > since);
    const back = Math.max(0, queue.events.length - MAX_LAG);
    return recent < 0 ? back : Math.min(recent, back);
  }

  poll(user: string, cursor: string | null, limit: number): { events: TidingsEvent[]; cursor: string; has_more: boolean } {
    const queue = this.queue(user);
    const cursorAt = (at: number) => `${user}.${this.generation}.${at}`;
    if (!cursor) return { events: [], cursor: cursorAt(this.#startOf(queue)), has_more: false };
    const [owner, generation, at] = cursor.split(".");
    if (owner !== user) throw new ApiError(400, "invalid_request");
    if (Number(generation) !== this.generation) throw new ApiError(410, "cursor_expired");
    const end = Math.min(Number(at) + limit, queue.events.length);
    const events = queue.events.slice(Number(at), end).filter(({ isRemoved }) => !isRemoved);
    return { events: events.map(({ event }) => event), cursor: cursorAt(end), has_more: end < queue.events.length };
  }

  // Actions

  direct(one: string, other: string): Chat {
    const people = [one, other].sort();
    const id = `direct-${people.join("-")}`;
    let chat = this.chats.get(id);
    if (!chat) this.chats.set(id, (chat = this.#newChat(id, null, people, false)));
    return chat;
  }

  #newChat(id: string, name: string | null, people: string[], isVisible: boolean): Chat {
    const members = new Map(people.map((user) => [user, this.#newMember(isVisible, "")]));
    return { id, name, nameVersion: 1, people: [...people], members, messages: [], advances: [] };
  }

  #newMember(isVisible: boolean, cleared: string): Member {
    const hidden = new Set<string>();
    return { isVisible, settings: NO_SETTINGS, unreadFrom: null, cleared, watermark: "", hidden, activity: this.#next };
  }

  group(name: string, people: string[]): Chat {
    const chat = this.#newChat(`group-${this.#nextId()}`, name, people, true);
    this.chats.set(chat.id, chat);
    for (const user of people) this.#emit(user, chat, "conversation.created", { conversation: this.row(chat.id, user) });
    this.#recordInboxes();
    return chat;
  }

  send(from: string, id: string, text: string, more: Partial<Message> = {}): { message: Message; isNew: boolean } {
    const { chat } = this.chat(id, from);
    const key = more.client_message_id ?? null;
    const before = key === null ? undefined : chat.messages.find((m) => m.sender_id === from && m.client_message_id === key);
    if (before) return { message: this.message(chat, before, from), isNew: false };
    const message: Message = {
      id: `${id}.${this.#nextId()}`,
      conversation_id: id,
      sender_id: from,
      recipient_id: chat.name === null ? (chat.people.find((p) => p !== from) ?? null) : null,
      message_text: text,
      attachment_url: null,
      attachment_type: null,
      attachments: [],
      reply_to: null,
      client_message_id: null,
      sent_at: new Date().toISOString(),
      is_edited: false,
      edited_at: null,
      is_deleted: false,
      deleted_at: null,
      read: false,
      read_at: null,
      read_count: 0,
      version: 1,
      reactions: [],
      mentions: [],
      mention_all: false,
      is_forwarded: false,
      pinned_at: null,
      custom: null,
      ...more,
    };
    chat.messages.push(message);
    for (const user of chat.people) {
      const member = this.chat(id, user).member;
      member.activity = this.#next;
      const isMuted = member.settings.muted_until === "always" || Date.parse(member.settings.muted_until ?? "") > Date.now();
      if (!member.isVisible || (member.settings.is_archived && !isMuted)) {
        member.isVisible = true;
        member.settings = { ...member.settings, is_archived: false };
        this.#emit(user, chat, "conversation.created", { conversation: this.row(id, user) });
      }
      this.#emit(user, chat, "message.created", { message: this.message(chat, message, user) });
    }
    this.#recordInboxes();
    return { message: this.message(chat, message, from), isNew: true };
  }

  find(messageId: string, user: string): { chat: Chat; message: Message } {
    const { chat, member } = this.chat(messageId.split(".")[0] ?? "", user);
    const message = chat.messages.find((m) => m.id === messageId);
    if (!message || message.id <= member.cleared || member.hidden.has(messageId)) throw new ApiError(404, "not_found");
    return { chat, message };
  }

  /** Members who can see a message, and so receive its events. */
  #viewers(chat: Chat, message: Message): string[] {
    const isSeen = ({ cleared, hidden }: Member) => cleared < message.id && !hidden.has(message.id);
    return [...chat.members].filter(([, member]) => isSeen(member)).map(([user]) => user);
  }

  edit(user: string, messageId: string, text: string, more: Partial<Message> = {}): Message {
    const { chat, message } = this.find(messageId, user);
    if (message.sender_id !== user) throw new ApiError(403, "not_the_sender");
    if (message.is_deleted) throw new ApiError(409, "conflict");
    const at = new Date().toISOString();
    const before = { ...message };
    Object.assign(message, { message_text: text, version: message.version + 1, is_edited: true, edited_at: at }, more);
    for (const other of this.#viewers(chat, message)) {
      const counts = mentionsUser(before, other) === mentionsUser(message, other) ? {} : this.#counts(chat.id, other);
      this.#emit(other, chat, "message.updated", { message: this.message(chat, message, other), ...counts });
    }
    this.#recordInboxes();
    return this.message(chat, message, user);
  }

  /** Changes a message without an edit, and tells everyone who can see it. */
  #mark(user: string, messageId: string, change: (message: Message) => Partial<Message> | undefined): Message {
    const { chat, message } = this.find(messageId, user);
    if (message.is_deleted) throw new ApiError(404, "not_found");
    const changed = change(message);
    if (changed) {
      Object.assign(message, changed, { version: message.version + 1 });
      for (const other of this.#viewers(chat, message)) {
        this.#emit(other, chat, "message.updated", { message: this.message(chat, message, other) });
      }
      this.#recordInboxes();
    }
    return this.message(chat, message, user);
  }

  react(user: string, messageId: string, emoji: string, isOn: boolean): Message {
    return this.#mark(user, messageId, ({ reactions }) => {
      const known = reactions.find((reaction) => reaction.emoji === emoji);
      if ((known?.user_ids.includes(user) ?? false) === isOn) return undefined;
      const others = known?.user_ids.filter((id) => id !== user) ?? [];
      const user_ids = isOn ? [...others, user] : others;
      const after = { emoji, me: false, user_ids, count: user_ids.length };
      const all = known ? reactions.map((one) => (one === known ? after : one)) : [...reactions, after];
      return { reactions: all.filter(({ count }) => count > 0) };
    });
  }

  pin(user: string, messageId: string, isOn: boolean): Message {
    return this.#mark(user, messageId, ({ pinned_at }) => {
      return (pinned_at !== null) === isOn ? undefined : { pinned_at: isOn ? new Date().toISOString() : null };
    });
  }

  /** The pinned messages, the latest pin first. */
  pins(id: string, user: string): Message[] {
    const pinned = this.messages(id, user).filter((message) => message.pinned_at !== null);
    return pinned.sort((one, other) => ((one.pinned_at ?? "") < (other.pinned_at ?? "") ? 1 : -1));
  }

  #counts(id: string, user: string) {
    const { unread_count, counted_to, last_read_message_id, mention_count, first_mention_id } = this.row(id, user);
    return { unread_count, counted_to, last_read_message_id, mention_count, first_mention_id };
  }

  delete(user: string, messageId: string): Message {
    const { chat, message } = this.find(messageId, user);
    if (message.sender_id !== user) throw new ApiError(403, "not_the_sender");
    if (message.is_deleted) return this.message(chat, message, user);
    const at = new Date().toISOString();
    const without = { message_text: "", mentions: [], mention_all: false, reactions: [], pinned_at: null };
    Object.assign(message, { ...without, version: message.version + 1, is_deleted: true, deleted_at: at });
    for (const other of this.#viewers(chat, message)) {
      // Events that contain the text are removed from the queues.
      for (const queued of this.queue(other).events) {
        const { data } = queued.event as { data: { message?: Message } };
        if (data.message?.id === messageId) queued.isRemoved = true;
      }
      const data = { message: this.message(chat, message, other), scope: "everyone", ...this.#counts(chat.id, other) };
      this.#emit(other, chat, "message.deleted", data);
    }
    this.#recordInboxes();
    return this.message(chat, message, user);
  }

  /** Restores a deleted message, as an operator may. */
  restore(messageId: string, text: string, more: Partial<Message> = {}): void {
    const chat = this.chats.get(messageId.split(".")[0] ?? "");
    const message = chat?.messages.find((m) => m.id === messageId);
    if (!chat || !message?.is_deleted) return;
    Object.assign(message, { message_text: text, version: message.version + 1, is_deleted: false, deleted_at: null }, more);
    for (const other of this.#viewers(chat, message)) {
      const data = { message: this.message(chat, message, other), ...this.#counts(chat.id, other) };
      this.#emit(other, chat, "message.updated", data);
    }
    this.#recordInboxes();
  }

  hide(user: string, messageId: string): void {
    const { chat, message } = this.find(messageId, user);
    this.chat(chat.id, user).member.hidden.add(messageId);
    const data = { message: this.message(chat, message, user), scope: "me", ...this.#counts(chat.id, user) };
    this.#emit(user, chat, "message.deleted", data);
    this.#recordInboxes();
  }

  read(user: string, messageId: string): Conversation {
    const { chat } = this.find(messageId, user);
    const { member } = this.chat(chat.id, user);
    const hasMoved = messageId > member.watermark;
    if (!hasMoved && member.unreadFrom === null) return this.row(chat.id, user);
    member.unreadFrom = null;
    const read_at = new Date().toISOString();
    if (hasMoved) {
      member.watermark = messageId;
      chat.advances.push({ reader: user, upTo: messageId, at: read_at });
      for (const other of chat.people.filter((other) => other !== user)) {
        this.#emit(other, chat, "message.read", { user_id: user, message_id: messageId, read_at });
      }
    }
    this.#emitOwnRead(user, chat, false);
    this.#recordInboxes();
    return this.row(chat.id, user);
  }

  markUnread(user: string, messageId: string): Conversation {
    const { chat } = this.find(messageId, user);
    this.chat(chat.id, user).member.unreadFrom = messageId;
    this.#emitOwnRead(user, chat, true);
    this.#recordInboxes();
    return this.row(chat.id, user);
  }

  /** Tells the user's own devices the watermark and the count. */
  #emitOwnRead(user: string, chat: Chat, marked_unread: boolean): void {
    const { last_read_message_id: message_id, ...counts } = this.#counts(chat.id, user);
    const read_at = new Date().toISOString();
    this.#emit(user, chat, "message.read", { user_id: user, message_id, read_at, ...counts, marked_unread });
  }

  set(user: string, id: string, change: SettingsChange): Conversation {
    const { chat, member } = this.chat(id, user);
    if (!member.isVisible) throw new ApiError(403, "not_a_participant");
    const { pinned, archived, ...fields } = change;
    const after = { ...member.settings, ...fields };
    if (pinned === true && after.pinned_at === null) {
      const count = this.inbox(user).filter((row) => row.pinned_at !== null).length;
      if (count >= MAX_PINNED) throw new ApiError(409, "conflict");
      // No two of them are the same.
      after.pinned_at = new Date(Date.UTC(2026, 0, 1) + this.#next).toISOString();
    }
    if (pinned === true) after.is_archived = false;
    if (archived !== undefined) after.is_archived = archived;
    if (pinned === false || archived === true) after.pinned_at = null;
    if (JSON.stringify(after) === JSON.stringify(member.settings)) return this.row(id, user);
    member.settings = after;
    const { pinned_at, is_archived } = after;
    const places = pinned === undefined && archived === undefined ? {} : { pinned_at, is_archived };
    this.#emit(user, chat, "conversation.updated", { mine: { ...fields, ...places }, version: this.#next });
    this.#recordInboxes();
    return this.row(id, user);
  }

  deleteConversation(user: string, id: string): void {
    const { chat, member } = this.chat(id, user);
    if (!member.isVisible) return;
    member.isVisible = false;
    member.settings = NO_SETTINGS;
    member.cleared = chat.messages.at(-1)?.id ?? "";
    this.#emit(user, chat, "conversation.deleted", {});
    this.#recordInboxes();
  }

  rename(id: string, name: string): void {
    const chat = this.chats.get(id);
    if (!chat) return;
    chat.name = name;
    chat.nameVersion += 1;
    const change = { name, other_user_name: name, version: chat.nameVersion };
    for (const user of chat.people) this.#emit(user, chat, "conversation.updated", change);
    this.#recordInboxes();
  }

  leave(user: string, id: string): void {
    const { chat } = this.chat(id, user);
    const staying = chat.people.filter((other) => other !== user);
    chat.people = staying;
    chat.members.delete(user);
    chat.nameVersion += 1;
    this.#emit(user, chat, "participant.left", { user_id: user, by: user });
    this.#emit(user, chat, "conversation.deleted", {});
    for (const other of staying) {
      this.#emit(other, chat, "participant.left", { user_id: user, by: user });
      const change = { participant_count: staying.length, version: chat.nameVersion };
      this.#emit(other, chat, "conversation.updated", change);
    }
    this.#recordInboxes();
  }

  join(user: string, id: string): void {
    const chat = this.chats.get(id);
    if (!chat || chat.people.includes(user)) return;
    const cleared = chat.messages.at(-1)?.id ?? "";
    chat.people.push(user);
    chat.members.set(user, this.#newMember(true, cleared));
    chat.nameVersion += 1;
    this.#emit(user, chat, "conversation.created", { conversation: this.row(id, user) });
    for (const other of chat.people.filter((other) => other !== user)) {
      this.#emit(other, chat, "participant.joined", { user_id: user, by: user });
      const change = { participant_count: chat.people.length, version: chat.nameVersion };
      this.#emit(other, chat, "conversation.updated", change);
    }
    this.#recordInboxes();
  }

  typing(user: string, id: string, is_typing: boolean): void {
    const { chat } = this.chat(id, user);
    const expires_at = new Date(Date.now() + 6_000).toISOString();
    for (const other of chat.people.filter((other) => other !== user)) {
      this.#emit(other, chat, "typing", { user_id: user, is_typing, expires_at });
    }
  }
}
