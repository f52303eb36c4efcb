// Lets screen readers announce new messages of the open conversation.

import { useTidings } from "@tidings/client/react";
import { useEffect, useState } from "react";

import { shortText } from "./attachments/describe.js";
import { usePerson } from "./people.js";
import { plainText } from "./text/parse.js";

/** Announces messages of others. */
export function Announcer({ id }: { id: string }) {
  const client = useTidings();
  const [announced, setAnnounced] = useState<{ id: string; sender: string; text: string } | null>(null);
  useEffect(
    () =>
      client.on("message.created", ({ conversation_id, data: { message } }) => {
        if (conversation_id !== id || message.sender_id === client.store.state.me?.id) return;
        setAnnounced({ id: message.id, sender: message.sender_id, text: plainText(shortText(message)) });
      }),
    [client, id],
  );
  return (
    <div className="hidden" aria-live="polite">
      {announced && <Announcement key={announced.id} sender={announced.sender} text={announced.text} />}
    </div>
  );
}

function Announcement({ sender, text }: { sender: string; text: string }) {
  const { name } = usePerson(sender);
  return (
    <>
      {name}: {text}
    </>
  );
}
