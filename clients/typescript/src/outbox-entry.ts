// An outbox entry: a message that is not yet sent, or a change to it that is not yet applied.

import type { Draft } from "./types.js";

/** Plain data, so that any storage can hold it. */
export interface OutboxEntry {
  /** The message's `client_message_id`; for a refused edit of a sent message, that message's id. */
  id: string;
  /** Sort key: entries of a conversation are sent in ascending order. */
  seq: number;
  draft: Draft;
  /** Creation time (RFC 3339, local clock). */
  created_at: string;
  /** Time of the first attempt (milliseconds, local clock). From then on the server may have the message. */
  tried_at: number | null;
  /** Edit or deletion to apply once the message is sent. */
  then: { edit: string } | { delete: true } | null;
  /** Set once the server has the message and `then` is still to be applied. */
  message_id: string | null;
  /** Why the send was refused or, with a `message_id`, the change. The entry then waits for the user. */
  failed: { code: string; message: string; status: number } | null;
}
