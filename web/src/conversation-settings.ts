// The user's own settings of a conversation, as the menu of its row and its details offer them.

import type { Conversation, NotifyLevel, SettingsChange, Tidings } from "@tidings/client";

import { formatFull } from "./dates.js";
import { attempt } from "./toasts.js";
import { words } from "./words/language.js";

const HOUR = 3_600_000;

/** For how long a conversation can be muted, in milliseconds. */
export const mutes = (): readonly { label: string; ms: number }[] => [
  { label: words.settings.mutes.hour, ms: HOUR },
  { label: words.settings.mutes.hours, ms: 8 * HOUR },
  { label: words.settings.mutes.week, ms: 7 * 24 * HOUR },
  { label: words.settings.mutes.always, ms: Infinity },
];

/** Which messages lead to notifications. */
export const LEVELS: readonly NotifyLevel[] = ["all", "mentions", "none"];

/** Returns until when a conversation is muted that is muted now. */
export function muteFor(ms: number): string {
  return ms === Infinity ? "always" : new Date(Date.now() + ms).toISOString();
}

/** Describes until when a conversation is muted. */
export function describeMute({ muted_until }: Conversation): string {
  if (muted_until === null) return words.settings.notMuted;
  return muted_until === "always" ? words.settings.mutes.always : words.settings.mutedUntil(formatFull(muted_until));
}

/** Changes settings, and tells the user if that fails. */
export function changeRow(client: Tidings, row: Conversation, change: SettingsChange): void {
  void attempt(client.changeSettings(row.conversation_id, change));
}

/** Whether a row shows that something is unread. */
export const isUnread = (row: Conversation): boolean => row.unread_count > 0 || row.marked_unread;

/** Marks a conversation as read or, if nothing in it is unread, as unread. */
export function toggleUnread(client: Tidings, row: Conversation): void {
  const last = row.last_message_id;
  if (last === null) return;
  void attempt(isUnread(row) ? client.markAsRead(row.conversation_id, last) : client.api.markAsUnread(last));
}
