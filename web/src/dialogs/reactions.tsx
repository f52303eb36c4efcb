// Dialog that lists who has reacted to a message.

import type { Reaction, TimelineMessage } from "@tidings/client";
import { useMe, useSelected, useTidings } from "@tidings/client/react";

import { Avatar } from "../avatar.js";
import { Modal } from "../modal.js";
import { usePerson } from "../people.js";
import { toggleReaction } from "../reactions/toggle.js";
import { number } from "../words/formats.js";
import { partWords, words } from "../words/language.js";

export default function ReactionsDialog(props: { message: TimelineMessage; onClose: () => void }) {
  const { conversation_id, id } = props.message;
  // As it is now: others go on reacting.
  const message = useSelected((state) => state.timelines.get(conversation_id)?.messages.find((one) => one.id === id));
  return (
    <Modal title={words.message.reactions} onClose={props.onClose}>
      {message && message.reactions.length > 0 ? (
        message.reactions.map((reaction) => <Group key={reaction.emoji} message={message} reaction={reaction} />)
      ) : (
        <p className="muted">{partWords.reactions.none}</p>
      )}
    </Modal>
  );
}

function Group({ message, reaction }: { message: TimelineMessage; reaction: Reaction }) {
  const me = useMe()?.id;
  const { emoji, count } = reaction;
  const user_ids = reaction.user_ids.toSorted((one, other) => Number(other === me) - Number(one === me));
  return (
    <section className="stack">
      <h3>
        <span className="reaction-emoji">{emoji}</span> {number(count)}
      </h3>
      <ul className="list" aria-label={words.reactions.chip(emoji, count, false)}>
        {user_ids.map((id) => (
          <Person key={id} id={id} message={message} emoji={emoji} />
        ))}
        {count > user_ids.length && <li className="muted">{words.reactions.more(count - user_ids.length)}</li>}
      </ul>
    </section>
  );
}

function Person({ id, message, emoji }: { id: string; message: TimelineMessage; emoji: string }) {
  const client = useTidings();
  const isMe = useSelected((state) => state.me?.id === id);
  const { name, photo } = usePerson(id);
  return (
    <li>
      <Avatar id={id} name={name} photo={photo} size="small" />
      <span className="grow">
        <bdi>{isMe ? words.common.you : name}</bdi>
      </span>
      {isMe && (
        <button className="secondary" aria-label={partWords.common.removeNamed(emoji)} onClick={() => toggleReaction(client, message, emoji)}>
          {partWords.common.remove}
        </button>
      )}
    </li>
  );
}
