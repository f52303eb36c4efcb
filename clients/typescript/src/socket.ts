// One socket: opened by a ticket, kept alive by pings, watched for silence.

import type { PingFrame, SetTypingFrame } from "./generated/types.gen.js";
import { onAbort } from "./time.js";

/** Milliseconds within which a socket opens, or counts as blocked. */
const HANDSHAKE = 10_000;
/** Milliseconds between pings. API Gateway ends a socket after 10 idle minutes; many routers do after 5. */
const HEARTBEAT = 4 * 60_000;
/** Milliseconds that a pong may take. */
const PATIENCE = 10_000;

/** The part of `WebSocket` that is used. */
export type SocketConstructor = new (url: string) => WebSocket;

/** An open socket. */
export class Socket {
  /** Ends with the socket. */
  readonly ended: Promise<void>;
  readonly #socket: WebSocket;
  #resolve: () => void = () => {};
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #deadline: ReturnType<typeof setTimeout> | undefined;

  private constructor(socket: WebSocket, heard: (frame: unknown) => void) {
    this.#socket = socket;
    this.ended = new Promise((resolve) => (this.#resolve = resolve));
    socket.onclose = socket.onerror = () => this.close();
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      clearTimeout(this.#deadline);
      this.#deadline = undefined;
      if (typeof data !== "string") return;
      try {
        heard(JSON.parse(data));
      } catch {
        // Not a frame of ours.
      }
    };
    this.#heartbeat = setInterval(() => this.ping(), HEARTBEAT);
  }

  /** Closes it. A socket that was cut off may take minutes to say so itself: nothing is waited for. */
  close(): void {
    clearInterval(this.#heartbeat);
    clearTimeout(this.#deadline);
    this.#socket.onmessage = null;
    this.#socket.close();
    this.#resolve();
  }

  /** Opens a socket; fails where that is refused, or takes too long. */
  static open(
    constructor: SocketConstructor,
    url: string,
    heard: (frame: unknown) => void,
    signal: AbortSignal,
  ): Promise<Socket> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const socket = new constructor(url);
      const fail = (why: unknown) => {
        settle();
        socket.onclose = socket.onerror = () => {};
        // It may still be opening, and must not stay open unheard.
        socket.onopen = () => socket.close();
        socket.close();
        reject(why);
      };
      const stop = () => fail(signal.reason);
      const timer = setTimeout(() => fail(new Error("The socket does not open.")), HANDSHAKE);
      const settle = () => {
        clearTimeout(timer);
        forget();
      };
      const forget = onAbort(signal, stop);
      socket.onopen = () => {
        settle();
        resolve(new Socket(socket, heard));
      };
      socket.onclose = socket.onerror = () => fail(new Error("The socket was refused."));
    });
  }

  /** Sends a frame; false where it cannot be sent. */
  send(frame: PingFrame | SetTypingFrame): boolean {
    if (this.#socket.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Asks for a sign of life; without one, the socket ends. */
  ping(): void {
    if (this.#deadline !== undefined) return;
    if (!this.send({ action: "ping" })) {
      this.close();
      return;
    }
    this.#deadline = setTimeout(() => this.close(), PATIENCE);
  }
}
