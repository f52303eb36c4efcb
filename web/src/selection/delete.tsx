// Dialog that asks whether to delete the selected messages for everyone or only for the user, and does so.

import type { Conversation, Message } from "@tidings/client";
import { useMe, useTidings } from "@tidings/client/react";

import { Modal } from "../modal.js";
import { mayDeleteForAll } from "../permissions.js";
import { toast } from "../toasts.js";
import { partWords, words } from "../words/language.js";
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
    if (end === "stopped") toast(partWords.deleteMessage.stopped(done, messages.length));
    if (end !== "done") return;
    toast(partWords.deleteMessage.done(done));
    endSelecting();
    onClose();
  };
  return (
    <Modal title={partWords.deleteMessage.titleOf(progress?.total ?? messages.length)} onClose={onClose}>
      {progress ? (
        <ProgressView
          progress={progress}
          label={partWords.deleteMessage.progress(progress.done, progress.total)}
          failure={partWords.deleteMessage.failed(progress.done, progress.total)}
          onClose={onClose}
        />
      ) : (
        <div className="actions">
          <button className="secondary" onClick={onClose}>
            {words.common.cancel}
          </button>
          <button className="secondary" onClick={() => void remove("me")}>
            {partWords.deleteMessage.forMe}
          </button>
          {isForAll && (
            <button className="primary danger" onClick={() => void remove("everyone")}>
              {partWords.deleteMessage.forEveryone}
            </button>
          )}
        </div>
      )}
    </Modal>
  );
}
