// An outbox entry: a message that is not yet sent, or a change to it that is not yet applied.

import type { AttachmentKind, Draft, EditDetails } from "./types.js";

/** A file of an unsent message. The storage keeps its content beside the entry. */
export interface OutgoingFile {
  name: string;
  /** MIME type; "" if it is unknown. */
  type: string;
  /** Bytes. */
  size: number;
  kind: AttachmentKind;
  /** Whether it is sent as it is, with its metadata. */
  as_file: boolean;
  alt: string | null;
  /** Null until they are known. */
  width: number | null;
  height: number | null;
  duration_ms: number | null;
  thumbhash: string | null;
  /** Set once it is uploaded: its id, and when the server issued the id (milliseconds, local clock). */
  uploaded: { id: string; at: number } | null;
}

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
  then: ({ edit: string } & EditDetails) | { delete: true } | null;
  /** Set once the server has the message and `then` is still to be applied. */
  message_id: string | null;
  /** Why the send was refused or, with a `message_id`, the change. The entry then waits for the user. */
  failed: { code: string; message: string; status: number } | null;
  /** Files of the message. */
  files?: readonly OutgoingFile[];
  /** False if the files did not fit into the storage: then the message is lost when the page is closed. */
  is_kept?: boolean;
}
