// The error that every failed call throws.

import type { Problem } from "./generated/types.gen.js";

/** An error code of the API, `forbidden` from a gateway, or `network` if there was no response. */
export type ErrorCode = Problem["code"] | "forbidden" | "network" | (string & {});

/** A request field that the server rejected. */
export interface FieldError {
  field: string;
  message: string;
}

/** Thrown when a call fails. Aborted calls throw the signal's reason instead. */
export class TidingsError extends Error {
  override readonly name = "TidingsError";
  /** Machine-readable cause. */
  readonly code: ErrorCode;
  /** HTTP status; 0 if there was no response. */
  readonly status: number;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** Milliseconds to wait before a retry, if the server sent `Retry-After`. */
  readonly retryAfterMs: number | undefined;
  /** Identifies the request in the server's logs. */
  readonly requestId: string | undefined;
  /** Rejected fields; empty if the server names none. */
  readonly fields: readonly FieldError[];

  constructor(
    message: string,
    details: {
      code: ErrorCode;
      status: number;
      retryAfterMs?: number | undefined;
      requestId?: string | undefined;
      fields?: readonly FieldError[];
      cause?: unknown;
    },
  ) {
    super(message, details);
    const { status } = details;
    ({ code: this.code, retryAfterMs: this.retryAfterMs, requestId: this.requestId, fields: this.fields = [] } = details);
    this.status = status;
    this.retryable = status === 0 || status === 408 || status === 429 || status >= 500;
  }
}

/** Codes of responses without one, which come from API Gateway. */
const CODES: Record<number, ErrorCode> = {
  401: "not_authenticated",
  403: "forbidden",
  404: "not_found",
  408: "unavailable",
  409: "conflict",
  410: "cursor_expired",
  413: "too_large",
  415: "unsupported_media_type",
  429: "rate_limited",
  431: "too_large",
  502: "unavailable",
  503: "unavailable",
  504: "unavailable",
};

/** Maps the status of a response without a code to a code. */
export function codeOfStatus(status: number): ErrorCode {
  return CODES[status] ?? (status >= 500 ? "internal" : "invalid_request");
}
