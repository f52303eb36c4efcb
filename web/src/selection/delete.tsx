// Dialog that asks whether to delete the selected messages for everyone or only for the user, and does so.

import type { Conversation, Message } from "@tidings/client";
import { useMe, useTidings } from "@tidings/client/react";

import { Modal } from "../modal.js";
import { mayDeleteForAll } from "../permissions.js";
import { toast } from "../toasts.js";
import { words } from "../words/language.js";
import { patiently, useInTurn } from "./in-turn.js";
import { ProgressView } from "./progress-view.js";
import { endSelecting } from "./selection.js";

export default function DeleteSelected(props: { row: Conversation; messages: readonly Message[]; onClose: () => void }) {
  const client = useTidings();
  const me = useMe();
  const { progress, run } = useInTurn();
  const { row, messages, onClose } = props;
  const isForAll = messages.every((message) => mayDeleteForAll(row, message, me?.id));
  const remove = async (scope: "everyone" | "me") => {
    // Skip messages that others have deleted meanwhile.
    const isGone = ({ id }: Message) => client.store.message(row.conversation_id, id)?.is_deleted ?? true;
    const { end, done } = await run(messages, async (message, signal) => {
      if (!isGone(message)) await patiently(() => client.delete(message.id, scope, { signal }), signal);
    });
    if (end === "stopped") toast(words.deleteMessage.stopped(done, messages.length));
    if (end !== "done") return;
    toast(words.deleteMessage.done(done));
    endSelecting();
    onClose();
  };
  return (
    <Modal title={words.deleteMessage.titleOf(progress?.total ?? messages.length)} onClose={onClose}>
      {progress ? (
        <ProgressView
          progress={progress}
          label={words.deleteMessage.progress(progress.done, progress.total)}
          failure={words.deleteMessage.failed(progress.done, progress.total)}
          onClose={onClose}
        />
      ) : (
        <div className="actions">
          <button className="secondary" onClick={onClose}>
            {words.common.cancel}
          </button>
          <button className="secondary" onClick={() => void remove("me")}>
            {words.deleteMessage.forMe}
          </button>
          {isForAll && (
            <button className="primary danger" onClick={() => void remove("everyone")}>
              {words.deleteMessage.forEveryone}
            </button>
          )}
        </div>
      )}
    </Modal>
  );
}
