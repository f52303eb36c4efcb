// Dialog with a conversation's details, files and actions.

import type { Conversation } from "@tidings/client";
import { useTidings } from "@tidings/client/react";
import { Tabs } from "radix-ui";
import { useState } from "react";

import { Media } from "../attachments/media.js";
import { Avatar } from "../avatar.js";
import { blocked, setBlocked } from "../blocked.js";
import { Modal } from "../modal.js";
import { useObservable } from "../observable.js";
import { titleOf } from "../people.js";
import { navigate } from "../route.js";
import { attempt } from "../toasts.js";
import { pageDirection, partWords, words } from "../words/language.js";
import type { Confirm } from "./confirm.js";
import { ConversationSettings } from "./conversation-settings.js";
import { Group } from "./group.js";
import { Availability, SharedGroups } from "./person.js";

export default function DetailsDialog({ row, onClose }: { row: Conversation; onClose: () => void }) {
  /** The action that waits for confirmation. */
  const [pending, setPending] = useState<{ text: string; label: string; run: () => Promise<unknown> } | null>(null);

  const confirm: Confirm = (text, label, action) => setPending({ text, label, run: action });
  /** Confirms an action that ends the conversation for the user, and then goes back to the inbox. */
  const confirmEnd: Confirm = (text, label, action) =>
    confirm(text, label, async () => {
      await action();
      onClose();
      navigate(null);
    });

  if (pending) {
    return (
      <Modal title={pending.label} onClose={() => setPending(null)}>
        <p>{pending.text}</p>
        <div className="actions">
          <button className="secondary" onClick={() => setPending(null)}>
            {words.common.cancel}
          </button>
          <button className="primary danger" onClick={() => void attempt(pending.run()).then((isDone) => isDone && setPending(null))}>
            {pending.label}
          </button>
        </div>
      </Modal>
    );
  }
  return (
    <Modal title={titleOf(row)} onClose={onClose}>
      <Tabs.Root dir={pageDirection()} defaultValue="about" className="tabs">
        <Tabs.List aria-label={words.conversation.details}>
          <Tabs.Trigger value="about">{partWords.details.about}</Tabs.Trigger>
          <Tabs.Trigger value="media">{partWords.details.media}</Tabs.Trigger>
        </Tabs.List>
        <Tabs.Content value="about">
          {row.type === "direct" ? <Person row={row} onClose={onClose} /> : <Group row={row} confirm={confirm} />}
          <Actions row={row} confirm={confirmEnd} />
        </Tabs.Content>
        <Tabs.Content value="media">
          <Media row={row} onClose={onClose} />
        </Tabs.Content>
      </Tabs.Root>
    </Modal>
  );
}

function Actions({ row, confirm }: { row: Conversation; confirm: Confirm }) {
  const client = useTidings();
  const id = row.conversation_id;
  const me = client.store.state.me?.id ?? "";
  return (
    <div className="stack">
      <ConversationSettings row={row} />
      {row.type !== "room" && (
        <button
          className="secondary danger"
          onClick={() =>
            confirm(
              partWords.details.deleteConversationWhy,
              partWords.details.deleteConversation,
              () => client.api.deleteConversation(id),
            )
          }
        >
          {partWords.details.deleteConversation}
        </button>
      )}
      {row.type === "group" && (
        <button
          className="secondary danger"
          onClick={() =>
            confirm(partWords.details.leaveGroupWhy, partWords.details.leaveGroup, () => client.api.removeParticipant(id, me))
          }
        >
          {partWords.details.leaveGroup}
        </button>
      )}
      {row.type === "room" && (
        <button
          className="secondary danger"
          onClick={() => confirm(partWords.details.leaveRoomWhy, partWords.details.leaveRoom, () => client.api.leaveRoom(id))}
        >
          {partWords.details.leaveRoom}
        </button>
      )}
      {row.type === "room" && row.is_admin && (
        <button
          className="secondary danger"
          onClick={() => confirm(partWords.details.deleteRoomWhy, partWords.details.deleteRoom, () => client.api.deleteRoom(id))}
        >
          {partWords.details.deleteRoom}
        </button>
      )}
    </div>
  );
}

function Person({ row, onClose }: { row: Conversation; onClose: () => void }) {
  const client = useTidings();
  const user = row.other_user_id ?? "";
  const isBlocked = useObservable(blocked).has(user);
  return (
    <>
      <div className="profile">
        <Avatar id={user} name={titleOf(row)} photo={row.photo_url} size="huge" />
        <Availability id={user} />
        <button className="secondary" onClick={() => void attempt(setBlocked(client, user, !isBlocked))}>
          {isBlocked ? words.details.unblock : partWords.details.block}
        </button>
        {!isBlocked && <p className="muted small-text">{partWords.details.blockWhy}</p>}
      </div>
      <SharedGroups id={user} onClose={onClose} />
    </>
  );
}
