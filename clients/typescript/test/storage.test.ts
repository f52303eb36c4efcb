// The outbox storages.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { IDBFactory } from "fake-indexeddb";
import { expect, test, vi } from "vitest";

import { indexedDbStorage } from "../src/index.js";
import type { OutboxEntry, OutboxStorage } from "../src/index.js";
import { fileStorage } from "../src/node.js";
import { SECOND, connected, model, pass, useFakes } from "./setup.js";

useFakes();

const entry = (name: string): OutboxEntry => ({
  id: name,
  seq: 1,
  draft: { conversation_id: "c", message_text: "text" },
  created_at: "2026-01-31T12:00:00.000Z",
  tried_at: null,
  then: null,
  message_id: null,
  failed: null,
});

/** Checks that updates are atomic and survive opening the storage again. */
async function checkStorage(open: () => OutboxStorage): Promise<void> {
  const storage = open();
  await storage.update("a", () => entry("a"));
  await Promise.all([
    storage.update("b", () => entry("b")),
    storage.update("a", (stored) => stored && { ...stored, seq: stored.seq + 1 }),
    storage.update("a", (stored) => stored && { ...stored, seq: stored.seq + 1 }),
  ]);
  await storage.update("b", () => undefined);
  expect(await open().all()).toEqual([{ ...entry("a"), seq: 3 }]);
  expect(await storage.update("nothing", (stored) => stored)).toBeUndefined();
}

test("IndexedDB keeps entries", async () => {
  vi.useRealTimers();
  const factory = new IDBFactory();
  await checkStorage(() => indexedDbStorage("outbox", factory));
});

test("a file keeps entries, even after a crash during a write", async () => {
  vi.useRealTimers();
  const folder = mkdtempSync(join(tmpdir(), "tidings-outbox-"));
  const path = join(folder, "outbox.json");
  writeFileSync(`${path}.new`, "[{ half an entry");
  await checkStorage(() => fileStorage(path));
  expect(JSON.parse(readFileSync(path, "utf8"))).toHaveLength(1);
  rmSync(folder, { recursive: true });
});

test("if IndexedDB is unusable, messages are sent from memory", async () => {
  const open = () => {
    throw new DOMException("Not in a private window.", "InvalidStateError");
  };
  vi.stubGlobal("indexedDB", { open });
  const { id } = model.direct("alice", "bob");
  const client = await connected({ socketUrl: null, storage: undefined });
  void client.send({ conversation_id: id, message_text: "hello" });
  await pass(SECOND);
  expect(model.messages(id, "alice").map(({ message_text }) => message_text)).toEqual(["hello"]);
});
