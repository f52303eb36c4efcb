// What happened to a group or room, as a line between its messages.

import type { Notice, Timeline } from "@tidings/client";
import { useMe } from "@tidings/client/react";
import { Fragment } from "react";
import type { ReactNode } from "react";

import { usePerson } from "./people.js";

type Message = Timeline["messages"][number];

/** A notice among the messages. */
export interface Line {
  key: string;
  sent_at: string;
  notice: Notice;
}

/** Whether it is a line, not a message. */
export const isLine = (entry: Message | Line): entry is Line => "notice" in entry;

/** The messages and, where they are of the stretch that is loaded, the notices between them, by the server's times. */
export function interleaved({ messages, notices, hasOlder, hasNewer }: Timeline): readonly (Message | Line)[] {
  if (notices.length === 0) return messages;
  const entries: (Message | Line)[] = [...messages];
  let at = messages.length;
  for (const notice of notices.toReversed()) {
    const isLater = ({ status, sent_at }: Message) => status !== "sent" || sent_at > notice.occurred_at;
    while (at > 0 && isLater(messages[at - 1] as Message)) at -= 1;
    if ((at === 0 && hasOlder) || (at === messages.length && hasNewer)) continue;
    entries.splice(at, 0, { key: notice.id, sent_at: notice.occurred_at, notice });
  }
  return entries;
}

/** The line. */
export function NoticeLine({ notice }: { notice: Notice }) {
  return (
    <p className="event" data-testid="notice">
      <span>
        <Words notice={notice} />
      </span>
    </p>
  );
}

function Words({ notice }: { notice: Notice }): ReactNode {
  switch (notice.type) {
    case "participant.joined":
      return <Move verb={["joined", "added"]} {...notice.data} />;
    case "participant.left":
      return <Move verb={["left", "removed"]} {...notice.data} />;
    case "conversation.created": {
      const { type, is_admin } = notice.data.conversation;
      return is_admin ? `You made this ${type}` : type === "room" ? "You joined" : "You were added";
    }
    case "conversation.updated": {
      const { name, is_admin } = notice.data;
      const parts: ReactNode[] = [];
      if (name !== undefined) parts.push(<>The name is now <bdi>{name}</bdi></>);
      if ("description" in notice.data) parts.push("The description was changed");
      if ("photo_url" in notice.data) parts.push("The picture was changed");
      if (is_admin !== undefined) parts.push(is_admin ? "You are an admin now" : "You are no longer an admin");
      return parts.map((part, at) => <Fragment key={at}>{at > 0 && " · "}{part}</Fragment>);
    }
    default:
      return notice satisfies never;
  }
}

/** Someone joined or left: by themselves, or by another. */
function Move({ verb: [alone, by], user_id, by: actor }: { verb: [string, string]; user_id: string; by: string }) {
  const me = useMe();
  const who = usePerson(user_id);
  const whoever = usePerson(actor);
  if (user_id === actor) return <>{user_id === me?.id ? "You" : <bdi>{who.name}</bdi>} {alone}</>;
  return (
    <>
      {actor === me?.id ? "You" : <bdi>{whoever.name}</bdi>} {by} {user_id === me?.id ? "you" : <bdi>{who.name}</bdi>}
    </>
  );
}
