// The outbox: no message is lost or duplicated, and each conversation stays in order.

import { beforeEach, describe, expect, test, vi } from "vitest";

import { Tidings, memoryStorage } from "../src/index.js";
import type { OutboxStorage, TidingsOptions } from "../src/index.js";
import { SECOND, clients, model, pass, useFakes, wire } from "./setup.js";
import { Browser } from "./wire.js";

const HOUR = 3_600_000;
let storage: OutboxStorage;
/** The direct conversation of alice and bob. */
let id: string;

useFakes();
beforeEach(() => {
  storage = memoryStorage();
  id = model.direct("alice", "bob").id;
  model.send("bob", id, "hello");
});

/** Connects a client for alice and opens the conversation. A second client stands for a reloaded page. */
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

/** Returns the texts and statuses in the timeline of a client. */
const shown = (client: Tidings) =>
  (client.store.state.timelines.get(id)?.messages ?? []).map(({ message_text, status }) => `${message_text}: ${status}`);
/** The messages that the server has. */
const delivered = () => (model.chats.get(id)?.messages ?? []).map(({ message_text }) => message_text);
const sends = () => wire.count(/POST .*\/send/);

test("a message shows at once and keeps its key when it is sent", async () => {
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

test("messages of a conversation are sent in order, one at a time", async () => {
  const client = await alice();
  wire.faults = { ...wire.faults, latency: 300 };
  for (let n = 0; n < 20; n += 1) {
    if (n % 4 === 0) wire.refusals.push({ path: /send/, status: 503 });
    void client.send({ conversation_id: id, message_text: `m${n}` });
  }
  await pass(60 * SECOND);
  expect(delivered().slice(1)).toEqual(Array.from({ length: 20 }, (_, n) => `m${n}`));
});

test("conversations do not wait for each other", async () => {
  const client = await alice();
  const other = model.direct("alice", "carol").id;
  for (let n = 0; n < 3; n += 1) wire.refusals.push({ path: /send/, status: 503, headers: { "retry-after": "30" } });
  void client.send({ conversation_id: id, message_text: "slow" });
  await pass(20);
  wire.refusals.length = 0;
  void client.send({ conversation_id: other, message_text: "quick" });
  await pass(SECOND);
  expect(model.chats.get(other)?.messages.length).toBe(1);
  expect(delivered()).toEqual(["hello"]);
  await pass(31 * SECOND);
  expect(delivered()).toEqual(["hello", "slow"]);
});

test("a lost response does not lead to a second message", async () => {
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
  expect(delivered()).toEqual(["hello", "once"]);
  expect(again.store.state.outbox).toEqual([]);
  expect(client.store.state.outbox).toEqual([]);
});

test("after a lost response, the event confirms the message", async () => {
  const client = await alice();
  wire.refusals.push({ path: /nothing/, status: 500 });
  const sent = client.send({ conversation_id: id, message_text: "seen", client_message_id: "k1" });
  wire.isOffline = true;
  await pass(SECOND);
  const keys: (string | undefined)[] = [];
  const record = () => void keys.push(client.store.state.timelines.get(id)?.messages.at(-1)?.key);
  client.store.subscribe(record);
  model.send("alice", id, "seen", { client_message_id: "k1" });
  wire.isOffline = false;
  wire.refusals.splice(0, 1, ...Array.from({ length: 50 }, () => ({ path: /send/, status: 503 })));
  await pass(30 * SECOND);
  await sent;
  expect(client.store.state.outbox).toEqual([]);
  expect(shown(client)).toEqual(["hello: sent", "seen: sent"]);
  // The key never changes.
  expect(new Set(keys)).toEqual(new Set(["k1"]));
});

test("a message whose response was lost in a crash is not sent again", async () => {
  const client = await alice();
  wire.faults = { ...wire.faults, latency: 10_000 };
  void client.send({ conversation_id: id, message_text: "crash" });
  // The server has the message, and the response is in transit.
  while (delivered().length < 2) await pass(100);
  client.disconnect();
  wire.faults = { ...wire.faults, latency: 10 };
  const next = await alice();
  await pass(5 * SECOND);
  expect(delivered()).toEqual(["hello", "crash"]);
  expect(shown(next)).toEqual(["hello: sent", "crash: sent"]);
  expect(next.store.state.outbox).toEqual([]);
});

test("messages sent offline survive a reload", async () => {
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

test("after more than a day, the client looks for the message before it retries", async () => {
  const client = await alice();
  wire.faults = { ...wire.faults, latency: 10_000 };
  void client.send({ conversation_id: id, message_text: "long ago", client_message_id: "old" });
  while (delivered().length < 2) await pass(100);
  client.disconnect();
  wire.faults = { ...wire.faults, latency: 10 };
  vi.setSystemTime(Date.now() + 49 * HOUR);
  // The server no longer deduplicates this id, but the message still carries it.
  const message = model.chats.get(id)?.messages.at(-1);
  const before = sends();
  const next = await alice();
  await pass(5 * SECOND);
  expect(message?.client_message_id).toBe("old");
  expect(sends()).toBe(before);
  expect(delivered()).toEqual(["hello", "long ago"]);
  expect(next.store.state.outbox).toEqual([]);
});

test("after more than a day, a message that did not arrive is sent", async () => {
  const client = await alice();
  wire.isOffline = true;
  void client.send({ conversation_id: id, message_text: "never left" });
  await pass(SECOND);
  client.disconnect();
  wire.isOffline = false;
  vi.setSystemTime(Date.now() + 49 * HOUR);
  await alice();
  await pass(5 * SECOND);
  expect(delivered()).toEqual(["hello", "never left"]);
});

test("a rate-limited send waits for Retry-After", async () => {
  const client = await alice();
  for (let n = 0; n < 12; n += 1) wire.refusals.push({ path: /send/, status: 429, headers: { "retry-after": "7" } });
  void client.send({ conversation_id: id, message_text: "patience" });
  await pass(6 * SECOND);
  expect(sends()).toBe(1);
  expect(shown(client).at(-1)).toBe("patience: pending");
  await pass(90 * SECOND);
  expect(shown(client).at(-1)).toBe("patience: sent");
});

test("a refused message fails without blocking the next, and can be retried or deleted", async () => {
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

test("a message fails after repeated server errors, and a retry does not duplicate it", async () => {
  const client = await alice();
  for (let n = 0; n < 8; n += 1) wire.refusals.push({ path: /send/, status: 500 });
  void client.send({ conversation_id: id, message_text: "unlucky" });
  await pass(4 * 60 * SECOND);
  expect(shown(client).at(-1)).toBe("unlucky: failed");
  void client.retry(client.store.state.outbox[0]?.id ?? "");
  await pass(SECOND);
  expect(delivered()).toEqual(["hello", "unlucky"]);
});

describe("edits and deletions of a pending message", () => {
  test("before the first attempt, they change or discard the message", async () => {
    const client = await alice();
    wire.faults = { ...wire.faults, latency: 5_000 };
    void client.send({ conversation_id: id, message_text: "first", client_message_id: "first" });
    void client.send({ conversation_id: id, message_text: "draft", client_message_id: "second" });
    const discarded = client.send({ conversation_id: id, message_text: "never", client_message_id: "third" });
    const rejected = expect(discarded).rejects.toThrow("discarded");
    await pass(10);
    await client.edit("second", "final");
    await client.delete("third");
    await rejected;
    expect(shown(client).slice(1)).toEqual(["first: pending", "final: pending"]);
    await pass(60 * SECOND);
    expect(delivered()).toEqual(["hello", "first", "final"]);
    expect(model.chats.get(id)?.messages.at(-1)?.version).toBe(1);
  });

  test("after the first attempt, they follow the send", async () => {
    const client = await alice();
    wire.faults = { ...wire.faults, latency: 4_000 };
    void client.send({ conversation_id: id, message_text: "first", client_message_id: "first" });
    await pass(10);
    void client.edit("first", "edited");
    await pass(10);
    expect(shown(client).at(-1)).toBe("edited: pending");
    wire.faults = { ...wire.faults, latency: 10 };
    await pass(20 * SECOND);
    expect(delivered()).toEqual(["hello", "edited"]);
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

  test("a refused edit keeps its text until it is retried or discarded", async () => {
    let client = await alice();
    wire.faults = { ...wire.faults, latency: 4_000 };
    void client.send({ conversation_id: id, message_text: "first", client_message_id: "first" });
    await pass(10);
    void client.edit("first", "edited");
    wire.refusals.push({ path: /^PATCH /, status: 403 });
    wire.faults = { ...wire.faults, latency: 10 };
    await pass(20 * SECOND);
    const failedEdits = () => client.store.state.outbox.map((e) => [e.then && "edit" in e.then && e.then.edit, e.failed?.status]);
    expect(shown(client).at(-1)).toBe("first: sent");
    expect(failedEdits()).toEqual([["edited", 403]]);
    client.disconnect();
    client = await alice();
    expect(failedEdits()).toEqual([["edited", 403]]);

    // Another edit replaces the refused one.
    const message = client.store.state.timelines.get(id)?.messages.at(-1)?.id ?? "";
    wire.refusals.push({ path: /^PATCH /, status: 403 });
    const refused = expect(client.edit(message, "edited again")).rejects.toMatchObject({ status: 403 });
    await pass(100);
    await refused;
    expect(failedEdits()).toEqual([["edited again", 403]]);
    void client.retry(client.store.state.outbox[0]?.id ?? "");
    await pass(SECOND);
    expect([delivered().at(-1), failedEdits()]).toEqual(["edited again", []]);

    wire.refusals.push({ path: /^PATCH /, status: 403 });
    client.edit(message, "no more").catch(() => {});
    await pass(100);
    await client.discard(message);
    expect([delivered().at(-1), failedEdits(), shown(client).at(-1)]).toEqual(["edited again", [], "edited again: sent"]);
  });

  test("they survive a crash", async () => {
    const client = await alice();
    wire.faults = { ...wire.faults, latency: 4_000 };
    void client.send({ conversation_id: id, message_text: "first", client_message_id: "first" });
    await pass(10);
    void client.edit("first", "edited");
    while (delivered().length < 2) await pass(100);
    client.disconnect();
    wire.faults = { ...wire.faults, latency: 10 };
    await alice();
    await pass(10 * SECOND);
    expect(delivered()).toEqual(["hello", "edited"]);
  });
});

test("two tabs show the same messages, and send each once", async () => {
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
  expect(delivered()).toEqual(["hello", "from one", "from the other"]);
  expect(sends()).toBe(2);
  expect((await sent)?.message_text).toBe("from the other");
  for (const tab of tabs) expect(shown(tab)).toEqual(["hello: sent", "from one: sent", "from the other: sent"]);
});

test("when a tab closes while sending, another tab sends the rest", async () => {
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
  expect(delivered()).toEqual(["hello", "one", "two"]);
  expect(second.store.state.outbox).toEqual([]);
});

test("a message to a user without a conversation creates the conversation", async () => {
  const client = await alice();
  void client.send({ recipient_id: "carol", message_text: "hi" });
  await pass(3 * SECOND);
  expect(client.store.state.conversations.map((row) => row.other_user_id)).toContain("carol");
});

test("a failing storage rejects the send", async () => {
  const broken: OutboxStorage = { ...storage, update: () => Promise.reject(new Error("The disk is full.")) };
  const client = await alice({ storage: () => broken });
  await expect(client.send({ conversation_id: id, message_text: "lost?" })).rejects.toThrow("disk is full");
  expect(shown(client)).toEqual(["hello: sent"]);
});

test("messages and groups can be sent from a page that was loaded over plain http", async () => {
  const { getRandomValues } = crypto;
  // Browsers offer `crypto.randomUUID` and `navigator.locks` to secure pages only.
  vi.stubGlobal("crypto", { getRandomValues: getRandomValues.bind(crypto) });
  const client = await alice();
  void client.send({ conversation_id: id, message_text: "one" });
  void client.send({ conversation_id: id, message_text: "two" });
  await pass(SECOND);
  expect(delivered()).toEqual(["hello", "one", "two"]);
  void client.createGroup("Picnic", ["bob"]).catch(() => {});
  await pass(SECOND);
  const [group] = wire.calls.filter(({ method, path }) => `${method} ${path}` === "POST /api/conversations");
  expect(group?.body).toMatchObject({ type: "group", client_conversation_id: expect.stringMatching(/^\d+(-\d+){3}$/) });
});

test("discarding a message that failed with server errors leaves nothing behind, and sends nothing", async () => {
  const client = await alice();
  const fail = async (text: string) => {
    void client.send({ conversation_id: id, message_text: text, client_message_id: text });
    await pass(4 * 60 * SECOND);
    expect(shown(client).at(-1)).toBe(`${text}: failed`);
  };
  for (let n = 0; n < 8; n += 1) wire.refusals.push({ path: /send/, status: 500 });
  await fail("never arrived");
  const before = sends();
  await client.delete("never arrived");
  await pass(10 * SECOND);
  expect([shown(client), await storage.all(), sends() - before]).toEqual([["hello: sent"], [], 0]);

  // This one has arrived, although each response was an error.
  const real = wire.fetch;
  const failing: typeof fetch = async (input, init) => {
    const response = await real(input, init);
    return String(input).includes("/send") ? new Response("", { status: 500 }) : response;
  };
  const second = await alice({ fetch: failing });
  client.disconnect();
  model.onPush = () => {};
  const queue = model.queue("alice").events;
  void second.send({ conversation_id: id, message_text: "arrived", client_message_id: "arrived" });
  // Without its event, the client does not know that it has arrived.
  for (let n = 0; n < 300; n += 1) {
    await pass(10);
    for (const queued of queue) if (queued.event.type === "message.created") queued.isRemoved = true;
  }
  await pass(4 * 60 * SECOND);
  expect(shown(second).at(-1)).toBe("arrived: failed");
  await second.delete("arrived");
  await pass(10 * SECOND);
  expect(model.chats.get(id)?.messages.at(-1)).toMatchObject({ client_message_id: "arrived", is_deleted: true });
  expect([await storage.all(), second.store.state.outbox]).toEqual([[], []]);
});
