// The one error of this package.

import type { Problem } from "./generated/types.gen.js";

/** The codes of the API; `forbidden` from a gateway; `network` where there was no answer. */
export type ErrorCode = Problem["code"] | "forbidden" | "network" | (string & {});

/** A field that was refused. */
export interface FieldError {
  field: string;
  message: string;
}

/** Why a call failed. Calls that are aborted throw the signal's reason instead. */
export class TidingsError extends Error {
  override readonly name = "TidingsError";
  /** What to tell cases apart by. */
  readonly code: ErrorCode;
  /** The HTTP status; 0 where there was no answer. */
  readonly status: number;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** Milliseconds that the server wants to be left alone. */
  readonly retryAfterMs: number | undefined;
  /** What to give to whoever runs the server. */
  readonly requestId: string | undefined;
  /** The refused fields, where the server names them. */
  readonly fields: readonly FieldError[];

  constructor(
    message: string,
    about: {
      code: ErrorCode;
      status: number;
      retryAfterMs?: number | undefined;
      requestId?: string | undefined;
      fields?: readonly FieldError[];
      cause?: unknown;
    },
  ) {
    super(message, { cause: about.cause });
    this.code = about.code;
    this.status = about.status;
    this.retryAfterMs = about.retryAfterMs;
    this.requestId = about.requestId;
    this.fields = about.fields ?? [];
    this.retryable = isRetryable(about.status);
  }
}

function isRetryable(status: number): boolean {
  return status === 0 || status === 408 || status === 429 || status >= 500;
}

/** The code of an answer without one: the gateway gave it, not a function. */
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
