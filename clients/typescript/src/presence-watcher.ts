// Reports what the user is typing and viewing, and keeps the presence of watched users fresh by looking it up
// periodically. Pushed presence only makes that rarer. Loaded on first use.

import type { Api } from "./api.js";
import type { SetTypingFrame } from "./generated/types.gen.js";
import type { CallOptions } from "./http.js";
import type { Store } from "./store.js";
import type { Conversation } from "./types.js";

/** Milliseconds between checks for presence that is too old. */
const CHECK_INTERVAL = 20_000;
/** Age in milliseconds at which presence is looked up again: while polling, and while presence is pushed. */
const MAX_AGE_POLLING = 45_000;
const MAX_AGE_LIVE = 120_000;
/** Age in milliseconds at which presence is looked up again for a user who is shown as offline and writes. */
const MAX_AGE_WRITING = 5_000;
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

interface Lookup {
  /** Milliseconds, local clock. */
  at: number;
  /** The newest message of the direct conversation at that time; null without one. */
  messageId: string | null;
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
    store.subscribe(({ byId }) => byId, () => this.#lookUp((user, now) => this.#hasWritten(user, now)));
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

  /** Looks up the watched users whose presence is too old, or who have written. */
  #refresh(): void {
    const maxAge = this.#session()?.sync?.isLive ? MAX_AGE_LIVE : MAX_AGE_POLLING;
    this.#lookUp((user, now) => this.#age(user, now) > maxAge || this.#hasWritten(user, now));
  }

  /** Looks up the watched users for whom it is due. */
  #lookUp(isDue: (user: string, now: number) => boolean): void {
    const session = this.#session();
    if (!session) return;
    if (this.#lookedUpIn !== session) this.#lookups.clear();
    this.#lookedUpIn = session;
    const now = Date.now();
    const due = [...this.#users.keys()].filter((user) => isDue(user, now));
    for (let at = 0; at < due.length; at += BATCH_SIZE) {
      const users = due.slice(at, at + BATCH_SIZE);
      const lookups = new Map(users.map((user) => [user, { at: now, messageId: this.#row(user)?.last_message_id ?? null }]));
      for (const [user, lookup] of lookups) this.#lookups.set(user, lookup);
      // An earlier lookup may be answered later.
      const isLatest = (user: string) => this.#lookups.get(user) === lookups.get(user);
      this.#api.presence(users, { signal: session.stop.signal }).then(
        (presences) => this.#store.setPresence(presences.filter(({ user_id }) => isLatest(user_id)), PRESENCE_TTL),
        // The next check retries.
        () => users.filter(isLatest).forEach((user) => this.#lookups.delete(user)),
      );
    }
  }

  /** Milliseconds since the last lookup. */
  #age(user: string, now: number): number {
    return Math.abs(now - (this.#lookups.get(user)?.at ?? -Infinity));
  }

  /**
   * Whether a user who is shown as offline has written since the last lookup, or got the first message of the
   * conversation: that makes their presence visible.
   */
  #hasWritten(user: string, now: number): boolean {
    const lookup = this.#lookups.get(user);
    const status = this.#store.state.presence.get(user)?.status ?? "offline";
    if (!lookup || status !== "offline") return false;
    const row = this.#row(user);
    if (!row || row.last_message_id === lookup.messageId) return false;
    return lookup.messageId === null || (!row.last_message_from_me && this.#age(user, now) > MAX_AGE_WRITING);
  }

  /** The direct conversation with a user. */
  #row(user: string): Conversation | undefined {
    return this.#store.state.byId.get(this.#store.directWith(user) ?? "");
  }
}
