// A conversation in the inbox.

import type { Conversation } from "@tidings/client";
import { BellOff, Pin } from "lucide-react";
import { memo, useMemo } from "react";

import { Avatar } from "./avatar.js";
import { useToday } from "./clock.js";
import { describeMute, isUnread } from "./conversation-settings.js";
import { CountBadge } from "./count-badge.js";
import { formatShort } from "./dates.js";
import { titleOf } from "./people.js";
import { useCurrentPresence } from "./presence.js";
import { Preview } from "./preview.js";
import { linkTo } from "./route.js";
import { menuHandlers } from "./row-menu-trigger.js";
import { useLanguage, words } from "./words/language.js";

export const InboxRow = memo(function InboxRow({ row, isOpen }: { row: Conversation; isOpen: boolean }) {
  useLanguage();
  const title = titleOf(row);
  const presence = useCurrentPresence(row.other_user_id);
  const isMuted = row.muted_until !== null;
  const handlers = useMemo(() => menuHandlers(row.conversation_id), [row.conversation_id]);
  return (
    <a
      className={`row ${isUnread(row) ? "unread" : ""} ${isMuted ? "muted-row" : ""}`}
      aria-keyshortcuts="Shift+F10"
      {...handlers}
      href={linkTo(row.conversation_id)}
      aria-current={isOpen ? "page" : undefined}
    >
      <Avatar
        id={row.other_user_id ?? row.conversation_id}
        name={title}
        photo={row.photo_url}
        kind={row.type}
        status={presence?.status}
      />
      <span className="row-text">
        <span className="row-top">
          <span className="row-name" dir="auto">
            {title}
          </span>
          {row.last_message_at && <ShortTime at={row.last_message_at} />}
        </span>
        <span className="row-bottom">
          <Preview row={row} isOpen={isOpen} />
          {row.pinned_at !== null && <Pin className="muted bell" role="img" aria-label={words.row.pinned} />}
          {isMuted && (
            <BellOff className="muted bell" role="img" aria-label={words.row.muted}>
              <title>{describeMute(row)}</title>
            </BellOff>
          )}
          {row.mention_count > 0 && (
            <span className="badge mention-badge">
              @<span className="hidden"> {words.row.mentioned}</span>
            </span>
          )}
          {row.unread_count > 0 ? (
            <CountBadge count={row.unread_count} unit={words.row.unread} />
          ) : (
            row.marked_unread && <span className="badge mark-only" role="img" aria-label={words.row.markedUnread} />
          )}
        </span>
      </span>
    </a>
  );
});

/** A time in a few characters. */
export function ShortTime({ at }: { at: string }) {
  useToday();
  return (
    <time className="muted" dir="auto">
      {formatShort(at)}
    </time>
  );
}
