// Unread counts: which of the counts reported by rows and events applies.

import { max } from "./sorted.js";

/** A reported count. Fields order counts by how much they cover, see `compare`. */
export interface UnreadCount {
  /** Id of the event that reported it; "" for a row that was loaded. */
  asOf: string;
  /** The last message the user has read. */
  watermark: string;
  /** The last message that is included in the count. */
  countedTo: string;
  unread_count: number;
  /** How many of these messages mention the user, and the first of them. */
  mention_count: number;
  first_mention_id: string | null;
}

/** The fields of rows and events that report a count. */
interface Report {
  unread_count?: number | null;
  counted_to?: string | null;
  last_read_message_id?: string | null;
  mention_count?: number | null;
  first_mention_id?: string | null;
}

/** The count before anything is reported. */
export const NO_COUNT: UnreadCount = { asOf: "", watermark: "", countedTo: "", unread_count: 0, mention_count: 0, first_mention_id: null };

/** All counts of a conversation that may still apply. */
export class UnreadCounts {
  #counts: UnreadCount[] = [];
  #validFrom = "";

  /** The state that `offline.ts` stores. */
  get saved() {
    return [this.#counts, this.#validFrom] as const;
  }

  set saved(saved: readonly [UnreadCount[], string]) {
    [this.#counts, this.#validFrom] = saved;
  }

  add(asOf: string, report: Report): void {
    if (report.unread_count === undefined || report.unread_count === null) return;
    const count = {
      asOf,
      watermark: report.last_read_message_id ?? "",
      countedTo: report.counted_to ?? "",
      unread_count: report.unread_count,
      mention_count: report.mention_count ?? 0,
      first_mention_id: report.first_mention_id ?? null,
    };
    // A count that is both older and covers less never applies again.
    const isSuperseded = (one: UnreadCount, other: UnreadCount) => other.asOf >= one.asOf && compare(other, one) >= 0;
    if (this.#counts.some((other) => isSuperseded(count, other))) return;
    this.#counts = [...this.#counts.filter((other) => !isSuperseded(other, count)), count];
  }

  /** Ignores counts from before an event by which messages count that did not, or the other way round. */
  invalidateBefore(asOf: string): void {
    this.#validFrom = max(this.#validFrom, asOf);
  }

  /** The count that applies: the valid one that covers most. */
  get current(): UnreadCount {
    let best = NO_COUNT;
    for (const count of this.#counts) {
      if (count.asOf >= this.#validFrom && compare(count, best) >= 0) best = count;
    }
    return best;
  }
}

/** Positive if the first count covers more: a higher watermark, then a newer last message, then fewer unread. */
function compare(one: UnreadCount, other: UnreadCount): number {
  if (one.watermark !== other.watermark) return one.watermark > other.watermark ? 1 : -1;
  if (one.countedTo !== other.countedTo) return one.countedTo > other.countedTo ? 1 : -1;
  return other.unread_count - one.unread_count;
}
