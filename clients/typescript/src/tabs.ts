// Several tabs of one user: one of them, the leader, holds the socket and passes on what it hears.
//
// Web Locks say who leads, for a lock ends with its tab, however that ends. Where there are no locks or channels each
// tab is its own leader: that costs more, and is as correct.

/** What tabs tell each other. */
export type TabMessage =
  | { kind: "events"; events: unknown[] }
  /** Asks the leader whether it is there; it answers at once, even from a tab whose timers are slowed down. */
  | { kind: "hello" }
  | { kind: "leader"; isLive: boolean }
  | { kind: "outbox" };

/** The parts of the browser that are needed; what is missing is done without. */
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

  constructor(name: string, tools: TabTools, heard: (message: TabMessage) => void) {
    this.#name = name;
    const { locks, BroadcastChannel } = tools;
    this.#locks = locks;
    this.#isLeader = !locks || !BroadcastChannel;
    if (!locks || !BroadcastChannel) return;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }: MessageEvent<TabMessage>) => heard(data);
  }

  /** Whether this tab holds the socket. */
  get isLeader(): boolean {
    return this.#isLeader;
  }

  /** Calls back once this tab leads; at once where it is alone. */
  stand(elected: () => void): void {
    if (this.#isLeader) {
      elected();
      return;
    }
    const lead = () => {
      this.#isLeader = true;
      elected();
      return new Promise<void>((resolve) => {
        this.#stop.signal.addEventListener("abort", () => resolve(), { once: true });
        if (this.#stop.signal.aborted) resolve();
      });
    };
    const request = this.#locks?.request(`${this.#name}:leader`, { signal: this.#stop.signal }, lead);
    void request?.catch(() => {});
  }

  /** Tells the other tabs. */
  post(message: TabMessage): void {
    if (!this.#stop.signal.aborted) this.#channel?.postMessage(message);
  }

  /** Does something while no other tab does. */
  exclusively = async (work: () => Promise<void>, signal: AbortSignal): Promise<void> => {
    if (!this.#locks) await work();
    else await this.#locks.request(`${this.#name}:outbox`, { signal }, work);
  };

  /** Leads no more, and hears nothing more. */
  close(): void {
    this.#stop.abort();
    this.#channel?.close();
  }
}
