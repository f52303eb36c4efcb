// The users that the signed-in user has blocked.

import type { Tidings } from "@tidings/client";

import { observable } from "./observable.js";

/** Their ids. */
export const blocked = observable<ReadonlySet<string>>(new Set());

/** Loads the blocked users. */
export async function loadBlocked(client: Tidings): Promise<void> {
  try {
    const ids = new Set<string>();
    for await (const { user_id } of client.api.blockedUsers()) ids.add(user_id);
    blocked.set(ids);
  } catch {
    // Blocked users then appear as not blocked, but the server still refuses messages to them.
  }
}

/** Blocks or unblocks a user. */
export async function setBlocked(client: Tidings, user: string, isBlocked: boolean): Promise<void> {
  await (isBlocked ? client.api.block(user) : client.api.unblock(user));
  const next = new Set(blocked.current);
  if (isBlocked) next.add(user);
  else next.delete(user);
  blocked.set(next);
}
