// The members of a group or room: a search, and at most some of them at a time.

import type { Conversation, ConversationDetails, Participant, RoomUser, Tidings } from "@tidings/client";
import { useMe, useTidings } from "@tidings/client/react";
import { useEffect, useState } from "react";
import type { ReactNode } from "react";

import { Avatar } from "../avatar.js";
import { fold } from "../fold.js";
import { cachePeople } from "../people.js";
import { PersonName } from "../person-name.js";
import { afterTyping, firstOf } from "../search/ask.js";
import { attempt } from "../toasts.js";
import { partWords, words } from "../words/language.js";
import type { Confirm } from "./confirm.js";
import { PeoplePicker } from "./people-picker.js";

/** Members that are shown at first, and more each time that the user asks. */
const STEP = 50;
/** How many members a search looks at: the server cannot search them. */
const MAX_SEARCHED = 2_000;
/** Fewer members than this need no search. */
const MIN_TO_SEARCH = 8;

interface MembersProps {
  row: Conversation;
  details: ConversationDetails;
  onChanged: () => Promise<void>;
  confirm: Confirm;
}

export function Members({ row, details, onChanged, confirm }: MembersProps) {
  const client = useTidings();
  const id = row.conversation_id;
  const [text, setText] = useState("");
  const [limit, setLimit] = useState(STEP);
  const [isAdding, setIsAdding] = useState(false);
  const { members, hasMore } = useMembers(details, fold(text.trim()), limit);
  const statuses = useStatuses(row);
  const canChange = details.is_admin && row.type === "group";
  const change = async (work: Promise<unknown>) => {
    if (await attempt(work)) await attempt(onChanged());
  };
  const isThere = ({ user_id }: Participant) => (statuses.get(user_id)?.status ?? "offline") !== "offline";
  const shown = [...members.filter(isThere), ...members.filter((member) => !isThere(member))];
  return (
    <section className="stack" aria-label={partWords.details.members}>
      <div className="section-bar">
        <h3>{partWords.details.members}</h3>
        {canChange && (
          <button className="link" aria-expanded={isAdding} onClick={() => setIsAdding(!isAdding)}>
            {partWords.details.addPeople}
          </button>
        )}
      </div>
      {isAdding && (
        <PeoplePicker
          exclude={new Set(details.participants.map(({ user_id }) => user_id))}
          action={{ label: partWords.common.add, run: ({ id: user }) => void change(client.api.addParticipants(id, [user])) }}
        />
      )}
      {details.participant_count > MIN_TO_SEARCH && (
        <input
          type="search"
          dir="auto"
          autoComplete="off"
          aria-label={partWords.details.findMembers}
          placeholder={partWords.details.findMembers}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setLimit(STEP);
          }}
        />
      )}
      <ul className="list" aria-label={partWords.details.people}>
        {shown.map((member) => (
          <Member key={member.user_id} member={member} status={statuses.get(member.user_id)?.status}>
            {canChange && (
              <MemberActions
                member={member}
                onSetAdmin={(isAdmin) => void change(client.api.setAdmin(id, member.user_id, isAdmin))}
                onRemove={(name) =>
                  confirm(partWords.details.removeFromGroup(name), partWords.common.removeNamed(name), () => client.api.removeParticipant(id, member.user_id))
                }
              />
            )}
          </Member>
        ))}
      </ul>
      <p className="muted" role="status">
        {members.length === 0 && text.trim() !== "" && partWords.details.noMembersFound}
      </p>
      {hasMore && (
        <button className="link" onClick={() => setLimit(limit + STEP)}>
          {words.common.showMore}
        </button>
      )}
    </section>
  );
}

function Member(props: { member: Participant; status: RoomUser["status"] | undefined; children: ReactNode }) {
  const me = useMe();
  const { user_id: id, name, photo_url: photo, is_admin: isAdmin } = props.member;
  return (
    <li>
      <PersonName id={id} look="candidate">
        <Avatar id={id} name={name ?? words.people.deleted} photo={photo} size="small" status={props.status} />
        <span className="grow">
          <span>
            <bdi>{name ?? words.people.deleted}</bdi>
            {id === me?.id && ` ${partWords.details.you}`}
          </span>
          {isAdmin && <span className="muted small-text">{partWords.details.admin}</span>}
        </span>
      </PersonName>
      {id !== me?.id && props.children}
    </li>
  );
}

function MemberActions(props: { member: Participant; onSetAdmin: (isAdmin: boolean) => void; onRemove: (name: string) => void }) {
  const { is_admin: isAdmin } = props.member;
  const name = props.member.name ?? words.people.deleted;
  return (
    <>
      <button
        className="link"
        aria-label={isAdmin ? partWords.details.removeAsAdminNamed(name) : partWords.details.makeAdminNamed(name)}
        onClick={() => props.onSetAdmin(!isAdmin)}
      >
        {isAdmin ? partWords.details.removeAsAdmin : partWords.details.makeAdmin}
      </button>
      <button className="link danger" aria-label={partWords.common.removeNamed(name)} onClick={() => props.onRemove(name)}>
        {partWords.common.remove}
      </button>
    </>
  );
}

/** Returns the first members whose name contains a folded text; all names contain an empty one. */
function useMembers(details: ConversationDetails, wanted: string, limit: number): { members: readonly Participant[]; hasMore: boolean } {
  const client = useTidings();
  const [members, setMembers] = useState<readonly Participant[]>([]);
  useEffect(() => {
    const search = async (signal: AbortSignal) => {
      const found = await findMembers(client, details, wanted, limit + 1, signal);
      cachePeople(found);
      setMembers(found);
    };
    return afterTyping((signal) => attempt(search(signal)), wanted === "" ? 0 : undefined);
  }, [client, details, wanted, limit]);
  return { members: members.slice(0, limit), hasMore: members.length > limit };
}

async function findMembers(
  client: Tidings,
  { conversation_id: id, participants, participant_count: count }: ConversationDetails,
  wanted: string,
  max: number,
  signal: AbortSignal,
): Promise<Participant[]> {
  const matches = ({ name }: Participant) => fold(name ?? words.people.deleted).includes(wanted);
  // The details come with the first page.
  const first = participants.filter(matches);
  if (first.length >= max || participants.length >= count) return first.slice(0, max);
  let searched = 0;
  const isWanted = (member: Participant) => {
    searched += 1;
    return matches(member);
  };
  const pages = client.api.participants(id, { signal });
  async function* bounded() {
    for await (const member of pages) {
      if (searched >= MAX_SEARCHED) return;
      yield member;
    }
  }
  return firstOf(bounded(), max, isWanted);
}

/** Returns who is online, for rooms. */
function useStatuses({ conversation_id: id, type }: Conversation): ReadonlyMap<string, RoomUser> {
  const client = useTidings();
  const [users, setUsers] = useState<ReadonlyMap<string, RoomUser>>(new Map());
  useEffect(() => {
    if (type !== "room") return;
    const stop = new AbortController();
    firstOf(client.api.roomUsers(id, { signal: stop.signal }), 200).then(
      (users) => setUsers(new Map(users.map((user) => [user.user_id, user]))),
      // Members then show no status.
      () => {},
    );
    return () => stop.abort();
  }, [client, id, type]);
  return users;
}
