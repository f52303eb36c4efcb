// Coordinates the tabs of one user: one of them, the leader, holds the socket and forwards events to the others.
//
// The leader holds a Web Lock, because the browser releases a lock when its tab ends, even by a crash. Without locks or
// channels, each tab is its own leader, which is as correct but costs more connections.

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
  readonly #stop = new AbortController();
  #isLeader: boolean;

  constructor(name: string, tools: TabTools, onMessage: (message: TabMessage) => void) {
    this.#name = name;
    const { locks, BroadcastChannel } = tools;
    this.#locks = locks;
    this.#isLeader = !locks || !BroadcastChannel;
    if (!locks || !BroadcastChannel) return;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }: MessageEvent<TabMessage>) => onMessage(data);
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
      return new Promise<void>((resolve) => {
        this.#stop.signal.addEventListener("abort", () => resolve(), { once: true });
        if (this.#stop.signal.aborted) resolve();
      });
    };
    const request = this.#locks?.request(`${this.#name}:leader`, { signal: this.#stop.signal }, lead);
    void request?.catch(() => {});
  }

  /** Sends a message to the other tabs. */
  post(message: TabMessage): void {
    if (!this.#stop.signal.aborted) this.#channel?.postMessage(message);
  }

  /** Runs work while no other tab runs this. */
  exclusively = async (work: () => Promise<void>, signal: AbortSignal): Promise<void> => {
    if (!this.#locks) await work();
    else await this.#locks.request(`${this.#name}:outbox`, { signal }, work);
  };

  /** Gives up leadership and ignores further messages. */
  close(): void {
    this.#stop.abort();
    this.#channel?.close();
  }
}
