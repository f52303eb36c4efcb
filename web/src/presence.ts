// The presence of others, as far as it is known.

import type { Presence } from "@tidings/client";
import { useConnection, usePresence } from "@tidings/client/react";

/** Returns a user's presence; undefined while this page is offline, because it is not known then. */
export function useCurrentPresence(user: string | null | undefined): Presence | undefined {
  const presence = usePresence(user);
  return useConnection() === "offline" ? undefined : presence;
}
