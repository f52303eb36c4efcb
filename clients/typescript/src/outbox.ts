// Sends messages exactly once, in order within each conversation, across reloads, crashes and tabs.
//
// Invariant: an entry is stored before it is sent, and `tried_at` is stored before the request leaves, because a crash
// at any point must neither lose nor duplicate a message. A tried entry is retried with the same `client_message_id`,
// which the server remembers for a day; after that, the outbox looks for the message in the history first. Only one tab
// sends at a time. A message's files are uploaded before it is tried.

import type { Api } from "./api.js";
import { SendPromises } from "./deferred.js";
import { TidingsError } from "./error.js";
import { OutgoingFiles, describeFiles, fileToSend } from "./outgoing-files.js";
import type { FilesChange } from "./outgoing-files.js";
import type { OutboxEntry } from "./outbox-entry.js";
import { randomId } from "./random-id.js";
import type { OutboxStorage } from "./storage.js";
import type { Checkpoint, Store } from "./store.js";
import type { Tabs } from "./tabs.js";
import { MAX_BACKOFF, backoff, onAbort, sleep } from "./time.js";
import type { Draft, EditDetails, Message, NewDraft } from "./types.js";

/** Milliseconds for which a retry is safe: the server deduplicates for 24 h; 2 h are left for clock differences. */
const DEDUPLICATION_WINDOW = 22 * 3_600_000;
/** Consecutive 5xx responses after which a message fails. */
const MAX_SERVER_ERRORS = 8;

/** The outbox of a user. */
export class Outbox {
  readonly #api: Api;
  readonly #store: Store;
  readonly #storage: OutboxStorage;
  readonly #tabs: Tabs;
  readonly #signal: AbortSignal;
  readonly #files: OutgoingFiles;
  readonly #promises = new SendPromises();
  #entries: readonly OutboxEntry[] = [];
  /** Entries that are shown already but not stored yet. */
  readonly #storing = new Map<string, OutboxEntry>();
  /** Lanes that wait for the next `flush`, because the storage or the token failed. */
  readonly #blockedLanes = new Set<string>();
  #isRunning = false;
  #mayHaveMore = false;
  /** Aborted to end the waits between attempts. */
  #retryWait = new AbortController();
  #wakeRun: () => void = () => {};

  /** When the signal is aborted, the outbox stops; unsent entries stay in the storage. */
  constructor(api: Api, store: Store, storage: OutboxStorage, tabs: Tabs, signal: AbortSignal) {
    this.#api = api;
    this.#store = store;
    this.#storage = storage;
    this.#tabs = tabs;
    this.#signal = signal;
    this.#files = new OutgoingFiles(api, store, storage, (id) => {
      // Views compare entries by identity.
      this.#show(this.#entries.map((entry) => (entry.id === id ? { ...entry } : entry)));
    });
    onAbort(signal, () => this.#stop());
  }

  /** Loads the stored entries, at the start and after another tab has changed them, and sends what is due. */
  async load(): Promise<void> {
    await this.#load();
    this.flush();
  }

  #stop(): void {
    this.#promises.rejectAll(this.#signal.reason);
    this.#files.stop();
    this.#wakeRun();
  }

  /** Stores a message and queues it. The promise may be ignored, even if it rejects. */
  add({ files = [], ...draft }: NewDraft): Promise<Message> {
    const id = draft.client_message_id ?? randomId();
    const sent = this.#promises.of(id);
    const last = Math.max(0, ...this.#entries.map(({ seq }) => seq));
    const entry: OutboxEntry = {
      ...newEntry(id, { ...draft, client_message_id: id }),
      seq: Math.max(Date.now(), last + 1),
      ...(files.length > 0 ? { files: describeFiles(files) } : {}),
    };
    const contents = files.map((file) => fileToSend(file).file);
    if (entry.files) this.#files.add(id, contents);
    void this.#storeNew(entry, entry.files && contents);
    return sent;
  }

  async #storeNew(entry: OutboxEntry, contents: readonly Blob[] | undefined): Promise<void> {
    const { id } = entry;
    // Shown before it is stored, so that it appears at once and later messages are ordered after it.
    this.#storing.set(id, entry);
    this.#show(this.#entries);
    try {
      await this.#update(id, (stored) => stored ?? entry, contents);
      this.#storing.delete(id);
    } catch (error) {
      this.#storing.delete(id);
      this.#show(this.#entries.filter((other) => other.id !== id));
      this.#promises.settle(id, error as Error);
    }
    this.flush();
  }

  /** Whether a message is not sent yet. */
  isPending(id: string): boolean {
    return this.#entries.some((entry) => entry.id === id && entry.id !== entry.message_id);
  }

  /** Changes the text of a pending message: before the send or, if it was tried, right after. */
  async edit(id: string, text: string, details: EditDetails): Promise<void> {
    await this.#update(id, (entry) => {
      if (!entry) return undefined;
      const { draft, tried_at } = entry;
      // A forward has no text of its own until the server has it.
      if (tried_at !== null || draft.forward) return { ...entry, then: { edit: text, ...details } };
      return { ...entry, draft: { ...draft, message_text: text, ...details }, failed: null };
    });
    this.flush();
  }

  /** Discards a pending message or, if the server may have it, deletes it there, too. */
  async delete(id: string): Promise<void> {
    const entry = await this.#update(id, (entry) => {
      return entry && entry.tried_at !== null ? { ...entry, then: { delete: true } } : undefined;
    });
    if (!entry) this.#promises.settle(id, new DOMException("The message was discarded.", "AbortError"));
    this.flush();
  }

  /** Stores an edit of a sent message that failed, replacing an earlier one. */
  async keepFailedEdit(messageId: string, text: string, details: EditDetails, error: TidingsError): Promise<void> {
    await this.discard(messageId);
    const entry: OutboxEntry = {
      ...newEntry(messageId, { message_text: text }),
      then: { edit: text, ...details },
      message_id: messageId,
      failed: failure(error),
    };
    await this.#update(messageId, () => entry);
  }

  /** Discards the failed edits of a sent message. */
  async discard(messageId: string): Promise<void> {
    const isFailedEdit = (entry: OutboxEntry | undefined) => entry?.message_id === messageId && entry.failed !== null;
    for (const { id } of this.#entries.filter(isFailedEdit)) {
      await this.#update(id, (entry) => (isFailedEdit(entry) ? undefined : entry));
    }
  }

  /** Retries a failed message or edit. */
  async retry(id: string): Promise<void> {
    await this.#update(id, (entry) => entry && { ...entry, failed: null });
    this.flush();
  }

  /** Sends what is due. With `skipBackoff`, also retries what waits after a failed attempt. */
  flush(skipBackoff = false): void {
    if (this.#signal.aborted) return;
    if (skipBackoff) {
      this.#retryWait.abort();
      this.#retryWait = new AbortController();
    }
    this.#blockedLanes.clear();
    this.#mayHaveMore = true;
    this.#wakeRun();
    if (this.#isRunning || this.#due().length === 0) return;
    this.#isRunning = true;
    // Tabs that share no storage send at the same time.
    const run = this.#storage.isShared ? this.#tabs.exclusively(() => this.#run()) : this.#run();
    void run
      .catch(() => {})
      .finally(() => {
        this.#isRunning = false;
      });
  }

  /** Acknowledges those of the user's messages that arrived as events. */
  confirm(messages: readonly Message[], me: string): void {
    for (const message of messages) {
      const id = message.client_message_id;
      if (id === null || message.sender_id !== me) continue;
      const entry = this.#entries.find((entry) => entry.id === id);
      // Without an entry, another tab may have sent the message.
      if (!entry) this.#promises.settle(id, message);
      if (entry && !entry.message_id) void this.#acknowledge(entry, message).catch(() => {});
    }
  }

  /** Sends until nothing is due: lanes in parallel, the entries of a lane in order. */
  async #run(): Promise<void> {
    const active = new Set<string>();
    while (!this.#signal.aborted) {
      this.#mayHaveMore = false;
      await this.#load();
      for (const lane of new Set(this.#due().map((entry) => this.#store.laneOf(entry)))) {
        if (active.has(lane) || this.#blockedLanes.has(lane)) continue;
        active.add(lane);
        void this.#sendLane(lane).finally(() => {
          active.delete(lane);
          this.#wakeRun();
        });
      }
      if (active.size === 0 && !this.#mayHaveMore) return;
      if (!this.#mayHaveMore) await new Promise<void>((resolve) => (this.#wakeRun = resolve));
      this.#wakeRun = () => {};
    }
  }

  /** The entries that do not wait for the user. */
  #due(): OutboxEntry[] {
    return this.#entries.filter(({ failed, then }) => !failed || (then && "delete" in then));
  }

  async #sendLane(lane: string): Promise<void> {
    let failures = 0;
    let serverErrors = 0;
    for (;;) {
      const entry = this.#due().find((entry) => this.#store.laneOf(entry) === lane);
      if (!entry || this.#signal.aborted) return;
      try {
        await this.#process(entry);
        failures = serverErrors = 0;
        continue;
      } catch (error) {
        if (this.#signal.aborted) return;
        // It was discarded while its files were uploaded.
        if (!this.#entries.some(({ id }) => id === entry.id)) continue;
        // The storage or the token failed, not the message.
        if (!(error instanceof TidingsError) || error.status === 401) {
          this.#blockedLanes.add(lane);
          return;
        }
        if (error.status >= 500) serverErrors += 1;
        if (!error.retryable || serverErrors >= MAX_SERVER_ERRORS) {
          await this.#fail(entry, error).catch(() => {});
          failures = serverErrors = 0;
          continue;
        }
        const delay = error.retryAfterMs ?? backoff(failures, MAX_BACKOFF);
        await sleep(delay, this.#signal, this.#retryWait.signal).catch(() => {});
        failures += 1;
      }
    }
  }

  /** Sends an entry or, if the server has the message, applies the change that follows. */
  async #process(entry: OutboxEntry): Promise<void> {
    const signal = this.#signal;
    if (entry.message_id) {
      await this.#applyChange(entry, entry.message_id);
      return;
    }
    const isOld = entry.tried_at !== null && Math.abs(Date.now() - entry.tried_at) > DEDUPLICATION_WINDOW;
    // A failed message is only due when the user has discarded it: it must not be sent, but may have arrived.
    const isDiscarded = entry.failed !== null;
    const sent = isOld || isDiscarded ? await this.#findSent(entry) : undefined;
    if (sent) {
      await this.#acknowledge(entry, sent);
      return;
    }
    if (isDiscarded) {
      await this.#update(entry.id, () => undefined);
      return;
    }
    const saveFiles = (change: FilesChange) => this.#saveFiles(entry.id, change);
    const attachments = entry.files && (await this.#files.upload(entry, entry.files, saveFiles));
    // Reads the entry again in the same transaction, because it may have been edited or discarded.
    const now = Date.now();
    const marked = await this.#update(
      entry.id,
      (stored) => stored && { ...stored, tried_at: isOld ? now : (stored.tried_at ?? now) },
    );
    if (!marked || marked.message_id) return;
    const checkpoint = this.#store.checkpoint;
    let message: Message;
    try {
      const { draft } = marked;
      const message_text = draft.forward ? undefined : draft.message_text;
      message = await this.#api.send({ ...draft, message_text, attachments }, { signal });
    } catch (error) {
      if (!(error instanceof TidingsError) || !this.#files.uploads?.isWorthRepeating(entry, error)) throw error;
      await saveFiles((files) => files.map((file) => ({ ...file, uploaded: null })));
      return;
    }
    await this.#acknowledge(marked, message, checkpoint);
  }

  async #saveFiles(id: string, change: FilesChange): Promise<boolean> {
    return !!(await this.#update(id, (stored) => stored?.files && { ...stored, files: change(stored.files) }));
  }

  /** Finds the message in the history that an earlier attempt may have sent. */
  async #findSent(entry: OutboxEntry): Promise<Message | undefined> {
    return (await import("./jumps.js")).findSent(this.#api, entry, this.#signal);
  }

  /** Removes the entry of a sent message, unless a change is to follow. */
  async #acknowledge(entry: OutboxEntry, message: Message, checkpoint?: Checkpoint): Promise<void> {
    // Without a checkpoint, an event or a page has already delivered the message.
    if (checkpoint) this.#store.mergeSent(checkpoint, message);
    const left = await this.#update(entry.id, (stored) =>
      stored?.then ? { ...stored, message_id: message.id } : undefined,
    );
    this.#promises.settle(entry.id, message);
    if (left) this.flush();
  }

  /** Applies the edit or deletion that was requested while the message was pending. */
  async #applyChange(entry: OutboxEntry, messageId: string): Promise<void> {
    const { then } = entry;
    const signal = this.#signal;
    let refusal: TidingsError | undefined;
    try {
      const checkpoint = this.#store.checkpoint;
      let changed: Message | null = null;
      if (then && "edit" in then) changed = await this.#api.edit(messageId, changeOf(then), { signal });
      else if (then) changed = await this.#api.delete(messageId, "everyone", { signal });
      if (changed) this.#store.merge(checkpoint, [changed]);
    } catch (error) {
      if (!(error instanceof TidingsError) || error.retryable || error.status === 401) throw error;
      refusal = error;
    }
    await this.#update(entry.id, (stored) => {
      // Another change was requested in the meantime.
      if (JSON.stringify(stored?.then) !== JSON.stringify(then)) return stored;
      // A refused edit keeps its text until the user retries or discards it.
      return stored && refusal && then && "edit" in then ? { ...stored, failed: failure(refusal) } : undefined;
    });
  }

  /** Marks an entry as failed: it waits for the user. */
  async #fail(entry: OutboxEntry, error: TidingsError): Promise<void> {
    const failed = failure(error);
    // After a refusal, the server does not have the message; after a 5xx, it may.
    const isDefinite = !error.retryable;
    await this.#update(entry.id, (stored) => {
      if (!stored || stored.message_id) return stored;
      if (stored.then && "delete" in stored.then && isDefinite) return undefined;
      const edit = isDefinite && !stored.draft.forward && stored.then && "edit" in stored.then ? changeOf(stored.then) : {};
      const draft = { ...stored.draft, ...edit };
      return { ...stored, draft, failed, ...(isDefinite ? { tried_at: null, then: null } : {}) };
    });
    this.#promises.settle(entry.id, error);
  }

  async #update(
    id: string,
    change: (entry: OutboxEntry | undefined) => OutboxEntry | undefined,
    files?: readonly Blob[],
  ): Promise<OutboxEntry | undefined> {
    const entry = await this.#storage.update(id, change, files);
    const others = this.#entries.filter((other) => other.id !== id);
    this.#show(entry ? [...others, entry] : others);
    this.#tabs.post({ kind: "outbox" });
    return entry;
  }

  async #load(): Promise<void> {
    const entries = await this.#storage.all();
    this.#show(entries);
    for (const { id, failed, message_id } of entries) {
      if (!failed || message_id) continue;
      this.#promises.settle(id, new TidingsError(failed.message, { code: failed.code, status: failed.status }));
    }
  }

  /** Publishes the stored entries and those that are being stored, in sending order. */
  #show(stored: readonly OutboxEntry[]): void {
    const entries = stored.filter(({ id }) => !this.#storing.has(id)).concat([...this.#storing.values()]);
    this.#entries = entries.sort((a, b) => a.seq - b.seq || (a.id < b.id ? -1 : 1));
    if (this.#signal.aborted) return;
    this.#files.follow(this.#entries);
    this.#store.setOutbox(this.#entries);
  }
}

function newEntry(id: string, draft: Draft): OutboxEntry {
  const created_at = new Date().toISOString();
  return { id, seq: Date.now(), draft, created_at, tried_at: null, then: null, message_id: null, failed: null };
}

/** The change that an edit asks for. */
function changeOf({ edit, ...details }: { edit: string } & EditDetails): EditDetails & { message_text: string } {
  return { message_text: edit, ...details };
}

function failure({ code, message, status }: TidingsError): OutboxEntry["failed"] {
  return { code, message, status };
}
