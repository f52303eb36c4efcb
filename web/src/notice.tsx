// Notices: changes to a group or room, shown as lines between the messages.

import type { Notice, Timeline } from "@tidings/client";
import { useMe } from "@tidings/client/react";
import { Fragment } from "react";
import type { ReactNode } from "react";

import { usePerson } from "./people.js";

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
      return <MembershipChange verbs={["joined", "added"]} {...notice.data} />;
    case "participant.left":
      return <MembershipChange verbs={["left", "removed"]} {...notice.data} />;
    case "conversation.created": {
      const { type, is_admin } = notice.data.conversation;
      return is_admin ? `You created this ${type}` : type === "room" ? "You joined" : "You were added";
    }
    case "conversation.updated": {
      const { name, is_admin } = notice.data;
      const parts: ReactNode[] = [];
      if (name !== undefined) parts.push(<>Name changed to <bdi>{name}</bdi></>);
      if ("description" in notice.data) parts.push("Description changed");
      if ("photo_url" in notice.data) parts.push("Picture changed");
      if (is_admin !== undefined) parts.push(is_admin ? "You are now an admin" : "You are no longer an admin");
      return parts.map((part, at) => <Fragment key={at}>{at > 0 && " · "}{part}</Fragment>);
    }
    default:
      return notice satisfies never;
  }
}

/** A user joined or left (first verb), or was added or removed by another (second verb). */
function MembershipChange(props: { verbs: [string, string]; user_id: string; by: string }) {
  const { verbs, user_id, by: actorId } = props;
  const me = useMe();
  const user = usePerson(user_id);
  const actor = usePerson(actorId);
  const isMe = user_id === me?.id;
  if (user_id === actorId) return <>{isMe ? "You" : <bdi>{user.name}</bdi>} {verbs[0]}</>;
  return (
    <>
      {actorId === me?.id ? "You" : <bdi>{actor.name}</bdi>} {verbs[1]} {isMe ? "you" : <bdi>{user.name}</bdi>}
    </>
  );
}
