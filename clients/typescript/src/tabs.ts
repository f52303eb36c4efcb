// Coordinates the tabs of one user: one of them, the leader, holds the socket and forwards events to the others.
//
// The leader holds a Web Lock, because the browser releases a lock when its tab ends, even by a crash. Without locks or
// channels, each tab is its own leader, which is as correct but costs more connections.

import { onAbort } from "./time.js";

/** Messages between tabs. */
export type TabMessage =
  | { kind: "events"; events: unknown[] }
  /** Asks the leader for a `leader` message. It replies at once, even if the browser throttles its timers. */
  | { kind: "hello" }
  | { kind: "leader"; isLive: boolean }
  | { kind: "outbox" };

/** The browser APIs that coordinate tabs; each may be missing. */
export interface TabTools {
  locks?: Pick<LockManager, "request"> | undefined;
  BroadcastChannel?: typeof BroadcastChannel | undefined;
}

/** The tabs of one user on one server. */
export class Tabs {
  readonly #name: string;
  readonly #locks: Pick<LockManager, "request"> | undefined;
  readonly #channel: BroadcastChannel | undefined;
  readonly #signal: AbortSignal;
  #isLeader: boolean;

  /** When the signal is aborted, this tab gives up leadership and ignores further messages. */
  constructor(name: string, tools: TabTools, onMessage: (message: TabMessage) => void, signal: AbortSignal) {
    this.#name = name;
    this.#signal = signal;
    const { locks, BroadcastChannel } = tools;
    this.#locks = locks;
    this.#isLeader = !locks || !BroadcastChannel;
    if (!locks || !BroadcastChannel) return;
    const channel = new BroadcastChannel(name);
    channel.onmessage = ({ data }: MessageEvent<TabMessage>) => onMessage(data);
    onAbort(signal, () => channel.close());
    this.#channel = channel;
  }

  /** Whether this tab may hold the socket. */
  get isLeader(): boolean {
    return this.#isLeader;
  }

  /** Calls back when this tab becomes the leader: at once if tabs are not coordinated. */
  requestLeadership(onElected: () => void): void {
    if (this.#isLeader) {
      onElected();
      return;
    }
    const lead = () => {
      this.#isLeader = true;
      onElected();
      return new Promise<void>((resolve) => onAbort(this.#signal, resolve));
    };
    const request = this.#locks?.request(`${this.#name}:leader`, { signal: this.#signal }, lead);
    void request?.catch(() => {});
  }

  /** Sends a message to the other tabs. */
  post(message: TabMessage): void {
    if (!this.#signal.aborted) this.#channel?.postMessage(message);
  }

  /** Runs work while no other tab runs this. */
  async exclusively(work: () => Promise<void>): Promise<void> {
    if (!this.#locks) await work();
    else await this.#locks.request(`${this.#name}:outbox`, { signal: this.#signal }, work);
  }
}
