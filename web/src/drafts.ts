// Local copies of unsent text: drafts, and messages that the client's outbox may not have stored yet.

import { TidingsError, randomId } from "@tidings/client";
import type { Draft, NewDraft, Tidings } from "@tidings/client";

import { local } from "./browser-storage.js";
import type { Mention } from "./mentions/text.js";

const draftPrefix = (user: string) => `tidings draft ${user} `;

/** Returns the draft of a conversation; "" if there is none. */
export function loadDraft(user: string, conversation: string): string {
  return local.getItem(draftPrefix(user) + conversation) ?? "";
}

/** Saves the draft of a conversation; "" removes it. */
export function saveDraft(user: string, conversation: string, text: string): void {
  const key = draftPrefix(user) + conversation;
  if (text !== "") return local.setItem(key, text);
  local.removeItem(key);
  local.removeItem(mentionPrefix(user) + conversation);
}

const mentionPrefix = (user: string) => `tidings mentions ${user} `;

/** Returns those who were chosen to be mentioned in the draft of a conversation. */
export function loadDraftMentions(user: string, conversation: string): Mention[] {
  return JSON.parse(local.getItem(mentionPrefix(user) + conversation) ?? "[]") as Mention[];
}

/** Saves those who were chosen to be mentioned in the draft of a conversation. */
export function saveDraftMentions(user: string, conversation: string, mentions: readonly Mention[]): void {
  local.setItem(mentionPrefix(user) + conversation, JSON.stringify(mentions));
}

const pendingPrefix = (user: string) => `tidings on its way ${user} `;
/** Milliseconds within which a message may be sent again: the server deduplicates for 24 h. */
const RESEND_WINDOW = 20 * 3_600_000;

/** A message that is not known to be stored. */
interface Copy {
  /** When it was sent (milliseconds); no two copies have the same time, so it also gives their order. */
  at: number;
  draft: Draft;
}

let lastAt = 0;

/**
 * Sends a message, and keeps a copy until the client is done with it. The client shows a message shortly before it is
 * on disk, so without the copy a page that is closed in between would lose it. Files cannot be copied.
 */
export function sendWithCopy(client: Tidings, user: string, { files = [], ...draft }: NewDraft): void {
  if (files.length > 0) {
    // The conversation shows failures.
    client.send({ ...draft, files }).catch(() => {});
    return;
  }
  const id = draft.client_message_id ?? randomId();
  const key = pendingPrefix(user) + id;
  lastAt = Math.max(Date.now(), lastAt + 1);
  const copy: Copy = { at: lastAt, draft };
  if (local.getItem(key) === null) local.setItem(key, JSON.stringify(copy));
  const done = () => local.removeItem(key);
  // The conversation shows failures. A send that was aborted because the page closed is not done.
  client.send({ ...draft, client_message_id: id }).then(done, (error: unknown) => error instanceof TidingsError && done());
}

/** Sends copies that the client's outbox lacks, in order. They keep their ids, so that no message is duplicated. */
export function resendCopies(client: Tidings, user: string): void {
  const prefix = pendingPrefix(user);
  const keys = local.keys().filter((key) => key.startsWith(prefix));
  const copies = keys.map((key) => ({ key, copy: JSON.parse(local.getItem(key) ?? "{}") as Copy }));
  for (const { key, copy } of copies.sort((one, other) => one.copy.at - other.copy.at)) {
    const id = key.slice(prefix.length);
    const isInOutbox = client.store.state.outbox.some((entry) => entry.id === id);
    if (isInOutbox || Date.now() - copy.at > RESEND_WINDOW) local.removeItem(key);
    else sendWithCopy(client, user, { ...copy.draft, client_message_id: id });
  }
}

/** Removes all drafts and copies of a user. */
export function forgetDrafts(user: string): void {
  const prefixes = [draftPrefix(user), mentionPrefix(user), pendingPrefix(user)];
  for (const key of local.keys()) if (prefixes.some((prefix) => key.startsWith(prefix))) local.removeItem(key);
}
