// Reports what the user is typing and viewing, and keeps the presence of watched users fresh by looking it up
// periodically. Pushed presence only makes that rarer. Loaded on first use.

import type { Api } from "./api.js";
import type { SetTypingFrame } from "./generated/types.gen.js";
import type { CallOptions } from "./http.js";
import type { State } from "./state.js";
import type { Store } from "./store.js";

/** Milliseconds between checks for presence that is too old. */
const CHECK_INTERVAL = 20_000;
/** Age in milliseconds at which presence is looked up again: while polling, and while presence is pushed. */
const MAX_AGE_POLLING = 45_000;
const MAX_AGE_LIVE = 120_000;
/** Milliseconds after a lookup in which a user who writes and is shown as offline is not looked up again, at first. */
const MIN_PAUSE = 5_000;
/** Milliseconds after which looked-up presence expires. Longer than the 90 s for which a poll keeps its user online. */
const PRESENCE_TTL = 150_000;
/** Milliseconds between typing signals of a conversation. Each expires after 6 s. */
const TYPING_INTERVAL = 4_000;
/** Users per call. */
const BATCH_SIZE = 100;

/** The part of the client's session that look-ups need. */
interface Session {
  stop: AbortController;
  sync?: { isLive: boolean; send(frame: SetTypingFrame): boolean };
}

/** The last lookup of a user. */
interface Lookup {
  /** Milliseconds, local clock. */
  at: number;
  isRunning: boolean;
  /** Milliseconds until the next one, if the user writes and is shown as offline. Doubles while they stay offline. */
  pause: number;
  /** The event with which the presence was pushed last before the lookup. A later one is newer than the answer may be. */
  asOf: string;
}

/** Typing and presence of a client. */
export class PresenceWatcher {
  readonly #api: Api;
  readonly #store: Store;
  /** Returns the current session; undefined while disconnected. */
  readonly #session: () => Session | undefined;
  /** Number of watchers by user. */
  readonly #users = new Map<string, number>();
  /** The last lookup by user, and the session in which they were. */
  readonly #lookups = new Map<string, Lookup>();
  /** Users who have written since, or got the first message of the conversation, and when to look them up again. */
  readonly #wanted = new Map<string, number>();
  /** The rows as they were last. */
  #rows: State["byId"];
  /** Time of the last typing signal by conversation; none after typing has ended. */
  readonly #typedAt = new Map<string, number>();
  #lookedUpIn: Session | undefined;
  #isScheduled = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(api: Api, store: Store, session: () => Session | undefined) {
    this.#api = api;
    this.#store = store;
    this.#session = session;
    // A new session, or one that is back online, looks up at once.
    store.subscribe(({ connection }) => connection, () => this.#refresh());
    this.#rows = store.state.byId;
    store.subscribe(({ byId }) => byId, (rows) => this.#noticeMessages(rows));
  }

  /** Signals that the user is typing, or has stopped. */
  typing(conversationId: string, isTyping: boolean): void {
    const last = this.#typedAt.get(conversationId);
    if (isTyping ? last !== undefined && Math.abs(Date.now() - last) < TYPING_INTERVAL : last === undefined) return;
    if (isTyping) this.#typedAt.set(conversationId, Date.now());
    else this.#typedAt.delete(conversationId);
    const frame = { action: "typing", conversation_id: conversationId, is_typing: isTyping } as const;
    if (this.#session()?.sync?.send(frame)) return;
    // A lost signal does no harm.
    this.#api.typing(conversationId, isTyping).catch(() => {});
  }

  /** Tells what the user is viewing; see `Tidings.lookAt`. */
  async lookAt(conversationId: string | null, options?: CallOptions): Promise<void> {
    const [own] = await this.#api.presence([this.#store.state.me?.id ?? ""], options);
    if (!own || own.status === "offline" || own.current_conversation_id === conversationId) return;
    await this.#api.setPresence(own.status, conversationId ?? undefined, options);
  }

  /** Watches some users. Returns a function that stops watching them. */
  watch(users: readonly string[]): () => void {
    for (const user of users) this.#users.set(user, (this.#users.get(user) ?? 0) + 1);
    this.#timer ??= setInterval(() => this.#refresh(), CHECK_INTERVAL);
    (this.#timer as { unref?: () => void }).unref?.();
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
      if (this.#users.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  /** Looks up users who have written: they may be online by now, or a first message has made their presence visible. */
  #noticeMessages(rows: State["byId"]): void {
    const before = this.#rows;
    this.#rows = rows;
    for (const [id, row] of rows) {
      const known = before.get(id);
      const { other_user_id: user, last_message_id: newest } = row;
      if (row === known || user === null || newest === null || !this.#users.has(user)) continue;
      if (newest <= (known?.last_message_id ?? "")) continue;
      // Before the inbox is complete, a row that appears is no news.
      const isFirst = known ? known.last_message_id === null : this.#store.state.isComplete;
      const { at = 0, pause = 0 } = this.#lookups.get(user) ?? {};
      if (isFirst) this.#wanted.set(user, 0);
      else if (known && !row.last_message_from_me && !this.#wanted.has(user)) this.#wanted.set(user, at + pause);
    }
    if (this.#wanted.size > 0) this.#lookUp((user, now) => this.#isWanted(user, now));
  }

  #isWanted(user: string, now: number): boolean {
    const status = this.#store.state.presence.get(user)?.status ?? "offline";
    // Only the periodic check retries a lookup that failed.
    return status === "offline" && this.#lookups.has(user) && now >= (this.#wanted.get(user) ?? Infinity);
  }

  /** Looks up the watched users whose presence is too old, or who have written. */
  #refresh(): void {
    const maxAge = this.#session()?.sync?.isLive ? MAX_AGE_LIVE : MAX_AGE_POLLING;
    const isOld = (user: string, now: number) => Math.abs(now - (this.#lookups.get(user)?.at ?? -Infinity)) > maxAge;
    this.#lookUp((user, now) => isOld(user, now) || this.#isWanted(user, now));
  }

  /** Looks up the watched users for whom it is due, unless they are being looked up. */
  #lookUp(isDue: (user: string, now: number) => boolean): void {
    const session = this.#session();
    if (!session) return;
    if (this.#lookedUpIn !== session) {
      this.#lookups.clear();
      this.#wanted.clear();
    }
    this.#lookedUpIn = session;
    const now = Date.now();
    const due = [...this.#users.keys()].filter((user) => !this.#lookups.get(user)?.isRunning && isDue(user, now));
    for (let at = 0; at < due.length; at += BATCH_SIZE) void this.#lookUpSome(due.slice(at, at + BATCH_SIZE), session);
  }

  /** Looks up at most a batch of users. */
  async #lookUpSome(users: readonly string[], { stop: { signal } }: Session): Promise<void> {
    const lookups = new Map<string, Lookup>();
    for (const user of users) {
      // Only lookups of users who go on writing double the pause: for a first message, 0 is stored.
      const before = this.#wanted.get(user) ? this.#lookups.get(user) : undefined;
      const pause = before ? Math.min(before.pause * 2, MAX_AGE_POLLING) : MIN_PAUSE;
      const lookup = { at: Date.now(), isRunning: true, pause, asOf: this.#store.presenceAsOf(user) };
      lookups.set(user, lookup);
      this.#lookups.set(user, lookup);
      this.#wanted.delete(user);
    }
    try {
      const presences = await this.#api.presence(users, { signal });
      this.#store.batch(() => {
        for (const presence of presences) {
          const lookup = lookups.get(presence.user_id);
          if (!lookup) continue;
          if (presence.status !== "offline") lookup.pause = MIN_PAUSE;
          this.#store.setPresence(lookup.asOf, presence, PRESENCE_TTL);
        }
      });
    } catch {
      // The next check retries.
      for (const [user, lookup] of lookups) if (this.#lookups.get(user) === lookup) this.#lookups.delete(user);
    }
    for (const lookup of lookups.values()) lookup.isRunning = false;
    if (this.#wanted.size > 0) this.#lookUp((user, now) => this.#isWanted(user, now));
  }
}
