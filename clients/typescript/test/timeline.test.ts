// Loading messages and moving a timeline.

import { expect, test } from "vitest";

import { MINUTE, SECOND, connected, model, pass, polling, texts, useFakes, wire } from "./setup.js";

useFakes();

test("a timeline loads pages in both directions, and around a message", async () => {
  const { client, id } = await polling();
  for (let n = 1; n < 200; n += 1) model.send("bob", id, `m${n}`);
  const close = client.open(id);
  await pass(2 * SECOND);
  const numbers = () => (texts(client, id) ?? []).map((text) => Number(text.slice(1)));
  const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n);
  expect(numbers()).toEqual(range(150, 199));
  await Promise.all([client.loadOlder(id), pass(100)]);
  expect(numbers()).toEqual(range(100, 199));
  const target = model.messages(id, "alice")[40]?.id ?? "";
  await Promise.all([client.jumpTo(id, target), pass(100)]);
  expect(numbers()).toEqual(range(16, 65));
  expect(client.store.state.timelines.get(id)).toMatchObject({ hasOlder: true, hasNewer: true });
  model.send("bob", id, "m200");
  await pass(2 * SECOND);
  expect(numbers().at(-1)).toBe(65);
  for (let n = 0; n < 3; n += 1) await Promise.all([client.loadNewer(id), pass(100)]);
  expect(numbers()).toEqual(range(16, 200));
  expect(client.store.state.timelines.get(id)?.hasNewer).toBe(false);
  await Promise.all([client.jumpToLatest(id), pass(100)]);
  expect(numbers()).toEqual(range(151, 200));
  close();
});

test("a single message loads on its own, and jumpToUnread shows the first unread one", async () => {
  const { id } = model.direct("alice", "bob");
  for (let n = 1; n <= 200; n += 1) model.send("bob", id, `m${n}`);
  await pass(MINUTE);
  const client = await connected({ socketUrl: null });
  const close = client.open(id);
  await pass(2 * SECOND);
  const [, , third, fourth] = model.messages(id, "alice");
  const one = client.message(id, third?.id ?? "");
  void client.message(id, third?.id ?? "");
  let calls = 0;
  const stop = client.store.subscribe(() => client.store.message(id, third?.id ?? ""), () => (calls += 1));
  await pass(100);
  expect((await one)?.message_text).toBe("m3");
  expect([calls, wire.count(/^GET .*messages$/)]).toEqual([1, 3]);
  stop();
  model.hide("alice", fourth?.id ?? "");
  const hidden = client.message(id, fourth?.id ?? "");
  await pass(100);
  expect(await hidden).toBeUndefined();
  // The timeline does not include the single message, so it has no gap.
  expect(texts(client, id)?.[0]).toBe("m151");

  // Nothing was read yet, so the first unread message is the first one.
  await Promise.all([client.jumpToUnread(id), pass(100)]);
  expect(texts(client, id)?.slice(0, 4)).toEqual(["m1", "m2", "m3", "m5"]);
  close();
});

test("jumping to a message that is shown makes no calls", async () => {
  const { client, id } = await polling();
  const [first] = model.messages(id, "alice");
  await Promise.all([client.jumpTo(id, first?.id ?? ""), pass(100)]);
  expect(texts(client, id)).toEqual(["one"]);
  const before = wire.calls.length;
  await client.jumpTo(id, first?.id ?? "");
  expect(wire.calls.length).toBe(before);
});

test("an open conversation that was deleted loads again when a message arrives", async () => {
  const { client, id } = await polling();
  client.open(id);
  await pass(2 * SECOND);
  model.deleteConversation("alice", id);
  await pass(2 * SECOND);
  expect(client.store.state.conversations).toEqual([]);
  model.send("bob", id, "again");
  await pass(2 * SECOND);
  expect(client.store.state.conversations.length).toBe(1);
  expect(texts(client, id)).toEqual(["again"]);
});

test("conversations that are not open keep few messages, and exact counts", async () => {
  const { client, id } = await polling();
  const close = client.open(id);
  await pass(SECOND);
  const ids = model.messages(id, "alice").map((message) => message.id);
  for (let n = 0; n < 1_000; n += 1) {
    ids.push(model.send(n % 3 ? "bob" : "alice", id, `m${n}`).message.id);
    if (n % 100 === 0) await pass(2 * SECOND);
  }
  await pass(5 * SECOND);
  const kept = () => ids.filter((message) => client.store.message(id, message)).length;
  expect([kept(), texts(client, id)?.length]).toEqual([1_001, 1_001]);
  close();
  expect(kept()).toBeLessThanOrEqual(1_001);
  for (let n = 0; n < 2_000; n += 1) {
    ids.push(model.send("bob", id, `n${n}`).message.id);
    if (n % 100 === 0) await pass(2 * SECOND);
  }
  await pass(5 * SECOND);
  expect(kept()).toBeLessThanOrEqual(200);
  const row = () => client.store.state.byId.get(id);
  expect(row()).toMatchObject({ unread_count: model.unread(id, "alice").length, last_message: "n1999" });
  // A message that was dropped is deleted, and one that was kept is read.
  model.delete("bob", ids[2_000] ?? "");
  model.read("alice", ids.at(-50) ?? "");
  await pass(2 * SECOND);
  expect(row()?.unread_count).toBe(model.unread(id, "alice").length);
  client.open(id);
  await pass(2 * SECOND);
  expect(texts(client, id)?.at(-1)).toBe("n1999");
  expect(texts(client, id)).toHaveLength(50);
  await Promise.all([client.loadOlder(id), pass(SECOND)]);
  expect(texts(client, id)).toHaveLength(100);
});

test("what one user could not see, the next one can", async () => {
  const { id } = model.direct("alice", "bob");
  const { message } = model.send("bob", id, "hidden from alice");
  model.hide("alice", message.id);
  // So many that a new cursor does not go back to the first.
  for (let n = 0; n < 10; n += 1) model.send("bob", id, `newer ${n}`);
  await pass(MINUTE);
  let user = "alice";
  const client = await connected({ socketUrl: null, token: () => user });
  const load = async () => {
    const loading = client.message(id, message.id);
    await pass(SECOND);
    return (await loading)?.message_text;
  };
  expect(await load()).toBeUndefined();
  client.disconnect();
  user = "bob";
  await Promise.all([client.connect(), pass(200)]);
  expect(await load()).toBe("hidden from alice");
});
