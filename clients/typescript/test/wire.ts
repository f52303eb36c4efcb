// Fake network and browser: connects clients to the model through `fetch`, sockets and tabs, and injects faults.

import type { Attachment, Message, NewUpload, NewAttachment, TidingsEvent } from "../src/types.js";
import { ApiError, Model } from "./model.js";

/** Faults to inject. Probabilities from 0 to 1, unless stated otherwise. */
export interface Faults {
  /** A request is lost. */
  lost: number;
  /** A response is lost, after the request was processed. */
  unanswered: number;
  /** The server responds with 503. */
  busy: number;
  /** A push is dropped, duplicated or delayed. */
  dropped: number;
  doubled: number;
  late: number;
  /** A socket is refused. */
  refused: number;
  /** Maximum latency per direction, in milliseconds. */
  latency: number;
  /** Whether the inbox is eventually consistent. */
  lags: boolean;
}

export const NO_FAULTS: Faults = {
  lost: 0,
  unanswered: 0,
  busy: 0,
  dropped: 0,
  doubled: 0,
  late: 0,
  refused: 0,
  latency: 10,
  lags: false,
};

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** The network. A user's id is also their token. */
export class Wire {
  faults = NO_FAULTS;
  isOffline = false;
  /** Statuses for the next calls that match a path, each used once; 0 is a network failure. */
  readonly refusals: { path: RegExp; status: number; headers?: Record<string, string>; body?: string }[] = [];
  readonly calls: { method: string; path: string; query: URLSearchParams; body: unknown; user: string }[] = [];
  readonly sockets = new Set<FakeSocket>();
  /** Poll interval that the server asks for, in milliseconds. */
  pollAfter = 1_000;
  /** Maximum items per page. */
  pageSize = 100;
  /** The uploads, by the name of the form. */
  readonly uploads = new Map<string, { request: NewUpload; file: Blob | null; preview: Blob | null }>();
  /** Names of attachments that messages use. */
  readonly #used = new Set<string>();
  readonly #tickets = new Map<string, string>();
  #nextTicket = 1;

  constructor(
    readonly model: Model,
    readonly random: () => number = () => 0.5,
  ) {
    model.onPush = (user, event) => this.#push(user, event);
  }

  count(path: RegExp): number {
    return this.calls.filter((call) => path.test(`${call.method} ${call.path}`)).length;
  }

  #happens(probability: number): boolean {
    return this.random() < probability;
  }

  #push(user: string, event: TidingsEvent): void {
    for (const socket of this.sockets) {
      if (socket.user !== user || !socket.isConnected || this.#happens(this.faults.dropped)) continue;
      const times = this.#happens(this.faults.doubled) ? 2 : 1;
      for (let n = 0; n < times; n += 1) {
        const delay = this.#happens(this.faults.late) ? this.random() * 10_000 : 1;
        setTimeout(() => socket.receive(event), delay);
      }
    }
  }

  fetch: typeof fetch = async (input, init) => {
    const { signal } = init ?? {};
    const aborted = new Promise<never>((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
    });
    aborted.catch(() => {});
    return Promise.race([this.#respond(new URL(String(input)), init ?? {}), aborted]);
  };

  async #respond(url: URL, init: RequestInit): Promise<Response> {
    const method = init.method ?? "GET";
    const path = url.pathname;
    const user = new Headers(init.headers).get("authorization")?.replace("Bearer ", "") ?? "";
    if (init.body instanceof FormData) return this.#store(method, url, init.body);
    const body = typeof init.body === "string" ? (JSON.parse(init.body) as Record<string, unknown>) : {};
    await wait(this.random() * this.faults.latency);
    if (this.isOffline || this.#happens(this.faults.lost)) throw new TypeError("fetch failed");
    this.calls.push({ method, path, query: url.searchParams, body, user });
    const at = this.refusals.findIndex((refusal) => refusal.path.test(`${method} ${path}`));
    const [refusal] = at >= 0 ? this.refusals.splice(at, 1) : [];
    if (refusal?.status === 0) throw new TypeError("fetch failed");
    if (refusal) {
      return new Response(refusal.body ?? "", { status: refusal.status, headers: refusal.headers ?? {} });
    }
    if (this.#happens(this.faults.busy)) return problem(503, "unavailable", { "retry-after": "1" });
    let response: Response;
    try {
      const { status, data, next } = this.#handle(method, path, url.searchParams, body, user);
      response = json(status ?? 200, { success: true, data: data ?? null, next_cursor: next ?? null });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      response = problem(error.status, error.code);
    }
    await wait(this.random() * this.faults.latency);
    if (this.isOffline || this.#happens(this.faults.unanswered)) throw new TypeError("fetch failed");
    return response;
  }

  /** The storage: takes what a form announced. */
  async #store(method: string, url: URL, form: FormData): Promise<Response> {
    await wait(this.random() * this.faults.latency);
    if (this.isOffline || this.#happens(this.faults.lost)) throw new TypeError("fetch failed");
    this.calls.push({ method, path: url.pathname, query: url.searchParams, body: form, user: "" });
    const at = this.refusals.findIndex((refusal) => refusal.path.test(`${method} ${url.pathname}`));
    const [refusal] = at >= 0 ? this.refusals.splice(at, 1) : [];
    if (refusal?.status === 0) throw new TypeError("fetch failed");
    if (refusal) return new Response("", { status: refusal.status });
    const names = [...form.keys()];
    const upload = this.uploads.get(String(form.get("key")));
    const file = form.get("file");
    if (!upload || !(file instanceof Blob) || names.at(-1) !== "file") return new Response("", { status: 403 });
    const isPreview = url.pathname.endsWith("preview");
    const size = isPreview ? upload.request.preview_size : upload.request.size;
    if (file.size !== size) return new Response("", { status: 400 });
    upload[isPreview ? "preview" : "file"] = file;
    await wait(this.random() * this.faults.latency);
    if (this.isOffline || this.#happens(this.faults.unanswered)) throw new TypeError("fetch failed");
    return new Response(null, { status: 204 });
  }

  /** Checks and describes the attachments of a message. */
  #attach(sent: readonly NewAttachment[]): Attachment[] {
    const uploads = sent.map(({ attachment_id: id }) => this.uploads.get(id));
    if (sent.some(({ attachment_id: id }, at) => !uploads[at] || this.#used.has(id))) throw new ApiError(400, "invalid_request");
    if (uploads.some((upload) => !upload?.file)) throw new ApiError(409, "not_uploaded");
    return sent.map(({ attachment_id: id, is_voice, width, height, duration_ms, thumbhash, alt }, at) => {
      this.#used.add(id);
      const { request, preview } = uploads[at] as { request: NewUpload; preview: Blob | null };
      const group = request.content_type.split("/")[0];
      return {
        id,
        kind: is_voice ? "voice" : group === "image" || group === "video" || group === "audio" ? group : "file",
        file_name: request.file_name,
        content_type: request.content_type,
        size: request.size,
        width: width ?? null,
        height: height ?? null,
        duration_ms: duration_ms ?? null,
        thumbhash: thumbhash ?? null,
        alt: alt ?? null,
        url: `http://x/files/${id}`,
        preview_url: preview ? `http://x/files/${id}/preview` : null,
      };
    });
  }

  #handle(
    method: string,
    path: string,
    query: URLSearchParams,
    body: Record<string, unknown>,
    user: string,
  ): { status?: number; data?: unknown; next?: string | null } {
    const { model } = this;
    if (!model.users.includes(user)) throw new ApiError(401, "not_authenticated");
    const [, , ...parts] = path.split("/").map(decodeURIComponent);
    const route = `${method} ${parts.join("/")}`;
    const match = (pattern: RegExp) => pattern.exec(route)?.slice(1) as string[] | undefined;
    let found: string[] | undefined;
    if (route === "GET users/me") return { data: { id: user, username: user, full_name: user, avatar_url: null, created_at: "", email: null } };
    if (route === "GET events") {
      const limit = Math.min(Number(query.get("limit") ?? 50), this.pageSize);
      return { data: { ...model.poll(user, query.get("cursor"), limit), poll_after_ms: this.pollAfter } };
    }
    if (route === "GET messages/inbox") {
      const both = this.faults.lags ? model.laggingInbox(user, this.random) : model.rankedRows(user);
      const type = query.get("type");
      const all = both.filter(
        ({ row }) => row.is_archived === (query.get("archived") === "true") && (type === null || row.type === type),
      );
      const from = Number(query.get("cursor") ?? Infinity);
      const rows = all.filter(({ activity }) => activity < from);
      const page = rows.slice(0, this.pageSize);
      const next = rows.length > this.pageSize ? String(page.at(-1)?.activity) : null;
      return { data: page.map(({ row }) => row), next };
    }
    if (route === "POST ws-ticket") {
      const ticket = `t${this.#nextTicket++}`;
      this.#tickets.set(ticket, user);
      return { status: 201, data: { ticket, expires_in: 30 } };
    }
    if (route === "POST messages/send") {
      const recipient = body["recipient_id"] as string | undefined;
      if (recipient !== undefined && !model.users.includes(recipient)) throw new ApiError(404, "not_found");
      const id = recipient !== undefined ? model.direct(user, recipient).id : (body["conversation_id"] as string);
      const key = (body["client_message_id"] as string | undefined) ?? null;
      const sent = body["attachments"] as NewAttachment[] | undefined;
      // A retry of what was sent before does not use its files again.
      const isRetry = model.chats.get(id)?.messages.some((m) => m.sender_id === user && key !== null && m.client_message_id === key);
      const attachments = sent && !isRetry ? this.#attach(sent) : [];
      const forward = body["forward"] as string | undefined;
      if (forward !== undefined && body["message_text"] !== undefined) throw new ApiError(400, "invalid_request");
      const text = forward === undefined ? (body["message_text"] as string) : model.find(forward, user).message.message_text;
      const { message, isNew } = model.send(user, id, text, {
        client_message_id: key,
        attachments,
        is_forwarded: forward !== undefined,
        mentions: (body["mentions"] as string[] | undefined) ?? [],
        mention_all: body["mention_all"] === true,
        custom: (body["custom"] as Message["custom"] | undefined) ?? null,
      });
      return { status: isNew ? 201 : 200, data: message };
    }
    if (route === "POST attachments") {
      const request = body as unknown as NewUpload;
      if (request.size > 1_000_000) throw new ApiError(413, "too_large");
      const id = `a${this.uploads.size + 1}`;
      this.uploads.set(id, { request, file: null, preview: null });
      const form = (name: string) => ({ url: `http://storage/${name}`, fields: { key: id, policy: "p" } });
      const preview_upload = request.preview_size ? form("preview") : null;
      const expires_at = new Date(Date.now() + 900_000).toISOString();
      return { status: 201, data: { attachment_id: id, upload: form("file"), preview_upload, expires_at } };
    }
    if (route === "POST conversations") {
      const [other] = body["participant_ids"] as string[];
      const chat = model.direct(user, other ?? "");
      const member = model.chat(chat.id, user).member;
      member.isVisible = true;
      return { data: model.row(chat.id, user) };
    }
    if (route === "POST typing") {
      model.typing(user, body["conversation_id"] as string, body["is_typing"] as boolean);
      return {};
    }
    if (route === "GET presence") {
      const ids = (query.get("user_ids") ?? "").split(",");
      const unknown = (user_id: string) => ({ user_id, status: "offline", last_seen_at: null, current_conversation_id: null });
      return { data: ids.map((id) => model.presence.get(id) ?? unknown(id)) };
    }
    if ((found = match(/^GET conversations\/([^/]+)\/messages$/))) return this.#page(found[0] ?? "", user, query);
    if ((found = match(/^GET conversations\/([^/]+)$/))) {
      return { data: { ...model.row(found[0] ?? "", user), description: null, custom: null, participants: [] } };
    }
    if ((found = match(/^PUT messages\/mark-as-read\/(.+)$/))) {
      const row = model.read(user, found[0] ?? "");
      return { data: { conversation_id: row.conversation_id, message_id: row.last_read_message_id, unread_count: row.unread_count } };
    }
    if ((found = match(/^PUT messages\/mark-as-unread\/(.+)$/))) {
      const row = model.markUnread(user, found[0] ?? "");
      return { data: { conversation_id: row.conversation_id, message_id: row.last_read_message_id, unread_count: row.unread_count } };
    }
    if ((found = match(/^PATCH conversations\/([^/]+)\/me$/))) return { data: model.set(user, found[0] ?? "", body) };
    if ((found = match(/^(PUT|DELETE) messages\/([^/]+)\/reactions\/(.+)$/))) {
      return { data: model.react(user, found[1] ?? "", found[2] ?? "", found[0] === "PUT") };
    }
    if ((found = match(/^(PUT|DELETE) messages\/([^/]+)\/pin$/))) {
      return { data: model.pin(user, found[1] ?? "", found[0] === "PUT") };
    }
    if ((found = match(/^GET conversations\/([^/]+)\/pins$/))) return { data: model.pins(found[0] ?? "", user) };
    if (route === "GET mentions") {
      const all = [...model.chats.keys()].flatMap((id) => (model.chats.get(id)?.people.includes(user) ? model.messages(id, user) : []));
      const isMention = (m: Message) => m.sender_id !== user && (m.mention_all || m.mentions.includes(user));
      return { data: all.filter(isMention).sort((a, b) => (a.sent_at < b.sent_at ? 1 : -1)) };
    }
    if ((found = match(/^PATCH messages\/(.+)$/))) {
      const { message_text, ...more } = body;
      return { data: model.edit(user, found[0] ?? "", message_text as string, more) };
    }
    if ((found = match(/^DELETE messages\/(.+)$/))) {
      if (query.get("scope") !== "me") return { data: model.delete(user, found[0] ?? "") };
      model.hide(user, found[0] ?? "");
      return {};
    }
    throw new ApiError(404, "not_found");
  }

  #page(id: string, user: string, query: URLSearchParams): { data: unknown; next: string | null } {
    const all = this.model.messages(id, user);
    const limit = Math.min(Number(query.get("limit") ?? 50), this.pageSize);
    const [direction, from] = query.get("cursor")?.split("|") ?? [];
    const after = direction === "newer" ? from : (query.get("after") ?? undefined);
    if (after !== undefined) {
      const newer = all.filter((m) => m.id > after);
      const page = newer.slice(0, limit);
      return { data: page, next: newer.length > limit ? `newer|${page.at(-1)?.id}` : null };
    }
    const before = direction === "older" ? from : query.get("before");
    const offset = Math.min(Number(query.get("offset") ?? 0), all.length - 1);
    const older = before ? all.filter((m) => m.id < before) : all.slice(0, all.length - offset);
    const page = older.slice(-limit);
    return { data: page, next: older.length > limit ? `older|${page[0]?.id}` : null };
  }

  /** A `WebSocket` constructor that connects to this network. */
  get WebSocket(): new (url: string) => WebSocket {
    // eslint-disable-next-line @typescript-eslint/no-this-alias
    const wire = this;
    return class extends FakeSocket {
      constructor(url: string) {
        super(wire, url);
      }
    } as unknown as new (url: string) => WebSocket;
  }

  accept(socket: FakeSocket): boolean {
    const ticket = new URL(socket.url).searchParams.get("ticket") ?? "";
    const user = this.#tickets.get(ticket);
    this.#tickets.delete(ticket);
    if (this.isOffline || user === undefined || this.#happens(this.faults.refused)) return false;
    socket.user = user;
    this.sockets.add(socket);
    return true;
  }

  /** Closes all sockets, as a server that stops does. */
  endSockets(): void {
    for (const socket of [...this.sockets]) socket.end();
  }

  /** Silences all sockets without closing them, as when a laptop changes its network. */
  cutSockets(): void {
    for (const socket of this.sockets) socket.isCut = true;
  }
}

class FakeSocket {
  readyState = 0;
  user = "";
  isCut = false;
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  readonly sent: { action: string }[] = [];
  readonly #wire: Wire;
  readonly url: string;

  constructor(wire: Wire, url: string) {
    this.#wire = wire;
    this.url = url;
    setTimeout(() => {
      if (this.readyState !== 0) return;
      if (wire.accept(this)) {
        this.readyState = 1;
        this.onopen?.();
      } else {
        this.readyState = 3;
        this.onerror?.();
        this.onclose?.();
      }
    }, 5);
  }

  get isConnected(): boolean {
    return this.readyState === 1 && !this.isCut && !this.#wire.isOffline;
  }

  receive(frame: object): void {
    if (this.isConnected) this.onmessage?.({ data: JSON.stringify(frame) });
  }

  send(text: string): void {
    const frame = JSON.parse(text) as { action: string; conversation_id: string; is_typing: boolean };
    if (!this.isConnected) return;
    this.sent.push(frame);
    if (frame.action === "ping") setTimeout(() => this.receive({ type: "pong", ref: null }), 5);
    if (frame.action === "typing") this.#wire.model.typing(this.user, frame.conversation_id, frame.is_typing);
  }

  close(): void {
    if (this.readyState >= 2) return;
    this.readyState = 2;
    this.#wire.sockets.delete(this);
    // A dead socket takes a long time to report that it is closed.
    setTimeout(() => {
      this.readyState = 3;
      this.onclose?.();
    }, this.isCut ? 60_000 : 1);
  }

  end(): void {
    this.readyState = 3;
    this.#wire.sockets.delete(this);
    this.onclose?.();
  }
}

export type { FakeSocket };

/** A browser whose tabs share locks and channels. */
export class Browser {
  readonly #held = new Map<string, Promise<unknown>>();
  readonly #channels = new Set<FakeChannel>();

  /** Returns the APIs of a new tab. */
  tab(): { locks: Pick<LockManager, "request">; BroadcastChannel: typeof BroadcastChannel } {
    const channels = this.#channels;
    class Channel extends FakeChannel {
      constructor(name: string) {
        super(name, channels);
      }
    }
    const request = (name: string, options: { signal?: AbortSignal }, work: () => unknown) => {
      const before = this.#held.get(name) ?? Promise.resolve();
      let onAbort = () => {};
      const aborted = new Promise<never>((_, reject) => {
        onAbort = () => reject(options.signal?.reason);
        options.signal?.addEventListener("abort", onAbort);
        if (options.signal?.aborted) onAbort();
      });
      aborted.catch(() => {});
      const granted = before.then(() => options.signal?.throwIfAborted());
      const forget = () => options.signal?.removeEventListener("abort", onAbort);
      granted.then(forget, forget);
      const done = granted.then(work);
      this.#held.set(name, done.catch(() => {}));
      return Promise.race([granted, aborted]).then(() => done);
    };
    return {
      locks: { request } as unknown as Pick<LockManager, "request">,
      BroadcastChannel: Channel as unknown as typeof BroadcastChannel,
    };
  }
}

class FakeChannel {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  isOpen = true;
  readonly #all: Set<FakeChannel>;
  readonly name: string;

  constructor(name: string, all: Set<FakeChannel>) {
    this.name = name;
    this.#all = all;
    all.add(this);
  }

  postMessage(data: unknown): void {
    if (!this.isOpen) throw new Error("The channel is closed.");
    const copy = structuredClone(data);
    for (const other of this.#all) {
      if (other !== this && other.name === this.name) {
        setTimeout(() => other.isOpen && other.onmessage?.({ data: copy }), 1);
      }
    }
  }

  close(): void {
    this.isOpen = false;
    this.#all.delete(this);
  }
}

function json(status: number, body: object, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { "x-request-id": "r1", ...headers } });
}

function problem(status: number, code: string, headers: Record<string, string> = {}): Response {
  return json(status, { success: false, code, detail: code, message: code, status }, headers);
}
