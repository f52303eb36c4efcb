// System notifications for messages that arrive while the page is in the background, unless this browser gets pushes.

import type { Conversation } from "@tidings/client";
import { useTidings } from "@tidings/client/react";
import { useEffect } from "react";

import { shortText } from "./attachments/describe.js";
import { titleOf } from "./people.js";
import { pushState } from "./push/current.js";
import { currentRoute, navigate } from "./route.js";
import { settings } from "./settings.js";

/** Milliseconds after which a message is too old for a notification: it arrived while the page slept. */
const MAX_AGE = 60_000;

/**
 * Whether the page should notify of a message of a conversation: the user wants it and does not see the message, and the
 * service worker will not do it.
 */
function shouldNotify({ conversation_id, muted_until, notify }: Conversation): boolean {
  if (pushState.current === "on" || pushState.current === null) return false;
  const isOpen = currentRoute().conversation === conversation_id;
  const isSeen = document.visibilityState === "visible" && (document.hasFocus() || isOpen);
  return settings.current.notifications && muted_until === null && notify === "all" && !isSeen;
}

/** Shows notifications while mounted. */
export function useNotifications(): void {
  const client = useTidings();
  useEffect(
    () =>
      client.on("message.created", ({ data: { message } }) => {
        const { me, byId } = client.store.state;
        const row = byId.get(message.conversation_id);
        if (!row || message.sender_id === me?.id || !shouldNotify(row)) return;
        if (Date.now() - Date.parse(message.sent_at) > MAX_AGE) return;
        try {
          const notification = new Notification(titleOf(row), { body: shortText(message), tag: row.conversation_id });
          notification.onclick = () => {
            window.focus();
            navigate(row.conversation_id);
            notification.close();
          };
        } catch {
          // Some mobile browsers only allow notifications from a service worker.
        }
      }),
    [client],
  );
}
