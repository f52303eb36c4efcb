// Messages on their way: nothing lost, nothing double, in order.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { IDBFactory } from "fake-indexeddb";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { Tidings, indexedDbStorage, memoryStorage } from "../src/index.js";
import type { OutboxEntry, OutboxStorage, TidingsOptions } from "../src/index.js";
import { fileStorage } from "../src/node.js";
import { Model } from "./model.js";
import { Browser, Wire } from "./wire.js";

const SECOND = 1_000;
const HOUR = 3_600_000;
const clients: Tidings[] = [];
let model: Model;
let wire: Wire;
let storage: OutboxStorage;
let id: string;

beforeEach(() => {
  vi.useFakeTimers({ now: new Date("2026-01-31T12:00:00Z") });
  model = new Model(["alice", "bob", "carol"]);
  wire = new Wire(model);
  storage = memoryStorage();
  id = model.direct("alice", "bob").id;
  model.send("bob", id, "hello");
});
afterEach(() => {
  for (const client of clients.splice(0)) client.disconnect();
  vi.useRealTimers();
});

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** A client of alice's; a second one is what she has after a reload. */
async function alice(more: Partial<TidingsOptions> = {}): Promise<Tidings> {
  const options = { url: "http://x", token: () => "alice", fetch: wire.fetch, socketUrl: null, tabs: {} };
  const client = new Tidings({ ...options, storage: () => storage, ...more });
  clients.push(client);
  void client.connect().catch(() => {});
  await pass(200);
  client.open(id);
  await pass(200);
  return client;
}

const shown = (client: Tidings) =>
  (client.store.state.timelines.get(id)?.messages ?? []).map(({ message_text, status }) => `${message_text}: ${status}`);
const there = () => (model.chats.get(id)?.messages ?? []).map(({ message_text }) => message_text);
const sends = () => wire.count(/POST .*\/send/);

test("a message shows at once, and keeps its key once it is sent", async () => {
  const client = await alice();
  const sent = client.send({ conversation_id: id, message_text: "one" });
  expect(shown(client)).toEqual(["hello: sent", "one: pending"]);
  const key = client.store.state.timelines.get(id)?.messages.at(-1)?.key;
  await pass(100);
  expect((await sent).message_text).toBe("one");
  expect(shown(client)).toEqual(["hello: sent", "one: sent"]);
  expect(client.store.state.timelines.get(id)?.messages.at(-1)?.key).toBe(key);
  await pass(5 * SECOND);
  expect(shown(client)).toEqual(["hello: sent", "one: sent"]);
});

test("a conversation's messages are sent one after the other, in order", async () => {
  const client = await alice();
  wire.faults = { ...wire.faults, latency: 300 };
  for (let n = 0; n < 20; n += 1) {
    if (n % 4 === 0) wire.refusals.push({ path: /send/, status: 503 });
    void client.send({ conversation_id: id, message_text: `m${n}` });
  }
  await pass(60 * SECOND);
  expect(there().slice(1)).toEqual(Array.from({ length: 20 }, (_, n) => `m${n}`));
});

test("one conversation does not wait for another", async () => {
  const client = await alice();
  const other = model.direct("alice", "carol").id;
  for (let n = 0; n < 3; n += 1) wire.refusals.push({ path: /send/, status: 503, headers: { "retry-after": "30" } });
  void client.send({ conversation_id: id, message_text: "slow" });
  await pass(20);
  wire.refusals.length = 0;
  void client.send({ conversation_id: other, message_text: "quick" });
  await pass(SECOND);
  expect(model.chats.get(other)?.messages.length).toBe(1);
  expect(there()).toEqual(["hello"]);
  await pass(31 * SECOND);
  expect(there()).toEqual(["hello", "slow"]);
});

test("a lost answer is not a second message", async () => {
  const client = await alice();
  const real = wire.fetch;
  let lost = 0;
  wire.fetch = async (input, init) => {
    const answer = await real(input, init);
    if (String(input).includes("/send") && lost++ < 3) throw new TypeError("reset");
    return answer;
  };
  clients.splice(0).forEach((one) => one.disconnect());
  const again = await alice();
  void again.send({ conversation_id: id, message_text: "once" });
  await pass(60 * SECOND);
  expect(there()).toEqual(["hello", "once"]);
  expect(again.store.state.outbox).toEqual([]);
  expect(client.store.state.outbox).toEqual([]);
});

test("the event of a message whose answer was lost says that it arrived", async () => {
  const client = await alice();
  wire.refusals.push({ path: /nothing/, status: 500 });
  const sent = client.send({ conversation_id: id, message_text: "seen", client_message_id: "k1" });
  wire.isOffline = true;
  await pass(SECOND);
  const keys: (string | undefined)[] = [];
  const note = () => void keys.push(client.store.state.timelines.get(id)?.messages.at(-1)?.key);
  client.store.subscribe(note);
  model.send("alice", id, "seen", { client_message_id: "k1" });
  wire.isOffline = false;
  wire.refusals.splice(0, 1, ...Array.from({ length: 50 }, () => ({ path: /send/, status: 503 })));
  await pass(30 * SECOND);
  await sent;
  expect(client.store.state.outbox).toEqual([]);
  expect(shown(client)).toEqual(["hello: sent", "seen: sent"]);
  // It keeps its key all the while.
  expect(new Set(keys)).toEqual(new Set(["k1"]));
});

test("a crash between the send and its answer: the next start finds it sent", async () => {
  const client = await alice();
  wire.faults = { ...wire.faults, latency: 10_000 };
  void client.send({ conversation_id: id, message_text: "crash" });
  // It has reached the server, and the answer is on its way.
  while (there().length < 2) await pass(100);
  client.disconnect();
  wire.faults = { ...wire.faults, latency: 10 };
  const next = await alice();
  await pass(5 * SECOND);
  expect(there()).toEqual(["hello", "crash"]);
  expect(shown(next)).toEqual(["hello: sent", "crash: sent"]);
  expect(next.store.state.outbox).toEqual([]);
});

test("what was typed offline survives a reload", async () => {
  const client = await alice();
  wire.isOffline = true;
  void client.send({ conversation_id: id, message_text: "one" });
  void client.send({ conversation_id: id, message_text: "two" });
  await pass(SECOND);
  client.disconnect();
  wire.isOffline = false;
  const next = await alice();
  await pass(5 * SECOND);
  expect(shown(next)).toEqual(["hello: sent", "one: sent", "two: sent"]);
});

test("an attempt of more than a day ago is looked for before it is repeated", async () => {
  const client = await alice();
  wire.faults = { ...wire.faults, latency: 10_000 };
  void client.send({ conversation_id: id, message_text: "long ago", client_message_id: "old" });
  while (there().length < 2) await pass(100);
  client.disconnect();
  wire.faults = { ...wire.faults, latency: 10 };
  vi.setSystemTime(Date.now() + 49 * HOUR);
  // The server has forgotten the key by now; what the message says of it, it still says.
  const message = model.chats.get(id)?.messages.at(-1);
  const before = sends();
  const next = await alice();
  await pass(5 * SECOND);
  expect(message?.client_message_id).toBe("old");
  expect(sends()).toBe(before);
  expect(there()).toEqual(["hello", "long ago"]);
  expect(next.store.state.outbox).toEqual([]);
});

test("an attempt of more than a day ago that did not arrive is sent", async () => {
  const client = await alice();
  wire.isOffline = true;
  void client.send({ conversation_id: id, message_text: "never left" });
  await pass(SECOND);
  client.disconnect();
  wire.isOffline = false;
  vi.setSystemTime(Date.now() + 49 * HOUR);
  await alice();
  await pass(5 * SECOND);
  expect(there()).toEqual(["hello", "never left"]);
});

test("a rate limit is waited for", async () => {
  const client = await alice();
  for (let n = 0; n < 12; n += 1) wire.refusals.push({ path: /send/, status: 429, headers: { "retry-after": "7" } });
  void client.send({ conversation_id: id, message_text: "patience" });
  await pass(6 * SECOND);
  expect(sends()).toBe(1);
  expect(shown(client).at(-1)).toBe("patience: pending");
  await pass(90 * SECOND);
  expect(shown(client).at(-1)).toBe("patience: sent");
});

test("what is refused fails, the next is sent, and it can be repeated or taken back", async () => {
  const client = await alice();
  wire.refusals.push({ path: /send/, status: 403, body: JSON.stringify({ code: "blocked", detail: "Blocked." }) });
  const sent = client.send({ conversation_id: id, message_text: "refused" });
  void client.send({ conversation_id: id, message_text: "next" });
  await expect(Promise.all([sent, pass(SECOND)])).rejects.toMatchObject({ code: "blocked" });
  await pass(SECOND);
  expect(shown(client)).toEqual(["hello: sent", "next: sent", "refused: failed"]);
  const failed = client.store.state.timelines.get(id)?.messages.at(-1);
  expect(failed?.error?.code).toBe("blocked");
  void client.retry(failed?.id ?? "");
  await pass(SECOND);
  expect(shown(client)).toEqual(["hello: sent", "next: sent", "refused: sent"]);
  wire.refusals.push({ path: /send/, status: 413 });
  void client.send({ conversation_id: id, message_text: "too long" });
  await pass(SECOND);
  await client.delete(client.store.state.timelines.get(id)?.messages.at(-1)?.id ?? "");
  expect(shown(client).length).toBe(3);
  expect(await storage.all()).toEqual([]);
});

test("a server that keeps failing makes a message wait for its user, and not double", async () => {
  const client = await alice();
  for (let n = 0; n < 8; n += 1) wire.refusals.push({ path: /send/, status: 500 });
  void client.send({ conversation_id: id, message_text: "unlucky" });
  await pass(4 * 60 * SECOND);
  expect(shown(client).at(-1)).toBe("unlucky: failed");
  void client.retry(client.store.state.outbox[0]?.id ?? "");
  await pass(SECOND);
  expect(there()).toEqual(["hello", "unlucky"]);
});

describe("edits and deletions of a message on its way", () => {
  test("before it is sent, it is sent as it is then, or not at all", async () => {
    const client = await alice();
    wire.faults = { ...wire.faults, latency: 5_000 };
    void client.send({ conversation_id: id, message_text: "first", client_message_id: "first" });
    void client.send({ conversation_id: id, message_text: "draft", client_message_id: "second" });
    const taken = client.send({ conversation_id: id, message_text: "never", client_message_id: "third" });
    const ended = expect(taken).rejects.toThrow("taken back");
    await pass(10);
    await client.edit("second", "final");
    await client.delete("third");
    await ended;
    expect(shown(client).slice(1)).toEqual(["first: pending", "final: pending"]);
    await pass(60 * SECOND);
    expect(there()).toEqual(["hello", "first", "final"]);
    expect(model.chats.get(id)?.messages.at(-1)?.version).toBe(1);
  });

  test("once it may have arrived, it is edited or deleted right after", async () => {
    const client = await alice();
    wire.faults = { ...wire.faults, latency: 4_000 };
    void client.send({ conversation_id: id, message_text: "first", client_message_id: "first" });
    await pass(10);
    void client.edit("first", "edited");
    await pass(10);
    expect(shown(client).at(-1)).toBe("edited: pending");
    wire.faults = { ...wire.faults, latency: 10 };
    await pass(20 * SECOND);
    expect(there()).toEqual(["hello", "edited"]);
    wire.faults = { ...wire.faults, latency: 4_000 };
    void client.send({ conversation_id: id, message_text: "gone", client_message_id: "gone" });
    await pass(10);
    void client.delete("gone");
    await pass(10);
    expect(shown(client).at(-1)).toBe("edited: sent");
    await pass(20 * SECOND);
    expect(model.chats.get(id)?.messages.at(-1)).toMatchObject({ client_message_id: "gone", is_deleted: true });
    expect(client.store.state.outbox).toEqual([]);
  });

  test("a change that is refused keeps what was typed, until it is tried again or given up", async () => {
    let client = await alice();
    wire.faults = { ...wire.faults, latency: 4_000 };
    void client.send({ conversation_id: id, message_text: "first", client_message_id: "first" });
    await pass(10);
    void client.edit("first", "edited");
    wire.refusals.push({ path: /^PATCH /, status: 403 });
    wire.faults = { ...wire.faults, latency: 10 };
    await pass(20 * SECOND);
    const kept = () => client.store.state.outbox.map((e) => [e.then && "edit" in e.then && e.then.edit, e.failed?.status]);
    expect(shown(client).at(-1)).toBe("first: sent");
    expect(kept()).toEqual([["edited", 403]]);
    client.disconnect();
    client = await alice();
    expect(kept()).toEqual([["edited", 403]]);

    // Another change of it takes its place, and is kept as well.
    const message = client.store.state.timelines.get(id)?.messages.at(-1)?.id ?? "";
    wire.refusals.push({ path: /^PATCH /, status: 403 });
    const refused = expect(client.edit(message, "edited again")).rejects.toMatchObject({ status: 403 });
    await pass(100);
    await refused;
    expect(kept()).toEqual([["edited again", 403]]);
    void client.retry(client.store.state.outbox[0]?.id ?? "");
    await pass(SECOND);
    expect([there().at(-1), kept()]).toEqual(["edited again", []]);

    wire.refusals.push({ path: /^PATCH /, status: 403 });
    client.edit(message, "no more").catch(() => {});
    await pass(100);
    await client.discard(message);
    expect([there().at(-1), kept(), shown(client).at(-1)]).toEqual(["edited again", [], "edited again: sent"]);
  });

  test("a crash in between does not forget it", async () => {
    const client = await alice();
    wire.faults = { ...wire.faults, latency: 4_000 };
    void client.send({ conversation_id: id, message_text: "first", client_message_id: "first" });
    await pass(10);
    void client.edit("first", "edited");
    while (there().length < 2) await pass(100);
    client.disconnect();
    wire.faults = { ...wire.faults, latency: 10 };
    await alice();
    await pass(10 * SECOND);
    expect(there()).toEqual(["hello", "edited"]);
  });
});

test("two tabs do not send the same message twice, and see the same", async () => {
  const browser = new Browser();
  storage = { ...memoryStorage(), isShared: true };
  const tabs = [await alice({ tabs: browser.tab() }), await alice({ tabs: browser.tab() })];
  wire.faults = { ...wire.faults, latency: 2_000 };
  void tabs[0]?.send({ conversation_id: id, message_text: "from one" });
  await pass(10);
  const sent = tabs[1]?.send({ conversation_id: id, message_text: "from the other" });
  await pass(10);
  expect(tabs.map((tab) => shown(tab).slice(1))).toEqual([
    ["from one: pending", "from the other: pending"],
    ["from one: pending", "from the other: pending"],
  ]);
  await pass(60 * SECOND);
  expect(there()).toEqual(["hello", "from one", "from the other"]);
  expect(sends()).toBe(2);
  expect((await sent)?.message_text).toBe("from the other");
  for (const tab of tabs) expect(shown(tab)).toEqual(["hello: sent", "from one: sent", "from the other: sent"]);
});

test("a tab that dies while it sends leaves the rest to the other", async () => {
  const browser = new Browser();
  storage = { ...memoryStorage(), isShared: true };
  const first = await alice({ tabs: browser.tab() });
  const second = await alice({ tabs: browser.tab() });
  wire.faults = { ...wire.faults, latency: 5_000 };
  void first.send({ conversation_id: id, message_text: "one" });
  void first.send({ conversation_id: id, message_text: "two" });
  await pass(10);
  first.disconnect();
  wire.faults = { ...wire.faults, latency: 10 };
  await pass(30 * SECOND);
  expect(there()).toEqual(["hello", "one", "two"]);
  expect(second.store.state.outbox).toEqual([]);
});

test("a message to someone without a conversation is sent, and its conversation appears", async () => {
  const client = await alice();
  void client.send({ recipient_id: "carol", message_text: "hi" });
  await pass(3 * SECOND);
  expect(client.store.state.conversations.map((row) => row.other_user_id)).toContain("carol");
});

describe("storages keep entries", () => {
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

  async function keeps(open: () => OutboxStorage): Promise<void> {
    const one = open();
    await one.update("a", () => entry("a"));
    await Promise.all([
      one.update("b", () => entry("b")),
      one.update("a", (there) => there && { ...there, seq: there.seq + 1 }),
      one.update("a", (there) => there && { ...there, seq: there.seq + 1 }),
    ]);
    await one.update("b", () => undefined);
    expect(await open().all()).toEqual([{ ...entry("a"), seq: 3 }]);
    expect(await one.update("nothing", (there) => there)).toBeUndefined();
  }

  test("in IndexedDB", async () => {
    vi.useRealTimers();
    const factory = new IDBFactory();
    await keeps(() => indexedDbStorage("outbox", factory));
  });

  test("in memory, where IndexedDB is there and cannot be used", async () => {
    const open = () => {
      throw new DOMException("Not in a private window.", "InvalidStateError");
    };
    vi.stubGlobal("indexedDB", { open });
    const client = new Tidings({ url: "http://x", token: () => "alice", fetch: wire.fetch, socketUrl: null, tabs: {} });
    clients.push(client);
    const ready = client.connect();
    await pass(200);
    await ready;
    void client.send({ conversation_id: id, message_text: "all the same" });
    await pass(SECOND);
    expect(there()).toEqual(["hello", "all the same"]);
    vi.unstubAllGlobals();
  });

  test("in a file, which a crash leaves whole", async () => {
    vi.useRealTimers();
    const folder = mkdtempSync(join(tmpdir(), "tidings-outbox-"));
    const path = join(folder, "outbox.json");
    writeFileSync(`${path}.new`, "[{ half an ent");
    await keeps(() => fileStorage(path));
    expect(JSON.parse(readFileSync(path, "utf8"))).toHaveLength(1);
    rmSync(folder, { recursive: true });
  });

  test("a storage that fails refuses a message instead of losing it", async () => {
    const broken: OutboxStorage = { ...storage, update: () => Promise.reject(new Error("The disk is full.")) };
    const client = await alice({ storage: () => broken });
    await expect(client.send({ conversation_id: id, message_text: "lost?" })).rejects.toThrow("disk is full");
    expect(shown(client)).toEqual(["hello: sent"]);
  });
});
