// The presence of others, as far as it is known.

import type { Presence } from "@tidings/client";
import { useConnection, usePresence } from "@tidings/client/react";

import { useMinute } from "./clock.js";
import { formatRelative } from "./dates.js";
import { words } from "./words/language.js";

/** Returns a user's presence; undefined while this page is offline, because it is not known then. */
export function useCurrentPresence(user: string | null | undefined): Presence | undefined {
  const presence = usePresence(user);
  return useConnection() === "offline" ? undefined : presence;
}

/** Returns a presence in words, which follow the clock. An unknown one counts as offline. */
export function usePresenceText(presence: Presence | undefined): string {
  useMinute();
  const { status, last_seen_at: seen } = presence ?? { status: "offline" };
  return status === "offline" && seen ? words.people.lastSeen(formatRelative(seen)) : words.people.status[status];
}
