// The results of the search that the user goes through, and where the found words are in them.

import type { Hit } from "@tidings/client";

import { observable } from "../observable.js";

/** The results, newest first, and the one that is open. */
export interface Found {
  hits: readonly Hit[];
  at: number;
}

export const found = observable<Found | null>(null);

const NONE: readonly [number, number][] = [];

/** Returns where a message contains what was found, in Unicode scalar values; nothing if it is not the open result. */
export function marksIn(state: Found | null, id: string, text: string): readonly [number, number][] {
  const hit = state?.hits[state.at];
  // An edit moves the words.
  return hit?.id === id && hit.message_text === text ? (hit.highlights as [number, number][]) : NONE;
}
