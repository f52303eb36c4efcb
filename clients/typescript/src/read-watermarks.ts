// Read state of a conversation's messages, from the watermarks of its readers.

import type { Message } from "./types.js";

/** An advance of a reader's watermark: every message up to `upTo` was read at `at` or before. */
export interface Advance {
  upTo: string;
  at: string;
}

/** Read state of one message. `count` is the number of readers. */
export interface ReadState {
  read: boolean;
  readAt: string | null;
  count: number | null;
}

/** The readers of a conversation and how their watermarks advanced. */
export class ReadWatermarks {
  /** Ascending by `upTo`, by reader. */
  #advances = new Map<string, Advance[]>();

  /** The state that `offline.ts` stores. */
  get saved(): Map<string, Advance[]> {
    return this.#advances;
  }

  set saved(saved: Map<string, Advance[]>) {
    this.#advances = saved;
  }

  /**
   * Records an advance. Returns the watermark before it, so that only messages in between need an update; undefined if
   * the advance is known.
   */
  add(reader: string, upTo: string, at: string): string | undefined {
    const advances = this.#advances.get(reader) ?? [];
    this.#advances.set(reader, advances);
    let index = advances.findIndex((other) => other.upTo >= upTo);
    if (index < 0) index = advances.length;
    if (advances[index]?.upTo === upTo) return undefined;
    advances.splice(index, 0, { upTo, at });
    return advances[index - 1]?.upTo ?? "";
  }

  /** Removes a reader who left. */
  remove(reader: string): void {
    this.#advances.delete(reader);
  }

  /** Forgets how the readers came to the messages before this one; only their last advance is kept. */
  trim(from: string): void {
    for (const advances of this.#advances.values()) {
      while (advances[1] && advances[0] && advances[0].upTo < from) advances.shift();
    }
  }

  /** Combines what a message itself says with the watermarks. */
  stateOf(message: Message, participantCount: number): ReadState {
    const own = { read: message.read, readAt: message.read_at, count: message.read_count };
    if (message.read || this.#advances.size === 0) return own;
    let readers = 0;
    for (const [reader, advances] of this.#advances) {
      if (reader === message.sender_id) continue;
      const advance = advances.find(({ upTo }) => upTo >= message.id);
      if (!advance) continue;
      if (message.recipient_id !== null) return { read: true, readAt: advance.at, count: 1 };
      readers += 1;
    }
    if (own.count === null || readers <= own.count) return own;
    return { read: readers >= participantCount - 1, readAt: null, count: readers };
  }
}
