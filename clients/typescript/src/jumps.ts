// Loads messages out of turn: around a message, at an offset, or a single one. Loaded on first use.

import type { Api } from "./api.js";
import { PAGE_SIZE, loadLatest, loadPage } from "./pages.js";
import type { Range } from "./pages.js";
import type { Message } from "./types.js";

/** Maximum `offset` that the server accepts. */
const MAX_OFFSET = 10_000;

/** Loads the messages around a message. */
export async function loadAround(api: Api, id: string, messageId: string, signal: AbortSignal): Promise<Range> {
  const after = await loadPage(api, id, { after: messageId, limit: PAGE_SIZE / 2 }, signal);
  const first = after.data[0];
  if (!first) return loadLatest(api, id, signal);
  const before = await loadPage(api, id, { before: first.id, limit: PAGE_SIZE / 2 }, signal);
  const window = {
    from: before.next === null ? "" : (before.data[0] ?? first).id,
    to: after.next === null ? null : (after.data.at(-1) ?? first).id,
  };
  return { window, messages: [...before.data, ...after.data] };
}

/** Loads the message at an offset from the newest one (0), or the oldest message if there are fewer. */
export async function loadAt(api: Api, id: string, offset: number, signal: AbortSignal): Promise<Message | undefined> {
  return (await loadPage(api, id, { offset: Math.min(offset, MAX_OFFSET), limit: 1 }, signal)).data[0];
}

/** Loads one message. The API has no call for that, so it finds the next message and loads the one before it. */
export async function loadOne(api: Api, id: string, messageId: string, signal: AbortSignal): Promise<Message | undefined> {
  const [next] = (await loadPage(api, id, { after: messageId, limit: 1 }, signal)).data;
  const { data } = await loadPage(api, id, { limit: 1, ...(next ? { before: next.id } : {}) }, signal);
  return data.find((message) => message.id === messageId);
}

/** Finds the user's message with a `client_message_id` in the history, back to a time. */
export async function findSent(
  api: Api,
  conversation: string,
  clientId: string,
  earliest: string,
  signal: AbortSignal,
): Promise<Message | undefined> {
  for await (const message of api.history(conversation, { limit: 100, signal })) {
    if (message.client_message_id === clientId) return message;
    if (message.sent_at < earliest) return undefined;
  }
  return undefined;
}
