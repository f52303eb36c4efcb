// The messages of a conversation: at the newest unless one has scrolled up.

import type { Conversation as Row, TimelineMessage } from "@tidings/client";
import { useMe, useTidings, useTimeline } from "@tidings/client/react";
import { ArrowDown } from "lucide-react";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";

import { MessageRow } from "./message.js";
import { NoticeLine, interleaved, isLine } from "./notice.js";
import type { Line } from "./notice.js";
import { usePerson } from "./people.js";
import { settle } from "./route.js";
import { Rows } from "./rows.js";
import type { RowsHandle } from "./rows.js";
import { attempt } from "./toasts.js";
import { day, isSameDay } from "./when.js";

/** Milliseconds within which messages of one sender stand together. */
const TOGETHER = 5 * 60_000;
/** Pixels from an end at which more is loaded, and from the newest beyond which there is a way back. */
const NEAR = 1_200;
const AWAY = 200;
/** Unread messages beyond which one starts at the first of them, not at the newest page. */
const PAGE = 40;

/** What may be done with a message. */
export interface Deeds {
  onReply: (message: TimelineMessage) => void;
  /** With a text, it takes the place of the message's own. */
  onEdit: (message: TimelineMessage, text?: string) => void;
  onDelete: (message: TimelineMessage) => void;
  onReceipts: (message: TimelineMessage) => void;
}

/** The messages of a conversation. */
export function Timeline({ row, jumpTo, ...deeds }: Deeds & { row: Row; jumpTo: string | null }) {
  const client = useTidings();
  const me = useMe();
  const id = row.conversation_id;
  const timeline = useTimeline(id);
  const { messages, isLoaded, hasOlder, hasNewer } = timeline;
  const entries = useMemo(() => interleaved(timeline), [timeline]);
  const list = useRef<RowsHandle>(null);
  // As it was when the conversation was opened.
  const [begin] = useState(row);
  // More unread than a page has: from the first of them on.
  const [isFound, setIsFound] = useState(begin.unread_count <= PAGE || jumpTo !== null);
  useEffect(() => {
    if (!isFound) void attempt(client.jumpToUnread(id)).then(() => setIsFound(true));
  }, []);
  // Found once: what comes in above may not move it.
  const isReady = isLoaded && isFound;
  const unread = useMemo(() => (isReady ? unreadSince(begin, messages, me?.id)?.key : undefined), [isReady]);
  const place = useRef({ isPlaced: false, isLoading: false, entries });
  useLayoutEffect(() => void (place.current.entries = entries), [entries]);
  const [isAway, setIsAway] = useState(false);
  const [target, setTarget] = useState<string | null>(null);
  const [lit, setLit] = useState<string | null>(null);

  const markRead = useCallback(() => {
    const rows = list.current;
    if (!rows || !place.current.isPlaced || !document.hasFocus() || document.visibilityState !== "visible") return;
    const { entries } = place.current;
    let at = rows.lastInView;
    while (at >= 0 && !sent(entries[at])) at -= 1;
    const last = sent(entries[at]);
    // Where it fails, the next look at it tries again.
    if (last && client.store.state.byId.get(id)?.unread_count) client.markAsRead(id, last.id).catch(() => {});
  }, [client, id]);

  const more = useCallback(async () => {
    const rows = list.current;
    const timeline = client.store.state.timelines.get(id);
    if (!rows || !timeline || place.current.isLoading || !place.current.isPlaced) return;
    const isTop = timeline.hasOlder && rows.above < NEAR;
    const isBottom = timeline.hasNewer && rows.below < NEAR;
    if (!isTop && !isBottom) return;
    place.current.isLoading = true;
    await attempt(isTop ? client.loadOlder(id) : client.loadNewer(id));
    place.current.isLoading = false;
  }, [client, id]);

  const onMove = useCallback(() => {
    const rows = list.current;
    if (!rows || !place.current.isPlaced) return;
    setIsAway(!rows.isAtEnd && rows.below > AWAY);
    void more();
  }, [more]);

  useEffect(() => {
    if (!jumpTo) return;
    place.current.isPlaced = true;
    void attempt(client.jumpTo(id, jumpTo)).then((isThere) => isThere && setTarget(jumpTo));
    settle(id);
  }, [client, id, jumpTo]);

  useLayoutEffect(() => {
    const at = target === null ? -1 : entries.findIndex((entry) => "id" in entry && entry.id === target);
    if (at < 0) return;
    list.current?.show(at, "middle");
    setLit(target);
    setTarget(null);
  }, [entries, target]);

  useEffect(() => {
    if (lit === null) return;
    const timer = setTimeout(() => setLit(null), 2_500);
    return () => clearTimeout(timer);
  }, [lit]);

  const newest = messages.at(-1);
  const isSending = newest?.status === "pending";
  useLayoutEffect(() => {
    if (!isReady || !newest) return;
    if (!place.current.isPlaced) {
      place.current.isPlaced = true;
      const at = entries.findIndex(({ key }) => key === unread);
      if (at >= 0) list.current?.show(at, { below: 80 });
    } else if (isSending) {
      list.current?.toEnd();
    }
  }, [isReady, newest?.key, isSending]);

  // One's own new message is at the present, wherever one was.
  useEffect(() => {
    if (isSending && hasNewer) void attempt(client.jumpToLatest(id));
  }, [client, id, isSending, hasNewer]);

  useEffect(() => {
    // Where one is shows only once the list has its place.
    const frame = requestAnimationFrame(() => {
      onMove();
      markRead();
    });
    return () => cancelAnimationFrame(frame);
  }, [entries, isLoaded, onMove, markRead]);
  useEffect(() => {
    addEventListener("focus", markRead);
    document.addEventListener("visibilitychange", markRead);
    return () => {
      removeEventListener("focus", markRead);
      document.removeEventListener("visibilitychange", markRead);
    };
  }, [markRead]);

  const latest = async () => {
    if (hasNewer && !(await attempt(client.jumpToLatest(id)))) return;
    setIsAway(false);
    list.current?.toEnd();
  };
  const jump = useCallback(
    (message: string) => void attempt(client.jumpTo(id, message)).then((isThere) => isThere && setTarget(message)),
    [client, id],
  );

  return (
    <div className="timeline">
      <div className="scroller" tabIndex={0} role="region" aria-label="Messages" data-testid="messages">
        {!isLoaded && messages.length === 0 && (
          <div className="skeleton messages" role="status" aria-label="Loading">
            {[46, 62, 30, 54].map((width, at) => (
              <span key={at} style={{ inlineSize: `${width}%` }} className={at % 2 ? "mine" : ""} />
            ))}
          </div>
        )}
        {isLoaded && entries.length === 0 && (
          <p className="empty-timeline muted">Nothing has been written here yet. Say hello.</p>
        )}
        <div className="spacer" />
        <Rows ref={list} items={entries} sticks={!hasNewer} onMove={onMove} onQuiet={markRead}>
          {(entry, at) => {
            const before = entries[at - 1];
            const after = entries[at + 1];
            const isNewDay = before ? !isSameDay(before.sent_at, entry.sent_at) : !hasOlder;
            return (
              <div className="slot">
                {isNewDay && (
                  <div className="day">
                    <span>{day(entry.sent_at)}</span>
                  </div>
                )}
                {entry.key === unread && (
                  <div className="divider" data-testid="unread-divider">
                    <span>New messages</span>
                  </div>
                )}
                {isLine(entry) ? (
                  <NoticeLine notice={entry.notice} />
                ) : (
                  <MessageRow
                    message={entry}
                    row={row}
                    isMine={entry.sender_id === me?.id}
                    isFirst={isNewDay || entry.key === unread || !areTogether(before, entry)}
                    isLast={!areTogether(entry, after) || after?.key === unread}
                    isLit={lit === entry.id}
                    onJump={jump}
                    {...deeds}
                  />
                )}
              </div>
            );
          }}
        </Rows>
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

/** The first of the messages that a row counts as unread, where it is among those that are loaded. */
function unreadSince(row: Row, messages: readonly TimelineMessage[], me: string | undefined): TimelineMessage | undefined {
  const { last_read_message_id: read, counted_to: to, unread_count: count } = row;
  const counted = messages.filter(
    ({ id, sender_id, is_deleted, status }) =>
      status === "sent" && sender_id !== me && !is_deleted && (!read || id > read) && (!to || id <= to),
  );
  // Not all of them are loaded after a jump to the first.
  return count > PAGE ? counted[0] : count > 0 ? counted.at(-count) : undefined;
}

/** The message that an entry is, where the server has it. */
function sent(entry: TimelineMessage | Line | undefined): TimelineMessage | undefined {
  return entry && !isLine(entry) && entry.status === "sent" ? entry : undefined;
}

function areTogether(one: TimelineMessage | Line | undefined, other: TimelineMessage | Line | undefined): boolean {
  if (!one || !other || isLine(one) || isLine(other) || one.sender_id !== other.sender_id) return false;
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
