// A cache of users' names and photos.

import { TidingsError } from "@tidings/client";
import type { Conversation, Tidings, User } from "@tidings/client";
import { useSelected, useTidings } from "@tidings/client/react";
import { useEffect, useSyncExternalStore } from "react";

import { observable, useObservable } from "./observable.js";
import { words } from "./words/language.js";

/** The name and picture of a user. */
export interface Profile {
  name: string;
  photo: string | null;
  /** Whether the account was deleted. */
  isDeleted?: boolean;
  /** Whether it is of an earlier visit: it is shown, and loaded again. */
  isStored?: boolean;
}

/** Returns the name that is shown for a user. */
export const nameOf = ({ full_name, username, id }: Pick<User, "full_name" | "username" | "id">): string =>
  full_name ?? username ?? id;

const profiles = observable<ReadonlyMap<string, Profile>>(new Map());
const requested = new Set<string>();

/** Clears the cache, for another user. */
export function clearPeople(): void {
  profiles.set(new Map());
  requested.clear();
}

/** Caches users from a list, such as a conversation's participants. */
export function cachePeople(people: Iterable<{ user_id: string; name: string | null; photo_url?: string | null }>): void {
  const next = new Map(profiles.current);
  for (const { user_id, name, photo_url } of people) {
    const profile = { name: name ?? words.people.deleted, photo: photo_url ?? null, isDeleted: name === null };
    const known = next.get(user_id);
    // Profiles that have not changed stay the same, so that views of them do not render again.
    if (known?.name !== profile.name || known.photo !== profile.photo || known.isStored) next.set(user_id, profile);
  }
  profiles.set(next);
}

/** Maximum number of people who are stored for an offline start. */
const MAX_STORED = 1_000;

/** The people who were cached last, to be stored. */
export function storedPeople(): [string, Profile][] {
  return [...profiles.current].slice(-MAX_STORED);
}

/** Shows people who were stored, until they are loaded. */
export function showPeople(people: readonly [string, Profile][]): void {
  const stored = people.map(([id, profile]) => [id, { ...profile, isStored: true }] as const);
  profiles.set(new Map([...stored, ...profiles.current]));
}

async function load(client: Tidings, id: string): Promise<void> {
  if (requested.has(id)) return;
  requested.add(id);
  try {
    const user = await client.api.user(id);
    cachePeople([{ user_id: id, name: nameOf(user), photo_url: user.avatar_url }]);
  } catch (error) {
    if (error instanceof TidingsError && error.status === 404) cachePeople([{ user_id: id, name: null }]);
    // The next view that shows the user retries.
    else requested.delete(id);
  }
}

/** Returns whether a profile is to be loaded: a stored one is, once the server answers. */
function useIsWanted(): (profile: Profile | undefined) => boolean {
  const isStale = useSelected((state) => state.staleSince !== null);
  return (profile) => !profile || (profile.isStored === true && !isStale);
}

/** Returns a user's profile, loaded if it is not cached. */
export function usePerson(id: string): Profile {
  const client = useTidings();
  const me = useSelected((state) => state.me);
  const profile = useSyncExternalStore(profiles.subscribe, () => profiles.current.get(id));
  const isMe = me?.id === id;
  const isWanted = useIsWanted()(profile) && !isMe;
  useEffect(() => {
    if (isWanted) void load(client, id);
  }, [client, id, isWanted]);
  if (isMe) return { name: nameOf(me), photo: me.avatar_url };
  if (profile?.isDeleted) return { ...profile, name: words.people.deleted };
  return profile ?? { name: "…", photo: null };
}

/** Returns users' profiles by id, loaded if they are not cached; those that are still missing are left out. */
export function usePeople(ids: readonly string[]): ReadonlyMap<string, Profile> {
  const client = useTidings();
  const known = useObservable(profiles);
  const isWanted = useIsWanted();
  const missing = ids.filter((id) => isWanted(known.get(id))).join(" ");
  useEffect(() => {
    for (const id of missing.split(" ").filter(Boolean)) void load(client, id);
  }, [client, missing]);
  return known;
}

/** Returns the name of a user if it is cached. */
export function knownName(id: string): string | undefined {
  return profiles.current.get(id)?.name;
}

/** Returns a conversation's title. */
export function titleOf(row: Conversation): string {
  if (row.type === "direct") return row.other_user_name ?? row.other_user_id ?? words.people.deleted;
  return row.name ?? words.people.unnamed;
}
