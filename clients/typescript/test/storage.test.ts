// The outbox storages.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { IDBDatabase, IDBFactory, IDBObjectStore } from "fake-indexeddb";
import { expect, test, vi } from "vitest";

import { indexedDbStorage } from "../src/index.js";
import type { OutboxEntry, OutboxStorage, Tidings } from "../src/index.js";
import { fileStorage } from "../src/node.js";
import { SECOND, alice, model, pass, useFakes, wire } from "./setup.js";

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
  const other = open();
  expect(await other.all()).toEqual([{ ...entry("a"), seq: 3 }]);
  expect(await storage.update("nothing", (stored) => stored)).toBeUndefined();
  await storage.clear();
  expect(await open().all()).toEqual([]);
}

test("IndexedDB keeps entries", async () => {
  vi.useRealTimers();
  const factory = new IDBFactory();
  await checkStorage(() => indexedDbStorage("outbox", factory));
});

test("IndexedDB keeps the entries of a version that had no files", async () => {
  vi.useRealTimers();
  const factory = new IDBFactory();
  const request = factory.open("outbox", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("outbox", { keyPath: "id" }).put(entry("a"));
  await new Promise((resolve) => (request.onsuccess = resolve));
  request.result.close();
  const storage = indexedDbStorage("outbox", factory);
  expect(await storage.all()).toEqual([entry("a")]);
  await storage.update("b", () => entry("b"), [new Blob(["content"])]);
  expect(await (await storage.files?.("b"))?.[0]?.text()).toBe("content");
});

test("entries can be changed while large files are written", async () => {
  vi.useRealTimers();
  const storage = indexedDbStorage("outbox", new IDBFactory());
  await storage.all();
  const { put } = IDBObjectStore.prototype;
  let isWritten = false;
  let write = () => {};
  // As with files that take long to write: the transaction stays open until they are.
  IDBObjectStore.prototype.put = function (value, key) {
    if (key === undefined) return put.call(this, value);
    const keepOpen = () => {
      const request = this.get("");
      request.onsuccess = () => (isWritten ? undefined : keepOpen());
    };
    keepOpen();
    write = () => (isWritten = true);
    return put.call(this, value, key);
  };
  try {
    const stored = storage.update("large", () => entry("large"), [new Blob(["large"])]);
    expect(await storage.update("a", () => entry("a"))).toEqual(entry("a"));
    expect(await storage.all()).toEqual([entry("a")]);
    write();
    await stored;
    expect((await storage.all()).map(({ id }) => id)).toEqual(["a", "large"]);
  } finally {
    IDBObjectStore.prototype.put = put;
  }
});

test("files without an entry are removed after a while", async () => {
  vi.useFakeTimers({ now: new Date("2026-01-31T12:00:00Z"), toFake: ["Date"] });
  const factory = new IDBFactory();
  const files = [new Blob(["content"])];
  const storage = indexedDbStorage("outbox", factory);
  await storage.update("kept", () => ({ ...entry("kept"), files: [] }), files);
  const put = async (id: string) => {
    const request = factory.open("outbox", 2);
    await new Promise((resolve) => (request.onsuccess = resolve));
    const transaction = request.result.transaction("files", "readwrite");
    transaction.objectStore("files").put({ files, at: Date.now() }, id);
    await new Promise((resolve) => (transaction.oncomplete = resolve));
    request.result.close();
  };
  await put("orphan");
  expect(await indexedDbStorage("outbox", factory).files?.("orphan")).toHaveLength(1);
  vi.setSystemTime(Date.now() + 2 * 3_600_000);
  const later = indexedDbStorage("outbox", factory);
  expect(await later.files?.("orphan")).toBeUndefined();
  expect(await later.files?.("kept")).toHaveLength(1);
});

test("a file keeps entries, even after a crash during a write", async () => {
  vi.useRealTimers();
  const folder = mkdtempSync(join(tmpdir(), "tidings-outbox-"));
  const path = join(folder, "outbox.json");
  writeFileSync(`${path}.new`, "[{ half an entry");
  await checkStorage(() => fileStorage(path));
  expect(existsSync(path)).toBe(false);
  rmSync(folder, { recursive: true });
});

/** Sends two messages, and returns those that the server has after a while. */
async function sendTwo(ms: number): Promise<{ delivered: string[]; client: Tidings }> {
  const { id } = model.direct("alice", "bob");
  const client = alice({ socketUrl: null, storage: undefined });
  let isConnected = false;
  void client.connect().then(() => (isConnected = true));
  await pass(3 * SECOND);
  expect(isConnected).toBe(true);
  void client.send({ conversation_id: id, message_text: "one" });
  void client.send({ conversation_id: id, message_text: "two" });
  await pass(ms);
  return { delivered: model.messages(id, "alice").map(({ message_text }) => message_text), client };
}

test("if IndexedDB throws, messages are sent from memory", async () => {
  const open = () => {
    throw new DOMException("Not in a private window.", "InvalidStateError");
  };
  vi.stubGlobal("indexedDB", { open });
  expect((await sendTwo(SECOND)).delivered).toEqual(["one", "two"]);
});

test("if IndexedDB never answers, messages are sent from memory", async () => {
  vi.stubGlobal("indexedDB", { open: () => ({}) });
  expect((await sendTwo(SECOND)).delivered).toEqual(["one", "two"]);
});

test("if IndexedDB stops answering, messages are sent from memory, and those it has are not lost", async () => {
  vi.useFakeTimers({ now: new Date("2026-01-31T12:00:00Z"), toFake: ["setTimeout", "clearTimeout", "Date"] });
  const factory = new IDBFactory();
  vi.stubGlobal("indexedDB", factory);
  const { id } = model.direct("alice", "bob");
  const client = alice({ socketUrl: null, storage: undefined });
  /** Lets time pass, on the fake clock and in the database. */
  const passBoth = async (ms: number) => {
    for (let n = 0; n < 50; n += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      await pass(ms / 50);
    }
  };
  const send = (text: string) => client.send({ conversation_id: id, message_text: text }).catch(() => {});
  void client.connect();
  await passBoth(SECOND);
  wire.isOffline = true;
  void send("before");
  await passBoth(SECOND);
  const { transaction } = IDBDatabase.prototype;
  IDBDatabase.prototype.transaction = () => ({ objectStore: () => ({ get: () => ({}), getAll: () => ({}) }) }) as never;
  try {
    void send("after");
    await passBoth(3 * SECOND);
    expect(client.store.state.outbox.map(({ draft }) => draft.message_text)).toEqual(["before", "after"]);
    wire.isOffline = false;
    await passBoth(60 * SECOND);
    expect(model.messages(id, "alice").map(({ message_text }) => message_text)).toEqual(["before", "after"]);
  } finally {
    IDBDatabase.prototype.transaction = transaction;
  }
});

test("a connection that the browser closes is opened again", async () => {
  vi.useRealTimers();
  const factory = new IDBFactory();
  const storage = indexedDbStorage("outbox", factory);
  await storage.update("a", () => entry("a"));
  await new Promise((resolve) => (factory.deleteDatabase("outbox").onsuccess = resolve));
  expect(await storage.update("b", () => entry("b"))).toEqual(entry("b"));
  expect(await storage.all()).toEqual([entry("b")]);
});

test("forget deletes everything that is stored, and the state", async () => {
  vi.useRealTimers();
  const factory = new IDBFactory();
  vi.stubGlobal("indexedDB", factory);
  const { id } = model.direct("alice", "bob");
  const client = alice({ socketUrl: null, storage: undefined });
  await client.connect();
  wire.isOffline = true;
  const lost = client.send({ conversation_id: id, message_text: "unsent" });
  const rejected = expect(lost).rejects.toThrow("disconnected");
  await vi.waitFor(async () => expect(await indexedDbStorage("tidings http://x alice").all()).toHaveLength(1));
  await client.forget();
  await rejected;
  expect(await factory.databases()).toEqual([]);
  expect(client.store.state).toMatchObject({ me: null, conversations: [], outbox: [], connection: "idle" });
  wire.isOffline = false;
  await client.connect();
  expect([client.store.state.me?.id, client.store.state.outbox]).toEqual(["alice", []]);
});
