// Dialog that forwards messages to conversations and people.

import { randomId } from "@tidings/client";
import type { Conversation, Message, Tidings, User } from "@tidings/client";
import { useConversations, useMe, useSelected, useTidings } from "@tidings/client/react";
import { X } from "lucide-react";
import { useEffect, useState } from "react";

import { shortText, summary } from "../attachments/describe.js";
import { Avatar } from "../avatar.js";
import { blocked } from "../blocked.js";
import { sendWithCopy } from "../drafts.js";
import { fold } from "../fold.js";
import { Modal } from "../modal.js";
import { useObservable } from "../observable.js";
import { nameOf, titleOf } from "../people.js";
import { afterTyping, firstOf } from "../search/ask.js";
import { aborted, useInTurn } from "../selection/in-turn.js";
import { ProgressView } from "../selection/progress-view.js";
import { deselect, endSelecting } from "../selection/selection.js";
import { attempt, toast } from "../toasts.js";
import { hasFinePointer } from "../touch.js";
import { partWords, words } from "../words/language.js";

/** Maximum number of targets of one message, and of several. */
const MAX_TARGETS = 20;
const MAX_TARGETS_OF_MANY = 5;
/** Maximum number of conversations that are listed. */
const MAX_LISTED = 40;
/** Maximum number of people that the server is asked for. */
const MAX_PEOPLE = 20;

/** A conversation or user that a message can be forwarded to. */
interface Target {
  /** The conversation's id or, for somebody without one, the user's. */
  id: string;
  address: { conversation_id: string } | { recipient_id: string };
  name: string;
  photo: string | null;
  avatar: string;
  kind: Conversation["type"];
}

const ofRow = (row: Conversation): Target => ({
  id: row.conversation_id,
  address: { conversation_id: row.conversation_id },
  name: titleOf(row),
  photo: row.photo_url,
  avatar: row.other_user_id ?? row.conversation_id,
  kind: row.type,
});

const ofUser = (user: User): Target => ({
  id: user.id,
  address: { recipient_id: user.id },
  name: nameOf(user),
  photo: user.avatar_url,
  avatar: user.id,
  kind: "direct",
});

/** Several messages are sent one after another, and then are no longer selected. */
export default function ForwardDialog({ messages, onClose }: { messages: readonly Message[]; onClose: () => void }) {
  const client = useTidings();
  const me = useMe()?.id ?? "";
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState<readonly Target[]>([]);
  const shown = useTargets(text.trim());
  const { progress, run } = useInTurn();
  const [only] = messages.length === 1 ? messages : [];
  const maxTargets = only ? MAX_TARGETS : MAX_TARGETS_OF_MANY;
  const isFull = chosen.length >= maxTargets;
  const isChosen = ({ id }: Target) => chosen.some((one) => one.id === id);
  const toggle = (target: Target) =>
    setChosen(isChosen(target) ? chosen.filter(({ id }) => id !== target.id) : [...chosen, target]);
  const sendOne = (message: Message) => {
    for (const { address } of chosen) {
      sendWithCopy(client, me, { ...address, forward: message.id, message_text: summary(message) });
    }
    endSelecting();
    onClose();
    toast(chosen.length === 1 ? partWords.forward.forwardedTo(chosen[0]?.name ?? "") : partWords.forward.forwardedToMany(chosen.length));
  };
  const sendAll = async () => {
    const total = messages.length;
    const { end, done } = await run(messages, async (message, signal) => {
      for (const target of chosen) await forward(client, message, target, signal);
    });
    if (end === "done") {
      toast(partWords.forward.severalForwarded(total, chosen.length === 1 ? (chosen[0]?.name ?? "") : partWords.forward.conversations(chosen.length)));
      endSelecting();
      return onClose();
    }
    const sent = new Set(messages.slice(0, done).map(({ id }) => id));
    deselect((id) => sent.has(id));
    if (end === "stopped") toast(partWords.forward.stopped(done, total));
  };
  if (progress) {
    const { done, total } = progress;
    return (
      <Modal title={partWords.forward.title} onClose={onClose}>
        <ProgressView progress={progress} label={partWords.forward.progress(done, total)} failure={partWords.forward.failed(done, total)} onClose={onClose} />
      </Modal>
    );
  }
  return (
    <Modal title={partWords.forward.title} onClose={onClose}>
      <blockquote className="quote-text muted" dir="auto">
        {only ? shortText(only) : partWords.forward.messages(messages.length)}
      </blockquote>
      {chosen.length > 0 && (
        <ul className="picked" aria-label={partWords.forward.chosen}>
          {chosen.map((target) => (
            <li key={target.id}>
              <bdi>{target.name}</bdi>
              <button className="icon-button small" aria-label={partWords.common.removeNamed(target.name)} onClick={() => toggle(target)}>
                <X aria-hidden />
              </button>
            </li>
          ))}
        </ul>
      )}
      <input
        // The dialog looks for the attribute, which React does not set.
        ref={(input) => void (hasFinePointer() && input?.setAttribute("autofocus", ""))}
        type="search"
        dir="auto"
        autoComplete="off"
        aria-label={partWords.forward.find}
        placeholder={partWords.forward.find}
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <ul className="list targets">
        {shown.map((target) => (
          <li key={target.id}>
            <label className="candidate inline">
              <input
                type="checkbox"
                checked={isChosen(target)}
                disabled={isFull && !isChosen(target)}
                onChange={() => toggle(target)}
              />
              <Avatar id={target.avatar} name={target.name} photo={target.photo} kind={target.kind} size="small" />
              <span className="grow">
                <bdi>{target.name}</bdi>
              </span>
            </label>
          </li>
        ))}
      </ul>
      <p className="muted" role="status">
        {shown.length === 0 && text.trim() !== "" && partWords.common.nothingFound}
        {isFull && partWords.forward.upTo(maxTargets)}
      </p>
      <div className="actions">
        <button className="secondary" onClick={onClose}>
          {words.common.cancel}
        </button>
        <button className="primary" disabled={chosen.length === 0} onClick={() => (only ? sendOne(only) : void sendAll())}>
          {partWords.forward.forward}
        </button>
      </div>
    </Modal>
  );
}

/** Forwards a message. Resolves when the server has it; otherwise, nothing of it is left to be sent later. */
async function forward(client: Tidings, message: Message, { address }: Target, signal: AbortSignal): Promise<void> {
  // It may have been deleted since it was selected.
  if (client.store.message(message.conversation_id, message.id)?.is_deleted ?? true) return;
  const id = randomId();
  const sent = client.send({ ...address, forward: message.id, message_text: summary(message), client_message_id: id });
  try {
    await Promise.race([sent, aborted(signal)]);
  } catch (error) {
    sent.catch(() => {});
    await client.delete(id).catch(() => {});
    throw error;
  }
}

/** Returns the conversations that match a text, most recently active first, and then people without one. */
function useTargets(text: string): readonly Target[] {
  const client = useTidings();
  const me = useMe()?.id;
  const inbox = useConversations();
  const archived = useSelected((state) => state.archived);
  const blockedUsers = useObservable(blocked);
  const [people, setPeople] = useState<readonly Target[]>([]);
  useEffect(() => {
    setPeople([]);
    if (text === "") return;
    const search = async (signal: AbortSignal) => {
      const found = await firstOf(client.api.users(text, { signal, limit: MAX_PEOPLE }), MAX_PEOPLE);
      setPeople(found.map(ofUser));
    };
    return afterTyping((signal) => attempt(search(signal)));
  }, [client, text]);
  const wanted = fold(text);
  const rows = [...inbox, ...archived].filter((row) => !blockedUsers.has(row.other_user_id ?? ""));
  const known = new Set(rows.map((row) => row.other_user_id));
  const others = people.filter(({ id }) => id !== me && !known.has(id) && !blockedUsers.has(id));
  return [...rows.filter((row) => fold(titleOf(row)).includes(wanted)).slice(0, MAX_LISTED).map(ofRow), ...others];
}
