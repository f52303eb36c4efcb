// The composer: message field, files, voice, emoji, and the bar above it while replying or editing.

import { loadUploading } from "@tidings/client";
import type { Conversation as Row, NewDraft, TimelineMessage } from "@tidings/client";
import { useMe, useTidings } from "@tidings/client/react";
import { Mic, Paperclip, Pencil, Reply, SendHorizontal, Smile, X } from "lucide-react";
import { useEffect, useLayoutEffect, useRef, useState } from "react";
import type { ClipboardEvent, KeyboardEvent } from "react";
import { flushSync } from "react-dom";

import { shortText } from "./attachments/describe.js";
import { addFiles, filesToSend, setTray, takeFiles, trays } from "./attachments/tray-state.js";
import type { TrayFile } from "./attachments/tray-state.js";
import { blocked, setBlocked } from "./blocked.js";
import { loadDraft, saveDraft, sendWithCopy } from "./drafts.js";
import { EmojiCompletion } from "./emoji-completion.js";
import { fetchAhead, lazyPart } from "./lazy.js";
import { useMentionField } from "./mentions/use-mention-field.js";
import { useObservable } from "./observable.js";
import { titleOf, usePerson } from "./people.js";
import { settings } from "./settings.js";
import { attempt } from "./toasts.js";
import { hasFinePointer } from "./touch.js";
import { words } from "./words/language.js";

const EmojiPicker = lazyPart(() => import("./emoji-picker.js"));
const Tray = lazyPart(() => import("./attachments/tray.js"));
const VoiceRecorder = lazyPart(() => import("./attachments/recorder.js"));
// The code for uploads.
fetchAhead(loadUploading);

/** Maximum length of a message, in Unicode scalar values. */
const MAX_LENGTH = 10_000;
/** A character that shows. The server refuses a text without one. */
const SHOWS = /[^\p{Default_Ignorable_Code_Point}\p{White_Space}\p{Cc}\u2800\ufff9-\ufffb\u{1d159}]/u;
/** Whether the browser can record. It does not on pages that were loaded over plain http. */
const canRecord = typeof MediaRecorder !== "undefined" && navigator.mediaDevices !== undefined;

const NO_FILES: readonly TrayFile[] = [];

/** The action that sending the text performs. */
export type ComposerMode =
  | { kind: "new" }
  | { kind: "reply"; message: TimelineMessage }
  /** `text` is set to resume a failed edit. */
  | { kind: "edit"; message: TimelineMessage; text: string | undefined };

export function Composer(props: { row: Row; mode: ComposerMode; setMode: (mode: ComposerMode) => void }) {
  const { row, mode, setMode } = props;
  const client = useTidings();
  const me = useMe()?.id ?? "";
  const id = row.conversation_id;
  const { enterSends } = useObservable(settings);
  const isBlocked = useObservable(blocked).has(row.other_user_id ?? "");
  const [text, setText] = useState(() => loadDraft(me, id));
  const files = useObservable(trays).get(id) ?? NO_FILES;
  const [panel, setPanel] = useState<"emoji" | "recorder" | null>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  const chooser = useRef<HTMLInputElement>(null);

  const editing = mode.kind === "edit" ? mode.message : null;
  const failedText = mode.kind === "edit" ? mode.text : undefined;
  // Editing a message does not affect the draft.
  useEffect(() => {
    setText(editing ? (failedText ?? editing.message_text) : loadDraft(me, id));
    // On touch screens, a keyboard would cover the messages.
    if (editing || hasFinePointer()) field.current?.focus();
  }, [editing?.key, failedText, me, id]);
  useEffect(() => {
    if (mode.kind === "reply") field.current?.focus();
  }, [mode]);
  useLayoutEffect(() => {
    const element = field.current;
    if (!element || CSS.supports("field-sizing", "content")) return;
    element.style.blockSize = "auto";
    element.style.blockSize = `${element.scrollHeight}px`;
  }, [text]);

  const length = Array.from(text).length;
  const hasFiles = editing ? editing.attachments.length > 0 : files.length > 0;
  const canSend = length <= MAX_LENGTH && (SHOWS.test(text) || hasFiles);
  const isRecording = panel === "recorder";

  const type = (next: string) => {
    setText(next);
    if (editing) return;
    saveDraft(me, id, next);
    client.typing(id, next !== "");
  };

  const mention = useMentionField({ row, me, editing, field, type });

  const send = () => {
    if (!canSend) return;
    mention.close();
    if (editing) {
      // The message shows a failed edit.
      if (text !== editing.message_text || failedText !== undefined) client.edit(editing.id, text, mention.of(text)).catch(() => {});
    } else {
      const reply_to = mode.kind === "reply" ? mode.message.id : undefined;
      const message: NewDraft = { conversation_id: id, message_text: text.trim() };
      if (reply_to) message.reply_to = reply_to;
      Object.assign(message, mention.of(message.message_text));
      if (files.length > 0) message.files = filesToSend(files);
      // The timeline shows the message and, if it fails, the error.
      sendWithCopy(client, me, message);
      client.typing(id, false);
      saveDraft(me, id, "");
      setText("");
      setTray(id, []);
    }
    setPanel(null);
    setMode({ kind: "new" });
    field.current?.focus();
  };

  const onKeyDown = (event: KeyboardEvent) => {
    // Ignores keys of an input method. In Safari, only key code 229 identifies the Enter that ends a composition.
    if (event.nativeEvent.isComposing || event.keyCode === 229) return;
    if (mention.onKeyDown(event)) return;
    if (event.key === "Enter") {
      // Touch keyboards have no other key for a new line.
      const isSending = enterSends && hasFinePointer() ? !event.shiftKey && !event.altKey : event.ctrlKey || event.metaKey;
      if (!isSending) return;
      event.preventDefault();
      send();
    } else if (event.key === "Escape" && (mode.kind !== "new" || panel)) {
      event.preventDefault();
      setPanel(null);
      setMode({ kind: "new" });
    } else if (event.key === "ArrowUp" && text === "" && mode.kind === "new") {
      const { messages } = client.store.state.timelines.get(id) ?? { messages: [] };
      const last = messages.findLast((m) => m.sender_id === me && !m.is_deleted && m.message_text !== "");
      if (!last) return;
      event.preventDefault();
      setMode({ kind: "edit", message: last, text: undefined });
    }
  };

  const replace = (from: number, to: number, emoji: string) => {
    const element = field.current;
    // The caret must be behind the emoji before the next key.
    flushSync(() => type(text.slice(0, from) + emoji + text.slice(to)));
    // On touch screens, a keyboard would cover the emoji.
    if (hasFinePointer()) element?.focus();
    element?.setSelectionRange(from + emoji.length, from + emoji.length);
  };
  const insert = (emoji: string) =>
    replace(field.current?.selectionStart ?? text.length, field.current?.selectionEnd ?? text.length, emoji);

  const onPaste = (event: ClipboardEvent) => {
    // Spreadsheets copy a picture beside the text.
    if (editing || event.clipboardData.types.includes("text/plain")) return;
    if (takeFiles(id, event.clipboardData)) event.preventDefault();
  };
  /** Sends a recording at once; one that was left behind waits in the tray. */
  const onRecorded = (voice: File, durationMs: number, isSent: boolean) => {
    if (!isSent) return addFiles(id, [voice], durationMs);
    const recording = { file: voice, is_voice: true, duration_ms: durationMs };
    const reply = mode.kind === "reply" ? { reply_to: mode.message.id } : {};
    sendWithCopy(client, me, { conversation_id: id, message_text: "", files: [recording], ...reply });
    setMode({ kind: "new" });
  };

  if (isBlocked) {
    const unblock = () => attempt(setBlocked(client, row.other_user_id ?? "", false));
    return (
      <div className="composer blocked">
        <p className="muted">
          {words.composer.youBlocked(<bdi>{titleOf(row)}</bdi>)}
        </p>
        <button className="secondary" onClick={() => void unblock()}>
          {words.details.unblock}
        </button>
      </div>
    );
  }

  return (
    <div className="composer">
      {mode.kind !== "new" && <ContextBar mode={mode} onCancel={() => setMode({ kind: "new" })} />}
      {panel === "emoji" && (
        <EmojiPicker onPick={insert} onClose={() => { setPanel(null); field.current?.focus(); }} />
      )}
      <EmojiCompletion field={field} text={text} onPick={replace} />
      {mention.list}
      {files.length > 0 && !editing && <Tray conversation={id} files={files} onClose={() => {}} />}
      <div className="compose-row">
        {isRecording ? (
          <VoiceRecorder onDone={onRecorded} onClose={() => setPanel(null)} />
        ) : (
          <>
            <button
              className="icon-button"
              aria-label={words.composer.attach}
              disabled={editing !== null}
              onClick={() => chooser.current?.click()}
            >
              <Paperclip aria-hidden />
            </button>
            <input
              ref={chooser}
              type="file"
              hidden
              multiple
              aria-label={words.composer.filesToAttach}
              onChange={({ target }) => {
                addFiles(id, [...(target.files ?? [])]);
                // So that the same file can be chosen again.
                target.value = "";
                if (hasFinePointer()) field.current?.focus();
              }}
            />
            <div className="field">
              <textarea
                ref={field}
                rows={1}
                dir="auto"
                aria-label={editing ? words.composer.editMessage : words.composer.messageTo(titleOf(row))}
                placeholder={editing ? words.composer.editMessage : words.composer.message}
                value={text}
                onChange={(event) => {
                  type(event.target.value);
                  mention.follow();
                }}
                onKeyDown={onKeyDown}
                onPaste={onPaste}
                onSelect={mention.follow}
                onBlur={() => {
                  mention.close();
                  client.typing(id, false);
                }}
                {...mention.attributes}
                enterKeyHint={enterSends && hasFinePointer() ? "send" : "enter"}
              />
              <button
                className="icon-button"
                aria-label={words.emoji.emoji}
                aria-expanded={panel === "emoji"}
                onClick={() => setPanel(panel === "emoji" ? null : "emoji")}
              >
                <Smile aria-hidden />
              </button>
            </div>
            {canRecord && text === "" && !hasFiles && !editing ? (
              <button className="send" aria-label={words.composer.record} onClick={() => setPanel("recorder")}>
                <Mic aria-hidden />
              </button>
            ) : (
              <button className="send" aria-label={editing ? words.common.save : words.composer.send} disabled={!canSend} onClick={send}>
                <SendHorizontal aria-hidden className="mirrored" />
              </button>
            )}
          </>
        )}
      </div>
      {length > MAX_LENGTH - 500 && (
        <p className={`small-text ${length > MAX_LENGTH ? "error" : "muted"}`} role="status">
          {length > MAX_LENGTH ? words.composer.over(length - MAX_LENGTH) : words.composer.left(MAX_LENGTH - length)}
        </p>
      )}
    </div>
  );
}

/** Shows the message that is being replied to or edited. */
function ContextBar({ mode, onCancel }: { mode: Exclude<ComposerMode, { kind: "new" }>; onCancel: () => void }) {
  const { name } = usePerson(mode.message.sender_id);
  const isReply = mode.kind === "reply";
  return (
    <div className="composer-context">
      {isReply ? <Reply aria-hidden className="mirrored" /> : <Pencil aria-hidden />}
      <span className="composer-context-text">
        <span className="composer-context-title">{isReply ? words.composer.replyTo(<bdi>{name}</bdi>) : words.composer.editMessage}</span>
        <span className="quote-text muted" dir="auto">
          {shortText(mode.message)}
        </span>
      </span>
      <button className="icon-button small" aria-label={words.common.cancel} onClick={onCancel}>
        <X aria-hidden />
      </button>
    </div>
  );
}
