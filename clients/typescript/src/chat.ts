// One conversation: merges its row, messages and events in whatever order they arrive.
//
// Invariant: the result depends neither on the order in which events arrive nor on duplicates, because pushes, polls
// and pages overlap.
//
// - Of a message, the highest version wins; of a row, its latest appearance or removal.
// - The unread count is the one reported for the highest watermark; among those, the one that counts up to the newest
//   message; among those, the lowest, because deleted messages no longer count. Newer messages of others are added.

import { kindOfType } from "./kind.js";
import { OptimisticChanges } from "./optimistic-changes.js";
import { ReadWatermarks } from "./read-watermarks.js";
import type { Advance } from "./read-watermarks.js";
import { lowerBound, max } from "./sorted.js";
import type { TimelineMessage } from "./state.js";
import type { Conversation, Message, Notice, TidingsEvent } from "./types.js";
import { NO_COUNT, UnreadCounts } from "./unread.js";
import type { UnreadCount } from "./unread.js";

/** A `conversation.updated` event is a notice if it changes one of these; it may change the participant count alone. */
const NOTICE_FIELDS = ["name", "description", "photo_url", "is_admin"] as const;

/** A message and what was last derived from it. */
interface Entry {
  readonly id: string;
  message: Message;
  /** Id of the latest event known when the message was received; a removal after it deletes the entry. */
  asOf: string;
  /** The version that `withReads` was derived from. */
  source?: Message | undefined;
  /** The message with its current read state and unconfirmed changes. */
  withReads?: Message;
  view?: TimelineMessage | undefined;
  /** Changes that the server has not confirmed yet. */
  changes?: readonly MessageChange[];
  /** Whether the read state may have changed since. */
  isStale: boolean;
}

/** Changes a message in the same way however often it is applied. */
export type MessageChange = (message: Message) => Message;

/** The contiguous range of a conversation that is shown: every message between its bounds is loaded. */
export interface Window {
  /** Id of the oldest message; "" if there are no older ones. */
  from: string;
  /** Id of the newest message; null if the range includes every new message. */
  to: string | null;
}

/** Changes of a row, by events after it. */
type RowChange = { asOf: string; version: number; fields: Partial<Conversation> };

/** The state of a conversation without its messages, as plain data to store. Unconfirmed changes are left out. */
export type SavedChat = [
  activity: string,
  order: number,
  window: Window | null,
  notices: readonly Notice[],
  isRowStale: boolean,
  isExpected: boolean,
  row: Conversation | null,
  rowAsOf: string,
  inbox: { asOf: string; isListed: boolean },
  clearedAt: string,
  hidden: Set<string>,
  delivered: Set<string>,
  changes: RowChange[],
  marked: { asOf: string; isUnread: boolean },
  markedUnreadAt: string,
  counts: readonly [UnreadCount[], string],
  watermarks: Map<string, Advance[]>,
];

/** A conversation. */
export class Chat {
  /** Maximum number of messages that are kept while a conversation is not open. */
  static maxClosed = 200;
  readonly id: string;
  /** Time of the latest activity (RFC 3339); the inbox is sorted by it. */
  activity = "";
  /** Breaks ties of `activity`: position among the loaded rows, or -1 for a row that appeared later. */
  order = -1;
  /** The range that is shown; null until the conversation is opened. */
  window: Window | null = null;
  /** Changes to the group or room, oldest first. Replaced, never mutated. */
  notices: readonly Notice[] = [];
  #isRowStale = false;
  /** A message or a setting arrived as an event, so the conversation is in the inbox or in the archive. */
  #isExpected = false;
  #row: Conversation | null = null;
  #rowAsOf = "";
  #inbox = { asOf: "", isListed: false };
  /** The latest event that removed the history. */
  #clearedAt = "";
  readonly #counts = new UnreadCounts();
  readonly #entries = new Map<string, Entry>();
  /** The same entries, ascending by id. */
  #sorted: Entry[] = [];
  #hidden = new Set<string>();
  /** The `client_message_id`s of the user's own messages that the server has. */
  #delivered = new Set<string>();
  readonly #watermarks = new ReadWatermarks();
  #changes: RowChange[] = [];
  /** Changes of settings that no event has reported yet. */
  readonly optimisticChanges = new OptimisticChanges();
  /** The latest event by which the user marked messages as read or as unread, and whether it was as unread. */
  #marked = { asOf: "", isUnread: false };
  /** The latest event by which the user marked messages as unread. */
  #markedUnreadAt = "";
  /**
   * The messages up to which the user has read, and the server has neither confirmed nor refused it. `since` is the
   * value of `#markedUnreadAt` then: marking as unread ends what was read before.
   */
  #optimisticReads: { id: string; since: string }[] = [];

  constructor(id: string) {
    this.id = id;
  }

  /** The state to store, without the messages. */
  get saved(): SavedChat {
    return [
      this.activity,
      this.order,
      this.window,
      this.notices,
      this.#isRowStale,
      this.#isExpected,
      this.#row,
      this.#rowAsOf,
      this.#inbox,
      this.#clearedAt,
      this.#hidden,
      this.#delivered,
      this.#changes,
      this.#marked,
      this.#markedUnreadAt,
      this.#counts.saved,
      this.#watermarks.saved,
    ];
  }

  /** Merge the messages before setting this. */
  set saved(saved: SavedChat) {
    [
      this.activity,
      this.order,
      this.window,
      this.notices,
      this.#isRowStale,
      this.#isExpected,
      this.#row,
      this.#rowAsOf,
      this.#inbox,
      this.#clearedAt,
      this.#hidden,
      this.#delivered,
      this.#changes,
      this.#marked,
      this.#markedUnreadAt,
      this.#counts.saved,
      this.#watermarks.saved,
    ] = saved;
  }

  /** The messages as they were received, oldest first. */
  get received(): readonly Readonly<Pick<Entry, "id" | "message" | "asOf">>[] {
    return this.#sorted;
  }

  get isInInbox(): boolean {
    return this.#inbox.isListed && this.#row !== null;
  }

  /** Whether the row has to be loaded, because it cannot be derived from events. */
  get needsRow(): boolean {
    if (this.#row) return this.isInInbox && this.#isRowStale;
    const isRemoved = this.#inbox.asOf !== "" && !this.#inbox.isListed;
    return this.#isExpected && !isRemoved;
  }

  /** Whether the history was removed after an event. */
  wasClearedAfter(asOf: string): boolean {
    return this.#clearedAt > asOf;
  }

  /** Applies an event. `me` is the user's id. */
  apply(event: TidingsEvent, me: string): void {
    const asOf = event.id;
    switch (event.type) {
      case "conversation.created":
        this.showRow(asOf, event.data.conversation, event.occurred_at);
        // A row that reappears because of a message is no notice.
        if (event.data.conversation.last_message_id === null && event.data.conversation.type !== "direct") {
          this.#addNotice(event);
        }
        break;
      case "conversation.deleted":
        this.#remove(asOf);
        break;
      case "conversation.updated": {
        const { version, description: _, custom: __, mine, ...fields } = event.data;
        // The row may be in the archive, which is not loaded.
        if (mine) {
          this.#isExpected = true;
          this.optimisticChanges.reported();
        }
        if (asOf > this.#rowAsOf && !this.#changes.some((change) => change.asOf === asOf)) {
          this.#changes.push({ asOf, version, fields: { ...fields, ...mine } });
          // Whether all have read a message depends on how many they are.
          if (fields.participant_count !== undefined) this.#invalidateReads(0, this.#sorted.length);
          // A new row replaces them.
          if (this.#changes.length > Chat.maxClosed) this.#isRowStale = true;
        }
        if (NOTICE_FIELDS.some((name) => name in event.data)) this.#addNotice(event);
        break;
      }
      case "message.created":
        this.#isExpected = true;
        this.merge(asOf, event.data.message);
        break;
      case "message.updated":
        this.merge(asOf, event.data.message);
        if ("unread_count" in event.data) {
          // A deleted message was restored or mentions changed, so earlier counts are wrong.
          this.#counts.add(asOf, event.data);
          this.#counts.invalidateBefore(asOf);
        }
        break;
      case "message.deleted":
        if (event.data.scope === "me") this.#hidden.add(event.data.message.id);
        else this.merge(asOf, event.data.message);
        this.#counts.add(asOf, event.data);
        break;
      case "message.read": {
        const { user_id, message_id, read_at, marked_unread } = event.data;
        const isUnread = marked_unread === true;
        if (message_id !== null && !isUnread) this.#advanceWatermark(user_id, message_id, read_at);
        if (user_id !== me) break;
        this.#counts.add(asOf, { ...event.data, last_read_message_id: message_id });
        if (asOf > this.#marked.asOf) this.#marked = { asOf, isUnread };
        if (isUnread) {
          // Earlier counts lack the messages that are unread again.
          this.#counts.invalidateBefore(asOf);
          this.#markedUnreadAt = max(this.#markedUnreadAt, asOf);
        }
        break;
      }
      case "participant.left":
        this.#watermarks.remove(event.data.user_id);
        this.#invalidateReads(0, this.#sorted.length);
        if (event.data.user_id === me) this.#counts.invalidateBefore(asOf);
        this.#addNotice(event);
        break;
      case "participant.joined":
        this.#addNotice(event);
        break;
      case "typing":
      case "presence":
        break;
      default:
        // Event types that are newer than this client are ignored.
        event satisfies never;
    }
  }

  /** Lists the row in the inbox. `asOf` is the event that did so, or "" if the row was loaded. */
  showRow(asOf: string, row: Conversation, at: string): void {
    this.#setRow(asOf, row, at);
    if (asOf >= this.#inbox.asOf) this.#inbox = { asOf, isListed: true };
  }

  /** Takes a row that was loaded when `asOf` was the latest event; the conversation may not be in the inbox. */
  rowLoaded(asOf: string, row: Conversation): void {
    if (this.#row) this.#setRow(asOf, row, "");
    else if (this.#isExpected) this.showRow("", row, "");
  }

  /** Stops asking for the row, because the server refused it. */
  rowRefused(): void {
    this.#isRowStale = false;
    this.#isExpected = false;
  }

  #setRow(asOf: string, row: Conversation, at: string): void {
    if (asOf >= this.#rowAsOf) {
      if (row.participant_count !== this.#row?.participant_count) this.#invalidateReads(0, this.#sorted.length);
      this.#row = row;
      this.#rowAsOf = asOf;
      this.optimisticChanges.reported();
      this.#changes = this.#changes.filter((change) => change.asOf > asOf);
      this.#isRowStale = false;
      this.activity = max(this.activity, max(row.last_message_at ?? "", at));
    }
    this.#counts.add(asOf, row);
  }

  /** Merges a message that was received when `asOf` was the latest event. */
  merge(asOf: string, message: Message): void {
    if (asOf < this.#clearedAt) return;
    const { id } = message;
    const known = this.#entries.get(id);
    if (!known) {
      if (message.client_message_id !== null) this.#delivered.add(message.client_message_id);
      const entry = { id, message, asOf, isStale: false };
      this.#entries.set(id, entry);
      this.#sorted.splice(lowerBound(this.#sorted, id), 0, entry);
      return;
    }
    if (message.version > known.message.version) known.message = message;
    else if (message.version === known.message.version) {
      const merged = withMoreReads(known.message, message);
      // Links to files expire, so the latest ones count.
      const isRenewed = asOf >= known.asOf && message.attachments?.[0]?.url !== merged.attachments?.[0]?.url;
      known.message = isRenewed ? { ...merged, attachments: message.attachments } : merged;
    }
    known.asOf = max(known.asOf, asOf);
  }

  /**
   * Merges the response to a send. A retried send may return a message that was removed in the meantime, so a message
   * that the loaded row already counts is left to the pages, and without a row it is left to its event.
   */
  mergeSent(asOf: string, message: Message): void {
    if (this.#row && message.id > (this.#row.counted_to ?? "")) this.merge(asOf, message);
  }

  /** Whether a message with this `client_message_id` was received, even if it was removed since. */
  isDelivered(clientId: string): boolean {
    return this.#delivered.has(clientId);
  }

  /** Marks messages as read before the server confirms it, or rolls that back and leaves other marks as they are. */
  setOptimisticRead(messageId: string, isRead: boolean): void {
    const since = this.#markedUnreadAt;
    this.#optimisticReads = this.#optimisticReads.filter((read) => this.#isOpen(read) && read.id !== messageId);
    if (isRead) this.#optimisticReads.push({ id: messageId, since });
  }

  /** Whether a message that was marked as read here may still await the server's confirmation. */
  #isOpen({ id, since }: { id: string; since: string }): boolean {
    return since === this.#markedUnreadAt && (id > this.#counts.current.watermark || this.#isMarkedUnread);
  }

  get #optimisticRead(): string {
    return this.#optimisticReads.filter((read) => this.#isOpen(read)).reduce((newest, { id }) => max(newest, id), "");
  }

  /** Whether the user has marked messages as unread, as far as the server has told. */
  get #isMarkedUnread(): boolean {
    const { asOf, isUnread } = this.#marked;
    return asOf > this.#rowAsOf ? isUnread : (this.#row?.marked_unread ?? false);
  }

  hasRead(messageId: string): boolean {
    const isReadThere = !this.#isMarkedUnread && messageId <= this.#counts.current.watermark;
    return isReadThere || messageId <= this.#optimisticRead;
  }

  /** The newest message that is not hidden. */
  get newestId(): string | undefined {
    return this.#sorted.findLast(({ id }) => !this.#hidden.has(id))?.id;
  }

  /** Shows a change of a message, or ends that. Returns whether the message is known. */
  setChange(id: string, change: MessageChange, isShown: boolean): boolean {
    const entry = this.#entries.get(id);
    if (!entry) return false;
    const others = (entry.changes ?? []).filter((other) => other !== change);
    entry.changes = isShown ? [...others, change] : others;
    entry.source = undefined;
    return true;
  }

  /** Returns a known message with its read state and its unconfirmed changes. */
  message(id: string): Message | undefined {
    const entry = this.#entries.get(id);
    return entry && !this.#hidden.has(id) ? this.#withReads(entry) : undefined;
  }

  /** Returns the messages of the window, oldest first. Calls `view` only for messages that changed. */
  messages(view: (message: Message) => TimelineMessage): TimelineMessage[] {
    const { window } = this;
    if (!window) return [];
    const shown: TimelineMessage[] = [];
    for (let at = lowerBound(this.#sorted, window.from); at < this.#sorted.length; at += 1) {
      const entry = this.#sorted[at];
      if (!entry || (window.to !== null && entry.id > window.to)) break;
      if (this.#hidden.has(entry.id)) continue;
      const message = this.#withReads(entry);
      shown.push((entry.view ??= view(message)));
    }
    return shown;
  }

  /** Returns the row with all events applied; undefined if it is not in the inbox. */
  row(me: string): Conversation | undefined {
    if (!this.isInInbox || !this.#row) return undefined;
    let row: Conversation = { ...this.#row };
    for (const { fields } of this.#changes.sort(byVersion)) row = { ...row, ...fields };
    row = { ...row, ...this.optimisticChanges.fields };
    if (isMuteOver(row)) row.muted_until = null;
    const count = this.#counts.current;
    row.last_read_message_id = count.watermark || null;
    Object.assign(row, this.#unread(count, me));
    row.marked_unread = this.#isMarkedUnread && this.#optimisticRead === "";
    row.counted_to = max(max(row.counted_to ?? "", count.countedTo), this.#sorted.at(-1)?.id ?? "") || null;
    return this.#withPreview(row, me);
  }

  #withPreview(row: Conversation, me: string): Conversation {
    const shown = row.last_message_id ?? "";
    const isHidden = this.#hidden.has(shown);
    const countedTo = this.#row?.counted_to ?? "";
    const last = this.#sorted.findLast(({ id }) => {
      // The row counted this message but does not show it: the user has hidden it.
      const isHiddenByRow = id > shown && id <= countedTo;
      return !this.#hidden.has(id) && !isHiddenByRow && (id >= shown || isHidden);
    })?.id;
    // The message before a hidden one is only known if the loaded range reaches from there to the newest message.
    const isContiguous = this.window?.to === null && last !== undefined && last >= this.window.from;
    if (isHidden && last !== undefined && last < shown && !isContiguous) this.#isRowStale = true;
    const message = last === undefined ? undefined : this.#entries.get(last)?.message;
    if (!message && !isHidden) return row;
    if (!message && (this.window?.from !== "" || this.window.to !== null)) this.#isRowStale = true;
    this.activity = max(this.activity, message?.sent_at ?? "");
    return {
      ...row,
      last_message: message ? previewOf(message) : null,
      last_message_kind: message ? kindOf(message) : null,
      last_message_id: message?.id ?? null,
      last_message_at: message?.sent_at ?? null,
      last_message_from_me: message?.sender_id === me,
    };
  }

  #unread(count: UnreadCount, me: string): Pick<Conversation, "unread_count" | "mention_count" | "first_mention_id"> {
    const readTo = this.#optimisticRead;
    // An optimistic read only replaces the count if it covers every message in it.
    const isReadHere = readTo !== "" && readTo >= count.countedTo;
    const from = isReadHere ? readTo : max(count.countedTo, count.watermark);
    let { unread_count, mention_count, first_mention_id } = isReadHere ? NO_COUNT : count;
    for (const { id, message } of this.#sorted.slice(lowerBound(this.#sorted, from))) {
      if (id === from || message.sender_id === me || message.is_deleted || this.#hidden.has(id)) continue;
      unread_count += 1;
      if (!message.mention_all && !message.mentions?.includes(me)) continue;
      mention_count += 1;
      first_mention_id ??= id;
    }
    return { unread_count, mention_count, first_mention_id };
  }

  /**
   * Drops messages, for a conversation that is not open and has more than `limit`. Keeps the newest ones, and all that
   * the row does not take into account yet. If that is too much, the row is loaded again.
   */
  trim(limit: number, kept: number): void {
    if (this.#sorted.length <= limit) return;
    const { countedTo, watermark } = this.#counts.current;
    const [counted = ""] = [max(countedTo, watermark), this.#row?.counted_to ?? ""].sort();
    const surplus = Math.min(lowerBound(this.#sorted, counted), this.#sorted.length - kept);
    for (const { id, message } of this.#sorted.splice(0, surplus)) {
      this.#entries.delete(id);
      this.#delivered.delete(message.client_message_id ?? "");
    }
    this.#watermarks.trim(this.#sorted[0]?.id ?? "");
    this.notices = this.notices.slice(-limit);
    this.window = null;
    if (this.#sorted.length > Chat.maxClosed) this.#isRowStale = true;
  }

  #addNotice(event: Notice): void {
    if (event.id <= this.#clearedAt || this.notices.some(({ id }) => id === event.id)) return;
    this.notices = this.notices.toSpliced(lowerBound(this.notices, event.id), 0, event);
  }

  /** Removes the row from the inbox, and the history up to the event. */
  #remove(asOf: string): void {
    if (asOf >= this.#inbox.asOf) this.#inbox = { asOf, isListed: false };
    if (asOf <= this.#clearedAt) return;
    this.#clearedAt = asOf;
    for (const entry of this.#sorted) if (entry.asOf <= asOf) this.#entries.delete(entry.id);
    this.#sorted = this.#sorted.filter((entry) => entry.asOf > asOf);
    this.notices = this.notices.filter(({ id }) => id > asOf);
    // The window may now have gaps, so it has to be loaded again.
    this.window = null;
  }

  #advanceWatermark(reader: string, upTo: string, at: string): void {
    const before = this.#watermarks.add(reader, upTo, at);
    if (before === undefined) return;
    this.#invalidateReads(lowerBound(this.#sorted, before), lowerBound(this.#sorted, upTo) + 1);
  }

  /** Marks the read state of a range of messages as stale. */
  #invalidateReads(from: number, to: number): void {
    for (const entry of this.#sorted.slice(from, to)) entry.isStale = true;
  }

  /** Returns an entry's message with its read state: the same object until something changes. */
  #withReads(entry: Entry): Message {
    const { message, withReads } = entry;
    if (withReads && entry.source === message && !entry.isStale) return withReads;
    entry.isStale = false;
    const counts = this.#changes.sort(byVersion).flatMap(({ fields }) => fields.participant_count ?? []);
    const participants = counts.at(-1) ?? this.#row?.participant_count ?? Infinity;
    const { read, readAt: read_at, count: read_count } = this.#watermarks.stateOf(message, participants);
    const isSame = (one: Message) => one.read === read && one.read_at === read_at && one.read_count === read_count;
    if (withReads && entry.source === message && isSame(withReads)) return withReads;
    entry.source = message;
    entry.view = undefined;
    const current = isSame(message) ? message : { ...message, read, read_at, read_count };
    return (entry.withReads = (entry.changes ?? []).reduce((shown, change) => change(shown), current));
  }
}

/** The order in which changes apply. */
function byVersion(one: { version: number; asOf: string }, other: { version: number; asOf: string }): number {
  return one.version - other.version || (one.asOf < other.asOf ? -1 : 1);
}

/** Whether the time until which a row was muted has passed. */
export function isMuteOver({ muted_until }: Conversation): boolean {
  return Date.parse(muted_until ?? "") <= Date.now();
}

/** The preview of a message: the start of its text, or the name of its first file. */
function previewOf({ message_text, attachments, attachment_url }: Message): string {
  const text = message_text || (attachments?.[0]?.file_name ?? attachment_url?.split("/").at(-1) ?? "");
  return [...text.slice(0, 200)].slice(0, 100).join("");
}

function kindOf({ is_deleted, attachments, attachment_url, attachment_type }: Message): Conversation["last_message_kind"] {
  if (is_deleted) return "deleted";
  return attachments?.[0]?.kind ?? (attachment_url === null ? "text" : kindOfType(attachment_type ?? ""));
}

/** Of two copies of the same version, returns the one with more readers. */
function withMoreReads(one: Message, other: Message): Message {
  if (!other.read && (other.read_count ?? 0) <= (one.read_count ?? 0)) return one;
  return one.read ? one : other;
}
