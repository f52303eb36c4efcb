// The messages that mention the user, newest first.
//
// Invariant: what the server has listed and what events report meanwhile are one list without duplicates, by id.

import type { Message, Tidings, TidingsEvent } from "@tidings/client";
import { useMe, useSelected, useTidings } from "@tidings/client/react";
import { ArrowLeft } from "lucide-react";
import { useCallback, useEffect, useRef, useState } from "react";

import { useTabStop } from "../keyboard/tab-stop.js";
import { MessageFound } from "../search/message-found.js";
import { attempt } from "../toasts.js";
import { partWords, words } from "../words/language.js";
import { mentionsUser } from "./mentioned-text.js";

/** Messages per page. */
const PAGE_SIZE = 20;

export default function Mentions({ onClose }: { onClose: () => void }) {
  const { messages, state, loadMore } = useMentionPages();
  const box = useRef<HTMLDivElement>(null);
  useTabStop(box, "a.row", { onLeave: (direction) => direction < 0 && document.getElementById("search")?.focus() });
  return (
    <>
      <div className="archive-bar" onKeyDown={(event) => event.key === "Escape" && onClose()}>
        <button className="icon-button" aria-label={words.inbox.backToAll} onClick={onClose}>
          <ArrowLeft aria-hidden className="mirrored" />
        </button>
        <h2>{words.mentions.title}</h2>
      </div>
      <div
        ref={box}
        className="found"
        role="region"
        aria-label={words.mentions.title}
        aria-busy={state === "loading"}
        onKeyDown={(event) => event.key === "Escape" && onClose()}
      >
        {messages.map((message) => (
          <Mention key={message.id} message={message} />
        ))}
        {state === "more" && <MoreButton onReach={loadMore} />}
        <p className="hint muted" role="status">
          {state === "loading" && words.common.loadingMore}
          {state === "done" && messages.length === 0 && partWords.mentions.empty}
        </p>
      </div>
    </>
  );
}

function Mention({ message }: { message: Message }) {
  // The oldest unread one; null if none is.
  const first = useSelected((state) => state.byId.get(message.conversation_id)?.first_mention_id ?? null);
  return <MessageFound message={message} isUnread={first !== null && message.id >= first} />;
}

/** Loads more as soon as it is in view; it can be clicked if that has failed. */
function MoreButton({ onReach }: { onReach: () => void }) {
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && onReach());
    if (button.current) observer.observe(button.current);
    return () => observer.disconnect();
  }, [onReach]);
  return (
    <button ref={button} className="link more" onClick={onReach}>
      {words.common.showMore}
    </button>
  );
}

function useMentionPages() {
  const client = useTidings();
  const me = useMe()?.id;
  const [messages, setMessages] = useState<readonly Message[]>([]);
  const [state, setState] = useState<"loading" | "more" | "done">("loading");
  const [stop] = useState(() => ({ current: new AbortController() }));
  const pages = useRef<AsyncGenerator<Message, void, undefined>>(undefined);

  const loadMore = useCallback(async () => {
    setState("loading");
    const { signal } = stop.current;
    const isDone = await attempt(loadPage(client, pages, signal, (page) => setMessages((known) => merge(known, page))));
    if (!signal.aborted) setState(isDone && pages.current === undefined ? "done" : "more");
  }, [client, stop]);
  useEffect(() => {
    stop.current = new AbortController();
    pages.current = undefined;
    setMessages([]);
    void loadMore();
    const off = client.on("event", (event) => setMessages((known) => withEvent(known, event, me)));
    return () => {
      stop.current.abort();
      off();
    };
  }, [client, me, stop, loadMore]);
  return { messages, state, loadMore };
}

/** Loads a page. At the end of the list, `pages` becomes undefined; after a failure, the list starts again. */
async function loadPage(
  client: Tidings,
  pages: { current: AsyncGenerator<Message, void, undefined> | undefined },
  signal: AbortSignal,
  onPage: (page: Message[]) => void,
): Promise<void> {
  const list = (pages.current ??= client.mentions({ limit: PAGE_SIZE, signal }));
  const page: Message[] = [];
  try {
    while (page.length < PAGE_SIZE) {
      const { value, done } = await list.next();
      if (done) break;
      page.push(value);
    }
  } catch (error) {
    pages.current = undefined;
    throw error;
  }
  if (page.length < PAGE_SIZE) pages.current = undefined;
  if (!signal.aborted) onPage(page);
}

/** Adds messages to a list, newest first. */
function merge(known: readonly Message[], added: readonly Message[]): readonly Message[] {
  const byId = new Map([...known, ...added].map((message) => [message.id, message]));
  return [...byId.values()].sort((one, other) => other.sent_at.localeCompare(one.sent_at));
}

/** Applies an event to a list. */
function withEvent(known: readonly Message[], event: TidingsEvent, me: string | undefined): readonly Message[] {
  if (event.type !== "message.created" && event.type !== "message.updated" && event.type !== "message.deleted") return known;
  const { message } = event.data;
  if (event.type !== "message.deleted" && !message.is_deleted && mentionsUser(message, me)) return merge(known, [message]);
  return known.some(({ id }) => id === message.id) ? known.filter(({ id }) => id !== message.id) : known;
}
