// Names of people, as they come to be known.

import type { Conversation, Tidings } from "@tidings/client";
import { useSelected, useTidings } from "@tidings/client/react";
import { useEffect } from "react";

import { useValue, value } from "./value.js";

/** What is shown of someone. */
export interface Known {
  name: string;
  photo: string | null;
}

const known = value<ReadonlyMap<string, Known>>(new Map());
const asked = new Set<string>();

/** Forgets everyone: another person is signed in. */
export function forgetPeople(): void {
  known.set(new Map());
  asked.clear();
}

/** Takes in what a list says of people. */
export function learn(people: Iterable<{ user_id: string; name: string | null; photo_url?: string | null }>): void {
  const next = new Map(known.current);
  for (const { user_id, name, photo_url } of people) {
    next.set(user_id, { name: name ?? "Someone who left", photo: photo_url ?? null });
  }
  known.set(next);
}

async function lookUp(client: Tidings, id: string): Promise<void> {
  if (asked.has(id)) return;
  asked.add(id);
  try {
    const { full_name, username, avatar_url } = await client.api.user(id);
    learn([{ user_id: id, name: full_name ?? username ?? id, photo_url: avatar_url }]);
  } catch {
    // Asked again by the next view that shows them.
    asked.delete(id);
  }
}

/** Someone; looked up where nothing has told of them yet. */
export function usePerson(id: string): Known {
  const client = useTidings();
  const me = useSelected((state) => state.me);
  const person = useValue(known).get(id);
  const isMe = me?.id === id;
  useEffect(() => {
    if (!person && !isMe) void lookUp(client, id);
  }, [client, id, isMe, person]);
  if (isMe) return { name: me.full_name ?? me.username ?? me.id, photo: me.avatar_url };
  return person ?? { name: "…", photo: null };
}

/** What a conversation is called. */
export function titleOf(row: Conversation): string {
  if (row.type === "direct") return row.other_user_name ?? row.other_user_id ?? "Someone who left";
  return row.name ?? "Unnamed";
}
