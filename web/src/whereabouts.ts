// Tells whom one writes with that one looks at the conversation, while one does.

import { useConversation, useMe, useTidings } from "@tidings/client/react";
import { useEffect } from "react";

/** Milliseconds that one looks at a conversation before it is told: passing by is nobody's business. */
const LINGERS = 2_000;

/** Tells it of the conversation that is open. */
export function useWhereabouts(open: string | null): void {
  const client = useTidings();
  const isConnected = useMe() !== null;
  // Only the other one of a direct conversation may see it.
  const row = useConversation(open ?? "");
  const direct = row?.type === "direct" ? row.conversation_id : null;
  useEffect(() => {
    if (!isConnected) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = () => {
      clearTimeout(timer);
      const at = document.visibilityState === "visible" ? direct : null;
      // Nobody misses what is not told.
      timer = setTimeout(() => client.lookAt(at).catch(() => {}), LINGERS);
    };
    look();
    document.addEventListener("visibilitychange", look);
    return () => {
      document.removeEventListener("visibilitychange", look);
      clearTimeout(timer);
    };
  }, [client, isConnected, direct]);
}
