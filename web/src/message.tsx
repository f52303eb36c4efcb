// A message in the timeline.

import type { Conversation as Row, TimelineMessage } from "@tidings/client";
import { useMe, useMessage, useSelected, useTidings } from "@tidings/client/react";
import { Check, CheckCheck, ChevronDown, Clock3, CircleAlert, Forward, Pin, Trash2 } from "lucide-react";
import { memo, useState } from "react";

import { shortText } from "./attachments/describe.js";
import { Gallery } from "./attachments/gallery.js";
import { LinkAttachment } from "./attachments/link.js";
import { Avatar, hue } from "./avatar.js";
import { showOverrides, textDirection } from "./bidi.js";
import { formatFull, formatTime } from "./dates.js";
import { opensMenu } from "./keyboard/timeline-keys.js";
import { lazyView } from "./lazy.js";
import type { MenuProps, MessageActions } from "./message-actions.js";
import { mentionsUser, useMentions } from "./mentions/mentioned-text.js";
import { usePerson } from "./people.js";
import { PersonName } from "./person-name.js";
import { Reactions } from "./reactions/chips.js";
import { QuickButton } from "./reactions/quick-button.js";
import { QUICK_REACTIONS, isMarkable, toggleReaction } from "./reactions/toggle.js";
import { isJumbo } from "./rich-text.js";
import { SelectBox } from "./selection/select-box.js";
import { useIsSelected } from "./selection/selection.js";
import { MessageText } from "./text/message-text.js";
import { plainText } from "./text/parse.js";
import { attempt, describeProblem } from "./toasts.js";
import { useGestures } from "./touch.js";
import { number } from "./words/formats.js";
import { useLanguage, words } from "./words/language.js";

const Menu = lazyView(() => import("./message-menu.js"), MenuButton);

/** A message. `isFirst` and `isLast` are relative to the group of messages of the same sender. */
export const MessageRow = memo(function MessageRow(
  props: MessageActions & {
    message: TimelineMessage;
    row: Row;
    isMine: boolean;
    isFirst: boolean;
    isLast: boolean;
    isHighlighted: boolean;
    onJump: (message: string) => void;
  },
) {
  const { message, row, isMine, isFirst, isLast } = props;
  const client = useTidings();
  useLanguage();
  const [isMenuOpen, setIsMenuOpen] = useState(false);
  const me = useMe();
  const canReply = isMarkable(message);
  const isSelected = useIsSelected(message);
  const { offset, handlers } = useGestures(
    () => !message.is_deleted && setIsMenuOpen(true),
    () => canReply && props.onReply(message),
  );
  const withSender = row.type !== "direct" && !isMine;
  const isOnlyEmoji =
    isJumbo(message.message_text) && !message.attachment_url && message.attachments.length === 0 && !message.reply_to;
  const classes = [
    "message",
    isMine ? "mine" : "theirs",
    isFirst ? "first" : "",
    isLast ? "last" : "",
    message.status,
    props.isHighlighted ? "highlighted" : "",
    isOnlyEmoji ? "jumbo" : "",
    withSender ? "with-sender" : "",
    mentionsUser(message, me?.id) ? "mentions-me" : "",
    isSelected ? "selected" : "",
  ];
  return (
    <article
      className={classes.filter(Boolean).join(" ")}
      data-message={message.id}
      aria-label={useSpokenName(message, isMine, isSelected === true)}
      onKeyDown={(event) => {
        if (message.is_deleted || !opensMenu(event)) return;
        event.preventDefault();
        setIsMenuOpen(true);
      }}
    >
      {isSelected !== undefined && canReply && <SelectBox message={message} isSelected={isSelected} />}
      {withSender && <Sender id={message.sender_id} isLast={isLast} />}
      <div
        className="bubble"
        data-text={textDirection(message.message_text)}
        {...handlers}
        style={canReply && offset !== 0 ? { transform: `translateX(${offset}px)` } : {}}
        onDoubleClick={(event) => {
          if (!canReply || (event.target as Element).closest("a, button, video, audio, [role=slider]")) return;
          getSelection()?.removeAllRanges();
          toggleReaction(client, message, QUICK_REACTIONS[0]);
        }}
        onContextMenu={(event) => {
          // A long touch opens the message's own menu.
          if (isMenuOpen) event.preventDefault();
        }}
      >
        {withSender && isFirst && (
          <span className="sender-name" data-hue={hue(message.sender_id)}>
            <PersonName id={message.sender_id} look="" />
          </span>
        )}
        {message.is_forwarded && !message.is_deleted && (
          <span className="forwarded">
            <Forward aria-hidden className="mirrored" /> {words.message.forwarded}
          </span>
        )}
        {message.reply_to && <Quote row={row} id={message.reply_to} onJump={props.onJump} />}
        {message.is_deleted ? (
          <p className="text unavailable">
            <Trash2 aria-hidden /> {words.message.deleted}
          </p>
        ) : (
          <>
            <Files message={message} onOpen={props.onOpen} />
            {message.message_text && (
              <Text message={message} />
            )}
          </>
        )}
        <span className="meta">
          {message.pinned_at && <Pin className="tick" role="img" aria-label={words.message.pinned} />}
          {message.is_edited && !message.is_deleted && (
            <span title={message.edited_at ? words.message.editedAt(formatFull(message.edited_at)) : undefined}>{words.message.edited}</span>
          )}
          <time dateTime={message.sent_at} title={formatFull(message.sent_at)}>
            {formatTime(message.sent_at)}
          </time>
          {isMine && !message.is_deleted && <Tick message={message} isGroup={row.type !== "direct"} />}
        </span>
        {!message.is_deleted && <Menu {...props} isOpen={isMenuOpen} setIsOpen={setIsMenuOpen} />}
        {canReply && <QuickButton message={message} onReact={props.onReact} />}
      </div>
      {message.reactions.length > 0 && <Reactions message={message} onList={props.onReactions} />}
      {message.status === "failed" && (
        <p className="failed-note">
          <span>{message.error ? describeProblem(message.error) : words.message.notSent}</span>{" "}
          <button className="link" onClick={() => void attempt(client.retry(message.id))}>
            {words.common.tryAgain}
          </button>{" "}
          <button className="link" onClick={() => void attempt(client.delete(message.id))}>
            {words.common.discard}
          </button>
        </p>
      )}
      {isMine && <FailedEdit message={message} onEdit={props.onEdit} />}
    </article>
  );
});

/** Returns the name of a message for screen readers: its author, its time, and its beginning. */
function useSpokenName(message: TimelineMessage, isMine: boolean, isSelected: boolean): string {
  const { name } = usePerson(message.sender_id);
  const spoken = words.message.spoken(isMine ? words.common.you : name, formatTime(message.sent_at), plainText(shortText(message)));
  return isSelected ? `${words.selection.selected} ${spoken}` : spoken;
}

function Text({ message }: { message: TimelineMessage }) {
  const isMentioning = message.mentions.length > 0 || message.mention_all;
  return isMentioning ? <MentioningText message={message} /> : <MessageText id={message.id} text={message.message_text} />;
}

function MentioningText({ message }: { message: TimelineMessage }) {
  return <MessageText id={message.id} text={message.message_text} plain={useMentions(message)} />;
}

/** An edit that failed: the user can retry it, change it or discard it. */
function FailedEdit({ message, onEdit }: Pick<MessageActions, "onEdit"> & { message: TimelineMessage }) {
  const client = useTidings();
  const entry = useSelected((state) => state.outbox.find((entry) => entry.message_id === message.id && entry.failed));
  if (!entry?.then || !("edit" in entry.then)) return null;
  const text = entry.then.edit;
  return (
    <div className="failed-note" data-testid="failed-edit">
      {words.message.editNotSaved(entry.failed ? describeProblem(entry.failed) : "")} <q dir="auto">{showOverrides(text)}</q>{" "}
      <button className="link" onClick={() => void client.retry(entry.id)}>
        {words.common.tryAgain}
      </button>{" "}
      {!message.is_deleted && (
        <button className="link" onClick={() => onEdit(message, text)}>
          {words.common.edit}
        </button>
      )}{" "}
      <button className="link" onClick={() => void client.discard(message.id)}>
        {words.common.discard}
      </button>
    </div>
  );
}

function Files({ message, onOpen }: Pick<MessageActions, "onOpen"> & { message: TimelineMessage }) {
  if (message.attachments.length > 0) return <Gallery message={message} onOpen={onOpen} />;
  return message.attachment_url ? <LinkAttachment url={message.attachment_url} type={message.attachment_type} /> : null;
}

function Sender({ id, isLast }: { id: string; isLast: boolean }) {
  const { name, photo } = usePerson(id);
  return (
    <span className="sender">
      {isLast && (
        <PersonName id={id} look="avatar-button">
          <Avatar id={id} name={name} photo={photo} size="small" />
          <span className="hidden">{name}</span>
        </PersonName>
      )}
    </span>
  );
}

function SenderName({ id }: { id: string }) {
  const { name } = usePerson(id);
  return (
    <span className="sender-name" data-hue={hue(id)}>
      <bdi>{name}</bdi>
    </span>
  );
}

function Tick({ message, isGroup }: { message: TimelineMessage; isGroup: boolean }) {
  if (message.status === "pending") return <Clock3 className="tick" role="img" aria-label={words.message.sending} />;
  if (message.status === "failed") return <CircleAlert className="tick" role="img" aria-label={words.message.failed} />;
  if (message.read) return <CheckCheck className="tick read" role="img" aria-label={words.message.read} />;
  if (!isGroup || !message.read_count) return <Check className="tick" role="img" aria-label={words.message.sent} />;
  return (
    <span className="read-by" title={words.message.readByCount(message.read_count)}>
      <Check className="tick" role="img" aria-label={words.message.sentReadBy} />
      {number(message.read_count)}
    </span>
  );
}

function Quote({ row, id, onJump }: { row: Row; id: string; onJump: (message: string) => void }) {
  const quoted = useMessage(row.conversation_id, id);
  if (quoted === null) {
    return (
      <span className="quote">
        <span className="quote-text">{words.message.notAvailable}</span>
      </span>
    );
  }
  return (
    <button className="quote" onClick={() => onJump(id)}>
      {quoted ? (
        <>
          <SenderName id={quoted.sender_id} />
          <span className="quote-text" dir="auto">
            {plainText(shortText(quoted))}
          </span>
        </>
      ) : (
        <>
          <span className="sender-name">…</span>
          <span className="quote-text">{words.message.earlier}</span>
        </>
      )}
    </button>
  );
}

/** Stands for the menu until it is loaded, which then opens if the button was clicked. */
function MenuButton({ setIsOpen }: MenuProps) {
  return (
    <button className="menu-button" aria-label={words.message.actions} aria-haspopup="menu" onClick={() => setIsOpen(true)}>
      <ChevronDown aria-hidden />
    </button>
  );
}
