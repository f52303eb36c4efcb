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
    super(message, { cause: details.cause });
    this.code = details.code;
    this.status = details.status;
    this.retryAfterMs = details.retryAfterMs;
    this.requestId = details.requestId;
    this.fields = details.fields ?? [];
    this.retryable = isRetryable(details.status);
  }
}

function isRetryable(status: number): boolean {
  return status === 0 || status === 408 || status === 429 || status >= 500;
}

/** Maps the status of a response without a code, which comes from API Gateway, to a code. */
export function codeOfStatus(status: number): ErrorCode {
  switch (status) {
    case 401:
      return "not_authenticated";
    case 403:
      return "forbidden";
    case 404:
      return "not_found";
    case 409:
      return "conflict";
    case 410:
      return "cursor_expired";
    case 413:
    case 431:
      return "too_large";
    case 415:
      return "unsupported_media_type";
    case 429:
      return "rate_limited";
    case 408:
    case 502:
    case 503:
    case 504:
      return "unavailable";
    default:
      return status >= 500 ? "internal" : "invalid_request";
  }
}
