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
}

/** Stores the outbox in memory: it is lost when the process ends. */
export function memoryStorage(): OutboxStorage {
  const entries = new Map<string, OutboxEntry>();
  return {
    isShared: false,
    all: async () => [...entries.values()],
    update: async (id, change) => {
      const entry = change(entries.get(id));
      if (entry) entries.set(id, entry);
      else entries.delete(id);
      return entry;
    },
  };
}

/** Stores the outbox in an IndexedDB database of the given name. */
export function indexedDbStorage(name: string, factory: IDBFactory = indexedDB): OutboxStorage {
  const TABLE = "outbox";
  let opened: Promise<IDBDatabase> | undefined;
  const open = () => {
    opened ??= new Promise<IDBDatabase>((resolve, reject) => {
      const request = factory.open(name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(TABLE, { keyPath: "id" });
      request.onsuccess = () => {
        // Browsers close the database if memory is low or the user clears the site's data.
        request.result.onclose = () => (opened = undefined);
        request.result.onversionchange = () => request.result.close();
        resolve(request.result);
      };
      request.onerror = () => reject(request.error);
    }).catch((error) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
  return {
    isShared: true,
    all: async () => {
      const request = (await open()).transaction(TABLE).objectStore(TABLE).getAll();
      return new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result as OutboxEntry[]);
        request.onerror = () => reject(request.error);
      });
    },
    update: async (id, change) => {
      // The message has to be on disk before it counts as stored.
      const transaction = (await open()).transaction(TABLE, "readwrite", { durability: "strict" });
      const table = transaction.objectStore(TABLE);
      return new Promise((resolve, reject) => {
        let entry: OutboxEntry | undefined;
        const request = table.get(id);
        request.onsuccess = () => {
          entry = change(request.result as OutboxEntry | undefined);
          if (entry) table.put(entry);
          else table.delete(id);
        };
        transaction.oncomplete = () => resolve(entry);
        transaction.onabort = () => reject(transaction.error);
        transaction.onerror = () => reject(transaction.error);
      });
    },
  };
}

/** IndexedDB, or memory if IndexedDB is missing or unusable, as in some private windows. */
export async function defaultStorage(name: string): Promise<OutboxStorage> {
  if (typeof indexedDB === "undefined") return memoryStorage();
  const storage = indexedDbStorage(name);
  try {
    await storage.all();
    return storage;
  } catch {
    return memoryStorage();
  }
}
