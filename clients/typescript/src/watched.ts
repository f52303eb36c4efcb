// Whose presence is shown: looked up while nothing pushes it, and from time to time in any case.

import type { Api } from "./api.js";
import type { Store } from "./store.js";

/** Milliseconds between looks, and the age at which an answer is asked for again: polling, and with a socket. */
const LOOK = 20_000;
const POLLING_AGE = 45_000;
const PUSHED_AGE = 120_000;
/** Milliseconds that an answer holds: whoever polls counts as being there for 90 s. */
const HOLDS = 150_000;
/** Users of a call. */
const MOST = 100;

/** The users who are looked at. */
export class Watched {
  readonly #api: Api;
  readonly #store: Store;
  readonly #isLive: () => boolean;
  /** How often each is watched. */
  readonly #users = new Map<string, number>();
  /** When each was asked for. */
  readonly #asked = new Map<string, number>();
  #signal: AbortSignal | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #isDue = false;

  constructor(api: Api, store: Store, isLive: () => boolean) {
    this.#api = api;
    this.#store = store;
    this.#isLive = isLive;
  }

  /** Begins to look. */
  start(signal: AbortSignal): void {
    this.#signal = signal;
    this.#asked.clear();
    this.#timer = setInterval(() => this.#look(), LOOK);
    (this.#timer as { unref?: () => void }).unref?.();
    this.#look();
  }

  /** Looks no more. */
  stop(): void {
    clearInterval(this.#timer);
    this.#signal = undefined;
  }

  /** Looks at some users until the answer is called. */
  watch(users: readonly string[]): () => void {
    for (const user of users) this.#users.set(user, (this.#users.get(user) ?? 0) + 1);
    // Views that come together ask together.
    if (!this.#isDue) {
      this.#isDue = true;
      queueMicrotask(() => {
        this.#isDue = false;
        this.#look();
      });
    }
    let isWatching = true;
    return () => {
      if (!isWatching) return;
      isWatching = false;
      for (const user of users) {
        const left = (this.#users.get(user) ?? 1) - 1;
        if (left > 0) this.#users.set(user, left);
        else this.#users.delete(user);
      }
    };
  }

  #look(): void {
    const signal = this.#signal;
    if (!signal) return;
    const now = Date.now();
    const age = this.#isLive() ? PUSHED_AGE : POLLING_AGE;
    const isOld = (user: string) => Math.abs(now - (this.#asked.get(user) ?? 0)) > age;
    const due = [...this.#users.keys()].filter(isOld);
    for (let at = 0; at < due.length; at += MOST) {
      const users = due.slice(at, at + MOST);
      for (const user of users) this.#asked.set(user, now);
      this.#api.presence(users, { signal }).then(
        (presences) => this.#store.showPresence(presences, HOLDS),
        // The next look asks again.
        () => users.forEach((user) => this.#asked.delete(user)),
      );
    }
  }
}
