// Reactions, pins, mentions and forwarding.

import { expect, test } from "vitest";

import type { Tidings } from "../src/index.js";
import { MINUTE, SECOND, connected, model, pass, polling, useFakes, wire } from "./setup.js";
import { Browser } from "./wire.js";

useFakes();

/** Opens alice's conversation with bob, which has one message from him. */
async function opened(): Promise<{ client: Tidings; id: string; message: string }> {
  const { client, id } = await polling();
  client.open(id);
  await pass(SECOND);
  return { client, id, message: model.messages(id, "alice")[0]?.id ?? "" };
}

const shown = (client: Tidings, id: string) => client.store.state.timelines.get(id)?.messages.at(-1);
/** Reactions as text, with a star on the user's own. */
const reactions = (client: Tidings, id: string) =>
  shown(client, id)?.reactions.map(({ emoji, count, me }) => `${emoji}${count}${me ? "*" : ""}`);

test("a reaction shows at once, and stays when the server confirms it", async () => {
  const { client, id, message } = await opened();
  const before = shown(client, id);
  const states = new Set<string>();
  client.store.subscribe(() => states.add(reactions(client, id)?.join() ?? ""));
  const reacted = client.react(message, "👍");
  await pass(0);
  expect(reactions(client, id)).toEqual(["👍1*"]);
  expect(shown(client, id)?.version).toBe(before?.version);
  await Promise.all([reacted, pass(MINUTE)]);
  expect([...states]).toEqual(["👍1*"]);
  expect(shown(client, id)?.version).toBe(2);
  await Promise.all([client.unreact(message, "👍"), pass(SECOND)]);
  expect(reactions(client, id)).toEqual([]);
  expect(model.messages(id, "bob")[0]?.reactions).toEqual([]);
});

test("a refused reaction is rolled back, and leaves those of others", async () => {
  const { client, id, message } = await opened();
  wire.refusals.push({ path: /PUT .*\/reactions/, status: 409 });
  const outcome = expect(client.react(message, "👍")).rejects.toMatchObject({ status: 409 });
  await pass(0);
  expect(reactions(client, id)).toEqual(["👍1*"]);
  model.react("bob", message, "🎉", true);
  await pass(MINUTE);
  await outcome;
  expect(reactions(client, id)).toEqual(["🎉1"]);
});

test.each([["first", "20"], ["last", "0"]])("a reaction of another that crosses counts once, if its event arrives %s", async (_, wait) => {
  const { client, id, message } = await opened();
  wire.refusals.push({ path: /PUT .*\/reactions/, status: 503, headers: { "retry-after": wait } });
  const reacted = client.react(message, "👍");
  model.react("bob", message, "👍", true);
  await pass(5 * SECOND);
  expect(reactions(client, id)).toEqual(["👍2*"]);
  await Promise.all([reacted, pass(MINUTE)]);
  expect(reactions(client, id)).toEqual(["👍2*"]);
  expect(shown(client, id)?.version).toBe(3);
});

test("an event that already contains the reaction does not count it twice, whatever its variation selector", async () => {
  const { client, id, message } = await opened();
  wire.refusals.push({ path: /PUT .*\/reactions/, status: 503, headers: { "retry-after": "20" } });
  const reacted = client.react(message, "❤");
  // The same user reacts on another device.
  model.react("alice", message, "❤️", true);
  await pass(5 * SECOND);
  expect(reactions(client, id)).toEqual(["❤️1*"]);
  reacted.catch(() => {});
});

test("of several changes of a reaction, the last one wins", async () => {
  const { client, id, message } = await opened();
  wire.refusals.push({ path: /PUT .*\/reactions/, status: 503 });
  for (const isOn of [true, false, true, false]) {
    void (isOn ? client.react(message, "👍") : client.unreact(message, "👍"));
  }
  await pass(0);
  expect(reactions(client, id)).toEqual([]);
  await pass(MINUTE);
  expect(model.messages(id, "alice")[0]?.reactions).toEqual([]);
  expect(wire.count(/(PUT|DELETE) .*\/reactions/)).toBe(5);
});

test("reactions and pins reach all tabs at once, and each tab shows its own before", async () => {
  const { id } = model.direct("alice", "bob");
  const { message } = model.send("bob", id, "one");
  const browser = new Browser();
  const tabs = [await connected({ tabs: browser.tab() }), await connected({ tabs: browser.tab() })];
  for (const tab of tabs) tab.open(id);
  await pass(20 * SECOND);
  const marked = Promise.all([tabs[1]?.react(message.id, "👍"), tabs[1]?.pin(message.id)]);
  await pass(0);
  expect(tabs.map((tab) => reactions(tab, id))).toEqual([[], ["👍1*"]]);
  await pass(SECOND);
  await marked;
  for (const tab of tabs) {
    expect(reactions(tab, id)).toEqual(["👍1*"]);
    expect(shown(tab, id)?.pinned_at).not.toBeNull();
  }
});

test("a pin shows at once, and is rolled back if it is refused", async () => {
  const { client, id, message } = await opened();
  await Promise.all([client.pin(message), pass(SECOND)]);
  expect(shown(client, id)?.pinned_at).not.toBeNull();
  expect((await Promise.all([client.pins(id), pass(SECOND)]))[0].map((pinned) => pinned.id)).toEqual([message]);
  wire.refusals.push({ path: /DELETE .*\/pin/, status: 403 });
  const outcome = expect(client.unpin(message)).rejects.toMatchObject({ status: 403 });
  await pass(0);
  expect(shown(client, id)?.pinned_at).toBeNull();
  await pass(SECOND);
  await outcome;
  expect(shown(client, id)?.pinned_at).not.toBeNull();
});

test("mentions are sent, show while the message is pending, and survive an edit before it is sent", async () => {
  const { client, id } = await opened();
  wire.isOffline = true;
  const sent = client.send({ conversation_id: id, message_text: "@bob?", mentions: ["bob"], custom: { a: 1 } });
  await pass(SECOND);
  expect(shown(client, id)).toMatchObject({ status: "pending", mentions: ["bob"], mention_all: false, custom: { a: 1 } });
  await Promise.all([client.edit(shown(client, id)?.id ?? "", "@all", { mentions: [], mention_all: true }), pass(SECOND)]);
  expect(shown(client, id)).toMatchObject({ message_text: "@all", mentions: [], mention_all: true });
  wire.isOffline = false;
  await pass(MINUTE);
  const expected = { message_text: "@all", mentions: [], mention_all: true, custom: { a: 1 } };
  expect(await sent).toMatchObject({ conversation_id: id });
  expect(model.messages(id, "bob").at(-1)).toMatchObject(expected);
});

test("an edit changes mentions, and a failed one keeps them for the retry", async () => {
  const { client, id } = await opened();
  const sent = client.send({ conversation_id: id, message_text: "hello" });
  await pass(SECOND);
  const { id: message } = await sent;
  wire.refusals.push({ path: /^PATCH/, status: 403 });
  const outcome = expect(client.edit(message, "hello @bob", { mentions: ["bob"] })).rejects.toMatchObject({ status: 403 });
  await pass(SECOND);
  await outcome;
  const [failed] = client.store.state.outbox;
  expect(failed?.then).toEqual({ edit: "hello @bob", mentions: ["bob"] });
  await Promise.all([client.retry(failed?.id ?? ""), pass(MINUTE)]);
  expect(client.store.state.outbox).toEqual([]);
  expect(model.messages(id, "bob").at(-1)).toMatchObject({ message_text: "hello @bob", mentions: ["bob"] });
});

test("a forward shows the text at once, and the server copies it", async () => {
  const { client, message } = await opened();
  const other = model.direct("alice", "carol").id;
  model.send("carol", other, "hi");
  client.open(other);
  await pass(SECOND);
  wire.isOffline = true;
  client.send({ forward: message, conversation_id: other, message_text: "one" }).catch(() => {});
  await pass(SECOND);
  expect(shown(client, other)).toMatchObject({ status: "pending", message_text: "one", is_forwarded: true });
  // Its text is the server's, so an edit follows the send.
  const { key } = shown(client, other) ?? {};
  await Promise.all([client.edit(key ?? "", "one, edited"), pass(SECOND)]);
  wire.isOffline = false;
  await pass(MINUTE);
  expect(shown(client, other)).toMatchObject({ status: "sent", key, message_text: "one, edited", is_forwarded: true });
  expect(model.messages(other, "carol").filter(({ is_forwarded }) => is_forwarded).length).toBe(1);
});

test("the messages that mention the user are listed, newest first", async () => {
  const { client, id } = await opened();
  model.send("bob", id, "first", { mentions: ["alice"] });
  await pass(SECOND);
  model.send("bob", id, "not this one", { mentions: ["bob"] });
  model.send("bob", id, "everyone", { mention_all: true });
  const list = (async () => {
    const found: string[] = [];
    for await (const { message_text } of client.mentions({ limit: 10 })) found.push(message_text);
    return found;
  })();
  await pass(SECOND);
  expect(await list).toEqual(["everyone", "first"]);
});
