// Timelines: the loaded messages of a conversation, followed by its pending outbox entries.

import type { Chat } from "./chat.js";
import type { OutboxEntry, OutgoingFile } from "./outbox-entry.js";
import { isEqual, laneOf } from "./state.js";
import type { State, Timeline, TimelineMessage } from "./state.js";
import type { Attachment, Message } from "./types.js";

/** Addresses at which this page shows a file that is not sent yet. */
export interface LocalFile {
  url: string;
  preview: string | null;
}

/** Builds timelines, and reuses the previous one if nothing changed. */
export class TimelineBuilder {
  outbox: readonly OutboxEntry[] = [];
  readonly localFiles = new Map<string, readonly LocalFile[]>();
  readonly #pending = new WeakMap<OutboxEntry, TimelineMessage>();

  /** Returns the timeline of a conversation; undefined if there is nothing to show. */
  build(chat: Chat, before: Timeline | undefined, state: State): Timeline | undefined {
    const { window, notices } = chat;
    // Pending messages show even before the history is loaded.
    const pending = window?.to ? [] : this.outbox.filter((entry) => laneOf(state, entry) === chat.id);
    if (!window && pending.length === 0) return undefined;
    const messages = chat.messages(sentView);
    const isShown = (e: OutboxEntry) => !chat.isDelivered(e.id) && !(e.then && "delete" in e.then) && !e.message_id;
    for (const entry of pending) if (isShown(entry)) messages.push(this.#pendingView(entry, chat.id, state));
    const hasOlder = window !== null && window.from !== "";
    const hasNewer = window !== null && window.to !== null;
    const isSame = before?.messages.length === messages.length && before.messages.every((m, at) => m === messages[at]);
    const shown = isSame ? before.messages : messages;
    const timeline = { messages: shown, notices, isLoaded: window !== null, hasOlder, hasNewer };
    return isEqual(before, timeline) ? before : timeline;
  }

  #pendingView(entry: OutboxEntry, conversation_id: string, state: State): TimelineMessage {
    const known = this.#pending.get(entry);
    if (known) return known;
    const { draft, then } = entry;
    const edit = then && "edit" in then ? then : undefined;
    const { mentions = [], mention_all = false, custom = null } = { ...draft, ...edit };
    const view: TimelineMessage = {
      id: entry.id,
      key: entry.id,
      status: entry.failed ? "failed" : "pending",
      error: entry.failed,
      conversation_id,
      sender_id: state.me?.id ?? "",
      recipient_id: draft.recipient_id ?? state.byId.get(conversation_id)?.other_user_id ?? null,
      message_text: edit?.edit ?? draft.message_text,
      attachment_url: draft.attachment_url ?? null,
      attachment_type: draft.attachment_type ?? null,
      attachments: (entry.files ?? []).map((file, at) => localAttachment(file, `${entry.id}/${at}`, this.localFiles.get(entry.id)?.[at])),
      reply_to: draft.reply_to ?? null,
      client_message_id: entry.id,
      sent_at: entry.created_at,
      is_edited: false,
      edited_at: null,
      is_deleted: false,
      deleted_at: null,
      read: false,
      read_at: null,
      read_count: 0,
      version: 0,
      reactions: [],
      mentions,
      mention_all,
      is_forwarded: draft.forward !== undefined,
      pinned_at: null,
      custom,
    };
    this.#pending.set(entry, view);
    return view;
  }
}

/** The view of a file that is not sent yet. Its `url` is empty while its content is being loaded. */
function localAttachment(file: OutgoingFile, id: string, local: LocalFile | undefined): Attachment {
  const { name, type, kind, size, alt, width, height, duration_ms, thumbhash } = file;
  const urls = { url: local?.url ?? "", preview_url: local?.preview ?? null };
  return { id, kind, file_name: name, content_type: type, size, alt, width, height, duration_ms, thumbhash, ...urls };
}

/** The view of a message that the server has. Its key is the one that it had as a pending message. */
function sentView(message: Message): TimelineMessage {
  // Servers of earlier versions send no attachments.
  return { ...message, attachments: message.attachments ?? [], key: message.client_message_id ?? message.id, status: "sent", error: null };
}
