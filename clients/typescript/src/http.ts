// HTTP requests: adds the token, unwraps the response envelope, and turns failures into `TidingsError`.

import { TidingsError, codeOfStatus } from "./error.js";
import type { FieldError } from "./error.js";
import { onAbort } from "./time.js";

/** Returns the access token. After a 401 it is called once more with the refused token, and may return a new one. */
export type TokenProvider = (refused?: string) => Promise<string> | string;

/** Milliseconds after which a request is aborted. API Gateway times out after 30 s. */
const TIMEOUT = 30_000;

/** Options of every call. */
export interface CallOptions {
  signal?: AbortSignal | undefined;
}

/** Options of a request. */
export interface RequestOptions extends CallOptions {
  /** Whether a 401 may mean a wrong password. Such a request is not repeated, because each attempt counts. */
  checksPassword?: boolean;
  /** Whether the request goes on when the page is closed. */
  keepalive?: boolean;
}

/** A page of a list. */
export interface Page<T> {
  data: T;
  /** Cursor of the next page; null on the last one. */
  next: string | null;
}

export type Query = Record<string, string | number | boolean | undefined>;

/** JSON body of every response, successful or not. */
interface Envelope {
  success?: boolean;
  data?: unknown;
  next_cursor?: string | null;
  code?: string;
  message?: string;
  detail?: string;
  errors?: FieldError[];
}

/** Sends requests to one server. */
export class Http {
  readonly #url: string;
  readonly #token: TokenProvider | undefined;
  readonly #fetch: typeof fetch;
  /** The `fetch` that the application has set. */
  readonly ownFetch: typeof fetch | undefined;

  constructor(url: string, token: TokenProvider | undefined, fetcher: typeof fetch | undefined) {
    this.#url = url.replace(/\/+$/, "");
    this.#token = token;
    this.ownFetch = fetcher;
    this.#fetch = fetcher ?? ((input, init) => fetch(input, init));
  }

  /** Sends a request and returns the response's `data`. */
  async call<T>(method: string, path: string, body?: unknown, options?: RequestOptions): Promise<T> {
    return (await this.page<T>(method, path, undefined, options, body)).data;
  }

  /** Sends a request and returns a page. Retries once with a new token after a 401, unless it checks a password. */
  async page<T>(
    method: string,
    path: string,
    query?: Query,
    options?: RequestOptions,
    body?: unknown,
  ): Promise<Page<T>> {
    const target = this.#url + path + queryString(query);
    const send = (token?: string) => this.#send<T>(method, target, token, body, options);
    const token = await this.#tokenFor();
    try {
      return await send(token);
    } catch (error) {
      if (!(error instanceof TidingsError) || error.status !== 401 || options?.checksPassword) throw error;
      const fresh = await this.#tokenFor(token);
      if (fresh === token) throw error;
      return send(fresh);
    }
  }

  async #tokenFor(refused?: string): Promise<string | undefined> {
    try {
      return await this.#token?.(refused);
    } catch (error) {
      if (error instanceof TidingsError) throw error;
      throw new TidingsError("Could not get an access token.", { code: "network", status: 0, cause: error });
    }
  }

  async #send<T>(
    method: string,
    target: string,
    token: string | undefined,
    body: unknown,
    { signal, keepalive = false }: RequestOptions = {},
  ): Promise<Page<T>> {
    signal?.throwIfAborted();
    const abort = new AbortController();
    const removeAbort = signal && onAbort(signal, () => abort.abort(signal.reason));
    const timer = setTimeout(() => abort.abort(new Error("The request timed out.")), TIMEOUT);
    try {
      const headers: Record<string, string> = { accept: "application/json" };
      if (token !== undefined) headers["authorization"] = `Bearer ${token}`;
      if (body !== undefined) headers["content-type"] = "application/json";
      const json = body === undefined ? null : JSON.stringify(body);
      const response = await this.#fetch(target, { method, headers, body: json, keepalive, signal: abort.signal });
      return parse<T>(response, await response.text());
    } catch (error) {
      if (error instanceof TidingsError) throw error;
      signal?.throwIfAborted();
      throw new TidingsError("Could not reach the server.", { code: "network", status: 0, cause: error });
    } finally {
      clearTimeout(timer);
      removeAbort?.();
    }
  }
}

function queryString(query: Query | undefined): string {
  const entries = Object.entries(query ?? {}).filter(([, value]) => value !== undefined);
  return entries.length === 0 ? "" : `?${new URLSearchParams(entries.map(([name, value]) => [name, String(value)]))}`;
}

function parse<T>(response: Response, text: string): Page<T> {
  let body: Envelope | undefined;
  try {
    body = JSON.parse(text) as Envelope;
  } catch {
    // Not from Tidings: from a proxy, a gateway or a captive portal.
  }
  if (response.ok && body?.success === true) {
    return { data: body.data as T, next: body.next_cursor ?? null };
  }
  // A 200 that is not from Tidings says nothing about the call, so it counts as no response.
  const status = response.ok ? 0 : response.status;
  throw new TidingsError(body?.detail ?? body?.message ?? `The server responded with status ${response.status}.`, {
    code: body?.code ?? (status === 0 ? "network" : codeOfStatus(status)),
    status,
    retryAfterMs: retryAfter(response.headers.get("retry-after")),
    requestId: response.headers.get("x-request-id") ?? undefined,
    fields: body?.errors ?? [],
  });
}

/** Parses `Retry-After` (seconds or a date; RFC 9110, section 10.2.3). Returns milliseconds. */
function retryAfter(header: string | null): number | undefined {
  if (!header) return undefined;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}
