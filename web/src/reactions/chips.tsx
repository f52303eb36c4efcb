// The reactions below a message.

import type { Reaction, TimelineMessage } from "@tidings/client";
import { useMe, useTidings } from "@tidings/client/react";
import { memo, useState } from "react";

import { usePeople } from "../people.js";
import { useGestures } from "../touch.js";
import { toggleReaction } from "./toggle.js";

/** Chips with a count each. A click toggles the user's own reaction; a long press or right click lists who has reacted. */
export const Reactions = memo(function Reactions(props: { message: TimelineMessage; onList: (message: TimelineMessage) => void }) {
  const { message } = props;
  return (
    <ul className="reactions" aria-label="Reactions">
      {message.reactions.map((reaction) => (
        <li key={reaction.emoji}>
          <Chip message={message} reaction={reaction} onList={() => props.onList(message)} />
        </li>
      ))}
    </ul>
  );
});

function Chip({ message, reaction, onList }: { message: TimelineMessage; reaction: Reaction; onList: () => void }) {
  const client = useTidings();
  // Names are only loaded for those who point at the chip.
  const [isPointedAt, setIsPointedAt] = useState(false);
  const { handlers } = useGestures(onList, () => {});
  const { emoji, count, me } = reaction;
  return (
    <button
      className="reaction"
      aria-pressed={me}
      aria-label={`${emoji} ${count}${me ? ", including you" : ""}`}
      {...handlers}
      onClick={() => toggleReaction(client, message, emoji)}
      onContextMenu={(event) => {
        event.preventDefault();
        onList();
      }}
      onPointerEnter={() => setIsPointedAt(true)}
      onPointerLeave={() => setIsPointedAt(false)}
      onFocus={() => setIsPointedAt(true)}
      onBlur={() => setIsPointedAt(false)}
    >
      <span className="reaction-emoji" aria-hidden>
        {emoji}
      </span>
      <span aria-hidden>{count > 999 ? "999+" : count}</span>
      {isPointedAt && <WhoReacted reaction={reaction} />}
    </button>
  );
}

function WhoReacted({ reaction }: { reaction: Reaction }) {
  const me = useMe();
  const { count, user_ids } = reaction;
  const others = user_ids.filter((id) => id !== me?.id);
  const people = usePeople(others);
  const names = [...(reaction.me ? ["You"] : []), ...others.map((id) => people.get(id)?.name ?? "…")];
  return (
    <span className="who-reacted" role="tooltip">
      {names.map((name, at) => (
        <span key={at}>
          {at > 0 && ", "}
          <bdi>{name}</bdi>
        </span>
      ))}
      {count > names.length && ` and ${count - names.length} more`}
    </span>
  );
}
