// The state that views render: types, the empty state, and selectors.

import type { OutboxEntry } from "./outbox-entry.js";
import type { Conversation, Message, Notice, OwnUser, Presence } from "./types.js";

/**
 * Connection status: `idle` (not connected), `connecting` (nothing loaded yet), `live` (events are pushed), `polling`,
 * `offline` (the server is unreachable; the client keeps retrying), `signed_out` (the token was refused; the client has
 * stopped).
 */
export type Connection = "idle" | "connecting" | "live" | "polling" | "offline" | "signed_out";

/** A message in a timeline. */
export interface TimelineMessage extends Message {
  /** List key: stays the same when a pending message is sent. */
  key: string;
  /** `pending` until the server has the message; `failed` if it was refused and waits for `retry` or `delete`. */
  status: "sent" | "pending" | "failed";
  /** Why the send failed. */
  error: { code: string; message: string } | null;
}

/** The loaded range of a conversation, oldest message first; pending messages come last. */
export interface Timeline {
  messages: readonly TimelineMessage[];
  /** Changes to the group or room since the client connected, oldest first; to be shown between messages, by time. */
  notices: readonly Notice[];
  isLoaded: boolean;
  hasOlder: boolean;
  /** True after a jump to an older message, until the newest messages are loaded again. */
  hasNewer: boolean;
}

/** Everything that views render. */
export interface State {
  /** The signed-in user; null until connected. */
  me: OwnUser | null;
  connection: Connection;
  /**
   * Since when the state may be behind the server's (RFC 3339, local clock), because the server is unreachable or the
   * state comes from an earlier visit; null while it is up to date, and before anything is loaded.
   */
  staleSince: string | null;
  /** The inbox: pinned conversations first, in the order of pinning, then the most recently active. */
  conversations: readonly Conversation[];
  /** The known conversations of the archive, most recently active first: all of them if `isArchiveLoaded`. */
  archived: readonly Conversation[];
  /** The inbox and the archive by conversation id. A row's `muted_until` is null once that time has passed. */
  byId: ReadonlyMap<string, Conversation>;
  /** Whether all pages of the inbox are loaded. */
  isComplete: boolean;
  /** Whether all pages of the archive are loaded; see `Tidings.loadArchive`. */
  isArchiveLoaded: boolean;
  /** Total unread messages of `byId`. */
  unread: number;
  /** Total unread messages of conversations that are neither muted nor archived. */
  unmutedUnread: number;
  /** Timelines of opened conversations, by conversation id. */
  timelines: ReadonlyMap<string, Timeline>;
  /** Ids of the users who are typing, by conversation id. */
  typing: ReadonlyMap<string, readonly string[]>;
  /** By user id; only users who are watched or whose presence was pushed. */
  presence: ReadonlyMap<string, Presence>;
  /** Uploaded fractions (0 to 1) of the files of messages that are being uploaded, by the message's id. */
  uploads: ReadonlyMap<string, readonly number[]>;
  /** Unsent messages and unapplied changes, in sending order. */
  outbox: readonly OutboxEntry[];
}

/** The state before anything is loaded. */
export const EMPTY_STATE: State = {
  me: null,
  connection: "idle",
  staleSince: null,
  conversations: [],
  archived: [],
  byId: new Map(),
  isComplete: false,
  isArchiveLoaded: false,
  unread: 0,
  unmutedUnread: 0,
  timelines: new Map(),
  typing: new Map(),
  presence: new Map(),
  uploads: new Map(),
  outbox: [],
};

/** Id of the direct conversation with a user, if it is in the inbox. */
export function directConversation(state: State, userId: string): string | undefined {
  const isWithUser = (row: Conversation) => row.other_user_id === userId;
  return (state.conversations.find(isWithUser) ?? state.archived.find(isWithUser))?.conversation_id;
}

/** An entry's lane: its conversation id, or the recipient's id while there is no conversation yet. */
export function laneOf(state: State, { draft }: OutboxEntry): string {
  if (draft.conversation_id) return draft.conversation_id;
  const peer = draft.recipient_id ?? "";
  return directConversation(state, peer) ?? peer;
}

/** Whether two flat objects have the same fields with identical values. */
export function isEqual(one: object | undefined, other: object | undefined): boolean {
  if (one === other || !one || !other) return one === other;
  const names = Object.keys(one) as (keyof typeof one)[];
  return names.length === Object.keys(other).length && names.every((name) => Object.is(one[name], other[name]));
}
