// Dialog that offers all emoji as reactions.

import type { TimelineMessage } from "@tidings/client";
import { useTidings } from "@tidings/client/react";

import EmojiPicker from "../emoji-picker.js";
import { Modal } from "../modal.js";
import { hasReacted } from "../reactions/toggle.js";
import { attempt } from "../toasts.js";
import { words } from "../words/language.js";

export default function ReactDialog({ message, onClose }: { message: TimelineMessage; onClose: () => void }) {
  const client = useTidings();
  const pick = (emoji: string) => {
    onClose();
    if (!hasReacted(message, emoji)) void attempt(client.react(message.id, emoji));
  };
  return (
    <Modal title={words.reactions.react} onClose={onClose}>
      <EmojiPicker onPick={pick} onClose={onClose} />
    </Modal>
  );
}
