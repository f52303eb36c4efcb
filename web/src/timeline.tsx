// The messages of a conversation: virtualised, at the newest unless one has scrolled up, and steady while older ones
// come in above.

import type { Conversation as Row, TimelineMessage } from "@tidings/client";
import { useMe, useTidings, useTimeline } from "@tidings/client/react";
import { ArrowDown } from "lucide-react";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { Virtualizer } from "virtua";
import type { VirtualizerHandle } from "virtua";

import { MessageRow } from "./message.js";
import { usePerson } from "./people.js";
import { settle } from "./route.js";
import { attempt } from "./toasts.js";
import { day, isSameDay } from "./when.js";

/** Milliseconds within which messages of one sender stand together. */
const TOGETHER = 5 * 60_000;
/** Pixels from an end at which more is loaded, and from the newest within which one is still there. */
const NEAR = 600;
const AT_END = 48;
/** Unread messages beyond which one starts at the first of them, not at the newest page. */
const PAGE = 40;

/** What may be done with a message. */
export interface Deeds {
  onReply: (message: TimelineMessage) => void;
  onEdit: (message: TimelineMessage) => void;
  onDelete: (message: TimelineMessage) => void;
  onReceipts: (message: TimelineMessage) => void;
}

/** The messages of a conversation. */
export function Timeline({ row, jumpTo, ...deeds }: Deeds & { row: Row; jumpTo: string | null }) {
  const client = useTidings();
  const me = useMe();
  const id = row.conversation_id;
  const { messages, isLoaded, hasOlder, hasNewer } = useTimeline(id);
  const scroller = useRef<HTMLDivElement>(null);
  const list = useRef<VirtualizerHandle>(null);
  // As it was when the conversation was opened.
  const [begin] = useState({ read: row.last_read_message_id, unread: row.unread_count });
  const firstUnread = useMemo(
    () => (begin.unread > 0 ? firstAfter(messages, begin.read, me?.id) : undefined),
    [messages, begin, me?.id],
  );
  const place = useRef({ isPlaced: false, isAtEnd: true, offset: Infinity, isLoading: false });
  const [isAway, setIsAway] = useState(false);
  const [target, setTarget] = useState<string | null>(null);
  const [lit, setLit] = useState<string | null>(null);

  // Older messages come in above: what one looks at has to stay where it is.
  const shown = useRef<{ first: string | undefined; last: string | undefined; hasNewer: boolean }>(NONE);
  const first = messages[0]?.key;
  const isPrepended =
    shown.current.first !== undefined && first !== shown.current.first && messages.some(({ key }) => key === shown.current.first);

  const markRead = useCallback(() => {
    const handle = list.current;
    if (!handle || !place.current.isPlaced || !document.hasFocus() || document.visibilityState !== "visible") return;
    const { messages } = client.store.state.timelines.get(id) ?? { messages: [] };
    const at = handle.findItemIndex(handle.scrollOffset + handle.viewportSize - 8);
    const last = messages.slice(0, at + 1).findLast(({ status }) => status === "sent");
    // Where it fails, the next look at it tries again.
    if (last && client.store.state.byId.get(id)?.unread_count) client.markAsRead(id, last.id).catch(() => {});
  }, [client, id]);

  const more = useCallback(async () => {
    const handle = list.current;
    const timeline = client.store.state.timelines.get(id);
    if (!handle || !timeline || place.current.isLoading || !place.current.isPlaced) return;
    const isTop = timeline.hasOlder && handle.scrollOffset < NEAR;
    const isBottom = timeline.hasNewer && handle.scrollOffset + handle.viewportSize > handle.scrollSize - NEAR;
    if (!isTop && !isBottom) return;
    place.current.isLoading = true;
    await attempt(isTop ? client.loadOlder(id) : client.loadNewer(id));
    place.current.isLoading = false;
  }, [client, id]);

  const toEnd = useCallback(() => {
    const count = client.store.state.timelines.get(id)?.messages.length ?? 0;
    if (count > 0) list.current?.scrollToIndex(count - 1, { align: "end" });
  }, [client, id]);

  const look = useCallback(() => {
    const handle = list.current;
    if (!handle || !place.current.isPlaced) return;
    setIsAway(!place.current.isAtEnd && handle.scrollSize - handle.scrollOffset - handle.viewportSize > 200);
  }, []);

  const onScroll = (offset: number) => {
    const handle = list.current;
    if (!handle) return;
    const isNear = offset + handle.viewportSize >= handle.scrollSize - AT_END;
    // Content that grows below moves nobody away from the end: only scrolling up does.
    const isAtEnd = isNear || (place.current.isAtEnd && offset >= place.current.offset);
    place.current.isAtEnd = isAtEnd;
    place.current.offset = offset;
    look();
    void more();
  };

  // More unread than a page has: from the first of them on.
  useEffect(() => {
    if (begin.unread > PAGE && begin.read && !jumpTo) {
      place.current.isAtEnd = false;
      void attempt(client.jumpTo(id, begin.read));
    }
  }, []);

  useEffect(() => {
    if (!jumpTo) return;
    place.current.isAtEnd = false;
    place.current.isPlaced = true;
    void attempt(client.jumpTo(id, jumpTo)).then((isThere) => isThere && setTarget(jumpTo));
    settle(id);
  }, [client, id, jumpTo]);

  useLayoutEffect(() => {
    const at = target === null ? -1 : messages.findIndex((message) => message.id === target);
    if (at < 0) return;
    place.current.isAtEnd = false;
    list.current?.scrollToIndex(at, { align: "center" });
    setLit(target);
    setTarget(null);
    setIsAway(hasNewer || at < messages.length - 8);
  }, [messages, target, hasNewer]);

  useEffect(() => {
    if (lit === null) return;
    const timer = setTimeout(() => setLit(null), 2_500);
    return () => clearTimeout(timer);
  }, [lit]);

  useLayoutEffect(() => {
    const before = shown.current;
    const last = messages.at(-1);
    shown.current = { first, last: last?.key, hasNewer };
    if (!isLoaded || !last) return;
    if (!place.current.isPlaced) {
      place.current.isPlaced = true;
      const at = firstUnread ? messages.indexOf(firstUnread) : -1;
      // Where the first that is loaded counts as unread, it may not be the first that is.
      if (at > 0 || (at === 0 && !hasOlder)) {
        place.current.isAtEnd = false;
        list.current?.scrollToIndex(at, { align: "start", offset: -80 });
      } else {
        toEnd();
      }
      return;
    }
    if (last.key === before.last) return;
    const isOwn = last.sender_id === me?.id && last.status === "pending";
    if (isOwn || (place.current.isAtEnd && !before.hasNewer)) {
      place.current.isAtEnd = true;
      toEnd();
    }
  });

  // One's own new message is at the present, wherever one was.
  const newest = messages.at(-1);
  const isSending = newest?.status === "pending";
  useEffect(() => {
    if (isSending && hasNewer) void attempt(client.jumpToLatest(id));
  }, [client, id, isSending, hasNewer]);

  useEffect(() => {
    let frame = requestAnimationFrame(() => {
      // Where one is shows only once the list has scrolled to it.
      frame = requestAnimationFrame(() => {
        look();
        markRead();
        void more();
      });
    });
    return () => cancelAnimationFrame(frame);
  }, [messages, isLoaded, look, markRead, more]);
  useEffect(() => {
    addEventListener("focus", markRead);
    document.addEventListener("visibilitychange", markRead);
    return () => {
      removeEventListener("focus", markRead);
      document.removeEventListener("visibilitychange", markRead);
    };
  }, [markRead]);

  // The composer grows, or the keyboard comes up: the newest message stays in sight.
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const observer = new ResizeObserver(() => place.current.isAtEnd && toEnd());
    observer.observe(element);
    return () => observer.disconnect();
  }, [toEnd]);

  const latest = async () => {
    place.current.isAtEnd = true;
    if (hasNewer && !(await attempt(client.jumpToLatest(id)))) return;
    setIsAway(false);
    requestAnimationFrame(toEnd);
  };
  const jump = useCallback(
    (message: string) => void attempt(client.jumpTo(id, message)).then((isThere) => isThere && setTarget(message)),
    [client, id],
  );

  return (
    <div className="timeline">
      <div className="scroller" ref={scroller} tabIndex={0} role="region" aria-label="Messages" data-testid="messages">
        {!isLoaded && messages.length === 0 && (
          <div className="skeleton messages" role="status" aria-label="Loading">
            {[46, 62, 30, 54].map((width, at) => (
              <span key={at} style={{ inlineSize: `${width}%` }} className={at % 2 ? "mine" : ""} />
            ))}
          </div>
        )}
        {isLoaded && messages.length === 0 && (
          <p className="empty-timeline muted">Nothing has been written here yet. Say hello.</p>
        )}
        <div className="spacer" />
        <Virtualizer
          ref={list}
          data={messages}
          scrollRef={scroller}
          shift={isPrepended}
          bufferSize={600}
          onScroll={onScroll}
          onScrollEnd={markRead}
          onResize={() => {
            if (place.current.isAtEnd && !hasNewer) toEnd();
            look();
          }}
        >
          {(message, at) => {
            const before = messages[at - 1];
            const after = messages[at + 1];
            const isNewDay = before ? !isSameDay(before.sent_at, message.sent_at) : !hasOlder;
            return (
              <div key={message.key} className="slot">
                {isNewDay && (
                  <div className="day">
                    <span>{day(message.sent_at)}</span>
                  </div>
                )}
                {message === firstUnread && (
                  <div className="divider" data-testid="unread-divider">
                    <span>New messages</span>
                  </div>
                )}
                <MessageRow
                  message={message}
                  row={row}
                  isMine={message.sender_id === me?.id}
                  isFirst={isNewDay || message === firstUnread || !areTogether(before, message)}
                  isLast={!areTogether(message, after) || after === firstUnread}
                  isLit={lit === message.id}
                  onJump={jump}
                  {...deeds}
                />
              </div>
            );
          }}
        </Virtualizer>
      </div>
      {(isAway || hasNewer) && (
        <button className="to-latest" onClick={() => void latest()} aria-label="Jump to latest">
          <ArrowDown aria-hidden />
          {row.unread_count > 0 && <span className="badge">{row.unread_count > 99 ? "99+" : row.unread_count}</span>}
        </button>
      )}
      <Announcer id={id} />
    </div>
  );
}

const NONE = { first: undefined, last: undefined, hasNewer: false };

function firstAfter(messages: readonly TimelineMessage[], read: string | null, me: string | undefined) {
  return messages.find(({ id, sender_id, is_deleted }) => sender_id !== me && !is_deleted && (read === null || id > read));
}

function areTogether(one: TimelineMessage | undefined, other: TimelineMessage | undefined): boolean {
  if (!one || !other || one.sender_id !== other.sender_id) return false;
  return Math.abs(Date.parse(other.sent_at) - Date.parse(one.sent_at)) < TOGETHER && isSameDay(one.sent_at, other.sent_at);
}

/** Reads out what others write here, as it comes, and nothing else. */
function Announcer({ id }: { id: string }) {
  const client = useTidings();
  const [heard, setHeard] = useState<{ sender: string; text: string } | null>(null);
  useEffect(
    () =>
      client.on("message.created", ({ conversation_id, data: { message } }) => {
        if (conversation_id !== id || message.sender_id === client.store.state.me?.id) return;
        setHeard({ sender: message.sender_id, text: message.message_text.slice(0, 300) || "An attachment" });
      }),
    [client, id],
  );
  return (
    <div className="hidden" aria-live="polite">
      {heard && <Heard {...heard} />}
    </div>
  );
}

function Heard({ sender, text }: { sender: string; text: string }) {
  const { name } = usePerson(sender);
  return (
    <>
      {name}: {text}
    </>
  );
}
