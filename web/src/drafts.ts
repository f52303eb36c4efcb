// Local copies of unsent text: drafts, and messages that the client's outbox may not have stored yet.

import { TidingsError } from "@tidings/client";
import type { Draft, Tidings } from "@tidings/client";

const draftKey = (user: string, conversation: string) => `tidings draft ${user} ${conversation}`;

/** Returns the draft of a conversation; "" if there is none. */
export function loadDraft(user: string, conversation: string): string {
  try {
    return localStorage.getItem(draftKey(user, conversation)) ?? "";
  } catch {
    return "";
  }
}

/** Saves the draft of a conversation; "" removes it. */
export function saveDraft(user: string, conversation: string, text: string): void {
  try {
    if (text === "") localStorage.removeItem(draftKey(user, conversation));
    else localStorage.setItem(draftKey(user, conversation), text);
  } catch {
    // Without storage, the draft lasts while the conversation is open.
  }
}

const pendingPrefix = (user: string) => `tidings on its way ${user} `;
/** Milliseconds within which a message may be sent again: the server deduplicates for 24 h. */
const RESEND_WINDOW = 20 * 3_600_000;

/**
 * Sends a message, and keeps a copy until the client is done with it. The client shows a message shortly before it is
 * on disk, so without the copy a page that is closed in between would lose it.
 */
export function sendWithCopy(client: Tidings, user: string, draft: Draft): void {
  const id = draft.client_message_id ?? crypto.randomUUID();
  const key = pendingPrefix(user) + id;
  try {
    if (localStorage.getItem(key) === null) localStorage.setItem(key, JSON.stringify({ at: Date.now(), draft }));
  } catch {
    // Without storage, the client's outbox has to suffice.
  }
  const done = () => localStorage.removeItem(key);
  // The conversation shows failures. A send that was aborted because the page closed is not done.
  client.send({ ...draft, client_message_id: id }).then(done, (error: unknown) => error instanceof TidingsError && done());
}

/** Sends copies that the client's outbox lacks. They keep their ids, so that no message is duplicated. */
export function resendCopies(client: Tidings, user: string): void {
  const prefix = pendingPrefix(user);
  for (const key of Object.keys(localStorage).filter((key) => key.startsWith(prefix))) {
    const id = key.slice(prefix.length);
    const { at, draft } = JSON.parse(localStorage.getItem(key) ?? "{}") as { at: number; draft: Draft };
    const isInOutbox = client.store.state.outbox.some((entry) => entry.id === id);
    if (isInOutbox || Date.now() - at > RESEND_WINDOW) localStorage.removeItem(key);
    else sendWithCopy(client, user, { ...draft, client_message_id: id });
  }
}
