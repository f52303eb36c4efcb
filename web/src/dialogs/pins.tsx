// Dialog that lists the pinned messages of a conversation.

import type { Conversation, Message } from "@tidings/client";
import { useTidings } from "@tidings/client/react";
import { PinOff } from "lucide-react";

import { summary } from "../attachments/describe.js";
import { Avatar } from "../avatar.js";
import { showOverrides } from "../bidi.js";
import { formatFull } from "../dates.js";
import { Modal } from "../modal.js";
import { usePerson } from "../people.js";
import { canPin } from "../pins/pins.js";
import { navigate } from "../route.js";
import { attempt } from "../toasts.js";
import { partWords, words } from "../words/language.js";

export default function PinsDialog(props: { row: Conversation; pins: readonly Message[]; onClose: () => void }) {
  const { row, pins, onClose } = props;
  return (
    <Modal title={words.pins.pinned} onClose={onClose}>
      {pins.length === 0 && <p className="muted">{partWords.pins.none}</p>}
      <ul className="list">
        {pins.map((message) => (
          <Pinned key={message.id} message={message} canUnpin={canPin(row)} onClose={onClose} />
        ))}
      </ul>
    </Modal>
  );
}

function Pinned({ message, canUnpin, onClose }: { message: Message; canUnpin: boolean; onClose: () => void }) {
  const client = useTidings();
  const { name, photo } = usePerson(message.sender_id);
  const text = summary(message);
  const jump = () => {
    onClose();
    navigate(message.conversation_id, message.id);
  };
  return (
    <li>
      <button className="candidate" onClick={jump}>
        <Avatar id={message.sender_id} name={name} photo={photo} size="small" />
        <span className="grow">
          <bdi className="strong">{name}</bdi>
          <span className="quote-text" dir="auto">
            {showOverrides(text.slice(0, 300))}
          </span>
          <span className="muted small-text">{formatFull(message.sent_at)}</span>
        </span>
      </button>
      {canUnpin && (
        <button
          className="icon-button"
          aria-label={partWords.pins.unpinText(text.slice(0, 40))}
          title={partWords.pins.unpin}
          onClick={() => void attempt(client.unpin(message.id))}
        >
          <PinOff aria-hidden />
        </button>
      )}
    </li>
  );
}
