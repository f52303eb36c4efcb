// End-to-end tests: real clients against the server binary.

import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";

import { Session, Tidings } from "../src/index.js";
import type { Message, State, TidingsOptions } from "../src/index.js";
import { Server, hasBinary } from "./server.js";

const here = fileURLToPath(new URL("..", import.meta.url));
const clients: Tidings[] = [];
const server = new Server();

/** Waits until a client's state matches a condition. */
function until(client: Tidings, condition: (state: State) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = () => {
      if (!condition(client.store.state)) return;
      unsubscribe();
      resolve();
    };
    const unsubscribe = client.store.subscribe(check);
    check();
  });
}

async function connected(user: string, more: Partial<TidingsOptions> = {}): Promise<Tidings> {
  const token = server.token(user);
  const options = { url: server.url, token: () => token, WebSocket: WebSocket as unknown as typeof globalThis.WebSocket };
  const client = new Tidings({ ...options, ...more });
  clients.push(client);
  await client.connect();
  return client;
}

const last = (client: Tidings, id: string) => client.store.state.timelines.get(id)?.messages.at(-1);

describe.skipIf(!hasBinary)("against the server", () => {
  beforeAll(() => server.start("--demo=20"));
  afterEach(() => clients.splice(0).forEach((client) => client.disconnect()));
  afterAll(() => server.remove());

  test("two users chat over sockets", async () => {
    const [alice, bob] = await Promise.all([connected("alice"), connected("bob")]);
    await Promise.all([alice, bob].map((client) => until(client, ({ connection }) => connection === "live")));
    const sent = await alice.send({ recipient_id: "bob", message_text: "How do you do?" });
    const id = sent.conversation_id;
    [alice, bob].forEach((client) => client.open(id));
    await until(bob, () => last(bob, id)?.message_text === "How do you do?");
    expect(bob.store.state.byId.get(id)).toMatchObject({ last_message: "How do you do?", last_message_from_me: false });
    bob.typing(id);
    await until(alice, ({ typing }) => typing.get(id)?.[0] === "bob");
    await bob.markAsRead(id);
    await until(alice, () => last(alice, id)?.read === true);
    expect(bob.store.state.byId.get(id)?.unread_count).toBe(0);
    await alice.edit(sent.id, "How are you?");
    await until(bob, () => last(bob, id)?.message_text === "How are you?");
    await alice.delete(sent.id);
    await until(bob, () => last(bob, id)?.is_deleted === true);
    const stop = alice.watchPresence(["bob"]);
    await until(alice, ({ presence }) => presence.get("bob")?.status === "online");
    await bob.setStatus("do_not_disturb", id);
    await until(alice, ({ presence }) => presence.get("bob")?.status === "do_not_disturb");
    stop();
  });

  test("reactions, pins, mentions and forwards are the same on all devices", async () => {
    const [phone, laptop, bob] = await Promise.all([connected("alice"), connected("alice", { socketUrl: null }), connected("bob")]);
    const all = [phone, laptop, bob];
    const sent = await bob.send({ recipient_id: "alice", message_text: "@Alice, look", mentions: ["alice"] });
    const id = sent.conversation_id;
    all.forEach((client) => client.open(id));
    const everywhere = (condition: (message: Message | undefined) => boolean) =>
      Promise.all(all.map((client) => until(client, () => condition(last(client, id)))));
    await everywhere((message) => message?.id === sent.id && message.mentions[0] === "alice");
    await Promise.all([phone, laptop].map((client) => until(client, ({ byId }) => byId.get(id)?.first_mention_id === sent.id)));
    await Promise.all([phone.react(sent.id, "❤"), bob.react(sent.id, "❤️")]);
    await everywhere((message) => message?.reactions[0]?.count === 2 && message.reactions[0].me);
    await phone.unreact(sent.id, "❤️");
    await everywhere((message) => message?.reactions[0]?.count === 1);
    expect(last(laptop, id)?.reactions).toEqual([{ emoji: "❤️", count: 1, me: false, user_ids: ["bob"] }]);
    expect(last(laptop, id)).toMatchObject({ is_edited: false });
    await laptop.pin(sent.id);
    await everywhere((message) => message?.pinned_at !== null);
    expect((await bob.pins(id)).map((message) => message.id)).toEqual([sent.id]);
    await bob.unpin(sent.id);
    await everywhere((message) => message?.pinned_at === null);
    const forwarded = await phone.send({ forward: sent.id, recipient_id: "carol", message_text: sent.message_text });
    expect(forwarded).toMatchObject({ message_text: "@Alice, look", is_forwarded: true, mentions: [] });
    await expect(phone.react(sent.id, "no emoji")).rejects.toMatchObject({ status: 400 });
    expect(last(phone, id)?.reactions.length).toBe(1);
    await bob.edit(sent.id, "look", { mentions: [] });
    await everywhere((message) => message?.message_text === "look");
    await until(phone, ({ byId }) => byId.get(id)?.mention_count === 0);
    // State plus events equals fresh state.
    const fresh = await connected("alice", { socketUrl: null });
    fresh.open(id);
    await until(fresh, () => last(fresh, id)?.id === sent.id);
    for (const client of [phone, laptop]) {
      expect(last(client, id)).toEqual(last(fresh, id));
      expect(client.store.state.byId.get(id)).toEqual(fresh.store.state.byId.get(id));
    }
  });

  test("a row has the same fields after an event and in the list", async () => {
    const [alice, bob] = await Promise.all([connected("alice"), connected("bob")]);
    const { conversation_id: id } = await alice.createGroup("Team", ["bob"]);
    await until(bob, ({ byId }) => byId.has(id));
    await alice.api.updateConversation(id, { name: "We", description: "Who we are", custom: { color: "red" } });
    const fresh = await connected("bob", { socketUrl: null });
    await Promise.all([bob, fresh].map((client) => until(client, ({ byId }) => byId.get(id)?.name === "We")));
    expect(bob.store.state.byId.get(id)).toEqual(fresh.store.state.byId.get(id));
  });

  test("settings and unread marks are the same on all devices, and the server keeps them", async () => {
    const [phone, laptop, bob] = await Promise.all([connected("alice"), connected("alice", { socketUrl: null }), connected("bob")]);
    const sent = await bob.send({ recipient_id: "alice", message_text: "Look at this" });
    const id = sent.conversation_id;
    const both = (condition: (state: State) => boolean) => Promise.all([phone, laptop].map((client) => until(client, condition)));
    await both(({ byId }) => byId.get(id)?.last_message === "Look at this");
    await phone.markAsRead(id);
    await both(({ byId }) => byId.get(id)?.unread_count === 0);
    await phone.api.markAsUnread(sent.id);
    await both(({ byId }) => byId.get(id)?.unread_count === 1 && byId.get(id)?.marked_unread === true);
    const before = phone.store.state.unmutedUnread;
    await phone.changeSettings(id, { pinned: true, muted_until: "always", notify: "mentions" });
    await both(({ conversations }) => conversations[0]?.conversation_id === id && conversations[0].muted_until === "always");
    expect(phone.store.state.unmutedUnread).toBe(before - 1);
    await laptop.changeSettings(id, { archived: true });
    await both(({ archived }) => archived.some((row) => row.conversation_id === id && row.pinned_at === null));
    await bob.send({ recipient_id: "alice", message_text: "Do you see it?" });
    await both(({ byId }) => byId.get(id)?.unread_count === 2 && byId.get(id)?.is_archived === true);
    const fresh = await connected("alice", { socketUrl: null });
    fresh.loadArchive();
    await until(fresh, ({ archived }) => archived.length > 0);
    expect(fresh.store.state.byId.get(id)).toEqual(phone.store.state.byId.get(id));
    await laptop.changeSettings(id, { muted_until: null });
    await bob.send({ recipient_id: "alice", message_text: "It comes back" });
    await both(({ conversations }) => conversations.some((row) => row.conversation_id === id));
    await phone.markAsRead(id);
    await both(({ byId }) => byId.get(id)?.unread_count === 0 && byId.get(id)?.marked_unread === false);
  });

  test("a client without sockets receives everything by polling", async () => {
    const polling = { socketUrl: null };
    const [alice, bob] = await Promise.all([connected("alice", polling), connected("bob", polling)]);
    const group = await alice.createGroup("Pollers", ["bob"]);
    const id = group.conversation_id;
    await until(bob, ({ byId }) => byId.get(id)?.name === "Pollers");
    bob.open(id);
    await alice.send({ conversation_id: id, message_text: "Anybody there?" });
    await until(bob, ({ byId }) => byId.get(id)?.unread_count === 1);
    await bob.api.removeParticipant(id, "bob");
    await until(bob, ({ byId }) => !byId.has(id));
    expect(bob.store.state.connection).toBe("polling");
  });

  test("a server crash neither loses nor duplicates messages", async () => {
    const [alice, bob] = await Promise.all([connected("alice"), connected("bob")]);
    const { conversation_id: id } = await alice.openDirect("bob");
    const texts = Array.from({ length: 20 }, (_, n) => `message ${n}`);
    const sends = texts.slice(0, 10).map((message_text) => alice.send({ conversation_id: id, message_text }));
    await sends[4];
    await server.kill();
    await until(alice, ({ connection }) => connection === "offline");
    sends.push(...texts.slice(10).map((message_text) => alice.send({ conversation_id: id, message_text })));
    await server.start("--demo=20");
    await Promise.all(sends);
    const found: Message[] = [];
    for await (const message of bob.history(id, { limit: 7 })) {
      if (message.message_text.startsWith("message ")) found.unshift(message);
    }
    expect(found.map((message) => message.message_text)).toEqual(texts);
    bob.open(id);
    await until(bob, () => last(bob, id)?.message_text === "message 19");
  });

  test("files arrive, and links to them need no token", async () => {
    const [alice, bob] = await Promise.all([connected("alice"), connected("bob")]);
    const { conversation_id: id } = await alice.openDirect("bob");
    bob.open(id);
    // The smallest picture: one pixel.
    const gif = Uint8Array.from(atob("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"), (char) => char.charCodeAt(0));
    const files = [new File([gif], "dot.gif", { type: "image/gif" }), new File(["plain"], "notes.txt", { type: "text/plain" })];
    const { attachments } = await alice.send({ conversation_id: id, message_text: "", files });
    expect(attachments).toMatchObject([
      { kind: "image", file_name: "dot.gif", content_type: "image/gif", size: gif.length, width: 1, height: 1 },
      { kind: "file", file_name: "notes.txt", size: 5 },
    ]);
    await until(bob, () => last(bob, id)?.attachments.length === 2);
    const url = last(bob, id)?.attachments[1]?.url ?? "";
    expect(await (await fetch(url)).text()).toBe("plain");
  });

  test("history, inbox and search iterate over all pages", async () => {
    const alice = await connected("alice", { socketUrl: null });
    const rows = [];
    for await (const row of alice.inbox()) rows.push(row);
    expect(rows.map((row) => row.conversation_id)).toEqual(alice.store.state.conversations.map((row) => row.conversation_id));
    const room = rows.find((row) => row.type === "room");
    const history: Message[] = [];
    for await (const message of alice.history(room?.conversation_id ?? "", { limit: 3 })) history.push(message);
    expect(history.map(({ id }) => id)).toEqual(history.map(({ id }) => id).sort().reverse());
    expect(history.length).toBeGreaterThan(5);
    const { message_text, id } = history.find((message) => /\w{4}/.test(message.message_text)) ?? {};
    const word = /\w{4}/.exec(message_text ?? "")?.[0] ?? "";
    const hits = [];
    for await (const hit of alice.search(word, { limit: 2 })) hits.push(hit.id);
    expect(hits).toContain(id);
  });

  test("a user registers, renews the token and signs out", async () => {
    const session = new Session({ url: server.url });
    const user = await session.register({ username: "newcomer", email: "n@x.example", password: "long enough" });
    const token = await session.token();
    expect(await session.token(token)).toBeTypeOf("string");
    const client = new Tidings({ url: server.url, token: session.token, socketUrl: null });
    clients.push(client);
    await client.connect();
    expect(client.store.state.me).toMatchObject({ id: user.id, username: "newcomer", email: "n@x.example" });
    await session.logout();
    expect(session.isSignedIn).toBe(false);
  });

  test.each(["README.md", "../../README.md"])("the example in %s runs as printed", async (readme) => {
    const text = readFileSync(join(here, readme), "utf8");
    const example = /```js\n(import { Tidings } [\s\S]*?)```\n/.exec(text)?.[1] ?? "";
    expect(example.trim().split("\n").length).toBeLessThanOrEqual(15);
    const folder = join(server.folder, "example", "node_modules", "@tidings");
    mkdirSync(folder, { recursive: true });
    const link = join(folder, "client");
    try {
      symlinkSync(here, link);
    } catch (error) {
      if ((error as { code?: string }).code !== "EEXIST") throw error;
    }
    const file = join(server.folder, "example", "client.mjs");
    writeFileSync(file, example.replace("http://127.0.0.1:3000", server.url));
    const env = { ...process.env, TOKEN: server.token("alice") };
    const { stdout } = await promisify(execFile)(process.execPath, [file], { env });
    expect(stdout).toMatch(/unread in \d+ conversations/);
    expect(stdout).toMatch(/alice Are you there\? ✓\n/);
    expect(stdout).toContain("found Are you there?");
  });
});
