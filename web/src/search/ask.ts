// Searches the server while the user types, and finds people and rooms. A failed call is left out, because the other results are useful without it.

import type { Room, Tidings, User } from "@tidings/client";

import { fold } from "../fold.js";

/** Returns the first wanted items of a list. */
export async function firstOf<T>(list: AsyncIterable<T>, count: number, isWanted: (item: T) => boolean = () => true): Promise<T[]> {
  const first: T[] = [];
  for await (const item of list) {
    if (isWanted(item)) first.push(item);
    if (first.length === count) break;
  }
  return first;
}

/** Milliseconds without typing after which the server is asked, because a search reads many messages. */
const DELAY = 200;

/** Starts a search once nothing has been typed for a while. Returns the cleanup of the effect: it cancels the search. */
export function afterTyping(search: (signal: AbortSignal) => Promise<unknown>, delay = DELAY): () => void {
  const stop = new AbortController();
  const timer = setTimeout(() => void search(stop.signal), delay);
  return () => {
    clearTimeout(timer);
    stop.abort();
  };
}

/** People with whom there is no conversation yet, and rooms to join. */
export interface Others {
  people: readonly User[];
  rooms: readonly Room[];
}

export const NO_OTHERS: Others = { people: [], rooms: [] };

/** Finds people and rooms by name. */
export async function findOthers(client: Tidings, query: string, max: number, signal: AbortSignal): Promise<Others> {
  const { conversations, archived, me } = client.store.state;
  const known = new Set([...conversations, ...archived].map((row) => row.other_user_id));
  const wanted = fold(query);
  const none = () => [];
  const [people, rooms] = await Promise.all([
    firstOf(client.api.users(query, { signal, limit: 20 }), max, ({ id }) => id !== me?.id && !known.has(id)).catch(none),
    firstOf(client.api.rooms({ signal }), max, (room) => !room.is_participant && fold(room.name).includes(wanted)).catch(none),
  ]);
  return { people, rooms };
}
