// The sender of the last message of a group or room. A row does not name them, so an unknown message is looked up.

import type { Conversation, Tidings } from "@tidings/client";
import { useSelected, useTidings } from "@tidings/client/react";
import { useEffect } from "react";

import { observable, useObservable } from "./observable.js";

/** Senders that were looked up, by message. */
const senders = observable<ReadonlyMap<string, string>>(new Map());
const requested = new Set<string>();
/** Look-ups run one after the other, because a long inbox may need many of them at once. */
let queue: Promise<void> = Promise.resolve();

async function load(client: Tidings, conversation: string, id: string): Promise<void> {
  try {
    // If it is no longer the newest message, the row is about to change.
    const [newest] = (await client.api.messages(conversation, { limit: 1 })).data;
    const message = newest?.id === id ? newest : undefined;
    if (message) senders.set(new Map(senders.current).set(id, message.sender_id));
  } catch {
    // The next view that shows the row tries again.
    requested.delete(id);
  }
}

/** Returns who sent the last message; null if it was the user, if there is none, or while it is not known. */
export function useLastSender(row: Conversation): string | null {
  const client = useTidings();
  const { conversation_id: conversation, last_message_id: id } = row;
  const isAsked = row.type !== "direct" && !row.last_message_from_me && id !== null && row.last_message_kind !== "deleted";
  const known = useSelected(() => (isAsked ? client.store.message(conversation, id)?.sender_id : undefined));
  const loaded = useObservable(senders).get(id ?? "");
  const isMissing = isAsked && known === undefined && loaded === undefined;
  useEffect(() => {
    if (!isMissing || requested.has(id)) return;
    requested.add(id);
    queue = queue.then(() => load(client, conversation, id));
  }, [client, conversation, id, isMissing]);
  return isAsked ? (known ?? loaded ?? null) : null;
}
