// Dialog that asks whether to delete the selected messages for everyone or only for the user, and does so.

import type { Conversation, Message } from "@tidings/client";
import { useMe, useTidings } from "@tidings/client/react";

import { Modal } from "../modal.js";
import { mayDeleteForAll } from "../permissions.js";
import { toast } from "../toasts.js";
import { patiently, useInTurn } from "./in-turn.js";
import { ProgressView } from "./progress-view.js";
import { endSelecting } from "./selection.js";

const words = {
  title: (count: number) => (count === 1 ? "Delete this message?" : `Delete ${count} messages?`),
  cancel: "Cancel",
  forMe: "Delete for me",
  forEveryone: "Delete for everyone",
  progress: (done: number, total: number) => `Deleting: ${done} of ${total}`,
  done: (count: number) => (count === 1 ? "Message deleted." : `${count} messages deleted.`),
  stopped: (done: number, total: number) => `Stopped: ${done} of ${total} messages were deleted.`,
  failed: (done: number, total: number) => `${done} of ${total} messages were deleted, the others are still selected:`,
};

export default function DeleteSelected(props: { row: Conversation; messages: readonly Message[]; onClose: () => void }) {
  const client = useTidings();
  const me = useMe();
  const { progress, run } = useInTurn();
  const { row, messages, onClose } = props;
  const isForAll = messages.every((message) => mayDeleteForAll(row, message, me?.id));
  const remove = async (scope: "everyone" | "me") => {
    // What others delete meanwhile is done.
    const isGone = ({ id }: Message) => client.store.message(row.conversation_id, id)?.is_deleted ?? true;
    const { end, done } = await run(messages, async (message, signal) => {
      if (!isGone(message)) await patiently(() => client.delete(message.id, scope, { signal }), signal);
    });
    if (end === "stopped") toast(words.stopped(done, messages.length));
    if (end !== "done") return;
    toast(words.done(done));
    endSelecting();
    onClose();
  };
  return (
    <Modal title={words.title(progress?.total ?? messages.length)} onClose={onClose}>
      {progress ? (
        <ProgressView
          progress={progress}
          label={words.progress(progress.done, progress.total)}
          failure={words.failed(progress.done, progress.total)}
          onClose={onClose}
        />
      ) : (
        <div className="actions">
          <button className="secondary" onClick={onClose}>
            {words.cancel}
          </button>
          <button className="secondary" onClick={() => void remove("me")}>
            {words.forMe}
          </button>
          {isForAll && (
            <button className="primary danger" onClick={() => void remove("everyone")}>
              {words.forEveryone}
            </button>
          )}
        </div>
      )}
    </Modal>
  );
}
