// Pages of messages.

import type { Api } from "./api.js";
import type { Window } from "./chat.js";
import type { Page } from "./http.js";
import type { Message } from "./types.js";

/** Messages per page. */
export const PAGE_SIZE = 50;

/** Messages, and the range that they are. */
export interface Range {
  window: Window;
  messages: Message[];
}

/** Loads a page, and skips empty ones: the result is only empty at the end of the list. */
export async function loadPage(
  api: Api,
  id: string,
  query: { before?: string; after?: string; limit?: number; cursor?: string; offset?: number },
  signal: AbortSignal,
): Promise<Page<Message[]>> {
  let page = await api.messages(id, { limit: PAGE_SIZE, ...query }, { signal });
  while (page.data.length === 0 && page.next !== null) {
    page = await api.messages(id, { limit: PAGE_SIZE, cursor: page.next }, { signal });
  }
  return page;
}

/** Loads the newest messages. */
export async function loadLatest(api: Api, id: string, signal: AbortSignal): Promise<Range> {
  const page = await loadPage(api, id, {}, signal);
  const from = page.next === null ? "" : (page.data[0]?.id ?? "");
  return { messages: page.data, window: { from, to: null } };
}
