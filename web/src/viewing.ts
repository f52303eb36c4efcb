// Reports which conversation the user is viewing, so that the other participant can see it.

import { useConversation, useMe, useTidings } from "@tidings/client/react";
import { useEffect } from "react";

/** Milliseconds before a conversation is reported, so that switching through several reports only the last. */
const DELAY = 2_000;

/** Reports the open conversation while the page is visible. */
export function useReportViewing(open: string | null): void {
  const client = useTidings();
  const isConnected = useMe() !== null;
  // Only direct conversations show who is viewing them.
  const row = useConversation(open ?? "");
  const direct = row?.type === "direct" ? row.conversation_id : null;
  useEffect(() => {
    if (!isConnected) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const report = () => {
      clearTimeout(timer);
      const viewed = document.visibilityState === "visible" ? direct : null;
      // A lost report does no harm.
      timer = setTimeout(() => client.lookAt(viewed).catch(() => {}), DELAY);
    };
    report();
    document.addEventListener("visibilitychange", report);
    return () => {
      document.removeEventListener("visibilitychange", report);
      clearTimeout(timer);
    };
  }, [client, isConnected, direct]);
}
