// Where one writes.

import type { Conversation as Row, Draft, TimelineMessage } from "@tidings/client";
import { useMe, useTidings } from "@tidings/client/react";
import { Paperclip, Pencil, Reply, SendHorizontal, Smile, X } from "lucide-react";
import { Suspense, lazy, useEffect, useLayoutEffect, useRef, useState } from "react";
import type { KeyboardEvent } from "react";

import { blocked, setBlocked } from "./blocked.js";
import { draft, keepDraft, sendKept } from "./drafts.js";
import { titleOf, usePerson } from "./people.js";
import { webAddress } from "./safe.js";
import { settings } from "./settings.js";
import { attempt, toast } from "./toasts.js";
import { useValue } from "./value.js";

const EmojiPicker = lazy(() => import("./emoji-picker.js"));

/** Characters (Unicode scalar values) of a message. */
const MOST = 10_000;

/** What the text is for. */
export type Purpose =
  | { kind: "new" }
  | { kind: "reply"; message: TimelineMessage }
  /** `text` is one that was refused before. */
  | { kind: "edit"; message: TimelineMessage; text: string | undefined };

/** The text, what goes with it, and the button that sends it. */
export function Composer(props: { row: Row; purpose: Purpose; setPurpose: (purpose: Purpose) => void }) {
  const { row, purpose, setPurpose } = props;
  const client = useTidings();
  const me = useMe()?.id ?? "";
  const id = row.conversation_id;
  const { enterSends } = useValue(settings);
  const isBlocked = useValue(blocked).has(row.other_user_id ?? "");
  const [text, setText] = useState(() => draft(me, id));
  const [attachment, setAttachment] = useState<string | null>(null);
  const [panel, setPanel] = useState<"emoji" | "attachment" | null>(null);
  const field = useRef<HTMLTextAreaElement>(null);

  const editing = purpose.kind === "edit" ? purpose.message : null;
  const refused = purpose.kind === "edit" ? purpose.text : undefined;
  // The draft stays what it is while another message is edited.
  useEffect(() => {
    setText(editing ? (refused ?? editing.message_text) : draft(me, id));
    field.current?.focus();
  }, [editing?.key, refused, me, id]);
  useEffect(() => {
    if (purpose.kind === "reply") field.current?.focus();
  }, [purpose]);
  useLayoutEffect(() => {
    const element = field.current;
    if (!element || CSS.supports("field-sizing", "content")) return;
    element.style.blockSize = "auto";
    element.style.blockSize = `${element.scrollHeight}px`;
  }, [text]);

  const length = Array.from(text).length;
  const canSend = length <= MOST && (text.trim() !== "" || (attachment !== null && !editing));

  const type = (next: string) => {
    setText(next);
    if (editing) return;
    keepDraft(me, id, next);
    client.typing(id, next !== "");
  };

  const send = () => {
    if (!canSend) return;
    if (editing) {
      // Where it is refused, it is kept, and shows beside the message.
      if (text !== editing.message_text || refused !== undefined) client.edit(editing.id, text).catch(() => {});
    } else {
      const reply_to = purpose.kind === "reply" ? purpose.message.id : undefined;
      const message: Draft = { conversation_id: id, message_text: text.trim() };
      if (reply_to) message.reply_to = reply_to;
      if (attachment) message.attachment_url = attachment;
      // Once it is in the outbox it shows, whatever becomes of it; a refusal shows beside it.
      sendKept(client, me, message);
      client.typing(id, false);
      keepDraft(me, id, "");
      setText("");
      setAttachment(null);
    }
    setPanel(null);
    setPurpose({ kind: "new" });
    field.current?.focus();
  };

  const pressed = (event: KeyboardEvent) => {
    // The Enter that ends a word of an input method is not one's own (229: also in Safari, after the fact).
    if (event.nativeEvent.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter") {
      const isSending = enterSends ? !event.shiftKey && !event.altKey : event.ctrlKey || event.metaKey;
      if (!isSending) return;
      event.preventDefault();
      send();
    } else if (event.key === "Escape" && (purpose.kind !== "new" || panel)) {
      event.preventDefault();
      setPanel(null);
      setPurpose({ kind: "new" });
    } else if (event.key === "ArrowUp" && text === "" && purpose.kind === "new") {
      const { messages } = client.store.state.timelines.get(id) ?? { messages: [] };
      const last = messages.findLast((m) => m.sender_id === me && !m.is_deleted && m.message_text !== "");
      if (!last) return;
      event.preventDefault();
      setPurpose({ kind: "edit", message: last, text: undefined });
    }
  };

  const insert = (emoji: string) => {
    const element = field.current;
    const [from, to] = [element?.selectionStart ?? text.length, element?.selectionEnd ?? text.length];
    type(text.slice(0, from) + emoji + text.slice(to));
    requestAnimationFrame(() => element?.setSelectionRange(from + emoji.length, from + emoji.length));
  };

  if (isBlocked) {
    const unblock = () => attempt(setBlocked(client, row.other_user_id ?? "", false));
    return (
      <div className="composer blocked">
        <p className="muted">
          You have blocked <bdi>{titleOf(row)}</bdi>.
        </p>
        <button className="secondary" onClick={() => void unblock()}>
          Unblock
        </button>
      </div>
    );
  }

  return (
    <div className="composer">
      {purpose.kind !== "new" && <About purpose={purpose} onEnd={() => setPurpose({ kind: "new" })} />}
      {panel === "emoji" && (
        <Suspense fallback={<div className="emoji-picker" aria-busy />}>
          <EmojiPicker onPick={insert} onClose={() => { setPanel(null); field.current?.focus(); }} />
        </Suspense>
      )}
      {(panel === "attachment" || attachment) && !editing && (
        <AttachmentField
          key={String(attachment)}
          given={attachment}
          onGiven={(address) => {
            setAttachment(address);
            setPanel(null);
            field.current?.focus();
          }}
        />
      )}
      <div className="compose-row">
        <button
          className="icon-button"
          aria-label="Attach a link to a picture or file"
          aria-expanded={panel === "attachment"}
          disabled={editing !== null}
          onClick={() => setPanel(panel === "attachment" ? null : "attachment")}
        >
          <Paperclip aria-hidden />
        </button>
        <div className="field">
          <textarea
            ref={field}
            rows={1}
            dir="auto"
            aria-label={editing ? "Edit the message" : `Message to ${titleOf(row)}`}
            placeholder={editing ? "Edit the message" : "Message"}
            value={text}
            onChange={(event) => type(event.target.value)}
            onKeyDown={pressed}
            onBlur={() => client.typing(id, false)}
            enterKeyHint={enterSends ? "send" : "enter"}
          />
          <button
            className="icon-button"
            aria-label="Emoji"
            aria-expanded={panel === "emoji"}
            onClick={() => setPanel(panel === "emoji" ? null : "emoji")}
          >
            <Smile aria-hidden />
          </button>
        </div>
        <button className="send" aria-label={editing ? "Save" : "Send"} disabled={!canSend} onClick={send}>
          <SendHorizontal aria-hidden className="mirrored" />
        </button>
      </div>
      {length > MOST - 500 && (
        <p className={`small-text ${length > MOST ? "error" : "muted"}`} role="status">
          {length > MOST ? `${length - MOST} characters too many` : `${MOST - length} characters left`}
        </p>
      )}
    </div>
  );
}

function About({ purpose, onEnd }: { purpose: Exclude<Purpose, { kind: "new" }>; onEnd: () => void }) {
  const { name } = usePerson(purpose.message.sender_id);
  const isReply = purpose.kind === "reply";
  return (
    <div className="about">
      {isReply ? <Reply aria-hidden className="mirrored" /> : <Pencil aria-hidden />}
      <span className="about-text">
        <span className="about-what">{isReply ? <>Reply to <bdi>{name}</bdi></> : "Edit the message"}</span>
        <span className="quote-text muted" dir="auto">
          {purpose.message.message_text || "An attachment"}
        </span>
      </span>
      <button className="icon-button small" aria-label="Cancel" onClick={onEnd}>
        <X aria-hidden />
      </button>
    </div>
  );
}

function AttachmentField({ given, onGiven }: { given: string | null; onGiven: (address: string | null) => void }) {
  const [text, setText] = useState(given ?? "");
  const give = () => {
    const address = webAddress(text.trim());
    if (!address || new TextEncoder().encode(address).length > 2048) return toast("An address of the web is wanted: https://…");
    onGiven(address);
  };
  return (
    <form
      className="about"
      onSubmit={(event) => {
        event.preventDefault();
        give();
      }}
    >
      <Paperclip aria-hidden />
      <input
        type="url"
        autoFocus={given === null}
        readOnly={given !== null}
        aria-label="Address of the attachment"
        placeholder="https://…"
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      {given === null && <button className="secondary">Attach</button>}
      <button type="button" className="icon-button small" aria-label="Without attachment" onClick={() => onGiven(null)}>
        <X aria-hidden />
      </button>
    </form>
  );
}
