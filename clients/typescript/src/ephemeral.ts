// Typing and presence, which expire without an event.
//
// Invariant: an expiry is a duration from receipt on the local clock. It is never compared with a server timestamp,
// because the clocks may differ.

import { isEqual } from "./state.js";
import type { State } from "./state.js";
import type { Presence } from "./types.js";

/** Milliseconds after which typing expires unless it is repeated. */
const TYPING_TTL = 6_000;

interface Expiring<T> {
  /** Id of the event that set the value. */
  asOf: string;
  /** Milliseconds, local clock. */
  until: number;
  value: T;
}

/** The users who are typing, and the presence of users. */
export class EphemeralState {
  readonly #typing = new Map<string, Map<string, Expiring<boolean>>>();
  readonly #presence = new Map<string, Expiring<Presence>>();
  readonly #onExpiry: () => void;
  #isTypingDirty = false;
  #isPresenceDirty = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(onExpiry: () => void) {
    this.#onExpiry = onExpiry;
  }

  clear(): void {
    this.#typing.clear();
    this.#presence.clear();
  }

  /** Returns the event with which a user's presence was pushed last; "" if it was not. */
  presenceAsOf(user: string): string {
    return this.#presence.get(user)?.asOf ?? "";
  }

  /** Sets a user's presence as it was pushed with an event. */
  pushPresence(asOf: string, presence: Presence, ttlMs: number): void {
    // Pushes may be duplicated or late.
    if (asOf > this.presenceAsOf(presence.user_id)) this.#setPresence(asOf, presence, ttlMs);
  }

  /** Sets a user's presence as it was looked up, unless it was pushed since: `asOf` is what `presenceAsOf` returned before. */
  setPresence(asOf: string, presence: Presence, ttlMs: number): void {
    if (asOf === this.presenceAsOf(presence.user_id)) this.#setPresence(asOf, presence, ttlMs);
  }

  #setPresence(asOf: string, presence: Presence, ttlMs: number): void {
    const until = presence.status === "offline" ? Infinity : Date.now() + ttlMs;
    this.#presence.set(presence.user_id, { asOf, until, value: presence });
    this.#isPresenceDirty = true;
  }

  /** Sets whether a user is typing, for at most 6 s. */
  setTyping(asOf: string, conversation: string, user: string, isTyping: boolean, ttlMs: number): void {
    const users = this.#typing.get(conversation) ?? new Map<string, Expiring<boolean>>();
    const known = users.get(user);
    if ((known && known.asOf >= asOf) || (!known && !isTyping)) return;
    const until = Date.now() + Math.min(ttlMs, TYPING_TTL);
    this.#typing.set(conversation, users.set(user, { asOf, until, value: isTyping }));
    this.#isTypingDirty = true;
  }

  /** Returns the state with current typing and presence, and schedules the next expiry. */
  update(before: State): State {
    const now = Date.now();
    let state = before;
    if (this.#isTypingDirty) {
      this.#isTypingDirty = false;
      state = { ...state, typing: this.#currentTyping(before, now) };
    }
    if (this.#isPresenceDirty) {
      this.#isPresenceDirty = false;
      state = { ...state, presence: this.#currentPresence(before, now) };
    }
    if (state !== before) this.#scheduleExpiry(now);
    return state;
  }

  #currentTyping(before: State, now: number): State["typing"] {
    const typing = new Map<string, readonly string[]>();
    for (const [conversation, users] of this.#typing) {
      // An expired entry is kept for a while: its `asOf` rejects older events that arrive late.
      for (const [user, { until }] of users) if (until <= now - TYPING_TTL) users.delete(user);
      const typists = [...users].filter(([, { value, until }]) => value && until > now).map(([user]) => user);
      const known = before.typing.get(conversation);
      if (typists.length > 0) typing.set(conversation, isEqual(known, typists) && known ? known : typists);
    }
    return typing;
  }

  #currentPresence(before: State, now: number): State["presence"] {
    const presence = new Map<string, Presence>();
    for (const [user, { until, value }] of this.#presence) {
      const shown: Presence = until > now ? value : { ...value, status: "offline", current_conversation_id: null };
      const known = before.presence.get(user);
      presence.set(user, known && isEqual(known, shown) ? known : shown);
    }
    return presence;
  }

  #scheduleExpiry(now: number): void {
    clearTimeout(this.#timer);
    const typing = [...this.#typing.values()].flatMap((users) => [...users.values()]).filter(({ value }) => value);
    const ends = [...typing, ...this.#presence.values()].map(({ until }) => until);
    const next = Math.min(...ends.filter((until) => until > now));
    if (!Number.isFinite(next)) return;
    this.#timer = setTimeout(() => {
      this.#isTypingDirty = true;
      this.#isPresenceDirty = true;
      this.#onExpiry();
    }, Math.min(next - now, 2 ** 31 - 1));
    (this.#timer as { unref?: () => void }).unref?.();
  }
}
