// What is known of one conversation, and what follows from it.
//
// Invariant: nothing here depends on the order in which events arrive, or on how often. Of a message the highest
// version wins; of a row its latest appearance or removal; an unread count is the one told for the highest watermark,
// of these the one that counts up to the newest message, of these the lowest (a message that is deleted counts no
// longer), plus the messages of others that it does not count.

import type { TimelineMessage } from "./store.js";
import type { Conversation, Message, Notice, TidingsEvent } from "./types.js";

/** What is noted of a change, beside how many take part. */
const NOTED = ["name", "description", "photo_url", "is_admin"] as const;

/** What is known of a message. `by` is the latest event when it was told; what an older removal takes away. */
interface Known {
  readonly id: string;
  message: Message;
  by: string;
  /** What was made of it last: what of, with what was read of it, and how a timeline shows it. */
  of?: Message;
  shown?: Message;
  view?: TimelineMessage | undefined;
  /** Something may have been read of it since. */
  isStale: boolean;
}

/** An unread count: the event that told it, and what it holds for. */
interface Count {
  by: string;
  watermark: string;
  countedTo: string;
  unread: number;
}

/** A watermark that has moved. */
interface Move {
  upTo: string;
  at: string;
}

/** The stretch of a conversation that is shown: everything between its bounds has been loaded. */
export interface Window {
  /** Its oldest message; "" once there are no older ones. */
  from: string;
  /** Where older ones go on. */
  older: string | null;
  /** Its newest message; null where it reaches to the present. */
  to: string | null;
  /** Where newer ones go on. */
  newer: string | null;
}

/** What was read of a message, beside what its latest version says. */
interface Reads {
  read: boolean;
  readAt: string | null;
  count: number | null;
}

/** A conversation. */
export class Chat {
  readonly id: string;
  /** Where it stands in the inbox: the time of its latest activity. */
  activity = "";
  /** Its place among those of the same time, as it was loaded; before all of them where it came later. */
  order = -1;
  /** What is shown of it; null until it is opened. */
  window: Window | null = null;
  /** What happened to it, in order. Another list after each change. */
  notices: readonly Notice[] = [];
  #isRowStale = false;
  /** A message came while it was followed, so that it is in the inbox. */
  #isActive = false;
  #row: Conversation | null = null;
  #rowBy = "";
  #life = { by: "", isThere: false };
  #gone = "";
  #left = "";
  #restored = "";
  #counts: Count[] = [];
  readonly #messages = new Map<string, Known>();
  /** The same, by ascending ids. */
  #sorted: Known[] = [];
  readonly #hidden = new Set<string>();
  /** The ids that the user's own messages were sent under. */
  readonly #arrived = new Set<string>();
  /** The moves of each reader's watermark, ascending. */
  readonly #moves = new Map<string, Move[]>();
  #changes: { by: string; version: number; fields: Partial<Conversation> }[] = [];
  /** How far the user has read, as far as this client knows before the server does. */
  #readTo = "";

  constructor(id: string) {
    this.id = id;
  }

  /** Whether it is in the inbox. */
  get isThere(): boolean {
    return this.#life.isThere && this.#row !== null;
  }

  /** Whether its row does not follow from what is known, and has to be loaded. */
  get needsRow(): boolean {
    if (this.#row) return this.isThere && this.#isRowStale;
    const isGone = this.#life.by !== "" && !this.#life.isThere;
    return this.#isActive && !isGone;
  }

  /** Whether the user has removed its history since an event. */
  wasClearedAfter(by: string): boolean {
    return this.#gone > by;
  }

  /** Takes in an event. */
  apply(event: TidingsEvent, me: string): void {
    const by = event.id;
    switch (event.type) {
      case "conversation.created":
        this.appears(by, event.data.conversation, event.occurred_at);
        // A row that comes back comes with a message.
        if (event.data.conversation.last_message_id === null && event.data.conversation.type !== "direct") this.#note(event);
        break;
      case "conversation.deleted":
        this.#goes(by);
        break;
      case "conversation.updated": {
        const { version, description: _, ...fields } = event.data;
        if (!this.#changes.some((change) => change.by === by)) this.#changes.push({ by, version, fields });
        if (NOTED.some((name) => name in event.data)) this.#note(event);
        break;
      }
      case "message.created":
        this.#isActive = true;
        this.hold(by, event.data.message);
        break;
      case "message.updated":
        this.hold(by, event.data.message);
        if ("unread_count" in event.data) {
          // A deleted message is back: what was counted without it holds no longer.
          this.#countIs(by, event.data);
          this.#restored = max(this.#restored, by);
        }
        break;
      case "message.deleted":
        if (event.data.scope === "me") this.#hidden.add(event.data.message.id);
        else this.hold(by, event.data.message);
        this.#countIs(by, event.data);
        break;
      case "message.read":
        this.#reads(event.data.user_id, { upTo: event.data.message_id, at: event.data.read_at });
        if (event.data.user_id === me) {
          this.#countIs(by, { ...event.data, last_read_message_id: event.data.message_id });
        }
        break;
      case "participant.left":
        this.#moves.delete(event.data.user_id);
        this.#outdate(0, this.#sorted.length);
        if (event.data.user_id === me) this.#left = max(this.#left, by);
        this.#note(event);
        break;
      case "participant.joined":
        this.#note(event);
        break;
      case "typing":
      case "presence":
        break;
      default:
        // A kind of event that is newer than this client.
        event satisfies never;
    }
  }

  /** The row is in the inbox: as an event says, or (with `by` of "") as it was loaded. */
  appears(by: string, row: Conversation, at: string): void {
    this.#rowIs(by, row, at);
    if (by >= this.#life.by) this.#life = { by, isThere: true };
  }

  /** The row as it was loaded when the latest event known was `by`, whether it is in the inbox or not. */
  rowLoaded(by: string, row: Conversation): void {
    if (this.#row) this.#rowIs(by, row, "");
    else if (this.#isActive) this.appears("", row, "");
  }

  /** Loading the row was refused: it is not to be had. */
  rowRefused(): void {
    this.#isRowStale = false;
    this.#isActive = false;
  }

  #rowIs(by: string, row: Conversation, at: string): void {
    if (by >= this.#rowBy) {
      if (row.participant_count !== this.#row?.participant_count) this.#outdate(0, this.#sorted.length);
      this.#row = row;
      this.#rowBy = by;
      this.#isRowStale = false;
      this.activity = max(this.activity, max(row.last_message_at ?? "", at));
    }
    this.#countIs(by, row);
  }

  /** Takes in a message, as it was when the latest event known was `by`. */
  hold(by: string, message: Message): void {
    if (by < this.#gone) return;
    const { id } = message;
    const known = this.#messages.get(id);
    if (!known) {
      if (message.client_message_id !== null) this.#arrived.add(message.client_message_id);
      const added = { id, message, by, isStale: false };
      this.#messages.set(id, added);
      this.#sorted.splice(place(this.#sorted, id), 0, added);
      return;
    }
    if (message.version > known.message.version) known.message = message;
    else if (message.version === known.message.version) known.message = joined(known.message, message);
    known.by = max(known.by, by);
  }

  /**
   * Takes in what a send was answered with. A repeated one may be answered with a message that was removed since. So what
   * the row had counted when it was loaded is left to the pages, and what comes where there is no row to its event.
   */
  sent(by: string, message: Message): void {
    if (this.#row && message.id > (this.#row.counted_to ?? "")) this.hold(by, message);
  }

  /** Whether a message that was sent under an id is, or was, among those that are known. */
  hasArrived(clientId: string): boolean {
    return this.#arrived.has(clientId);
  }

  /** The user has read up to a message; the server does not say so yet. */
  readLocally(messageId: string): void {
    this.#readTo = max(this.#readTo, messageId);
  }

  /** The server has refused that. */
  forgetLocalRead(): void {
    this.#readTo = "";
  }

  /** Whether a message is marked as read already. */
  hasRead(messageId: string): boolean {
    return messageId <= this.#count().watermark || messageId <= this.#readTo;
  }

  /** The newest message that is not hidden. */
  get newestId(): string | undefined {
    return this.#sorted.findLast(({ id }) => !this.#hidden.has(id))?.id;
  }

  /** A message, with what was read of it. */
  message(id: string): Message | undefined {
    const known = this.#messages.get(id);
    return known && !this.#hidden.has(id) ? this.#shownOf(known) : undefined;
  }

  /** The messages of the window as `view` shows them, oldest first. What has not changed is not made again. */
  messages(view: (message: Message) => TimelineMessage): TimelineMessage[] {
    const { window } = this;
    if (!window) return [];
    const shown: TimelineMessage[] = [];
    for (let at = place(this.#sorted, window.from); at < this.#sorted.length; at += 1) {
      const known = this.#sorted[at];
      if (!known || (window.to !== null && known.id > window.to)) break;
      if (this.#hidden.has(known.id)) continue;
      const message = this.#shownOf(known);
      shown.push((known.view ??= view(message)));
    }
    return shown;
  }

  /** The row, as the events have left it; undefined while it is not in the inbox. */
  row(me: string): Conversation | undefined {
    if (!this.isThere || !this.#row) return undefined;
    let row: Conversation = { ...this.#row };
    const changes = this.#changes.filter((change) => change.by > this.#rowBy);
    for (const { fields } of changes.sort((a, b) => a.version - b.version)) row = { ...row, ...fields };
    const count = this.#count();
    row.last_read_message_id = count.watermark || null;
    row.unread_count = this.#unread(count, me);
    row.counted_to = max(max(row.counted_to ?? "", count.countedTo), this.#sorted.at(-1)?.id ?? "") || null;
    return this.#withPreview(row, me);
  }

  #withPreview(row: Conversation, me: string): Conversation {
    const shown = row.last_message_id ?? "";
    const isHidden = this.#hidden.has(shown);
    const countedTo = this.#row?.counted_to ?? "";
    const last = this.#sorted.findLast(({ id }) => {
      // What is newer than the row's and was counted with it is hidden from the user.
      const isPassedOver = id > shown && id <= countedTo;
      return !this.#hidden.has(id) && !isPassedOver && (id >= shown || isHidden);
    })?.id;
    // The message before one that was hidden is known only where all up to it has been loaded.
    const isContiguous = this.window?.to === null && last !== undefined && last >= this.window.from;
    if (isHidden && last !== undefined && last < shown && !isContiguous) this.#isRowStale = true;
    const known = last === undefined ? undefined : this.#messages.get(last)?.message;
    if (!known) {
      if (!isHidden) return row;
      if (this.window?.from !== "" || this.window.to !== null) this.#isRowStale = true;
      return {
        ...row,
        last_message: null,
        last_message_id: null,
        last_message_at: null,
        last_message_from_me: false,
      };
    }
    this.activity = max(this.activity, known.sent_at);
    return {
      ...row,
      last_message: [...known.message_text.slice(0, 200)].slice(0, 100).join(""),
      last_message_id: known.id,
      last_message_at: known.sent_at,
      last_message_from_me: known.sender_id === me,
    };
  }

  #unread(count: Count, me: string): number {
    const since = max(count.countedTo, count.watermark);
    const readTo = this.#readTo;
    // What was read here counts only where it covers all that the server has counted.
    const isReadHere = readTo > count.watermark && readTo >= count.countedTo;
    const from = isReadHere ? readTo : since;
    let unread = isReadHere ? 0 : count.unread;
    for (let at = this.#sorted.length - 1; at >= 0; at--) {
      const known = this.#sorted[at];
      if (!known || known.id <= from) break;
      const { id, message } = known;
      if (message.sender_id !== me && !message.is_deleted && !this.#hidden.has(id)) unread += 1;
    }
    return unread;
  }

  #note(event: Notice): void {
    if (event.id <= this.#gone || this.notices.some(({ id }) => id === event.id)) return;
    this.notices = this.notices.toSpliced(place(this.notices, event.id), 0, event);
  }

  #goes(by: string): void {
    if (by >= this.#life.by) this.#life = { by, isThere: false };
    if (by <= this.#gone) return;
    this.#gone = by;
    for (const known of this.#sorted) if (known.by <= by) this.#messages.delete(known.id);
    this.#sorted = this.#sorted.filter((known) => known.by > by);
    this.notices = this.notices.filter(({ id }) => id > by);
    // What was shown may have lost messages that are to be loaded again.
    this.window = null;
  }

  #countIs(
    by: string,
    told: { unread_count?: number | null; counted_to?: string | null; last_read_message_id?: string | null },
  ): void {
    if (told.unread_count === undefined || told.unread_count === null) return;
    const watermark = told.last_read_message_id ?? "";
    const count = { by, watermark, countedTo: told.counted_to ?? "", unread: told.unread_count };
    // One that is older and holds for less is never needed again.
    const isBeaten = (one: Count, other: Count) => other.by >= one.by && compare(other, one) >= 0;
    if (this.#counts.some((other) => isBeaten(count, other))) return;
    this.#counts = [...this.#counts.filter((other) => !isBeaten(other, count)), count];
  }

  /** The unread count that holds. What was told before one left, or before a message was brought back, does not. */
  #count(): Count {
    const from = max(this.#left, this.#restored);
    let best: Count = { by: "", watermark: "", countedTo: "", unread: 0 };
    for (const count of this.#counts) {
      if (count.by >= from && compare(count, best) >= 0) best = count;
    }
    return best;
  }

  #reads(reader: string, move: Move): void {
    const moves = this.#moves.get(reader) ?? [];
    this.#moves.set(reader, moves);
    let at = moves.findIndex((other) => other.upTo >= move.upTo);
    if (at < 0) at = moves.length;
    if (moves[at]?.upTo === move.upTo) return;
    moves.splice(at, 0, move);
    this.#outdate(place(this.#sorted, moves[at - 1]?.upTo ?? ""), place(this.#sorted, move.upTo) + 1);
  }

  /** What was read of some messages is to be looked at again. */
  #outdate(from: number, to: number): void {
    for (const known of this.#sorted.slice(from, to)) known.isStale = true;
  }

  #shownOf(known: Known): Message {
    const { message, shown } = known;
    if (shown && known.of === message && !known.isStale) return shown;
    known.isStale = false;
    const { read, readAt: read_at, count: read_count } = this.#readsOf(message);
    const isAs = (one: Message) => one.read === read && one.read_at === read_at && one.read_count === read_count;
    if (shown && known.of === message && isAs(shown)) return shown;
    known.of = message;
    known.view = undefined;
    return (known.shown = isAs(message) ? message : { ...message, read, read_at, read_count });
  }

  #readsOf(message: Message): Reads {
    const reads = { read: message.read, readAt: message.read_at, count: message.read_count };
    if (message.read || this.#moves.size === 0) return reads;
    let readers = 0;
    for (const [reader, moves] of this.#moves) {
      if (reader === message.sender_id) continue;
      const move = moves.find((move) => move.upTo >= message.id);
      if (!move) continue;
      if (message.recipient_id !== null) return { read: true, readAt: move.at, count: 1 };
      readers += 1;
    }
    if (reads.count === null || readers <= reads.count) return reads;
    return { read: readers >= (this.#row?.participant_count ?? Infinity) - 1, readAt: null, count: readers };
  }
}

/** Of two answers about the same version of a message, the one that knows of more readers. */
function joined(one: Message, other: Message): Message {
  if (!other.read && (other.read_count ?? 0) <= (one.read_count ?? 0)) return one;
  return one.read ? one : other;
}

/** Which of two counts holds for more: positive where it is the first. */
function compare(one: Count, other: Count): number {
  if (one.watermark !== other.watermark) return one.watermark > other.watermark ? 1 : -1;
  if (one.countedTo !== other.countedTo) return one.countedTo > other.countedTo ? 1 : -1;
  return other.unread - one.unread;
}

function max(one: string, other: string): string {
  return one >= other ? one : other;
}

/** Where an id stands, or would, among ascending ones. */
function place(list: readonly { readonly id: string }[], id: string): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((list[middle]?.id ?? "") < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
