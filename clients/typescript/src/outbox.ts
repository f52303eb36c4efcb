// Messages on their way: each is sent once, in order within its conversation, whatever happens in between.
//
// Invariants: an entry is kept before it is sent, and marked as tried before the first byte leaves. What was tried may
// have arrived; it is repeated with the same `client_message_id`, which the server remembers for a day, and looked for
// in the conversation where that day may be over. Only one tab sends at a time.

import type { Api } from "./api.js";
import { TidingsError } from "./error.js";
import type { OutboxEntry } from "./outbox-entry.js";
import type { OutboxStorage } from "./storage.js";
import type { Moment, Store } from "./store.js";
import { backoff, sleep } from "./time.js";
import type { Draft, Message } from "./types.js";

/** Milliseconds for which the server surely remembers a client's id: a day, less what clocks may differ by. */
const REMEMBERED = 22 * 3_600_000;
/** Answers of a failing server after which a message waits for its user. */
const PATIENCE = 8;
/** Milliseconds between attempts at most. */
const SLOWEST = 30_000;

/** Runs something while no other tab does the same; at once where there are none. */
export type Exclusively = (work: () => Promise<void>, signal: AbortSignal) => Promise<void>;

interface Waiting {
  promise: Promise<Message>;
  resolve: (message: Message) => void;
  reject: (reason: unknown) => void;
}

/** The outbox of a user. */
export class Outbox {
  readonly #api: Api;
  readonly #store: Store;
  readonly #storage: OutboxStorage;
  readonly #exclusively: Exclusively;
  /** Tells the other tabs that the entries have changed. */
  readonly #changed: () => void;
  readonly #stop = new AbortController();
  readonly #waiting = new Map<string, Waiting>();
  #entries: readonly OutboxEntry[] = [];
  /** Entries that are shown already, while they are being kept. */
  readonly #keeping = new Map<string, OutboxEntry>();
  /** Conversations in which nothing can be sent until something changes. */
  readonly #stuck = new Set<string>();
  #isRunning = false;
  #mayHaveMore = false;
  /** Ends the waits between attempts. */
  #hurry = new AbortController();
  #awake: () => void = () => {};

  constructor(api: Api, store: Store, storage: OutboxStorage, exclusively: Exclusively, changed: () => void) {
    this.#api = api;
    this.#store = store;
    this.#storage = storage;
    this.#exclusively = exclusively;
    this.#changed = changed;
  }

  /** Reads what was left, and begins to send. */
  async start(): Promise<void> {
    await this.#refresh();
    this.kick();
  }

  /** Stops; what is unsent stays. */
  stop(): void {
    const reason = new DOMException("The client was disconnected.", "AbortError");
    this.#stop.abort(reason);
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
    this.#awake();
  }

  /** Keeps a message, and sends it when its turn comes. The promise may be ignored, also where it fails. */
  add(draft: Draft): Promise<Message> {
    const id = draft.client_message_id ?? crypto.randomUUID();
    const waiting = this.#wait(id);
    const last = Math.max(0, ...this.#entries.map(({ seq }) => seq));
    const entry: OutboxEntry = {
      id,
      seq: Math.max(Date.now(), last + 1),
      draft: { ...draft, client_message_id: id },
      created_at: new Date().toISOString(),
      tried_at: null,
      then: null,
      message_id: null,
      failed: null,
    };
    void this.#keep(entry);
    return waiting;
  }

  async #keep(entry: OutboxEntry): Promise<void> {
    const { id } = entry;
    // It shows at once, and the next one comes after it, while it is being kept.
    this.#keeping.set(id, entry);
    this.#show(this.#entries);
    try {
      await this.#update(id, (there) => there ?? entry);
      this.#keeping.delete(id);
    } catch (error) {
      this.#keeping.delete(id);
      this.#show(this.#entries.filter((other) => other.id !== id));
      this.#give(id, error instanceof Error ? error : new Error("The message cannot be kept.", { cause: error }));
    }
    this.kick();
  }

  /** Whether a message is still on its way. */
  isOnItsWay(id: string): boolean {
    return this.#entries.some((entry) => entry.id === id && entry.id !== entry.message_id);
  }

  /** Changes the text of a message on its way: before it is sent, or right after. */
  async edit(id: string, text: string): Promise<void> {
    await this.#update(id, (entry) => {
      if (!entry) return undefined;
      if (entry.tried_at !== null) return { ...entry, then: { edit: text } };
      return { ...entry, draft: { ...entry.draft, message_text: text }, failed: null };
    });
    this.kick();
  }

  /** Takes a message on its way back: it is not sent, or deleted right after. */
  async delete(id: string): Promise<void> {
    const entry = await this.#update(id, (entry) => {
      return entry && entry.tried_at !== null ? { ...entry, then: { delete: true } } : undefined;
    });
    if (!entry) this.#give(id, new DOMException("The message was taken back.", "AbortError"));
    this.kick();
  }

  /** Keeps a change of a message that the server has, and refused to change. */
  async keep(messageId: string, text: string, error: TidingsError): Promise<void> {
    await this.discard(messageId);
    const entry: OutboxEntry = {
      id: messageId,
      seq: Date.now(),
      draft: { message_text: text },
      created_at: new Date().toISOString(),
      tried_at: null,
      then: { edit: text },
      message_id: messageId,
      failed: reason(error),
    };
    await this.#update(messageId, () => entry);
  }

  /** Gives up the refused changes of a message. */
  async discard(messageId: string): Promise<void> {
    const isRefused = (entry: OutboxEntry | undefined) => entry?.message_id === messageId && entry.failed !== null;
    for (const { id } of this.#entries.filter(isRefused)) {
      await this.#update(id, (entry) => (isRefused(entry) ? undefined : entry));
    }
  }

  /** Sends a refused message, or change, again. */
  async retry(id: string): Promise<void> {
    await this.#update(id, (entry) => entry && { ...entry, failed: null });
    this.kick();
  }

  /** Looks at once whether something can be sent; `now` also where an attempt has just failed. */
  kick(now = false): void {
    if (this.#stop.signal.aborted) return;
    if (now) {
      this.#hurry.abort();
      this.#hurry = new AbortController();
    }
    this.#stuck.clear();
    this.#mayHaveMore = true;
    this.#awake();
    if (this.#isRunning || !this.#entries.some((entry) => !entry.failed)) return;
    this.#isRunning = true;
    const run = this.#exclusively(() => this.#run(), this.#stop.signal);
    void run
      .catch(() => {})
      .finally(() => {
        this.#isRunning = false;
      });
  }

  /** Another tab has changed the entries. */
  async reread(): Promise<void> {
    await this.#refresh();
    this.kick();
  }

  /** Messages that the server has: those on their way among them have arrived. */
  arrived(messages: readonly Message[], me: string): void {
    for (const message of messages) {
      const id = message.client_message_id;
      if (id === null || message.sender_id !== me) continue;
      const entry = this.#entries.find((entry) => entry.id === id);
      // Another tab may have sent it.
      if (!entry) this.#give(id, message);
      if (entry && !entry.message_id) void this.#acknowledge(entry, message).catch(() => {});
    }
  }

  /** Sends while there is something to send: conversations side by side, each in order. */
  async #run(): Promise<void> {
    const active = new Set<string>();
    while (!this.#stop.signal.aborted) {
      this.#mayHaveMore = false;
      await this.#refresh();
      for (const lane of new Set(this.#due().map((entry) => this.#store.laneOf(entry)))) {
        if (active.has(lane) || this.#stuck.has(lane)) continue;
        active.add(lane);
        void this.#sendLane(lane).finally(() => {
          active.delete(lane);
          this.#awake();
        });
      }
      if (active.size === 0 && !this.#mayHaveMore) return;
      if (!this.#mayHaveMore) await new Promise<void>((resolve) => (this.#awake = resolve));
      this.#awake = () => {};
    }
  }

  #due(): OutboxEntry[] {
    return this.#entries.filter((entry) => !entry.failed);
  }

  async #sendLane(lane: string): Promise<void> {
    let failures = 0;
    let answers = 0;
    for (;;) {
      const entry = this.#due().find((entry) => this.#store.laneOf(entry) === lane);
      if (!entry || this.#stop.signal.aborted) return;
      try {
        await this.#step(entry);
        failures = answers = 0;
        continue;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        // The storage fails, or the token: nothing is wrong with the message.
        if (!(error instanceof TidingsError) || error.status === 401) {
          this.#stuck.add(lane);
          return;
        }
        if (error.status >= 500) answers += 1;
        if (!error.retryable || answers >= PATIENCE) {
          await this.#refuse(entry, error).catch(() => {});
          failures = answers = 0;
          continue;
        }
        await sleep(error.retryAfterMs ?? backoff(failures, SLOWEST), this.#stop.signal, this.#hurry.signal).catch(() => {});
        failures += 1;
      }
    }
  }

  async #step(entry: OutboxEntry): Promise<void> {
    const signal = this.#stop.signal;
    if (entry.message_id) {
      await this.#after(entry, entry.message_id);
      return;
    }
    const isOld = entry.tried_at !== null && Math.abs(Date.now() - entry.tried_at) > REMEMBERED;
    const before = isOld ? await this.#find(entry) : undefined;
    if (before) {
      await this.#acknowledge(entry, before);
      return;
    }
    // Read again in the same step, for it may have been edited or taken back meanwhile.
    const now = Date.now();
    const marked = await this.#update(entry.id, (there) => there && { ...there, tried_at: isOld ? now : (there.tried_at ?? now) });
    if (!marked || marked.message_id) return;
    const asked = this.#store.now;
    const message = await this.#api.send(marked.draft, { signal });
    await this.#acknowledge(marked, message, asked);
  }

  /** The message that an entry has become, where it has. */
  async #find({ id, draft, tried_at }: OutboxEntry): Promise<Message | undefined> {
    const signal = this.#stop.signal;
    const conversation =
      draft.conversation_id ?? (await this.#api.openDirect(draft.recipient_id ?? "", { signal })).conversation_id;
    // Two days more, should the clock have been wrong.
    const earliest = new Date((tried_at ?? 0) - 2 * 86_400_000).toISOString();
    for await (const message of this.#api.history(conversation, { limit: 100, signal })) {
      if (message.client_message_id === id) return message;
      if (message.sent_at < earliest) return undefined;
    }
    return undefined;
  }

  /** The server has the message. */
  async #acknowledge(entry: OutboxEntry, message: Message, asked?: Moment): Promise<void> {
    this.#store.sent(asked, entry, message);
    const left = await this.#update(entry.id, (there) => there?.then ? { ...there, message_id: message.id } : undefined);
    this.#give(entry.id, message);
    if (left) this.kick();
  }

  /** Does what the user wanted done with a message that has arrived. */
  async #after(entry: OutboxEntry, messageId: string): Promise<void> {
    const { then } = entry;
    const signal = this.#stop.signal;
    let refused: TidingsError | undefined;
    try {
      const asked = this.#store.now;
      let changed: Message | null = null;
      if (then && "edit" in then) changed = await this.#api.edit(messageId, then.edit, { signal });
      else if (then) changed = await this.#api.delete(messageId, "everyone", { signal });
      if (changed) this.#store.hold(asked, [changed]);
    } catch (error) {
      if (!(error instanceof TidingsError) || error.retryable || error.status === 401) throw error;
      refused = error;
    }
    await this.#update(entry.id, (there) => {
      // Unless something else was wanted in the meantime.
      if (JSON.stringify(there?.then) !== JSON.stringify(then)) return there;
      // A text that was typed is not lost: it waits for its user.
      return there && refused && then && "edit" in then ? { ...there, failed: reason(refused) } : undefined;
    });
  }

  async #refuse(entry: OutboxEntry, error: TidingsError): Promise<void> {
    const failed = reason(error);
    // A refusal is definite: it did not arrive. A server that only fails may have it.
    const isDefinite = !error.retryable;
    await this.#update(entry.id, (there) => {
      if (!there || there.message_id) return there;
      if (there.then && "delete" in there.then && isDefinite) return undefined;
      const edited = isDefinite && there.then && "edit" in there.then ? there.then.edit : undefined;
      const draft = edited === undefined ? there.draft : { ...there.draft, message_text: edited };
      return { ...there, draft, failed, ...(isDefinite ? { tried_at: null, then: null } : {}) };
    });
    this.#give(entry.id, error);
  }

  #wait(id: string): Promise<Message> {
    const there = this.#waiting.get(id);
    if (there) return there.promise;
    let resolve: Waiting["resolve"] = () => {};
    let reject: Waiting["reject"] = () => {};
    const promise = new Promise<Message>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    // Whoever looks at the timeline alone is not to be told by a crash.
    promise.catch(() => {});
    this.#waiting.set(id, { promise, resolve, reject });
    return promise;
  }

  #give(id: string, outcome: Message | Error): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (outcome instanceof Error) waiting?.reject(outcome);
    else waiting?.resolve(outcome);
  }

  async #update(
    id: string,
    change: (entry: OutboxEntry | undefined) => OutboxEntry | undefined,
  ): Promise<OutboxEntry | undefined> {
    const entry = await this.#storage.update(id, change);
    const others = this.#entries.filter((other) => other.id !== id);
    this.#show(entry ? [...others, entry] : others);
    this.#changed();
    return entry;
  }

  async #refresh(): Promise<void> {
    const entries = await this.#storage.all();
    this.#show(entries);
    for (const { id, failed, message_id } of entries) {
      if (failed && !message_id) this.#give(id, new TidingsError(failed.message, { code: failed.code, status: failed.status }));
    }
  }

  #show(kept: readonly OutboxEntry[]): void {
    const entries = kept.filter(({ id }) => !this.#keeping.has(id)).concat([...this.#keeping.values()]);
    this.#entries = entries.sort((a, b) => a.seq - b.seq || (a.id < b.id ? -1 : 1));
    if (!this.#stop.signal.aborted) this.#store.setOutbox(this.#entries);
  }
}

function reason({ code, message, status }: TidingsError): OutboxEntry["failed"] {
  return { code, message, status };
}
