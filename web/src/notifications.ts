// Messages that come while the page is not looked at, shown by the system where that was asked for.

import { useTidings } from "@tidings/client/react";
import { useEffect } from "react";

import { titleOf } from "./people.js";
import { current, go } from "./route.js";
import { settings } from "./settings.js";

/** Whether a message of a conversation would go unseen, and is to be shown. */
function isWanted(conversation: string): boolean {
  const { notifications, muted } = settings.current;
  const isSeen = document.visibilityState === "visible" && (document.hasFocus() || current().conversation === conversation);
  return notifications && !muted.includes(conversation) && !isSeen;
}

/** Shows them while the chat is there. */
export function useNotifications(): void {
  const client = useTidings();
  useEffect(
    () =>
      client.on("message.created", ({ data: { message } }) => {
        const { me, byId } = client.store.state;
        const row = byId.get(message.conversation_id);
        if (!row || message.sender_id === me?.id || !isWanted(row.conversation_id)) return;
        // What happened while the page slept is in the inbox.
        if (Date.now() - Date.parse(message.sent_at) > 60_000) return;
        try {
          const text = message.message_text.slice(0, 200) || "An attachment";
          const notification = new Notification(titleOf(row), { body: text, tag: row.conversation_id });
          notification.onclick = () => {
            window.focus();
            go(row.conversation_id);
            notification.close();
          };
        } catch {
          // Some browsers of phones show none without a service worker.
        }
      }),
    [client],
  );
}
