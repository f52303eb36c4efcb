// The state that is kept for the next visit.

import { IDBFactory } from "fake-indexeddb";
import { beforeEach, expect, test, vi } from "vitest";

import type { Tidings, TidingsOptions } from "../src/index.js";
import { MINUTE, SECOND, alice, connected, model, pass, texts, useFakes, wire } from "./setup.js";

useFakes();
beforeEach(() => vi.stubGlobal("indexedDB", new IDBFactory()));

const DAY = 24 * 60 * MINUTE;
const kept: Partial<TidingsOptions> = { offline: { user: () => "alice" } };

/** Connects, opens the conversation with bob, and waits until the state is stored. */
async function visit(more = kept): Promise<{ client: Tidings; id: string }> {
  const { id } = model.direct("alice", "bob");
  model.send("bob", id, "one");
  model.send("bob", id, "two");
  const client = await connected(more);
  client.open(id);
  await pass(10 * SECOND);
  expect(texts(client, id)).toEqual(["one", "two"]);
  return { client, id };
}

/** Ends a visit without a chance to save, and starts the next one without waiting for the server. */
async function revisit(before: Tidings, more = kept): Promise<Tidings> {
  before.disconnect();
  const client = alice(more);
  client.connect().catch(() => {});
  await pass(100);
  return client;
}

const names = async () => (await indexedDB.databases()).map(({ name }) => name);

/** Changes the stored record. */
async function tamper(change: (record: Record<string, unknown>) => void): Promise<void> {
  const opening = indexedDB.open("tidings state http://x");
  await pass(10);
  const table = opening.result.transaction("state", "readwrite").objectStore("state");
  const reading = table.get("last") as IDBRequest<Record<string, unknown>>;
  reading.onsuccess = () => {
    change(reading.result);
    table.put(reading.result, "last");
  };
  await pass(10);
  opening.result.close();
}

test("without a network, the last state is shown, with its time", async () => {
  const { client: before, id } = await visit();
  const saved = before.store.state;
  wire.isOffline = true;
  const client = await revisit(before);
  await pass(SECOND);
  const { state } = client.store;
  expect(texts(client, id)).toEqual(["one", "two"]);
  expect(state.conversations).toEqual(saved.conversations);
  expect(state.unread).toBe(2);
  expect(state.me?.id).toBe("alice");
  expect(state.connection).toBe("offline");
  expect(Date.now() - Date.parse(state.staleSince ?? "")).toBeLessThan(MINUTE);
});

test("back online, the state is exact: new, edited, deleted and read messages, each count as of now", async () => {
  const { client: before, id } = await visit();
  const [one, two] = model.messages(id, "alice");
  wire.isOffline = true;
  const client = await revisit(before);
  const shown: number[] = [];
  client.store.subscribe((state) => state.unread, (unread) => shown.push(unread));
  model.delete("bob", one?.id ?? "");
  model.edit("bob", two?.id ?? "", "two, edited");
  model.send("bob", id, "three");
  model.read("alice", two?.id ?? "");
  wire.isOffline = false;
  await pass(MINUTE);
  expect(texts(client, id)).toEqual(model.messages(id, "alice").map((message) => message.message_text));
  expect(client.store.state.conversations).toEqual(model.inbox("alice"));
  expect(client.store.state.staleSince).toBeNull();
  // From two to one, without another count in between.
  expect(shown).toEqual([1]);
});

test("a restart that continues from the stored cursor loads neither the inbox nor the messages again", async () => {
  const { client: before, id } = await visit();
  const inbox = wire.count(/inbox/);
  const pages = wire.count(/\/messages$/);
  const client = await revisit(before);
  model.send("bob", id, "three");
  client.open(id);
  await pass(10 * SECOND);
  expect(texts(client, id)).toEqual(["one", "two", "three"]);
  expect([wire.count(/inbox/), wire.count(/\/messages$/)]).toEqual([inbox, pages]);
});

test("a cursor that is too old leads to a full load, and the old state is shown until then", async () => {
  const { client: before, id } = await visit();
  const gone = model.group("gone", ["alice", "bob"]);
  await pass(10 * SECOND);
  before.disconnect();
  vi.setSystemTime(Date.now() + 30 * DAY);
  model.generation += 1;
  model.deleteConversation("alice", gone.id);
  model.send("bob", id, "three");
  wire.isOffline = true;
  const client = await revisit(before);
  expect(client.store.state.byId.has(gone.id)).toBe(true);
  wire.isOffline = false;
  client.open(id);
  await pass(MINUTE);
  expect(client.store.state.byId.has(gone.id)).toBe(false);
  expect(texts(client, id)).toEqual(["one", "two", "three"]);
  expect(client.store.state.conversations).toEqual(model.inbox("alice"));
});

test("another user's state, an unknown version and an unreadable record are not shown", async () => {
  const { client: before } = await visit();
  wire.isOffline = true;
  const changes: ((record: Record<string, unknown>) => void)[] = [
    (record) => (record["format"] = 999),
    (record) => Object.assign(record, { format: 1, content: "{" }),
    (record) => (record["user"] = "bob"),
  ];
  let client = before;
  for (const change of changes) {
    client.disconnect();
    wire.isOffline = false;
    client = await revisit(client);
    await pass(10 * SECOND);
    model.send("bob", "direct-alice-bob", "again");
    await pass(10 * SECOND);
    await tamper(change);
    wire.isOffline = true;
    client = await revisit(client);
    expect(client.store.state.me).toBeNull();
  }
});

test("signing out deletes the state, and a tab with a pending write does not bring it back", async () => {
  const { client, id } = await visit();
  const other = await connected(kept);
  await pass(10 * SECOND);
  expect(await names()).toContain("tidings state http://x");
  model.send("bob", id, "three");
  await pass(SECOND);
  const forgotten = client.forget();
  await pass(5 * SECOND);
  await forgotten;
  expect(await names()).not.toContain("tidings state http://x");
  // The other tab goes on for a while.
  model.send("bob", id, "four");
  await pass(MINUTE);
  expect(other.store.state.connection).not.toBe("idle");
  expect(await names()).not.toContain("tidings state http://x");
});

test("a tab that notices a sign-out late leaves the next user's state alone", async () => {
  const { client } = await visit();
  const other = await connected(kept);
  const forgotten = client.forget();
  await pass(5 * SECOND);
  await forgotten;
  const bob = alice({ token: () => "bob", offline: { user: () => "bob" } });
  bob.connect().catch(() => {});
  await pass(10 * SECOND);
  expect(await names()).toContain("tidings state http://x");
  const late = other.forget();
  await pass(5 * SECOND);
  await late;
  const next = await revisit(bob, { token: () => "bob", offline: { user: () => "bob" } });
  expect(next.store.state.me?.id).toBe("bob");
  wire.isOffline = true;
  const offline = await revisit(next, { token: () => "bob", offline: { user: () => "bob" } });
  expect(offline.store.state.unread).toBe(0);
  expect(offline.store.state.byId.size).toBe(1);
});

test("a tab that has not opened the database does not write for a user who has signed out", async () => {
  let user: string | undefined = "alice";
  const { client, id } = await visit({ offline: { user: () => user } });
  user = undefined;
  model.send("bob", id, "three");
  await pass(10 * SECOND);
  expect(await names()).not.toContain("tidings state http://x");
  expect(texts(client, id)).toEqual(["one", "two", "three"]);
});

test("if the session has ended meanwhile, the state is deleted", async () => {
  const { client: before } = await visit();
  wire.isOffline = true;
  const client = await revisit(before);
  wire.isOffline = false;
  wire.refusals.push(...Array.from({ length: 4 }, () => ({ path: /users\/me/, status: 401 })));
  await pass(MINUTE);
  expect(client.store.state.connection).toBe("signed_out");
  expect(await names()).not.toContain("tidings state http://x");
});

test("a token of another user ends the session before anything is loaded", async () => {
  const { client: before } = await visit();
  const client = await revisit(before, { ...kept, token: () => "bob" });
  await pass(10 * SECOND);
  expect(client.store.state.connection).toBe("signed_out");
  expect(await names()).not.toContain("tidings state http://x");
});

test("a message that was written offline is sent once after another offline start", async () => {
  const { client: before, id } = await visit();
  const { memoryStorage } = await import("../src/index.js");
  const storage = memoryStorage();
  const withOutbox = { ...kept, storage: () => storage };
  wire.isOffline = true;
  const first = await revisit(before, withOutbox);
  first.send({ conversation_id: id, message_text: "offline" }).catch(() => {});
  await pass(SECOND);
  const second = await revisit(first, withOutbox);
  second.open(id);
  expect(texts(second, id)).toEqual(["one", "two", "offline"]);
  wire.isOffline = false;
  await pass(MINUTE);
  expect(texts(second, id)).toEqual(["one", "two", "offline"]);
  expect(model.messages(id, "bob").filter(({ message_text }) => message_text === "offline")).toHaveLength(1);
  expect(second.store.state.outbox).toEqual([]);
});

test("without IndexedDB, or with a full one, the chat works", async () => {
  vi.stubGlobal("indexedDB", undefined);
  const { client } = await visit();
  await client.forget();
  vi.stubGlobal("indexedDB", { open: () => { throw new DOMException("full", "QuotaExceededError"); } });
  const other = await connected(kept);
  await pass(10 * SECOND);
  expect(other.store.state.connection).toBe("live");
  expect(other.store.state.conversations).toEqual(model.inbox("alice"));
});

test("few messages are stored of a long history, and more are loaded from where they end", async () => {
  const { id } = model.direct("alice", "bob");
  for (let n = 0; n < 300; n += 1) model.send("bob", id, `n${n}`);
  const before = await connected(kept);
  before.open(id);
  await pass(SECOND);
  for (let n = 0; n < 3; n += 1) await Promise.all([before.loadOlder(id), pass(SECOND)]);
  await pass(10 * SECOND);
  expect(texts(before, id)).toHaveLength(200);
  const client = await revisit(before);
  client.open(id);
  await pass(SECOND);
  expect(texts(client, id)).toEqual(Array.from({ length: 50 }, (_, n) => `n${250 + n}`));
  await Promise.all([client.loadOlder(id), pass(SECOND)]);
  expect(texts(client, id)?.[0]).toBe("n200");
  expect(client.store.state.unread).toBe(300);
});
