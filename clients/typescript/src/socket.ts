// A socket that is kept alive by pings, and closed if the server stops answering them.

import type { PingFrame, SetTypingFrame } from "./generated/types.gen.js";
import { onAbort } from "./time.js";

/** Milliseconds within which a socket must open. */
const OPEN_TIMEOUT = 10_000;
/** Milliseconds between pings. API Gateway closes a socket after 10 idle minutes, many routers after 5. */
const PING_INTERVAL = 4 * 60_000;
/** Milliseconds within which the server must answer a ping. */
const PONG_TIMEOUT = 10_000;

/** A constructor that is compatible with `WebSocket`. */
export type SocketConstructor = new (url: string) => WebSocket;

/** An open socket. */
export class Socket {
  /** Resolves when the socket is closed. */
  readonly ended: Promise<void>;
  readonly #socket: WebSocket;
  #resolve: () => void = () => {};
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #deadline: ReturnType<typeof setTimeout> | undefined;

  private constructor(socket: WebSocket, onFrame: (frame: unknown) => void) {
    this.#socket = socket;
    this.ended = new Promise((resolve) => (this.#resolve = resolve));
    socket.onclose = socket.onerror = () => this.close();
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      clearTimeout(this.#deadline);
      this.#deadline = undefined;
      if (typeof data !== "string") return;
      try {
        onFrame(JSON.parse(data));
      } catch {
        // Not a JSON frame: ignored.
      }
    };
    this.#heartbeat = setInterval(() => this.ping(), PING_INTERVAL);
  }

  /** Closes the socket. Does not wait for its `close` event, which may take minutes if the connection is dead. */
  close(): void {
    clearInterval(this.#heartbeat);
    clearTimeout(this.#deadline);
    this.#socket.onmessage = null;
    this.#socket.close();
    this.#resolve();
  }

  /** Opens a socket. Resolves with undefined if it is refused, does not open in time, or the signal is aborted. */
  static open(
    constructor: SocketConstructor,
    url: string,
    onFrame: (frame: unknown) => void,
    signal: AbortSignal,
  ): Promise<Socket | undefined> {
    return new Promise((resolve) => {
      signal.throwIfAborted();
      const socket = new constructor(url);
      const fail = () => {
        settle();
        // Not null: sockets of Node's `ws` report an error when they are closed early, and throw it if nobody listens.
        socket.onclose = socket.onerror = () => {};
        // It may still open: then it is closed at once.
        socket.onopen = () => socket.close();
        socket.close();
        resolve(undefined);
      };
      const timer = setTimeout(fail, OPEN_TIMEOUT);
      const removeAbort = onAbort(signal, fail);
      const settle = () => {
        clearTimeout(timer);
        removeAbort();
      };
      socket.onopen = () => {
        settle();
        resolve(new Socket(socket, onFrame));
      };
      socket.onclose = socket.onerror = fail;
    });
  }

  /** Sends a frame. Returns false if the socket is not open. */
  send(frame: PingFrame | SetTypingFrame): boolean {
    if (this.#socket.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Pings the server, and closes the socket unless it answers in time. */
  ping(): void {
    if (this.#deadline !== undefined) return;
    if (!this.send({ action: "ping" })) {
      this.close();
      return;
    }
    this.#deadline = setTimeout(() => this.close(), PONG_TIMEOUT);
  }
}
