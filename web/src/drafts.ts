// What is typed and not sent yet, by user and conversation: kept, so that nothing is lost.

import { TidingsError } from "@tidings/client";
import type { Draft, Tidings } from "@tidings/client";

const name = (user: string, conversation: string) => `tidings draft ${user} ${conversation}`;

/** What was typed. */
export function draft(user: string, conversation: string): string {
  try {
    return localStorage.getItem(name(user, conversation)) ?? "";
  } catch {
    return "";
  }
}

/** Keeps what is typed. */
export function keepDraft(user: string, conversation: string, text: string): void {
  try {
    if (text === "") localStorage.removeItem(name(user, conversation));
    else localStorage.setItem(name(user, conversation), text);
  } catch {
    // Without storage it holds while the conversation is open.
  }
}

const onItsWay = (user: string) => `tidings on its way ${user} `;
/** Milliseconds for which the server knows a message's id again; for less than that it is sent again. */
const KNOWN = 20 * 3_600_000;

/**
 * Sends a message under an id of its own, and keeps it here as well until the client has done with it: what the client
 * keeps is on disk a moment later than it shows, and the page may be closed in between.
 */
export function sendKept(client: Tidings, user: string, draft: Draft): void {
  const id = draft.client_message_id ?? crypto.randomUUID();
  const name = onItsWay(user) + id;
  try {
    if (localStorage.getItem(name) === null) localStorage.setItem(name, JSON.stringify({ at: Date.now(), draft }));
  } catch {
    // Without storage, what the client keeps has to do.
  }
  const done = () => localStorage.removeItem(name);
  // Whatever becomes of it shows in the conversation. Only a page that is left is not done with it.
  client.send({ ...draft, client_message_id: id }).then(done, (error: unknown) => error instanceof TidingsError && done());
}

/** Sends what was on its way when the page was left, and is not in the client's outbox. The same id is one message. */
export function sendWhatIsLeft(client: Tidings, user: string): void {
  const start = onItsWay(user);
  for (const name of Object.keys(localStorage).filter((name) => name.startsWith(start))) {
    const id = name.slice(start.length);
    const { at, draft } = JSON.parse(localStorage.getItem(name) ?? "{}") as { at: number; draft: Draft };
    const isKept = client.store.state.outbox.some((entry) => entry.id === id);
    if (isKept || Date.now() - at > KNOWN) localStorage.removeItem(name);
    else sendKept(client, user, { ...draft, client_message_id: id });
  }
}
