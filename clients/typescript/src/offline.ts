// Keeps the last state in IndexedDB, so that a page shows it before, or without, an answer of the server.
//
// Invariant: one transaction stores the store itself, together with the cursor up to which it has applied all events.
// So a restart continues as after a sleep: the events since then make it current. If the queue does not reach back that
// far, or not everything fitted, the state is shown until the whole state has been loaded.
//
// Nothing is stored for a user who is not signed in any more: a write checks that first, and the deletion of the
// database in one tab ends the writing of all tabs.

import type { Api } from "./api.js";
import { Chat } from "./chat.js";
import type { SavedChat, Window } from "./chat.js";
import { TidingsError } from "./error.js";
import { finished, inTime } from "./storage.js";
import { max } from "./sorted.js";
import { isEqual } from "./state.js";
import type { State } from "./state.js";
import type { Store } from "./store.js";
import type { Position, SavedState } from "./sync.js";
import type { Message, OwnUser } from "./types.js";

/** Changes whenever an earlier version of this code could not read what is stored. */
const FORMAT = 1;
/** Milliseconds from the first change to the write that includes it. */
const DELAY = 3_000;
/** Maximum number of conversations whose messages are stored: those opened last. */
const MAX_CONVERSATIONS = 20;
/** Maximum number of messages of each of them. */
const MAX_MESSAGES = 50;
/** Maximum number of messages of each other conversation, from which its row may be derived. */
const MAX_OTHER_MESSAGES = 5;
/** Maximum number of characters of a record, without the application's part. */
const MAX_SIZE = 2_000_000;

/** How the last state is kept. */
export interface OfflineOptions {
  /** Returns the id of the user who is signed in to this browser now, such as `session.user`; undefined if nobody is. */
  user: () => string | undefined;
  /** Something of the application that is stored along, such as names: plain data of bounded size. */
  more?: { get(): unknown; show(saved: unknown): void };
}

/** A conversation and its messages, as JSON holds it. */
interface StoredChat {
  id: string;
  /** A `SavedChat`, with lists in place of maps and sets. */
  fields: readonly unknown[];
  messages: { asOf: string; message: Message }[];
}

/** The stored state. */
interface Content {
  me: OwnUser;
  /** Undefined if not everything is stored. */
  cursor: string | undefined;
  syncedAt: number;
  isArchiveLoaded: boolean;
  /** Ids of conversations, the one opened last at the end. */
  recent: string[];
  more: unknown;
}

/** The only record of the database. */
interface StoredRecord {
  format: number;
  user: string;
  /** The latest event that is applied. */
  latestEvent: string;
  /** JSON of a `Content`. */
  content: string;
  /** JSON of a `StoredChat` each. */
  chats: string[];
}

const TABLE = "state";
const KEY = "last";

/** Keeps the state of one user of a server in IndexedDB. Where there is none, or no room, nothing is kept. */
export class OfflineState {
  /** The database's name. Each server has one database, which all users of this browser share. */
  readonly #name: string;
  readonly #options: OfflineOptions;
  #opened: Promise<IDBDatabase> | undefined;
  /** Set for good when the state was deleted, by this tab or by another one. */
  #isCleared = false;
  /** The latest event of the record that this tab has read or written last. */
  #known: string | undefined;
  /** Conversations in the order in which they were last open. */
  readonly #recent = new Set<string>();

  constructor(url: string, options: OfflineOptions) {
    this.#name = `tidings state ${url}`;
    this.#options = options;
  }

  /** Loads the state; undefined if there is none of the user who is signed in. */
  async load(): Promise<SavedState | undefined> {
    const user = this.#options.user();
    if (user === undefined) return undefined;
    try {
      const record = await inTime(this.#read());
      if (!record) return undefined;
      if (record.user !== user || record.format !== FORMAT) {
        await inTime(this.#write((table) => table.delete(KEY)));
        return undefined;
      }
      return this.#parse(record);
    } catch {
      // Without IndexedDB, or with something unreadable in it, the page starts as at the first time.
      return undefined;
    }
  }

  #parse({ content, chats, latestEvent }: StoredRecord): SavedState {
    const { me, cursor, syncedAt, isArchiveLoaded, recent, more } = JSON.parse(content) as Content;
    const restored = new Map(chats.map((text) => restore(JSON.parse(text) as StoredChat)));
    this.#known = latestEvent;
    for (const id of recent) this.#recent.add(id);
    return {
      me,
      cursor,
      syncedAt,
      show: (store) => {
        this.#options.more?.show(more);
        store.batch(() => {
          store.set({ me, staleSince: new Date(syncedAt).toISOString(), isArchiveLoaded, isComplete: cursor !== undefined });
          store.saved = [restored, latestEvent];
        });
      },
      verify: (api, store, signal) => verify(me.id, api, store, signal),
    };
  }

  /** Saves the state from time to time, until the signal is aborted. */
  start(store: Store, sync: Position & { tabs: { isLeader: boolean } }, signal: AbortSignal): void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isSaving = false;
    /** The parts of the state that were saved last. Without a change of them, the earlier cursor is as good. */
    let saved: Partial<State> = {};
    const hasChanged = () => {
      const { me, byId, timelines, isComplete, isArchiveLoaded } = store.state;
      return !isEqual(saved, (saved = { me, byId, timelines, isComplete, isArchiveLoaded }));
    };
    const save = async (isLast: boolean) => {
      clearTimeout(timer);
      timer = undefined;
      if (signal.aborted || !sync.tabs.isLeader || !(isLast || (!isSaving && hasChanged()))) return;
      const record = this.#describe(store, sync);
      if (!record) return;
      isSaving = true;
      // If the quota is used up, or the browser fails, the earlier state stays.
      await this.#save(record, isLast).catch(() => {});
      isSaving = false;
    };
    const onChange = () => {
      for (const id of store.open.keys()) {
        this.#recent.delete(id);
        this.#recent.add(id);
      }
      timer ??= setTimeout(() => void save(false), DELAY);
    };
    const stop = store.subscribe(onChange);
    const onHidden = () => document.visibilityState === "hidden" && void save(true);
    if (typeof document !== "undefined") document.addEventListener("visibilitychange", onHidden, { signal });
    if (typeof addEventListener !== "undefined") addEventListener("pagehide", () => void save(true), { signal });
    signal.addEventListener("abort", () => {
      stop();
      clearTimeout(timer);
    });
  }

  /** Deletes the state. Nothing is saved afterwards. */
  async clear(): Promise<void> {
    // The database may hold the next user's state by now.
    if (this.#isCleared) return;
    this.#isCleared = true;
    try {
      // First the content, because the deletion has to wait for other tabs.
      const database = await inTime(this.#opened ?? this.#open());
      await inTime(finished(database.transaction(TABLE, "readwrite").objectStore(TABLE).clear()));
      database.close();
    } catch {
      // There is no IndexedDB, or another tab has deleted the database already.
    }
    if (typeof indexedDB !== "undefined") await inTime(finished(indexedDB.deleteDatabase(this.#name))).catch(() => {});
  }

  // Storage

  async #open(): Promise<IDBDatabase> {
    const request = indexedDB.open(this.#name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(TABLE);
    await finished(request);
    const database = request.result;
    // Another tab deletes the database: this tab must not write any more.
    database.onversionchange = ({ newVersion }) => {
      this.#isCleared ||= newVersion === null;
      database.close();
    };
    // Browsers close the database if the user clears the site's data.
    database.onclose = () => (this.#opened = undefined);
    return database;
  }

  async #database(): Promise<IDBDatabase> {
    if (this.#isCleared) throw new Error("The state was deleted.");
    return (this.#opened ??= this.#open());
  }

  async #read(): Promise<StoredRecord | undefined> {
    const request = (await this.#database()).transaction(TABLE).objectStore(TABLE).get(KEY);
    await finished(request);
    return request.result as StoredRecord | undefined;
  }

  async #write(change: (table: IDBObjectStore) => void): Promise<void> {
    const transaction = (await this.#database()).transaction(TABLE, "readwrite");
    change(transaction.objectStore(TABLE));
    await finished(transaction);
  }

  /** With `isLast`, the page may be about to close, so that there is no time to read what is stored. */
  async #save(record: StoredRecord, isLast: boolean): Promise<void> {
    await this.#database();
    // The user may have signed out in any tab, and a database that was deleted may just have been created again.
    if (this.#options.user() !== record.user) return this.clear();
    await this.#write((table) => {
      const put = () => {
        this.#known = record.latestEvent;
        table.put(record, KEY);
      };
      if (isLast) return put();
      const request = table.get(KEY) as IDBRequest<StoredRecord | undefined>;
      request.onsuccess = () => {
        const stored = request.result;
        // Another tab, which is further ahead, has written it.
        const isBehind = stored?.user === record.user && stored.latestEvent > record.latestEvent;
        if (!isBehind || stored.latestEvent === this.#known) put();
      };
    });
  }

  // Content

  /** Describes the state; undefined while it is not known to be the state up to a cursor. */
  #describe(store: Store, { cursor, syncedAt }: Position): StoredRecord | undefined {
    const { me, isComplete, isArchiveLoaded, conversations, archived } = store.state;
    if (!me || cursor === undefined || syncedAt === 0) return undefined;
    const [all, latestEvent] = store.saved;
    const recent = [...this.#recent].filter((id) => all.has(id)).slice(-MAX_CONVERSATIONS);
    const rows = [...conversations, ...archived].map(({ conversation_id }) => conversation_id);
    let left = MAX_SIZE;
    const chats: string[] = [];
    const add = (chat: Chat, isRecent: boolean): boolean => {
      const text = JSON.stringify(describeChat(chat, isRecent));
      if (text.length > left) return false;
      left -= text.length;
      chats.push(text);
      return true;
    };
    let isEverything = true;
    for (const id of new Set([...recent.toReversed(), ...rows, ...all.keys()])) {
      const chat = all.get(id);
      if (!chat) continue;
      const isStored = (recent.includes(id) && add(chat, true)) || add(chat, false);
      isEverything &&= isStored;
    }
    const content: Content = {
      me,
      cursor: isComplete && isEverything ? cursor : undefined,
      syncedAt,
      isArchiveLoaded: isArchiveLoaded && isEverything,
      recent,
      more: this.#options.more?.get(),
    };
    return { format: FORMAT, user: me.id, latestEvent, content: JSON.stringify(content), chats };
  }
}

/** Copies a conversation without the messages that are not stored. */
function reduced(chat: Chat, isRecent: boolean): Chat {
  const { window, received } = chat;
  const limit = isRecent ? MAX_MESSAGES : MAX_OTHER_MESSAGES;
  const copy = new Chat(chat.id);
  for (const { asOf, message } of received) copy.merge(asOf, message);
  copy.saved = structuredClone(chat.saved);
  copy.trim(limit, limit);
  if (!isRecent) copy.window = null;
  else if (received.length > limit) copy.window = newest(window, copy.received[0]?.id ?? "");
  return copy;
}

/** The part of a window from a message on, if it reaches to the newest one. */
function newest(window: Window | null, from: string): Window | null {
  return window?.to === null ? { from: max(window.from, from), to: null } : null;
}

function describeChat(chat: Chat, isRecent: boolean): StoredChat {
  const { id, saved, received } = reduced(chat, isRecent);
  return {
    id,
    fields: saved.map((field) => (field instanceof Map || field instanceof Set ? [...field] : field)),
    messages: received.map(({ asOf, message }) => ({ asOf, message })),
  };
}

function restore({ id, fields, messages }: StoredChat): [string, Chat] {
  const chat = new Chat(id);
  for (const { asOf, message } of messages) chat.merge(asOf, message);
  // The initial values tell which fields are maps and sets.
  chat.saved = chat.saved.map((initial, at) => {
    const field = fields[at];
    if (initial instanceof Map) return new Map(field as []);
    return initial instanceof Set ? new Set(field as []) : field;
  }) as SavedChat;
  return [id, chat];
}

async function verify(id: string, api: Api, store: Store, signal: AbortSignal): Promise<void> {
  const me = await api.me({ signal });
  if (me.id !== id) throw new TidingsError("The token is another user's.", { code: "not_authenticated", status: 401 });
  store.set({ me });
}
