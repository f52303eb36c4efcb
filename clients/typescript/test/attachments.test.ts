// Files: they are uploaded before their message, which is sent once, whatever fails in between.

import { IDBFactory } from "fake-indexeddb";
import { beforeEach, expect, test, vi } from "vitest";

import { indexedDbStorage, memoryStorage } from "../src/index.js";
import type { Attachment, NewDraft, OutboxStorage, NewAttachment, Tidings } from "../src/index.js";
import { SECOND, alice, model, pass, useFakes, wire } from "./setup.js";

const HOUR = 3_600_000;
const FORM = /POST \/api\/attachments/;
const FILE = /POST \/file/;
const SEND = /POST .*\/send/;
let storage: OutboxStorage;
let id: string;

useFakes();
beforeEach(() => {
  storage = memoryStorage();
  id = model.direct("alice", "bob").id;
  model.send("bob", id, "hello");
});

/** Connects a client whose storage a later one may use. A second client stands for a reloaded page. */
async function connected(): Promise<Tidings> {
  const client = alice({ socketUrl: null, storage: () => storage });
  void client.connect().catch(() => {});
  await pass(200);
  client.open(id);
  await pass(200);
  return client;
}

const text = (content: string, name = `${content}.txt`) => new File([content], name, { type: "text/plain" });
const draft = (...files: NonNullable<NewDraft["files"]>): NewDraft => ({ conversation_id: id, message_text: "", files });
const delivered = () =>
  (model.chats.get(id)?.messages ?? []).slice(1).map((message) => [message.message_text, ...message.attachments.map(({ file_name }) => file_name)]);
const last = (client: Tidings) => client.store.state.timelines.get(id)?.messages.at(-1);

test("files are uploaded, and then named by the message, in their order", async () => {
  const client = await connected();
  const progress: (readonly number[])[] = [];
  client.store.subscribe((state) => state.uploads.get("k"), (parts) => parts && progress.push(parts));
  const voice = { file: new Blob(["sound"], { type: "audio/mp4" }), name: "voice.m4a", is_voice: true, duration_ms: 1_234.5 };
  const described = { file: text("two"), alt: "The number two" };
  const sent = client.send({ ...draft(text("one"), described, voice, text("four")), client_message_id: "k" });
  expect(last(client)).toMatchObject({
    status: "pending",
    attachments: [{ kind: "file", file_name: "one.txt", size: 3, content_type: "text/plain" }, { alt: "The number two" }, { kind: "voice" }, {}],
  });
  await pass(SECOND);
  expect((await sent).attachments.map(({ file_name, kind }) => [file_name, kind])).toEqual([
    ["one.txt", "file"],
    ["two.txt", "file"],
    ["voice.m4a", "voice"],
    ["four.txt", "file"],
  ]);
  const body = wire.calls.find(({ path }) => path.endsWith("/send"))?.body as { attachments: NewAttachment[] };
  expect(body.attachments).toEqual([
    { attachment_id: "a1" },
    { attachment_id: "a2", alt: "The number two" },
    { attachment_id: "a3", is_voice: true, duration_ms: 1235 },
    { attachment_id: "a4" },
  ]);
  expect(progress[0]).toEqual([0, 0, 0, 0]);
  expect(progress.at(-1)).toEqual([1, 1, 1, 1]);
  expect(client.store.state.uploads.size).toBe(0);
  expect(await wire.uploads.get("a3")?.file?.text()).toBe("sound");
});

test("messages of a conversation stay in order, and those of others do not wait", async () => {
  const client = await connected();
  const other = model.direct("alice", "carol").id;
  wire.refusals.push(...Array.from({ length: 3 }, () => ({ path: FILE, status: 503 })));
  void client.send({ ...draft(text("slow")), message_text: "first" });
  void client.send({ conversation_id: id, message_text: "second" });
  void client.send({ conversation_id: other, message_text: "elsewhere" });
  await pass(50);
  expect(delivered()).toEqual([]);
  expect(model.chats.get(other)?.messages.length).toBe(1);
  await pass(60 * SECOND);
  expect(delivered()).toEqual([["first", "slow.txt"], ["second"]]);
});

test("an upload that fails is repeated, without those that have succeeded and without a second message", async () => {
  const client = await connected();
  wire.refusals.push({ path: FILE, status: 0 }, { path: FILE, status: 500 }, { path: SEND, status: 503 });
  void client.send(draft(text("one"), text("two")));
  await pass(60 * SECOND);
  expect(delivered()).toEqual([["", "one.txt", "two.txt"]]);
  expect(wire.count(FORM)).toBe(4);
  expect(wire.count(SEND)).toBe(2);
  expect(client.store.state.outbox).toEqual([]);
});

test("a lost answer to the send does not lead to a second message, nor to a second upload", async () => {
  const client = await connected();
  const real = wire.fetch;
  let lost = 0;
  wire.fetch = async (input, init) => {
    const answer = await real(input, init);
    if (String(input).includes("/send") && lost++ < 3) throw new TypeError("reset");
    return answer;
  };
  client.disconnect();
  const again = await connected();
  void again.send(draft(text("once")));
  await pass(60 * SECOND);
  expect(lost).toBeGreaterThanOrEqual(1);
  expect(delivered()).toEqual([["", "once.txt"]]);
  expect(wire.uploads.size).toBe(1);
});

test("a form that has expired is asked for again", async () => {
  const client = await connected();
  wire.refusals.push({ path: FILE, status: 403 });
  void client.send(draft(text("late")));
  await pass(SECOND);
  expect(delivered()).toEqual([["", "late.txt"]]);
  expect(wire.count(FORM)).toBe(2);
});

test("a file that the server misses is uploaded again, and not for ever", async () => {
  const client = await connected();
  const missing = { path: SEND, status: 409, body: JSON.stringify({ code: "not_uploaded", detail: "Missing." }) };
  wire.refusals.push(missing);
  void client.send(draft(text("vanished")));
  await pass(5 * SECOND);
  expect(delivered()).toEqual([["", "vanished.txt"]]);
  expect(wire.count(FORM)).toBe(2);
  wire.refusals.push(...Array.from({ length: 4 }, () => missing));
  void client.send(draft(text("again")));
  await pass(5 * SECOND);
  expect(last(client)).toMatchObject({ status: "failed", error: { code: "not_uploaded" } });
  expect(wire.count(FORM)).toBe(6);
  // The user's own attempt starts anew.
  void client.retry(last(client)?.id ?? "");
  await pass(5 * SECOND);
  expect(delivered()).toEqual([["", "vanished.txt"], ["", "again.txt"]]);
});

test("a file that was uploaded more than 20 hours ago is uploaded again", async () => {
  const client = await connected();
  wire.refusals.push(...Array.from({ length: 8 }, () => ({ path: SEND, status: 500 })));
  void client.send(draft(text("old")));
  await pass(4 * 60 * SECOND);
  expect(last(client)?.status).toBe("failed");
  client.disconnect();
  vi.setSystemTime(Date.now() + 21 * HOUR);
  const next = await connected();
  void next.retry(next.store.state.outbox[0]?.id ?? "");
  await pass(5 * SECOND);
  expect(delivered()).toEqual([["", "old.txt"]]);
  expect(wire.count(FORM)).toBe(2);
});

test("an id that the server no longer takes leads to a new upload", async () => {
  const client = await connected();
  wire.refusals.push({ path: SEND, status: 503, headers: { "retry-after": "30" } });
  void client.send(draft(text("file")));
  await pass(5 * SECOND);
  // The server has removed it, although it is not old by this clock.
  wire.uploads.delete("a1");
  wire.uploads.set("other", { request: { file_name: "", content_type: "", size: 1 }, file: null, preview: null });
  await pass(60 * SECOND);
  expect(delivered()).toEqual([["", "file.txt"]]);
  expect(wire.count(FORM)).toBe(2);
});

test("a file over the limit fails, without blocking the next message", async () => {
  const client = await connected();
  const large = client.send(draft(new File([new Uint8Array(1_000_001)], "film.mkv", { type: "video/x-matroska" })));
  const refused = expect(large).rejects.toMatchObject({ code: "too_large" });
  void client.send(draft(text("small")));
  await pass(5 * SECOND);
  await refused;
  expect(delivered()).toEqual([["", "small.txt"]]);
  expect(last(client)).toMatchObject({ status: "failed", error: { code: "too_large" } });
});

test("a message can be cancelled while its files are uploaded", async () => {
  const client = await connected();
  wire.faults = { ...wire.faults, latency: 20_000 };
  const sent = client.send({ ...draft(text("regretted")), client_message_id: "k" });
  const rejected = expect(sent).rejects.toMatchObject({ name: "AbortError" });
  while (wire.count(FILE) === 0) await pass(SECOND);
  await client.delete("k");
  await rejected;
  expect(await storage.files?.("k")).toBeUndefined();
  void client.send({ conversation_id: id, message_text: "next" });
  wire.faults = { ...wire.faults, latency: 10 };
  await pass(30 * SECOND);
  expect(delivered()).toEqual([["next"]]);
  expect(client.store.state.uploads.size).toBe(0);
});

test("files sent offline survive a reload", async () => {
  vi.useRealTimers();
  const factory = new IDBFactory();
  storage = indexedDbStorage("outbox", factory);
  const real = async () => {
    const client = alice({ socketUrl: null, storage: () => indexedDbStorage("outbox", factory) });
    await client.connect();
    client.open(id);
    return client;
  };
  const client = await real();
  wire.isOffline = true;
  void client.send({ ...draft(text("one"), text("two")), client_message_id: "k" });
  await vi.waitFor(async () => expect(await storage.files?.("k")).toHaveLength(2));
  client.disconnect();
  wire.isOffline = false;
  await real();
  await vi.waitFor(() => expect(delivered()).toEqual([["", "one.txt", "two.txt"]]), { timeout: 10_000 });
  expect(await Promise.all([...wire.uploads.values()].map(({ file }) => file?.text()))).toEqual(["one", "two"]);
  await vi.waitFor(async () => expect([await storage.all(), await storage.files?.("k")]).toEqual([[], undefined]));
});

test("files that do not fit into the storage are sent, but known not to be kept", async () => {
  vi.useRealTimers();
  const factory = new IDBFactory();
  vi.stubGlobal("indexedDB", factory);
  const client = alice({ socketUrl: null, storage: undefined });
  await client.connect();
  wire.isOffline = true;
  // 300 MB that take no memory.
  const large = Object.defineProperty(text("large"), "size", { value: 300_000_000 });
  void client.send({ ...draft(large), client_message_id: "large" });
  void client.send({ ...draft(text("small")), client_message_id: "small" });
  await vi.waitFor(() => {
    const { outbox } = client.store.state;
    expect(outbox.map((entry) => [entry.id, entry.is_kept])).toEqual([["large", false], ["small", undefined]]);
  });
  const stored = indexedDbStorage("tidings http://x alice");
  await vi.waitFor(async () => expect((await stored.all()).map((entry) => entry.id)).toEqual(["small"]));
  await client.delete("large");
  wire.isOffline = false;
  await vi.waitFor(() => expect(delivered()).toEqual([["", "small.txt"]]), { timeout: 20_000 });
});

test("a message whose files are gone fails, and says why", async () => {
  const client = await connected();
  wire.isOffline = true;
  void client.send({ ...draft(text("gone")), client_message_id: "k" });
  await pass(SECOND);
  client.disconnect();
  wire.isOffline = false;
  const { files: _, ...without } = storage;
  storage = without;
  const next = await connected();
  await pass(SECOND);
  expect(last(next)).toMatchObject({ status: "failed", error: { code: "files_lost" } });
  expect(delivered()).toEqual([]);
});

test("links to files can be renewed, and the latest ones count", async () => {
  const client = await connected();
  const attachments = [{ kind: "image", file_name: "cat.jpg", url: "http://x/old" } as Attachment];
  const { message } = model.send("bob", id, "", { attachments });
  await pass(5 * SECOND);
  expect(last(client)?.attachments[0]?.url).toBe("http://x/old");
  const stored = model.chats.get(id)?.messages.at(-1);
  if (stored) stored.attachments = [{ ...attachments[0], url: "http://x/new" } as Attachment];
  void client.renewLinks(id, message.id);
  await pass(SECOND);
  expect(last(client)?.attachments[0]?.url).toBe("http://x/new");
});

test("the inbox shows the name of a file whose message has no text", async () => {
  const client = await connected();
  const more = { attachments: [{ kind: "image", file_name: "cat.jpg" } as Attachment] };
  model.send("bob", id, "", more);
  await pass(5 * SECOND);
  expect(client.store.state.byId.get(id)).toMatchObject({ last_message: "cat.jpg", last_message_kind: "image" });
});
