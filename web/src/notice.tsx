// Notices: changes to a group or room, shown as lines between the messages.

import type { Notice, Timeline } from "@tidings/client";
import { useMe } from "@tidings/client/react";
import { Fragment } from "react";
import type { ReactNode } from "react";

import { usePerson } from "./people.js";
import { words } from "./words/language.js";

type Message = Timeline["messages"][number];

/** A timeline entry for a notice. */
export interface NoticeEntry {
  key: string;
  sent_at: string;
  notice: Notice;
}

export const isNotice = (entry: Message | NoticeEntry): entry is NoticeEntry => "notice" in entry;

/** Returns messages and notices sorted by server time, without notices from outside the loaded range. */
export function withNotices({ messages, notices, hasOlder, hasNewer }: Timeline): readonly (Message | NoticeEntry)[] {
  if (notices.length === 0) return messages;
  const entries: (Message | NoticeEntry)[] = [...messages];
  let at = messages.length;
  for (const notice of notices.toReversed()) {
    const isLater = ({ status, sent_at }: Message) => status !== "sent" || sent_at > notice.occurred_at;
    while (at > 0 && isLater(messages[at - 1] as Message)) at -= 1;
    if ((at === 0 && hasOlder) || (at === messages.length && hasNewer)) continue;
    entries.splice(at, 0, { key: notice.id, sent_at: notice.occurred_at, notice });
  }
  return entries;
}

export function NoticeLine({ notice }: { notice: Notice }) {
  return (
    <p className="event" data-testid="notice">
      <span>
        <NoticeText notice={notice} />
      </span>
    </p>
  );
}

function NoticeText({ notice }: { notice: Notice }): ReactNode {
  switch (notice.type) {
    case "participant.joined":
      return <MembershipChange phrases={JOINED} {...notice.data} />;
    case "participant.left":
      return <MembershipChange phrases={LEFT} {...notice.data} />;
    case "conversation.created": {
      const { type, is_admin } = notice.data.conversation;
      return is_admin ? words.notices.youCreated[type] : type === "room" ? words.notices.youJoined : words.notices.youWereAdded;
    }
    case "conversation.updated": {
      const { name, is_admin } = notice.data;
      const parts: ReactNode[] = [];
      if (name !== undefined) parts.push(words.notices.nameChanged(<bdi>{name}</bdi>));
      if ("description" in notice.data) parts.push(words.notices.descriptionChanged);
      if ("photo_url" in notice.data) parts.push(words.notices.pictureChanged);
      if (is_admin !== undefined) parts.push(is_admin ? words.notices.nowAdmin : words.notices.noLongerAdmin);
      return parts.map((part, at) => <Fragment key={at}>{at > 0 && " · "}{part}</Fragment>);
    }
    default:
      return notice satisfies never;
  }
}

/** The words for a change of the members, as keys of `words.notices`. */
const JOINED = { self: "youJoined", alone: "joined", byMe: "youAdded", ofMe: "addedYou", other: "added" } as const;
const LEFT = { self: "youLeft", alone: "left", byMe: "youRemoved", ofMe: "removedYou", other: "removed" } as const;

/** A user joined or left, or was added or removed by another. */
function MembershipChange(props: { phrases: typeof JOINED | typeof LEFT; user_id: string; by: string }) {
  const { phrases, user_id, by: actorId } = props;
  const { notices } = words;
  const me = useMe();
  const user = <bdi>{usePerson(user_id).name}</bdi>;
  const actor = <bdi>{usePerson(actorId).name}</bdi>;
  const isMe = user_id === me?.id;
  if (user_id === actorId) return isMe ? notices[phrases.self] : notices[phrases.alone](user);
  if (actorId === me?.id) return notices[phrases.byMe](user);
  return isMe ? notices[phrases.ofMe](actor) : notices[phrases.other](actor, user);
}
