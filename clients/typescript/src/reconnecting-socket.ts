// A socket that is replaced when it ends or gets old, and retried with backoff when it fails.

import type { Api } from "./api.js";
import type { PingFrame, SetTypingFrame } from "./generated/types.gen.js";
import type { Socket, SocketConstructor } from "./socket.js";
import { backoff, sleep } from "./time.js";

/** Maximum milliseconds between attempts to open a socket. */
const MAX_BACKOFF = 5 * 60_000;
/** Milliseconds after which a socket is replaced, less up to a tenth. API Gateway closes sockets after 2 hours. */
const MAX_AGE = 110 * 60_000;
/** Milliseconds after which a socket counts as stable, and the backoff starts over. */
const STABLE_AFTER = 60_000;

/** Where to open sockets, and where to report to. */
export interface ReconnectingSocketOptions {
  api: Api;
  /** Without a URL or a constructor, no socket is opened. */
  url: string | null;
  WebSocket: SocketConstructor | undefined;
  /** Ends the socket for good. */
  signal: AbortSignal;
  onFrame: (frame: unknown) => void;
  /** Called when a socket has opened, and when the last one was lost. */
  onChange: () => void;
}

/** At most one open socket, plus its replacement for a moment. */
export class ReconnectingSocket {
  readonly #options: ReconnectingSocketOptions;
  #socket: Socket | undefined;
  /** Aborted to end the wait before the next attempt. */
  #retryWait = new AbortController();

  constructor(options: ReconnectingSocketOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#socket !== undefined;
  }

  /** Keeps a socket open until the signal is aborted. */
  async run(): Promise<void> {
    const { signal, onChange } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      const opened = await this.#open();
      if (signal.aborted) {
        opened?.close();
        return;
      }
      failures += 1;
      if (opened) {
        // Make before break: the old socket is closed once the new one is open.
        const before = this.#socket;
        this.#socket = opened;
        before?.close();
        void opened.ended.then(() => this.#lost(opened));
        onChange();
        const openedAt = Date.now();
        await this.#untilReplaced(opened);
        // A socket that ends at once counts as a failure.
        if (Date.now() - openedAt > STABLE_AFTER) failures = 0;
        if (this.#socket === opened) continue;
      }
      await this.#pause(backoff(failures, MAX_BACKOFF, 1_000));
    }
  }

  /** Retries now instead of waiting for the backoff. */
  retryNow(): void {
    this.#retryWait.abort();
  }

  /** Checks whether the socket is still alive; if not, it is replaced. */
  ping(): void {
    this.#socket?.ping();
  }

  /** Sends a frame. Returns false if there is no open socket. */
  send(frame: PingFrame | SetTypingFrame): boolean {
    return this.#socket?.send(frame) ?? false;
  }

  close(): void {
    this.#socket?.close();
  }

  /**
   * Returns undefined if the socket or its ticket is refused or blocked, or if the code that only sockets need cannot
   * be loaded: polling then delivers everything.
   */
  async #open(): Promise<Socket | undefined> {
    const { api, WebSocket, url, signal, onFrame } = this.#options;
    if (!WebSocket || url === null) return undefined;
    try {
      const [{ Socket }, ticket] = await Promise.all([import("./socket.js"), api.ticket({ signal })]);
      return await Socket.open(WebSocket, `${url}?ticket=${encodeURIComponent(ticket)}`, onFrame, signal);
    } catch {
      return undefined;
    }
  }

  /** Resolves when the socket ends, or is old enough to be replaced. */
  async #untilReplaced(socket: Socket): Promise<void> {
    const ended = new AbortController();
    await Promise.race([socket.ended, sleep(MAX_AGE * (1 - Math.random() / 10), ended.signal).catch(() => {})]);
    ended.abort();
  }

  #lost(socket: Socket): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    if (!this.#options.signal.aborted) this.#options.onChange();
  }

  async #pause(ms: number): Promise<void> {
    this.#retryWait = new AbortController();
    await sleep(ms, this.#options.signal, this.#retryWait.signal).catch(() => {});
  }
}
