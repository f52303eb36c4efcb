// The part that a person's profile and the details of a direct conversation share.

import type { Conversation, Tidings } from "@tidings/client";
import { useTidings } from "@tidings/client/react";
import { useEffect, useState } from "react";

import { Avatar } from "../avatar.js";
import { blocked } from "../blocked.js";
import { useObservable } from "../observable.js";
import { titleOf } from "../people.js";
import { useCurrentPresence, usePresenceText } from "../presence.js";
import { linkTo } from "../route.js";
import { partWords } from "../words/language.js";

/** Of how many groups, the latest ones, the members are looked up. Each costs a request. */
const MAX_GROUPS = 12;

/** Whether a person is there, or when they were. */
export function Availability({ id }: { id: string }) {
  const presence = useCurrentPresence(id);
  const text = usePresenceText(presence);
  const isBlocked = useObservable(blocked).has(id);
  if (isBlocked) return <p className="muted">{partWords.details.isBlocked}</p>;
  return presence ? <p className="muted">{text}</p> : null;
}

/** Finds the groups that both users are in, among the latest of the own ones. */
async function findShared(client: Tidings, id: string, signal: AbortSignal): Promise<Conversation[]> {
  const groups = client.store.state.conversations.filter(({ type }) => type === "group").slice(0, MAX_GROUPS);
  const shared = await Promise.all(
    groups.map(async (row) => {
      const { participants } = await client.api.conversation(row.conversation_id, { signal });
      return participants.some(({ user_id }) => user_id === id) ? [row] : [];
    }),
  );
  return shared.flat();
}

/** The groups that the user and another person are both in. */
export function SharedGroups({ id, onClose }: { id: string; onClose: () => void }) {
  const client = useTidings();
  const [groups, setGroups] = useState<readonly Conversation[] | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    findShared(client, id, stop.signal).then(setGroups, () => !stop.signal.aborted && setGroups([]));
    return () => stop.abort();
  }, [client, id]);
  if (!groups || groups.length === 0) return null;
  return (
    <section className="stack">
      <h3>{partWords.details.groupsInCommon}</h3>
      <ul className="list" aria-label={partWords.details.groupsInCommon}>
        {groups.map((row) => (
          <li key={row.conversation_id}>
            <a className="candidate" href={linkTo(row.conversation_id)} onClick={onClose}>
              <Avatar id={row.conversation_id} name={titleOf(row)} photo={row.photo_url} kind="group" size="small" />
              <span className="grow">
                <bdi>{titleOf(row)}</bdi>
              </span>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}
