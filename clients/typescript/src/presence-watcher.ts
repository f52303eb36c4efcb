// Keeps the presence of watched users fresh, by looking it up periodically. Pushed presence only makes that rarer.
// Loaded on first use.

import type { Api } from "./api.js";
import type { Store } from "./store.js";

/** Milliseconds between checks for presence that is too old. */
const CHECK_INTERVAL = 20_000;
/** Age in milliseconds at which presence is looked up again: while polling, and while presence is pushed. */
const MAX_AGE_POLLING = 45_000;
const MAX_AGE_LIVE = 120_000;
/** Milliseconds after which looked-up presence expires. Longer than the 90 s for which a poll keeps its user online. */
const PRESENCE_TTL = 150_000;
/** Users per call. */
const BATCH_SIZE = 100;

/** The users whose presence is shown. */
export class PresenceWatcher {
  readonly #api: Api;
  readonly #store: Store;
  readonly #isLive: () => boolean;
  /** Number of watchers by user. */
  readonly #users = new Map<string, number>();
  /** Time of the last lookup by user. */
  readonly #lookedUpAt = new Map<string, number>();
  #signal: AbortSignal | undefined;
  #isScheduled = false;

  constructor(api: Api, store: Store, isLive: () => boolean) {
    this.#api = api;
    this.#store = store;
    this.#isLive = isLive;
  }

  /** Starts lookups, until the signal is aborted. Starting again with the same signal changes nothing. */
  start(signal: AbortSignal): void {
    if (this.#signal === signal) return;
    this.#signal = signal;
    this.#lookedUpAt.clear();
    const timer = setInterval(() => this.#refresh(), CHECK_INTERVAL);
    (timer as { unref?: () => void }).unref?.();
    signal.addEventListener("abort", () => clearInterval(timer), { once: true });
    this.#refresh();
  }

  /** Watches some users. Returns a function that stops watching them. */
  watch(users: readonly string[]): () => void {
    for (const user of users) this.#users.set(user, (this.#users.get(user) ?? 0) + 1);
    // Views that mount together share one call.
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      queueMicrotask(() => {
        this.#isScheduled = false;
        this.#refresh();
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

  /** Looks up all watched users whose presence is too old. */
  #refresh(): void {
    const signal = this.#signal;
    if (!signal || signal.aborted) return;
    const now = Date.now();
    const maxAge = this.#isLive() ? MAX_AGE_LIVE : MAX_AGE_POLLING;
    const isOld = (user: string) => Math.abs(now - (this.#lookedUpAt.get(user) ?? 0)) > maxAge;
    const due = [...this.#users.keys()].filter(isOld);
    for (let at = 0; at < due.length; at += BATCH_SIZE) {
      const users = due.slice(at, at + BATCH_SIZE);
      for (const user of users) this.#lookedUpAt.set(user, now);
      this.#api.presence(users, { signal }).then(
        (presences) => this.#store.setPresence(presences, PRESENCE_TTL),
        // The next check retries.
        () => users.forEach((user) => this.#lookedUpAt.delete(user)),
      );
    }
  }
}
