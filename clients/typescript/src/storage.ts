// Where messages on their way are kept, so that they survive a reload.

import type { OutboxEntry } from "./outbox-entry.js";

/** Keeps the entries of one user. */
export interface OutboxStorage {
  /** Whether other tabs see the same entries. */
  readonly isShared: boolean;
  /** All entries, in no particular order. */
  all(): Promise<OutboxEntry[]>;
  /**
   * Replaces an entry by what `change` makes of it, in one step that nothing comes between; undefined is no entry. The
   * answer is what is there then, once it is kept.
   */
  update(
    id: string,
    change: (entry: OutboxEntry | undefined) => OutboxEntry | undefined,
  ): Promise<OutboxEntry | undefined>;
}

/** In memory: for as long as the process lives. */
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

/** In the browser's IndexedDB, in a database of the given name. */
export function indexedDbStorage(name: string, factory: IDBFactory = indexedDB): OutboxStorage {
  const TABLE = "outbox";
  let opened: Promise<IDBDatabase> | undefined;
  const open = () => {
    opened ??= new Promise<IDBDatabase>((resolve, reject) => {
      const request = factory.open(name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(TABLE, { keyPath: "id" });
      request.onsuccess = () => {
        // Browsers close it when they are short of memory, or when the user clears the data.
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
      // What is typed has to be on disk before it counts as kept.
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

/** IndexedDB; memory where there is none, or none that can be used, as in some private windows. */
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
