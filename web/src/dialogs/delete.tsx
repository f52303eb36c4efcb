// Dialog that asks whether to delete a message for everyone or only for the user.

import type { Conversation, TimelineMessage } from "@tidings/client";
import { useMe, useTidings } from "@tidings/client/react";

import { shortText } from "../attachments/describe.js";
import { Modal } from "../modal.js";
import { mayDeleteForAll } from "../permissions.js";
import { attempt } from "../toasts.js";
import { partWords, words } from "../words/language.js";

export default function DeleteDialog(props: { row: Conversation; message: TimelineMessage; onClose: () => void }) {
  const client = useTidings();
  const me = useMe();
  const { message, row, onClose } = props;
  const isSent = message.status === "sent";
  const canDeleteForEveryone = mayDeleteForAll(row, message, me?.id);
  const remove = (scope: "everyone" | "me") => {
    onClose();
    void attempt(client.delete(message.id, scope));
  };
  return (
    <Modal title={partWords.deleteMessage.title} onClose={onClose}>
      <blockquote className="quote-text muted" dir="auto">
        {shortText(message)}
      </blockquote>
      <div className="actions">
        <button className="secondary" onClick={onClose}>
          {words.common.cancel}
        </button>
        {isSent && (
          <button className="secondary" onClick={() => remove("me")}>
            {partWords.deleteMessage.forMe}
          </button>
        )}
        {canDeleteForEveryone && (
          <button className="primary danger" onClick={() => remove("everyone")}>
            {isSent ? partWords.deleteMessage.forEveryone : partWords.common.delete}
          </button>
        )}
      </div>
    </Modal>
  );
}
