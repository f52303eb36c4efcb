// Calls: the token, the answer's form, and what goes wrong.

import { TidingsError, codeOfStatus } from "./error.js";
import type { FieldError } from "./error.js";
import { onAbort } from "./time.js";

/**
 * Gives the token to call with. After a 401 it is asked once more, with the token that was refused, and may give a
 * fresh one.
 */
export type TokenProvider = (refused?: string) => Promise<string> | string;

/** Milliseconds that a call may take. API Gateway gives up after 30 s. */
const TIMEOUT = 30_000;

/** What may be said with any call. */
export interface CallOptions {
  signal?: AbortSignal | undefined;
}

/** A page of a list. */
export interface Page<T> {
  data: T;
  /** Where it goes on; null at the end. */
  next: string | null;
}

export type Query = Record<string, string | number | boolean | undefined>;

interface Answer {
  success?: boolean;
  data?: unknown;
  next_cursor?: string | null;
  code?: string;
  message?: string;
  detail?: string;
  errors?: FieldError[];
}

/** The way to a server. */
export class Http {
  readonly #url: string;
  readonly #token: TokenProvider | undefined;
  readonly #fetch: typeof fetch;

  constructor(url: string, token: TokenProvider | undefined, fetcher: typeof fetch | undefined) {
    this.#url = url.replace(/\/+$/, "");
    this.#token = token;
    this.#fetch = fetcher ?? ((input, init) => fetch(input, init));
  }

  /** Calls, and gives what the answer holds. */
  async call<T>(method: string, path: string, body?: unknown, options?: CallOptions): Promise<T> {
    return (await this.page<T>(method, path, undefined, options, body)).data;
  }

  /** Calls for a page of a list. */
  async page<T>(
    method: string,
    path: string,
    query?: Query,
    options?: CallOptions,
    body?: unknown,
  ): Promise<Page<T>> {
    const signal = options?.signal;
    const target = this.#url + path + search(query);
    const token = await this.#tokenFor();
    try {
      return await this.#once<T>(method, target, token, body, signal);
    } catch (error) {
      if (!(error instanceof TidingsError) || error.status !== 401 || !this.#token) throw error;
      const fresh = await this.#tokenFor(token);
      if (fresh === token) throw error;
      return await this.#once<T>(method, target, fresh, body, signal);
    }
  }

  async #tokenFor(refused?: string): Promise<string | undefined> {
    try {
      return await this.#token?.(refused);
    } catch (error) {
      if (error instanceof TidingsError) throw error;
      throw new TidingsError("There is no token to be had.", { code: "network", status: 0, cause: error });
    }
  }

  async #once<T>(
    method: string,
    target: string,
    token: string | undefined,
    body: unknown,
    signal: AbortSignal | undefined,
  ): Promise<Page<T>> {
    signal?.throwIfAborted();
    const abort = new AbortController();
    const forget = signal && onAbort(signal, () => abort.abort(signal.reason));
    const timer = setTimeout(() => abort.abort(new Error("No answer in time.")), TIMEOUT);
    try {
      const headers: Record<string, string> = { accept: "application/json" };
      if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
      if (body !== undefined) headers["content-type"] = "application/json";
      const json = body === undefined ? null : JSON.stringify(body);
      const response = await this.#fetch(target, { method, headers, body: json, signal: abort.signal });
      return read<T>(response, await response.text());
    } catch (error) {
      if (error instanceof TidingsError) throw error;
      signal?.throwIfAborted();
      throw new TidingsError("The server cannot be reached.", { code: "network", status: 0, cause: error });
    } finally {
      clearTimeout(timer);
      forget?.();
    }
  }
}

function search(query: Query | undefined): string {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined);
  return given.length === 0 ? "" : `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}

function read<T>(response: Response, text: string): Page<T> {
  let answer: Answer | undefined;
  try {
    answer = JSON.parse(text) as Answer;
  } catch {
    // Not ours: a proxy's, a gateway's, or the sign-in page of a hotel.
  }
  if (response.ok && answer?.success === true) {
    return { data: answer.data as T, next: answer.next_cursor ?? null };
  }
  // An answer of 200 that is not ours says nothing about the call, so it counts as none.
  const status = response.ok ? 0 : response.status;
  throw new TidingsError(answer?.detail ?? answer?.message ?? `The server answered ${response.status}.`, {
    code: answer?.code ?? (status === 0 ? "network" : codeOfStatus(status)),
    status,
    retryAfterMs: retryAfter(response.headers.get("retry-after")),
    requestId: response.headers.get("x-request-id") ?? undefined,
    fields: answer?.errors ?? [],
  });
}

/** `Retry-After` in milliseconds (RFC 9110, section 10.2.3: seconds, or a date). */
function retryAfter(header: string | null): number | undefined {
  if (!header) return undefined;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
