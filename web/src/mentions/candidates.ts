// The users who can be mentioned in a conversation.

import type { Conversation, Tidings } from "@tidings/client";

import { fold } from "../fold.js";
import { cachePeople, titleOf } from "../people.js";
import { mayActForAll } from "../permissions.js";
import { EVERYONE, EVERYONE_NAME } from "./text.js";

/** Somebody who can be mentioned. */
export interface Candidate {
  id: string;
  name: string;
  photo: string | null;
}

/** Maximum number of candidates that are offered. */
const MAX_SHOWN = 8;
/** Maximum number of participants that are loaded: 10 calls. */
const MAX_LOADED = 1_000;

/** The participants of a conversation, loaded as far as it was necessary. */
interface Loading {
  people: Candidate[];
  pages: AsyncGenerator<{ user_id: string; name: string | null; photo_url: string | null }>;
  isComplete: boolean;
}

const loadings = new WeakMap<Tidings, Map<string, Loading>>();

/** Whether the user may mention all participants. */
const canMentionAll = (row: Conversation): boolean => row.type !== "direct" && mayActForAll(row);

/** Forgets the participants, who may have changed. */
export function forgetCandidates(client: Tidings, row: Conversation): void {
  loadings.get(client)?.delete(row.conversation_id);
}

/** Finds participants by a part of their name, those first whose name begins with it. Loads until there are enough. */
export async function findCandidates(client: Tidings, row: Conversation, query: string): Promise<Candidate[]> {
  const wanted = fold(query);
  const me = client.store.state.me?.id;
  const all = canMentionAll(row) ? [{ id: EVERYONE, name: EVERYONE_NAME, photo: null }] : [];
  const matches = (list: readonly Candidate[]) =>
    [...list, ...all].filter(({ id, name }) => id !== me && fold(name).includes(wanted));
  const rank = ({ name }: Candidate) => (fold(name).startsWith(wanted) ? 0 : fold(` ${name}`).includes(` ${wanted}`) ? 1 : 2);
  const isAll = ({ id }: Candidate) => Number(id === EVERYONE);
  const compare = (one: Candidate, other: Candidate) =>
    rank(one) - rank(other) || isAll(one) - isAll(other) || one.name.localeCompare(other.name);
  const sorted = (list: Candidate[]) => list.sort(compare).slice(0, MAX_SHOWN);
  if (row.type === "direct") {
    const { other_user_id: id, photo_url: photo } = row;
    return sorted(matches(id ? [{ id, name: titleOf(row), photo }] : []));
  }
  const known = loadings.get(client) ?? new Map<string, Loading>();
  loadings.set(client, known);
  const id = row.conversation_id;
  const loading = known.get(id) ?? { people: [], pages: client.api.participants(id), isComplete: false };
  known.set(id, loading);
  while (!loading.isComplete && matches(loading.people).length < MAX_SHOWN) {
    const { value, done } = await loading.pages.next().catch((error: unknown) => {
      // The next search starts again.
      known.delete(id);
      throw error;
    });
    if (done || loading.people.length >= MAX_LOADED) {
      loading.isComplete = true;
    } else if (value.name !== null) {
      loading.people.push({ id: value.user_id, name: value.name, photo: value.photo_url });
    }
  }
  const found = sorted(matches(loading.people));
  cachePeople(found.filter((one) => one.id !== EVERYONE).map(({ id, name, photo }) => ({ user_id: id, name, photo_url: photo })));
  return found;
}
