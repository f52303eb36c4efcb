// The messages of a conversation. Stays at the newest one unless the user has scrolled up.

import type { Conversation as Row, TimelineMessage } from "@tidings/client";
import { useConnection, useMe, useSelected, useTidings, useTimeline } from "@tidings/client/react";
import { ArrowDown } from "lucide-react";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";

import { Announcer } from "./announcer.js";
import { useToday } from "./clock.js";
import { isUnread } from "./conversation-settings.js";
import { CountBadge } from "./count-badge.js";
import { formatDay, isSameDay } from "./dates.js";
import { FloatingDate } from "./floating-date.js";
import { useTimelineKeys } from "./keyboard/timeline-keys.js";
import { firstIdAt } from "./message-id.js";
import { MessageRow } from "./message.js";
import type { MessageActions } from "./message-actions.js";
import { JumpToMention } from "./mentions/jump-button.js";
import { NoticeLine, isNotice, withNotices } from "./notice.js";
import type { NoticeEntry } from "./notice.js";
import { MissingMessages } from "./offline.js";
import { clearMessage } from "./route.js";
import { useSelecting } from "./selection/use-selecting.js";
import { attempt } from "./toasts.js";
import { VirtualList } from "./virtual-list.js";
import type { VirtualListHandle } from "./virtual-list.js";
import { words } from "./words/language.js";

type Entry = TimelineMessage | NoticeEntry;

/** Maximum milliseconds between messages of one sender that are shown as a group. */
const GROUP_INTERVAL = 5 * 60_000;
/** Pixels from either end at which more messages are loaded. */
const LOAD_DISTANCE = 1_200;
/** Pixels from the end beyond which "Jump to latest" is shown. */
const AWAY_DISTANCE = 200;
/** Number of unread messages above which the timeline opens at the first of them, beyond the newest page. */
const MAX_UNREAD_ON_PAGE = 40;

export function Timeline({ row, jumpTo, ...actions }: MessageActions & { row: Row; jumpTo: string | null }) {
  const client = useTidings();
  const me = useMe();
  const id = row.conversation_id;
  const timeline = useTimeline(id);
  const { messages, isLoaded, hasOlder, hasNewer } = timeline;
  const entries = useMemo(() => withNotices(timeline), [timeline]);
  const list = useRef<VirtualListHandle>(null);
  // The row as it was when the conversation was opened.
  const [openedRow, setOpenedRow] = useState(row);
  // Once the user has marked messages as unread, they stay so until the conversation is opened again.
  const staysUnread = useRef(false);
  const [wasMarked, setWasMarked] = useState(row.marked_unread);
  if (wasMarked !== row.marked_unread) {
    setWasMarked(row.marked_unread);
    if (row.marked_unread) staysUnread.current = true;
  }
  // Whether the loaded messages include the position to open at.
  const [isFound, setIsFound] = useState(openedRow.unread_count <= MAX_UNREAD_ON_PAGE || jumpTo !== null);
  const isOffline = useConnection() === "offline";
  const isFresh = useSelected((state) => state.staleSince === null);
  const isVerified = useRef(isFresh);
  const [hasJumped, setHasJumped] = useState(false);
  useEffect(() => {
    if (isFound && isVerified.current) return;
    // Offline, the newest messages have to do.
    if (isOffline) return setIsFound(true);
    // Messages that were stored as unread may have been read since, and others may have come.
    if (!isFresh) return;
    isVerified.current = true;
    setOpenedRow(row);
    // What the user looks at stays in place.
    if (isFound || row.unread_count <= MAX_UNREAD_ON_PAGE) return setIsFound(true);
    void attempt(client.jumpToUnread(id)).then((isDone) => {
      setHasJumped(isDone);
      setIsFound(true);
    });
  }, [isOffline, isFresh]);
  // Computed once for a row, so that older messages which load later do not move the divider.
  const isReady = isLoaded && isFound;
  const firstUnread = useMemo(
    () => (isReady ? unreadSince(openedRow, messages, me?.id, hasJumped)?.key : undefined),
    [isReady, openedRow],
  );
  const view = useRef({ isPlaced: false, isLoading: false, entries });
  useLayoutEffect(() => void (view.current.entries = entries), [entries]);
  const [isAway, setIsAway] = useState(false);
  // A time of the day that the messages at the top are from.
  const [topDay, setTopDay] = useState<string | null>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const onKeyDown = useTimelineKeys(scroller);
  const { className, ...selecting } = useSelecting(id, messages, scroller);
  const [target, setTarget] = useState<string | null>(null);
  const [highlighted, setHighlighted] = useState<string | null>(null);

  const markRead = useCallback(() => {
    const virtualList = list.current;
    if (!virtualList || !view.current.isPlaced || !document.hasFocus() || document.visibilityState !== "visible") return;
    // Nothing is marked as read that would become unread again because the server does not answer.
    if (staysUnread.current || client.store.state.staleSince !== null) return;
    const { entries } = view.current;
    let at = virtualList.lastInView;
    while (at >= 0 && !sentMessage(entries[at])) at -= 1;
    const last = sentMessage(entries[at]);
    // If this fails, the next scroll or focus retries.
    const row = client.store.state.byId.get(id);
    if (last && row && isUnread(row)) client.markAsRead(id, last.id).catch(() => {});
  }, [client, id]);

  const loadMore = useCallback(async () => {
    const virtualList = list.current;
    const timeline = client.store.state.timelines.get(id);
    if (!virtualList || !timeline || view.current.isLoading || !view.current.isPlaced) return;
    if (client.store.state.connection === "offline") return;
    const isTop = timeline.hasOlder && virtualList.above < LOAD_DISTANCE;
    const isBottom = timeline.hasNewer && virtualList.below < LOAD_DISTANCE;
    if (!isTop && !isBottom) return;
    view.current.isLoading = true;
    await attempt(isTop ? client.loadOlder(id) : client.loadNewer(id));
    view.current.isLoading = false;
  }, [client, id]);

  const onScroll = useCallback(() => {
    const virtualList = list.current;
    if (!virtualList || !view.current.isPlaced) return;
    setIsAway(!virtualList.isAtEnd && virtualList.below > AWAY_DISTANCE);
    const top = view.current.entries[virtualList.firstInView]?.sent_at ?? null;
    setTopDay((day) => (day && top && isSameDay(day, top) ? day : top));
    void loadMore();
  }, [loadMore]);

  useEffect(() => {
    if (!jumpTo) return;
    view.current.isPlaced = true;
    void attempt(client.jumpTo(id, jumpTo)).then((isLoaded) => isLoaded && setTarget(jumpTo));
    clearMessage(id);
  }, [client, id, jumpTo]);

  useLayoutEffect(() => {
    const at = target === null ? -1 : entries.findIndex((entry) => "id" in entry && entry.id === target);
    if (at < 0) return;
    list.current?.scrollTo(at, "middle");
    setHighlighted(target);
    setTarget(null);
  }, [entries, target]);

  useEffect(() => {
    if (highlighted === null) return;
    const timer = setTimeout(() => setHighlighted(null), 2_500);
    return () => clearTimeout(timer);
  }, [highlighted]);

  const newest = messages.at(-1);
  const isSending = newest?.status === "pending";
  useLayoutEffect(() => {
    if (!isReady || !newest) return;
    if (!view.current.isPlaced) {
      view.current.isPlaced = true;
      const at = entries.findIndex(({ key }) => key === firstUnread);
      if (at >= 0) list.current?.scrollTo(at, { below: 80 });
    } else if (isSending) {
      list.current?.scrollToEnd();
    }
  }, [isReady, newest?.key, isSending]);

  // A message that the user sends is at the end, so jump there. While newer ones are not loaded, only the outbox has it.
  const sending = useSelected(({ outbox }) => outbox.findLast(({ draft, message_id }) => draft.conversation_id === id && !message_id)?.id);
  const [sendingBefore] = useState(sending);
  useEffect(() => {
    if (sending !== undefined && sending !== sendingBefore && hasNewer) void jumpToLatest();
  }, [sending]);

  useEffect(() => {
    // The scroll position is only known after layout.
    const frame = requestAnimationFrame(() => {
      onScroll();
      markRead();
    });
    return () => cancelAnimationFrame(frame);
  }, [entries, isLoaded, isOffline, isFresh, onScroll, markRead]);
  useEffect(() => {
    addEventListener("focus", markRead);
    document.addEventListener("visibilitychange", markRead);
    return () => {
      removeEventListener("focus", markRead);
      document.removeEventListener("visibilitychange", markRead);
    };
  }, [markRead]);

  const jumpToLatest = async () => {
    if (hasNewer && !(await attempt(client.jumpToLatest(id)))) return;
    setIsAway(false);
    list.current?.scrollToEnd();
  };
  const jump = useCallback(
    (message: string) => void attempt(client.jumpTo(id, message)).then((isLoaded) => isLoaded && setTarget(message)),
    [client, id],
  );

  const jumpToDay = async (day: Date) => {
    const from = firstIdAt(id, day.getTime());
    if (!(await attempt(client.jumpTo(id, from)))) return;
    const shown = client.store.state.timelines.get(id)?.messages ?? [];
    const first = shown.find((message) => message.status === "sent" && message.id >= from) ?? shown.at(-1);
    if (first) setTarget(first.id);
  };

  return (
    <div className="timeline">
      <div
        ref={scroller}
        className={`scroller ${className}`}
        tabIndex={messages.length > 0 ? -1 : 0}
        role="region"
        aria-label={words.conversation.messages}
        data-testid="messages"
        onKeyDown={onKeyDown}
        {...selecting}
      >
        <MissingMessages hasMessages={isLoaded} hasOlder={hasOlder} />
        {!isLoaded && messages.length === 0 && !isOffline && (
          <div className="skeleton messages" role="status" aria-label={words.common.loading}>
            {[46, 62, 30, 54].map((width, at) => (
              <span key={at} style={{ inlineSize: `${width}%` }} className={at % 2 ? "mine" : ""} />
            ))}
          </div>
        )}
        {isLoaded && entries.length === 0 && (
          <p className="empty-timeline muted">{words.conversation.noMessages}</p>
        )}
        <div className="spacer" />
        <VirtualList ref={list} items={entries} followsEnd={!hasNewer} onScroll={onScroll} onScrollEnd={markRead}>
          {(entry, at) => {
            const before = entries[at - 1];
            const after = entries[at + 1];
            const isNewDay = before ? !isSameDay(before.sent_at, entry.sent_at) : !hasOlder;
            return (
              <div className="slot">
                {isNewDay && (
                  <div className="day">
                    <Day at={entry.sent_at} />
                  </div>
                )}
                {entry.key === firstUnread && (
                  <div className="divider" data-testid="unread-divider">
                    <span>{words.conversation.newMessages}</span>
                  </div>
                )}
                {isNotice(entry) ? (
                  <NoticeLine notice={entry.notice} />
                ) : (
                  <MessageRow
                    message={entry}
                    row={row}
                    isMine={entry.sender_id === me?.id}
                    isFirst={isNewDay || entry.key === firstUnread || !areGrouped(before, entry)}
                    isLast={!areGrouped(entry, after) || after?.key === firstUnread}
                    isHighlighted={highlighted === entry.id}
                    onJump={jump}
                    {...actions}
                  />
                )}
              </div>
            );
          }}
        </VirtualList>
      </div>
      <JumpToMention row={row} isAlone={!isAway && !hasNewer} onJump={jump} />
      {(isAway || hasNewer) && (
        <button className="to-latest" onClick={() => void jumpToLatest()}>
          <ArrowDown aria-hidden />
          <span className="hidden">{words.conversation.jumpToLatest}</span>
          {row.unread_count > 0 && <CountBadge count={row.unread_count} unit={words.row.unread} />}
        </button>
      )}
      {(isAway || hasNewer) && topDay && <FloatingDate at={topDay} onJump={(day) => void jumpToDay(day)} />}
      <Announcer id={id} />
    </div>
  );
}

function Day({ at }: { at: string }) {
  useToday();
  return <span>{formatDay(at)}</span>;
}

/** Returns the first message that a row counts as unread, if it is loaded. */
function unreadSince(
  row: Row,
  messages: readonly TimelineMessage[],
  me: string | undefined,
  hasJumped: boolean,
): TimelineMessage | undefined {
  const { last_read_message_id, counted_to: to, unread_count: count } = row;
  // Messages marked as unread may have been read before.
  const read = row.marked_unread ? null : last_read_message_id;
  const counted = messages.filter(
    ({ id, sender_id, is_deleted, status }) =>
      status === "sent" && sender_id !== me && !is_deleted && (!read || id > read) && (!to || id <= to),
  );
  // After a jump to the first one, the others are not all loaded.
  return hasJumped ? counted[0] : count > 0 ? counted.at(-count) : undefined;
}

/** Returns the entry if it is a message that the server has. */
function sentMessage(entry: Entry | undefined): TimelineMessage | undefined {
  return entry && !isNotice(entry) && entry.status === "sent" ? entry : undefined;
}

/** Whether two adjacent entries belong to the same group. */
function areGrouped(one: Entry | undefined, other: Entry | undefined): boolean {
  if (!one || !other || isNotice(one) || isNotice(other) || one.sender_id !== other.sender_id) return false;
  return Math.abs(Date.parse(other.sent_at) - Date.parse(one.sent_at)) < GROUP_INTERVAL && isSameDay(one.sent_at, other.sent_at);
}
