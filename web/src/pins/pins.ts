// The pinned messages of the open conversation.

import type { Conversation, Message } from "@tidings/client";
import { useConnection, useTidings } from "@tidings/client/react";
import { useEffect, useState } from "react";

import { mayActForAll } from "../permissions.js";

/** Whether the user may pin and unpin messages of a conversation. */
export const canPin = (row: Conversation): boolean => row.type === "direct" || mayActForAll(row);

/** Returns the pinned messages of a conversation, the latest pin first, and follows their changes. */
export function usePins(conversation: string): readonly Message[] {
  const client = useTidings();
  const [pins, setPins] = useState<readonly Message[]>([]);
  // After a break, events may be missing.
  const isConnected = ["live", "polling"].includes(useConnection());
  useEffect(() => {
    if (!isConnected) return;
    const stop = new AbortController();
    /** Changes that arrive while the list is loaded. */
    const changed = new Map<string, Message>();
    const apply = (message: Message) => {
      if (message.conversation_id !== conversation) return;
      changed.set(message.id, message);
      setPins((pins) => withChange(pins, message));
    };
    const removals = [
      client.on("message.updated", ({ data }) => apply(data.message)),
      client.on("message.deleted", ({ data }) => apply({ ...data.message, pinned_at: null })),
    ];
    client.pins(conversation, { signal: stop.signal }).then(
      (loaded) => setPins([...changed.values()].reduce(withChange, loaded)),
      // The next time that the conversation is opened, it is tried again.
      () => {},
    );
    return () => {
      stop.abort();
      for (const remove of removals) remove();
    };
  }, [client, conversation, isConnected]);
  return pins;
}

/** Takes a change of a message into the list: of two versions, the higher one counts. */
function withChange(pins: readonly Message[], message: Message): readonly Message[] {
  const known = pins.find(({ id }) => id === message.id);
  if (known && known.version > message.version) return pins;
  if (!known && message.pinned_at === null) return pins;
  const others = pins.filter((one) => one !== known);
  if (message.pinned_at === null) return others;
  return [...others, message].sort((one, other) => ((one.pinned_at ?? "") < (other.pinned_at ?? "") ? 1 : -1));
}
