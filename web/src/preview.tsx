// The second line of a row in the inbox: who is typing, a draft, an unsent message, or the last message.

import type { Conversation, MessageKind, OutboxEntry } from "@tidings/client";
import { useMe, useSelected, useTyping } from "@tidings/client/react";
import { Check, CheckCheck, CircleAlert, Clock3, Image as Picture, Mic, Paperclip, Trash2, Video } from "lucide-react";
import type { ReactNode } from "react";

import { MAX_SHORT } from "./attachments/describe.js";
import { showOverrides } from "./bidi.js";
import { loadDraft } from "./drafts.js";
import { useLastSender } from "./last-sender.js";
import { usePerson } from "./people.js";
import { plainText } from "./text/parse.js";
import { words } from "./words/language.js";

/** Icons for messages that are more than text. */
const ICONS: Record<Exclude<MessageKind, "text">, typeof Check> = {
  image: Picture,
  video: Video,
  voice: Mic,
  audio: Paperclip,
  file: Paperclip,
  deleted: Trash2,
};

/** Rows show the name of a picture or video that has no text. */
const FILE_NAME = /^[^\n]{1,96}\.\w{2,5}$/;

export function Preview({ row, isOpen }: { row: Conversation; isOpen: boolean }) {
  const me = useMe();
  const typists = useTyping(row.conversation_id).filter((id) => id !== me?.id);
  const unsent = useSelected((state) => newestUnsent(state.outbox, row));
  const draft = !isOpen && me ? loadDraft(me.id, row.conversation_id) : "";
  if (typists.length > 0) return <Typing row={row} typists={typists} />;
  if (draft) {
    return <Line start={<bdi className="draft">{words.row.draft}</bdi>}>{showOverrides(draft.slice(0, MAX_SHORT))}</Line>;
  }
  if (unsent) return <Unsent entry={unsent} />;
  if (row.last_message_id === null) return <Line>{words.row.noMessages}</Line>;
  return <LastMessage row={row} />;
}

/** A line with a start that is never cut off. The text has a direction of its own, so that its end is cut off. */
function Line({ start, children, look = "muted" }: { start?: ReactNode; children: ReactNode; look?: string }) {
  return (
    <span className={`preview ${look}`}>
      {start && <>{start} </>}
      <span className="preview-text" dir="auto">
        {children}
      </span>
    </span>
  );
}

function Typing({ row, typists }: { row: Conversation; typists: readonly string[] }) {
  const [first = ""] = typists;
  const text =
    row.type === "direct" ? words.row.typing : typists.length > 1 ? words.row.typingPeople(typists.length) : <TypingPerson id={first} />;
  return <Line look="typing-text">{text}</Line>;
}

function TypingPerson({ id }: { id: string }) {
  const { name } = usePerson(id);
  return words.row.typingPerson(<bdi>{name}</bdi>);
}

/** Returns the conversation's failed message or, if none has failed, its newest unsent one. */
function newestUnsent(outbox: readonly OutboxEntry[], row: Conversation): OutboxEntry | undefined {
  const isOfRow = ({ draft, message_id, then }: OutboxEntry) =>
    !message_id &&
    !(then && "delete" in then) &&
    (draft.conversation_id === row.conversation_id || (draft.recipient_id ?? null) === (row.other_user_id ?? ""));
  return outbox.findLast((entry) => entry.failed && isOfRow(entry)) ?? outbox.findLast(isOfRow);
}

function Unsent({ entry }: { entry: OutboxEntry }) {
  const text = (entry.then && "edit" in entry.then ? entry.then.edit : entry.draft.message_text) || words.row.attachment;
  const icon = entry.failed ? (
    <CircleAlert className="tick failed" role="img" aria-label={words.message.failed} />
  ) : (
    <Clock3 className="tick" role="img" aria-label={words.message.sending} />
  );
  return <Line start={icon}>{showOverrides(text.slice(0, MAX_SHORT))}</Line>;
}

function LastMessage({ row }: { row: Conversation }) {
  const read = useSelected((state) => {
    const last = state.timelines.get(row.conversation_id)?.messages.at(-1);
    return last && last.id === row.last_message_id ? last.read : null;
  });
  const sender = useLastSender(row);
  const { last_message: text, last_message_kind: kind } = row;
  const Icon = kind === null || kind === "text" ? undefined : ICONS[kind];
  const word = kind === null || kind === "text" ? "" : kind === "deleted" ? words.row.messageDeleted : words.kinds[kind];
  const hasWords = text && kind !== "voice" && (kind === "file" || !Icon || !FILE_NAME.test(text));
  return (
    <Line
      start={
        <>
          {row.last_message_from_me && <Ownership read={read} />}
          {sender && <SenderName id={sender} />}{" "}
          {Icon && <Icon className="tick" {...(hasWords ? { role: "img", "aria-label": word } : { "aria-hidden": true })} />}
        </>
      }
    >
      {hasWords ? showOverrides(plainText(text.slice(0, MAX_SHORT))) : word && <i>{word}</i>}
    </Line>
  );
}

function Ownership({ read }: { read: boolean | null }) {
  if (read === null) return <bdi>{words.row.you}</bdi>;
  return read ? (
    <CheckCheck role="img" aria-label={words.message.read} className="tick read" />
  ) : (
    <Check role="img" aria-label={words.message.sent} className="tick" />
  );
}

function SenderName({ id }: { id: string }) {
  const { name } = usePerson(id);
  return (
    <span className="preview-sender">
      <bdi>{name}</bdi>:
    </span>
  );
}
