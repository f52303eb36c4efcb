// Outbox storage for Node: a JSON file.

import { open, readFile, rename, rm } from "node:fs/promises";

import type { OutboxEntry } from "./outbox-entry.js";
import type { OutboxStorage } from "./storage.js";

/**
 * Stores the outbox in a file. Only one process may use it at a time. Writes are synced to disk and replace the file
 * atomically, so a crash leaves the previous version intact.
 */
export function fileStorage(path: string): OutboxStorage {
  let last: Promise<unknown> = Promise.resolve();
  const read = async (): Promise<Map<string, OutboxEntry>> => {
    try {
      const entries = JSON.parse(await readFile(path, "utf8")) as OutboxEntry[];
      return new Map(entries.map((entry) => [entry.id, entry]));
    } catch (error) {
      if ((error as { code?: string }).code === "ENOENT") return new Map();
      throw error;
    }
  };
  const write = async (entries: Map<string, OutboxEntry>) => {
    const file = await open(`${path}.new`, "w");
    try {
      await file.writeFile(JSON.stringify([...entries.values()]));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(`${path}.new`, path);
  };
  // Runs one operation at a time, even if the previous one failed.
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = last.then(work, work);
    last = done.catch(() => {});
    return done;
  };
  return {
    isShared: false,
    all: () => inTurn(async () => [...(await read()).values()]),
    update: (id, change) =>
      inTurn(async () => {
        const entries = await read();
        const entry = change(entries.get(id));
        if (entry) entries.set(id, entry);
        else entries.delete(id);
        await write(entries);
        return entry;
      }),
    clear: () => inTurn(() => rm(path, { force: true })),
  };
}
