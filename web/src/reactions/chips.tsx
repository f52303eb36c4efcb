// The reactions below a message.

import type { Reaction, TimelineMessage } from "@tidings/client";
import { useMe, useTidings } from "@tidings/client/react";
import { Fragment, memo, useState } from "react";
import type { ReactNode } from "react";

import { usePeople } from "../people.js";
import { useGestures } from "../touch.js";
import { capped, joined } from "../words/formats.js";
import { useLanguage, words } from "../words/language.js";
import { toggleReaction } from "./toggle.js";

/** Chips with a count each. A click toggles the user's own reaction; a long press or right click lists who has reacted. */
export const Reactions = memo(function Reactions(props: { message: TimelineMessage; onList: (message: TimelineMessage) => void }) {
  useLanguage();
  const { message } = props;
  return (
    <ul className="reactions" aria-label={words.message.reactions}>
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
      aria-label={words.reactions.chip(emoji, count, me)}
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
      <span aria-hidden>{capped(count, 999)}</span>
      {isPointedAt && <WhoReacted reaction={reaction} />}
    </button>
  );
}

function WhoReacted({ reaction }: { reaction: Reaction }) {
  const me = useMe();
  const { count, user_ids } = reaction;
  const others = user_ids.filter((id) => id !== me?.id);
  const people = usePeople(others);
  const names = [...(reaction.me ? [words.common.you] : []), ...others.map((id) => people.get(id)?.name ?? "…")];
  const all: ReactNode[] = names.map((name) => <bdi>{name}</bdi>);
  if (count > names.length) all.push(words.reactions.more(count - names.length));
  return (
    <span className="who-reacted" role="tooltip">
      {joined(all).map((part, at) => (
        <Fragment key={at}>{part}</Fragment>
      ))}
    </span>
  );
}
