// Whom one has blocked.

import type { Tidings } from "@tidings/client";

import { value } from "./value.js";

/** Their ids. */
export const blocked = value<ReadonlySet<string>>(new Set());

/** Asks the server. */
export async function loadBlocked(client: Tidings): Promise<void> {
  try {
    const ids = new Set<string>();
    for await (const { user_id } of client.api.blockedUsers()) ids.add(user_id);
    blocked.set(ids);
  } catch {
    // It shows as not blocked; a send says otherwise.
  }
}

/** Blocks someone, or takes the block away. */
export async function setBlocked(client: Tidings, user: string, isBlocked: boolean): Promise<void> {
  await (isBlocked ? client.api.block(user) : client.api.unblock(user));
  const next = new Set(blocked.current);
  if (isBlocked) next.add(user);
  else next.delete(user);
  blocked.set(next);
}
