// Storage for the outbox, so that unsent messages survive a reload.

import type { OutboxEntry } from "./outbox-entry.js";

/** Stores the outbox of one user. */
export interface OutboxStorage {
  /** Whether other tabs use the same entries. */
  readonly isShared: boolean;
  /** All entries, in no particular order. */
  all(): Promise<OutboxEntry[]>;
  /**
   * Atomically replaces an entry by the result of `change`; undefined means no entry. Resolves with the new entry once
   * it is stored.
   */
  update(
    id: string,
    change: (entry: OutboxEntry | undefined) => OutboxEntry | undefined,
  ): Promise<OutboxEntry | undefined>;
  /** Removes all entries and whatever holds them. Called last. */
  clear(): Promise<void>;
}

/** Milliseconds within which IndexedDB has to answer. */
const TIMEOUT = 2_000;

/** Stores the outbox in memory: it is lost when the process ends. */
export function memoryStorage(entries = new Map<string, OutboxEntry>()): OutboxStorage {
  return {
    isShared: false,
    all: async () => [...entries.values()],
    update: async (id, change) => {
      const entry = change(entries.get(id));
      if (entry) entries.set(id, entry);
      else entries.delete(id);
      return entry;
    },
    clear: async () => entries.clear(),
  };
}

/** Stores the outbox in an IndexedDB database of the given name. */
export function indexedDbStorage(name: string, factory: IDBFactory = indexedDB): OutboxStorage {
  const TABLE = "outbox";
  let opened: Promise<IDBDatabase> | undefined;
  let isCleared = false;
  const open = async () => {
    if (isCleared) throw new Error("The storage was cleared.");
    const request = factory.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(TABLE, { keyPath: "id" });
    await finished(request);
    // Otherwise, a tab that deletes the database would have to wait until this tab ends.
    request.result.onversionchange = () => request.result.close();
    return request.result;
  };
  const begin = async (mode: IDBTransactionMode): Promise<IDBTransaction> => {
    // The message has to be on disk before it counts as stored.
    const start = async () => (await (opened ??= open())).transaction(TABLE, mode, { durability: "strict" });
    // Browsers close the database if memory is low or the user clears the site's data, and do not always tell.
    return start().catch(() => {
      opened = undefined;
      return start();
    });
  };
  return {
    isShared: true,
    all: async () => {
      const request = (await begin("readonly")).objectStore(TABLE).getAll() as IDBRequest<OutboxEntry[]>;
      await finished(request);
      return request.result;
    },
    update: async (id, change) => {
      const transaction = await begin("readwrite");
      const table = transaction.objectStore(TABLE);
      let entry: OutboxEntry | undefined;
      const request = table.get(id) as IDBRequest<OutboxEntry | undefined>;
      request.onsuccess = () => {
        entry = change(request.result);
        if (entry) table.put(entry);
        else table.delete(id);
      };
      await finished(transaction);
      return entry;
    },
    clear: async () => {
      isCleared = true;
      opened?.then((database) => database.close()).catch(() => {});
      opened = undefined;
      await finished(factory.deleteDatabase(name));
    },
  };
}

/** Resolves when a request or transaction has succeeded. */
function finished(work: IDBRequest | IDBTransaction): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = () => reject(work.error);
    Object.assign(work, { onsuccess: resolve, oncomplete: resolve, onerror: fail, onabort: fail });
  });
}

/**
 * IndexedDB with a copy in memory. As soon as IndexedDB is missing, fails or does not answer, memory takes over, so
 * that messages are sent nevertheless. Changes are still written to IndexedDB, in case it recovers.
 */
export function defaultStorage(name: string): OutboxStorage {
  if (typeof indexedDB === "undefined") return memoryStorage();
  const stored = indexedDbStorage(name);
  const copies = new Map<string, OutboxEntry>();
  const memory = memoryStorage(copies);
  let isBroken = false;
  const run = async <T>(operation: (storage: OutboxStorage) => Promise<T>): Promise<T> => {
    if (!isBroken) {
      try {
        return await inTime(operation(stored));
      } catch {
        isBroken = true;
      }
    }
    return operation(memory);
  };
  return {
    get isShared() {
      return !isBroken;
    },
    all: async () => {
      const entries = await run((storage) => storage.all());
      if (!isBroken) {
        copies.clear();
        for (const entry of entries) copies.set(entry.id, entry);
      }
      return entries;
    },
    update: async (id, change) => {
      const entry = await run((storage) => storage.update(id, change));
      await memory.update(id, () => entry);
      if (isBroken) stored.update(id, () => entry).catch(() => {});
      return entry;
    },
    clear: async () => {
      copies.clear();
      await inTime(stored.clear());
    },
  };
}

function inTime<T>(work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("The storage does not answer.")), TIMEOUT);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
