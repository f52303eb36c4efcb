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
   * it is stored. `files` are stored before a new entry, so that no entry is without its files, and removed after it.
   */
  update(
    id: string,
    change: (entry: OutboxEntry | undefined) => OutboxEntry | undefined,
    files?: readonly Blob[],
  ): Promise<OutboxEntry | undefined>;
  /** The files of an entry; undefined if they are not stored. A storage without this method stores no files. */
  files?(id: string): Promise<readonly Blob[] | undefined>;
  /** Removes all entries and whatever holds them. Called last. */
  clear(): Promise<void>;
}

/** Milliseconds within which IndexedDB has to answer. */
const TIMEOUT = 2_000;
/** Bytes that IndexedDB is expected to write per millisecond, at least. */
const BYTES_PER_MS = 2_000;
/** Maximum bytes of all files that are stored. */
const MAX_STORED_BYTES = 250_000_000;
/** Milliseconds after which files without an entry are removed: until then, the entry may be about to be stored. */
const ORPHAN_AGE = 3_600_000;

/** The files of an entry, and when they were stored. */
interface StoredFiles {
  files: readonly Blob[];
  at: number;
}

/** Stores the outbox in memory: it is lost when the process ends. */
export function memoryStorage(entries = new Map<string, OutboxEntry>()): OutboxStorage {
  const contents = new Map<string, readonly Blob[]>();
  return {
    isShared: false,
    all: async () => [...entries.values()],
    update: async (id, change, files) => {
      const entry = change(entries.get(id));
      if (entry) entries.set(id, entry);
      else entries.delete(id);
      if (entry && files) contents.set(id, files);
      if (!entry) contents.delete(id);
      return entry;
    },
    files: async (id) => contents.get(id),
    clear: async () => {
      entries.clear();
      contents.clear();
    },
  };
}

/** Stores the outbox in an IndexedDB database of the given name. */
export function indexedDbStorage(name: string, factory: IDBFactory = indexedDB): OutboxStorage {
  const TABLE = "outbox";
  const FILES = "files";
  let opened: Promise<IDBDatabase> | undefined;
  let isCleared = false;
  const open = async () => {
    if (isCleared) throw new Error("The storage was cleared.");
    const request = factory.open(name, 2);
    request.onupgradeneeded = ({ oldVersion }) => {
      // Version 1 had no files.
      if (oldVersion < 1) request.result.createObjectStore(TABLE, { keyPath: "id" });
      request.result.createObjectStore(FILES);
    };
    await finished(request);
    // Otherwise, a tab that deletes the database would have to wait until this tab ends.
    request.result.onversionchange = () => request.result.close();
    removeOrphans(request.result);
    return request.result;
  };
  /** Removes files whose entry was never stored, or removed without them, because the page was closed in between. */
  const removeOrphans = (database: IDBDatabase) => {
    const keys = database.transaction(TABLE).objectStore(TABLE).getAllKeys();
    keys.onsuccess = () => {
      const cursors = database.transaction(FILES, "readwrite").objectStore(FILES).openCursor();
      cursors.onsuccess = () => {
        const cursor = cursors.result;
        if (!cursor) return;
        const { at } = cursor.value as StoredFiles;
        if (!keys.result.includes(cursor.key) && Math.abs(Date.now() - at) > ORPHAN_AGE) cursor.delete();
        cursor.continue();
      };
    };
  };
  // Of one table only: while large files are written, entries can be read and changed.
  const begin = async (mode: IDBTransactionMode, table: string): Promise<IDBTransaction> => {
    // The message has to be on disk before it counts as stored.
    const start = async () => (await (opened ??= open())).transaction(table, mode, { durability: "strict" });
    // Browsers close the database if memory is low or the user clears the site's data, and do not always tell.
    return start().catch(() => {
      opened = undefined;
      return start();
    });
  };
  const read = async <T>(table: string, query: (table: IDBObjectStore) => IDBRequest<T>): Promise<T> => {
    const request = query((await begin("readonly", table)).objectStore(table));
    await finished(request);
    return request.result;
  };
  const write = async (table: string, change: (table: IDBObjectStore) => IDBRequest): Promise<void> => {
    const transaction = await begin("readwrite", table);
    change(transaction.objectStore(table));
    await finished(transaction);
  };
  return {
    isShared: true,
    all: () => read(TABLE, (table) => table.getAll() as IDBRequest<OutboxEntry[]>),
    update: async (id, change, files) => {
      if (files && files.length > 0) {
        const record: StoredFiles = { files, at: Date.now() };
        await write(FILES, (contents) => contents.put(record, id));
      }
      const transaction = await begin("readwrite", TABLE);
      const table = transaction.objectStore(TABLE);
      let entry: OutboxEntry | undefined;
      let hasFiles = files !== undefined;
      const request = table.get(id) as IDBRequest<OutboxEntry | undefined>;
      request.onsuccess = () => {
        entry = change(request.result);
        hasFiles ||= request.result?.files !== undefined;
        if (entry) table.put(entry);
        else table.delete(id);
      };
      await finished(transaction);
      if (!entry && hasFiles) await write(FILES, (contents) => contents.delete(id));
      return entry;
    },
    files: async (id) => (await read(FILES, (contents) => contents.get(id) as IDBRequest<StoredFiles | undefined>))?.files,
    clear: async () => {
      isCleared = true;
      opened?.then((database) => database.close()).catch(() => {});
      opened = undefined;
      await finished(factory.deleteDatabase(name));
    },
  };
}

/** Resolves when a request or transaction has succeeded. */
export function finished(work: IDBRequest | IDBTransaction): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = () => reject(work.error);
    Object.assign(work, { onsuccess: resolve, oncomplete: resolve, onerror: fail, onabort: fail });
  });
}

/**
 * IndexedDB with a copy in memory. As soon as IndexedDB is missing, fails or does not answer, memory takes over, so
 * that messages are sent nevertheless. Changes are still written to IndexedDB, in case it recovers. A message whose
 * files do not fit is in memory alone: only this tab knows it, and sends it.
 */
export function defaultStorage(name: string): OutboxStorage {
  if (typeof indexedDB === "undefined") return memoryStorage();
  const stored = indexedDbStorage(name);
  const copies = new Map<string, OutboxEntry>();
  const memory = memoryStorage(copies);
  const unkeptEntries = new Map<string, OutboxEntry>();
  const unkept = memoryStorage(unkeptEntries);
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
  const addWithFiles: OutboxStorage["update"] = async (id, change, files = []) => {
    const size = files.reduce((sum, file) => sum + file.size, 0);
    const before = [...copies.values()].flatMap((entry) => entry.files ?? []).reduce((sum, file) => sum + file.size, 0);
    if (!isBroken && before + size <= MAX_STORED_BYTES) {
      try {
        const entry = await inTime(stored.update(id, change, files), TIMEOUT + size / BYTES_PER_MS);
        await memory.update(id, () => entry);
        return entry;
      } catch {
        // It may have been stored after all, only too late.
        stored.update(id, () => undefined, []).catch(() => {});
      }
    }
    const changeUnkept = (entry: OutboxEntry | undefined) => {
      const changed = change(entry);
      return changed && { ...changed, is_kept: false };
    };
    return unkept.update(id, changeUnkept, files);
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
      return entries.filter(({ id }) => !unkeptEntries.has(id)).concat(await unkept.all());
    },
    update: async (id, change, files) => {
      if (files) return addWithFiles(id, change, files);
      if (unkeptEntries.has(id)) return unkept.update(id, change);
      const entry = await run((storage) => storage.update(id, change));
      await memory.update(id, () => entry);
      if (isBroken) stored.update(id, () => entry).catch(() => {});
      return entry;
    },
    files: async (id) => (await unkept.files?.(id)) ?? inTime(stored.files?.(id) ?? Promise.resolve(undefined)),
    clear: async () => {
      copies.clear();
      await unkept.clear();
      await inTime(stored.clear());
    },
  };
}

/** Rejects if the storage does not answer in time. */
export function inTime<T>(work: Promise<T>, ms = TIMEOUT): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("The storage does not answer.")), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
