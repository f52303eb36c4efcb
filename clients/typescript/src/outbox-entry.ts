// What waits to be sent.

import type { Draft } from "./types.js";

/** A message on its way; plain data, so that any storage can keep it. */
export interface OutboxEntry {
  /** The message's `client_message_id`. */
  id: string;
  /** Entries of a conversation are sent in this order. */
  seq: number;
  draft: Draft;
  /** When it was written (RFC 3339, by this machine's clock). */
  created_at: string;
  /** When it was first sent, in milliseconds; from then on it may have arrived, though no answer says so. */
  tried_at: number | null;
  /** What the user wanted done with it after that. */
  then: { edit: string } | { delete: true } | null;
  /** The message, once it is known to have arrived and something is still to be done with it. */
  message_id: string | null;
  /** Why it, or with a `message_id` what was wanted after it, was refused; it waits for its user. */
  failed: { code: string; message: string; status: number } | null;
}
