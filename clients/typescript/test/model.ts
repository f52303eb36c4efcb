// A small server that holds the truth: what it answers is computed from it each time, so it cannot drift.

import type { Conversation, Message, Presence, TidingsEvent } from "../src/types.js";

/** How many events a new cursor stands back, and how many an inbox may lag by. */
const BACK = 6;

interface Member {
  isVisible: boolean;
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
  /** Who has read how far, and when. */
  moves: { reader: string; upTo: string; at: string }[];
}

interface Queue {
  events: { event: TidingsEvent; isGone: boolean }[];
  /** What the inbox was after so many events. */
  inboxes: { after: number; rows: Placed[] }[];
}

/** A row, and where it stands: the higher, the later its activity. */
export interface Placed {
  row: Conversation;
  activity: number;
}

/** A refusal, as an answer. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
  ) {
    super(code);
  }
}

/** The truth about some users who all know each other. */
export class Model {
  readonly chats = new Map<string, Chat>();
  readonly queues = new Map<string, Queue>();
  /** Raised by whatever makes older cursors expire. */
  generation = 1;
  /** What is given to sockets. */
  pushed: (user: string, event: TidingsEvent) => void = () => {};
  readonly presence = new Map<string, Presence>();
  #next = 1;

  constructor(readonly users: string[]) {
    for (const user of users) this.queues.set(user, { events: [], inboxes: [{ after: 0, rows: [] }] });
  }

  #stamp(): string {
    return String(this.#next++).padStart(9, "0");
  }

  queue(user: string): Queue {
    const queue = this.queues.get(user);
    if (!queue) throw new Refused(401, "not_authenticated");
    return queue;
  }

  chat(id: string, user: string): { chat: Chat; member: Member } {
    const chat = this.chats.get(id);
    const member = chat?.members.get(user);
    if (!chat || !member) throw new Refused(403, "not_a_participant");
    return { chat, member };
  }

  #tell(user: string, chat: Chat, type: TidingsEvent["type"], data: object): void {
    const event = {
      id: `e${this.#stamp()}`,
      type,
      conversation_id: chat.id,
      occurred_at: new Date().toISOString(),
      data: structuredClone(data),
    } as TidingsEvent;
    this.queue(user).events.push({ event, isGone: false });
    this.pushed(user, event);
  }

  /** Notes what the inboxes are now. */
  #settle(): void {
    for (const [user, queue] of this.queues) {
      queue.inboxes.push({ after: queue.events.length, rows: this.placed(user) });
      while (queue.inboxes.length > 30) queue.inboxes.shift();
    }
  }

  // What there is

  message(chat: Chat, message: Message, viewer: string): Message {
    const direct = chat.name === null;
    const move = chat.moves
      .filter(({ reader, upTo }) => reader !== message.sender_id && upTo >= message.id)
      .sort((a, b) => (a.upTo < b.upTo ? -1 : 1))[0];
    const isRead = direct && move !== undefined;
    return {
      ...message,
      client_message_id: viewer === message.sender_id ? message.client_message_id : null,
      read: isRead,
      read_at: isRead ? move.at : null,
      read_count: isRead ? 1 : 0,
    };
  }

  messages(id: string, user: string): Message[] {
    const { chat, member } = this.chat(id, user);
    const isShown = (m: Message) => m.id > member.cleared && !member.hidden.has(m.id);
    return chat.messages.filter(isShown).map((m) => this.message(chat, m, user));
  }

  unread(id: string, user: string): number {
    const { chat, member } = this.chat(id, user);
    const isUnread = (m: Message) =>
      m.sender_id !== user && m.id > member.watermark && m.id > member.cleared && !m.is_deleted && !member.hidden.has(m.id);
    return chat.messages.filter(isUnread).length;
  }

  row(id: string, user: string): Conversation {
    const { chat, member } = this.chat(id, user);
    const other = chat.name === null ? (chat.people.find((p) => p !== user) ?? null) : null;
    const last = this.messages(id, user).at(-1);
    return {
      conversation_id: id,
      type: chat.name === null ? "direct" : "group",
      name: chat.name,
      other_user_id: other,
      other_user_name: other,
      photo_url: null,
      last_message: last ? last.message_text.slice(0, 100) : null,
      last_message_id: last?.id ?? null,
      last_message_at: last?.sent_at ?? null,
      last_message_from_me: last?.sender_id === user,
      unread_count: this.unread(id, user),
      counted_to: chat.messages.at(-1)?.id ?? null,
      last_read_message_id: member.watermark || null,
      participant_count: chat.people.length,
      is_admin: false,
    };
  }

  placed(user: string): Placed[] {
    const rows = [...this.chats.values()].flatMap((chat) => {
      const member = chat.members.get(user);
      return member?.isVisible ? [{ activity: member.activity, row: this.row(chat.id, user) }] : [];
    });
    return rows.sort((a, b) => b.activity - a.activity);
  }

  inbox(user: string): Conversation[] {
    return this.placed(user).map(({ row }) => row);
  }

  /** The inbox as an index that lags may show it: at most as far behind as a new cursor stands. */
  laggingInbox(user: string, random: () => number): Placed[] {
    const queue = this.queue(user);
    const recent = queue.inboxes.filter(({ after }) => after >= queue.events.length - BACK);
    return structuredClone(recent[Math.floor(random() * recent.length)]?.rows ?? this.placed(user));
  }

  /** Where a new cursor stands: 15 s back, and far enough for an inbox that lags. */
  #back(queue: Queue): number {
    const since = new Date(Date.now() - 15_000).toISOString();
    const recent = queue.events.findIndex(({ event }) => event.occurred_at > since);
    const back = Math.max(0, queue.events.length - BACK);
    return recent < 0 ? back : Math.min(recent, back);
  }

  poll(user: string, cursor: string | null, limit: number): { events: TidingsEvent[]; cursor: string; has_more: boolean } {
    const queue = this.queue(user);
    const name = (at: number) => `${user}.${this.generation}.${at}`;
    if (!cursor) return { events: [], cursor: name(this.#back(queue)), has_more: false };
    const [owner, generation, at] = cursor.split(".");
    if (owner !== user) throw new Refused(400, "invalid_request");
    if (Number(generation) !== this.generation) throw new Refused(410, "cursor_expired");
    const end = Math.min(Number(at) + limit, queue.events.length);
    const events = queue.events.slice(Number(at), end).filter(({ isGone }) => !isGone);
    return { events: events.map(({ event }) => event), cursor: name(end), has_more: end < queue.events.length };
  }

  // What happens

  direct(one: string, other: string): Chat {
    const people = [one, other].sort();
    const id = `direct-${people.join("-")}`;
    let chat = this.chats.get(id);
    if (!chat) this.chats.set(id, (chat = this.#made(id, null, people, false)));
    return chat;
  }

  #made(id: string, name: string | null, people: string[], isVisible: boolean): Chat {
    const member = () => ({ isVisible, cleared: "", watermark: "", hidden: new Set<string>(), activity: this.#next });
    const members = new Map(people.map((user) => [user, member()]));
    return { id, name, nameVersion: 1, people: [...people], members, messages: [], moves: [] };
  }

  group(name: string, people: string[]): Chat {
    const chat = this.#made(`group-${this.#stamp()}`, name, people, true);
    this.chats.set(chat.id, chat);
    for (const user of people) this.#tell(user, chat, "conversation.created", { conversation: this.row(chat.id, user) });
    this.#settle();
    return chat;
  }

  send(from: string, id: string, text: string, more: Partial<Message> = {}): { message: Message; isNew: boolean } {
    const { chat } = this.chat(id, from);
    const key = more.client_message_id ?? null;
    const before = key === null ? undefined : chat.messages.find((m) => m.sender_id === from && m.client_message_id === key);
    if (before) return { message: this.message(chat, before, from), isNew: false };
    const message: Message = {
      id: `${id}.${this.#stamp()}`,
      conversation_id: id,
      sender_id: from,
      recipient_id: chat.name === null ? (chat.people.find((p) => p !== from) ?? null) : null,
      message_text: text,
      attachment_url: null,
      attachment_type: null,
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
      ...more,
    };
    chat.messages.push(message);
    for (const user of chat.people) {
      const member = this.chat(id, user).member;
      member.activity = this.#next;
      if (!member.isVisible) {
        member.isVisible = true;
        this.#tell(user, chat, "conversation.created", { conversation: this.row(id, user) });
      }
      this.#tell(user, chat, "message.created", { message: this.message(chat, message, user) });
    }
    this.#settle();
    return { message: this.message(chat, message, from), isNew: true };
  }

  find(messageId: string, user: string): { chat: Chat; message: Message } {
    const { chat, member } = this.chat(messageId.split(".")[0] ?? "", user);
    const message = chat.messages.find((m) => m.id === messageId);
    if (!message || message.id <= member.cleared || member.hidden.has(messageId)) throw new Refused(404, "not_found");
    return { chat, message };
  }

  /** Those who see a message, and so are told of it. */
  #seers(chat: Chat, message: Message): string[] {
    const isSeen = ({ cleared, hidden }: Member) => cleared < message.id && !hidden.has(message.id);
    return [...chat.members].filter(([, member]) => isSeen(member)).map(([user]) => user);
  }

  edit(user: string, messageId: string, text: string): Message {
    const { chat, message } = this.find(messageId, user);
    if (message.sender_id !== user) throw new Refused(403, "not_the_sender");
    if (message.is_deleted) throw new Refused(409, "conflict");
    const at = new Date().toISOString();
    Object.assign(message, { message_text: text, version: message.version + 1, is_edited: true, edited_at: at });
    for (const other of this.#seers(chat, message)) {
      this.#tell(other, chat, "message.updated", { message: this.message(chat, message, other) });
    }
    this.#settle();
    return this.message(chat, message, user);
  }

  #counts(id: string, user: string): object {
    const { unread_count, counted_to, last_read_message_id } = this.row(id, user);
    return { unread_count, counted_to, last_read_message_id };
  }

  delete(user: string, messageId: string): Message {
    const { chat, message } = this.find(messageId, user);
    if (message.sender_id !== user) throw new Refused(403, "not_the_sender");
    if (message.is_deleted) return this.message(chat, message, user);
    const at = new Date().toISOString();
    Object.assign(message, { message_text: "", version: message.version + 1, is_deleted: true, deleted_at: at });
    for (const other of this.#seers(chat, message)) {
      // What told of its text is gone from the queues.
      for (const told of this.queue(other).events) {
        const { data } = told.event as { data: { message?: Message } };
        if (data.message?.id === messageId) told.isGone = true;
      }
      const left = { message: this.message(chat, message, other), scope: "everyone", ...this.#counts(chat.id, other) };
      this.#tell(other, chat, "message.deleted", left);
    }
    this.#settle();
    return this.message(chat, message, user);
  }

  /** Brings a deleted message back, as an operator does. */
  restore(messageId: string, text: string): void {
    const chat = this.chats.get(messageId.split(".")[0] ?? "");
    const message = chat?.messages.find((m) => m.id === messageId);
    if (!chat || !message?.is_deleted) return;
    Object.assign(message, { message_text: text, version: message.version + 1, is_deleted: false, deleted_at: null });
    for (const other of this.#seers(chat, message)) {
      const back = { message: this.message(chat, message, other), ...this.#counts(chat.id, other) };
      this.#tell(other, chat, "message.updated", back);
    }
    this.#settle();
  }

  hide(user: string, messageId: string): void {
    const { chat, message } = this.find(messageId, user);
    this.chat(chat.id, user).member.hidden.add(messageId);
    const left = { message: this.message(chat, message, user), scope: "me", ...this.#counts(chat.id, user) };
    this.#tell(user, chat, "message.deleted", left);
    this.#settle();
  }

  read(user: string, messageId: string): Conversation {
    const { chat } = this.find(messageId, user);
    const { member } = this.chat(chat.id, user);
    if (messageId > member.watermark) {
      member.watermark = messageId;
      const read_at = new Date().toISOString();
      chat.moves.push({ reader: user, upTo: messageId, at: read_at });
      for (const other of chat.people) {
        const { unread_count, counted_to } = this.row(chat.id, user);
        const own = other === user ? { unread_count, counted_to } : {};
        this.#tell(other, chat, "message.read", { user_id: user, message_id: messageId, read_at, ...own });
      }
      this.#settle();
    }
    return this.row(chat.id, user);
  }

  forget(user: string, id: string): void {
    const { chat, member } = this.chat(id, user);
    if (!member.isVisible) return;
    member.isVisible = false;
    member.cleared = chat.messages.at(-1)?.id ?? "";
    this.#tell(user, chat, "conversation.deleted", {});
    this.#settle();
  }

  rename(id: string, name: string): void {
    const chat = this.chats.get(id);
    if (!chat) return;
    chat.name = name;
    chat.nameVersion += 1;
    for (const user of chat.people) this.#tell(user, chat, "conversation.updated", { name, version: chat.nameVersion });
    this.#settle();
  }

  leave(user: string, id: string): void {
    const { chat } = this.chat(id, user);
    const staying = chat.people.filter((other) => other !== user);
    chat.people = staying;
    chat.members.delete(user);
    chat.nameVersion += 1;
    this.#tell(user, chat, "participant.left", { user_id: user, by: user });
    this.#tell(user, chat, "conversation.deleted", {});
    for (const other of staying) {
      this.#tell(other, chat, "participant.left", { user_id: user, by: user });
      const change = { participant_count: staying.length, version: chat.nameVersion };
      this.#tell(other, chat, "conversation.updated", change);
    }
    this.#settle();
  }

  join(user: string, id: string): void {
    const chat = this.chats.get(id);
    if (!chat || chat.people.includes(user)) return;
    const cleared = chat.messages.at(-1)?.id ?? "";
    chat.people.push(user);
    chat.members.set(user, { isVisible: true, cleared, watermark: "", hidden: new Set(), activity: this.#next });
    chat.nameVersion += 1;
    this.#tell(user, chat, "conversation.created", { conversation: this.row(id, user) });
    for (const other of chat.people.filter((other) => other !== user)) {
      this.#tell(other, chat, "participant.joined", { user_id: user, by: user });
      const change = { participant_count: chat.people.length, version: chat.nameVersion };
      this.#tell(other, chat, "conversation.updated", change);
    }
    this.#settle();
  }

  typing(user: string, id: string, is_typing: boolean): void {
    const { chat } = this.chat(id, user);
    const expires_at = new Date(Date.now() + 6_000).toISOString();
    for (const other of chat.people.filter((other) => other !== user)) {
      this.#tell(other, chat, "typing", { user_id: user, is_typing, expires_at });
    }
  }
}
