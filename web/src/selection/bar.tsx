// The actions on all selected messages.

import type { Conversation, Message } from "@tidings/client";
import { useMe, useTidings } from "@tidings/client/react";
import { Copy, Forward, Trash2, X } from "lucide-react";
import { useRef } from "react";

import { summary } from "../attachments/describe.js";
import { copyText } from "../clipboard.js";
import { useTabStop } from "../keyboard/tab-stop.js";
import { useObservable } from "../observable.js";
import { nameOf, usePeople } from "../people.js";
import { attempt, toast } from "../toasts.js";
import { perLocale } from "../words/formats.js";
import { partWords } from "../words/language.js";
import { endSelecting, selectedIn, selection } from "./selection.js";

const TIME = perLocale((locale) => new Intl.DateTimeFormat(locale, { dateStyle: "short", timeStyle: "short" }));

export default function SelectionBar(props: {
  row: Conversation;
  label: string;
  onForward: (messages: readonly Message[]) => void;
  onDelete: (messages: readonly Message[]) => void;
  onClose: () => void;
}) {
  const { row } = props;
  const client = useTidings();
  const me = useMe();
  const ids = selectedIn(useObservable(selection), row.conversation_id);
  const box = useRef<HTMLDivElement>(null);
  useTabStop(box, "button", { layout: "row" });
  // In the order in which they were sent, which is that of their ids.
  const messages = [...ids].sort().flatMap((id) => client.store.message(row.conversation_id, id) ?? []);
  const senders = usePeople([...new Set(messages.map(({ sender_id }) => sender_id))].filter((id) => id !== me?.id));

  const copy = async () => {
    const nameOfSender = (id: string) => (me?.id === id ? nameOf(me) : (senders.get(id)?.name ?? id));
    const lines = messages.map((message) => `[${TIME().format(new Date(message.sent_at))}] ${nameOfSender(message.sender_id)}: ${summary(message)}`);
    await copyText(lines.join("\n"));
    toast(partWords.selection.copied(messages.length));
    endSelecting();
  };
  return (
    <div ref={box} className="selection-bar" role="toolbar" aria-label={partWords.selection.bar}>
      <button className="icon-button" aria-label={partWords.selection.end} onClick={props.onClose}>
        <X aria-hidden />
      </button>
      {/* Screen readers are told by a status that is always there. */}
      <span className="grow" aria-hidden>
        {props.label}
      </span>
      <button className="icon-button" aria-label={partWords.selection.copy} onClick={() => void attempt(copy())}>
        <Copy aria-hidden />
      </button>
      <button className="icon-button" aria-label={partWords.message.forward} onClick={() => props.onForward(messages)}>
        <Forward aria-hidden className="mirrored" />
      </button>
      <button className="icon-button danger" aria-label={partWords.common.delete} onClick={() => props.onDelete(messages)}>
        <Trash2 aria-hidden />
      </button>
    </div>
  );
}
