// A message in a list of messages from several conversations: where it is, who wrote it, when, and what it says.

import type { Hit, Message } from "@tidings/client";
import { useSelected } from "@tidings/client/react";

import { shortText } from "../attachments/describe.js";
import { ShortTime } from "../inbox-row.js";
import { titleOf, usePerson } from "../people.js";
import { RichText, excerpt } from "../rich-text.js";
import { linkTo } from "../route.js";
import { words } from "../words/language.js";

const NO_MARKS: Hit["highlights"] = [];

/** Leads to the message. A hit shows the part of its text that was found, with marks. */
export function MessageFound(props: { message: Message | Hit; isOpen?: boolean; isUnread?: boolean; onOpen?: () => void }) {
  const { message, isOpen = false, isUnread = false } = props;
  const row = useSelected((state) => state.byId.get(message.conversation_id));
  const sender = usePerson(message.sender_id);
  const title = row ? titleOf(row) : sender.name;
  const part = excerpt(message.message_text, "highlights" in message ? message.highlights : NO_MARKS);
  return (
    <a
      className={`row hit ${isUnread ? "unread" : ""}`}
      href={linkTo(message.conversation_id, message.id)}
      aria-current={isOpen ? "true" : undefined}
      onClick={props.onOpen}
    >
      <span className="row-text">
        <span className="row-top">
          <span className="row-name" dir="auto">
            {title}
          </span>
          <ShortTime at={message.sent_at} />
          {isUnread && <span className="badge mark-only" role="img" aria-label={words.row.unread} />}
        </span>
        <span className="preview muted">
          {title !== sender.name && (
            <span className="preview-sender">
              <bdi>{sender.name}</bdi>:
            </span>
          )}{" "}
          <span className="preview-text" dir="auto">
            {part.text ? <RichText text={part.text} marks={part.marks} isLinkless /> : shortText(message)}
          </span>
        </span>
      </span>
    </a>
  );
}
