// Typing and presence.

import { expect, test, vi } from "vitest";

import type { Presence, TidingsEvent } from "../src/index.js";
import { MINUTE, SECOND, alice, connected, model, pass, polling, useFakes, wire } from "./setup.js";

useFakes();

test("typing expires, whatever the local clock says", async () => {
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  const typing = () => client.store.state.typing.get(id) ?? [];
  model.typing("bob", id, true);
  vi.setSystemTime(Date.now() + 3_600_000);
  await pass(10);
  expect(typing()).toEqual(["bob"]);
  await pass(6 * SECOND);
  expect(typing()).toEqual([]);
  model.typing("bob", id, true);
  await pass(10);
  model.send("bob", id, "said");
  await pass(10);
  expect(typing()).toEqual([]);
});

test("typing signals are throttled to one in 4 s, and use the socket if there is one", async () => {
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  const [socket] = wire.sockets;
  for (let n = 0; n < 90; n += 1) {
    client.typing(id);
    await pass(100);
  }
  client.typing(id, false);
  client.typing(id, false);
  await pass(10);
  const signals = socket?.sent.filter(({ action }) => action === "typing");
  expect(signals?.length).toBe(4);
  const poller = await connected({ socketUrl: null });
  poller.typing(id);
  await pass(100);
  expect(wire.count(/POST \/api\/typing/)).toBe(1);
});

test("while polling, presence is looked up, and expires", async () => {
  const { client } = await polling();
  const online = { user_id: "bob", status: "online" as const, last_seen_at: null, current_conversation_id: null };
  model.presence.set("bob", online);
  const stop = client.watchPresence(["bob", "carol"]);
  await pass(100);
  const bob = () => client.store.state.presence.get("bob")?.status;
  expect(bob()).toBe("online");
  expect(wire.count(/presence/)).toBe(1);
  model.presence.set("bob", { ...online, status: "away" });
  await pass(MINUTE);
  expect(bob()).toBe("away");
  stop();
  await pass(4 * MINUTE);
  expect(bob()).toBe("offline");
  expect(wire.count(/presence/)).toBe(2);
});

test("a user who is shown as offline is looked up again when they write", async () => {
  const client = await connected();
  const online = { user_id: "bob", status: "online" as const, last_seen_at: null, current_conversation_id: null };
  const lookups = () => wire.count(/presence/);
  client.watchPresence(["bob"]);
  await pass(100);
  const { id } = model.direct("alice", "bob");
  model.send("carol", model.direct("alice", "carol").id, "unrelated");
  await pass(100);
  expect(lookups()).toBe(1);
  // Bob's presence is visible from the first message on.
  model.send("alice", id, "first");
  await pass(100);
  expect(lookups()).toBe(2);
  // Bob is invisible, and writes for 12 s: after 5 s he is looked up, and then not for another 10 s.
  for (let n = 0; n < 120; n += 1) {
    model.send("bob", id, "unseen");
    await pass(100);
  }
  expect(lookups()).toBe(3);
  model.presence.set("bob", online);
  await pass(1 * SECOND);
  expect(lookups()).toBe(3);
  // Bob's messages count although the newest message is Alice's.
  await pass(3 * SECOND);
  model.send("alice", id, "are you there?");
  await pass(100);
  expect(client.store.state.presence.get("bob")?.status).toBe("online");
  model.send("bob", id, "yes");
  await pass(6 * SECOND);
  expect(lookups()).toBe(4);
});

test("a failed lookup is retried by the next check, not by each message", async () => {
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  wire.refusals.push({ path: /presence/, status: 400 });
  client.watchPresence(["bob"]);
  await pass(100);
  model.presence.set("bob", { user_id: "bob", status: "online", last_seen_at: null, current_conversation_id: null });
  for (let n = 0; n < 10; n += 1) {
    model.send("bob", id, "unseen");
    await pass(1 * SECOND);
  }
  expect(wire.count(/presence/)).toBe(1);
  await pass(15 * SECOND);
  expect(wire.count(/presence/)).toBe(2);
  expect(client.store.state.presence.get("bob")?.status).toBe("online");
});

test("a user who writes during a lookup is looked up again after it", async () => {
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  const answers: ((presences: Presence[]) => void)[] = [];
  vi.spyOn(client.api, "presence").mockImplementation(() => new Promise((answer) => answers.push(answer)));
  const bob = (status: Presence["status"]) => [{ user_id: "bob", status, last_seen_at: null, current_conversation_id: null }];
  client.watchPresence(["bob"]);
  await pass(100);
  model.send("bob", id, "first");
  await pass(30 * SECOND);
  expect(answers.length).toBe(1);
  answers[0]?.(bob("offline"));
  await pass(10);
  expect(answers.length).toBe(2);
  answers[1]?.(bob("online"));
  await pass(10);
  expect(client.store.state.presence.get("bob")?.status).toBe("online");
});

test("rows that load are no news", async () => {
  const { id } = model.direct("alice", "bob");
  model.send("bob", id, "old");
  const client = alice();
  const ready = client.connect();
  client.watchPresence(["bob"]);
  await pass(200);
  await ready;
  expect(client.store.state.byId.get(id)?.last_message).toBe("old");
  expect(wire.count(/presence/)).toBe(1);
});

test("lookAt keeps the status, skips repeated calls, and does nothing while invisible", async () => {
  const client = await connected();
  const calls: unknown[] = [];
  vi.spyOn(client.api, "setPresence").mockImplementation(async (...args) => {
    calls.push(args.slice(0, 2));
    return {} as Presence;
  });
  const lookAt = async (at: string | null) => void (await Promise.all([client.lookAt(at), pass(100)]));
  const own: Presence = { user_id: "alice", status: "away", last_seen_at: null, current_conversation_id: null };
  model.presence.set("alice", own);
  await lookAt("d1");
  await lookAt(null);
  model.presence.set("alice", { ...own, current_conversation_id: "d1" });
  await lookAt("d1");
  await lookAt(null);
  model.presence.set("alice", { ...own, status: "offline" });
  await lookAt("d1");
  expect(calls).toEqual([["away", "d1"], ["away", undefined]]);
});

/** Pushes bob's presence to alice. */
function push(id: string, status: string, ttl: number) {
  const occurred_at = new Date().toISOString();
  const expires_at = new Date(Date.now() + ttl).toISOString();
  const data = { user_id: "bob", status, last_seen_at: null, current_conversation_id: null, expires_at };
  model.onPush("alice", { id, type: "presence", conversation_id: null, occurred_at, data } as TidingsEvent);
}

test("a push during a lookup is newer than the answer", async () => {
  const client = await connected();
  const answers: ((presences: Presence[]) => void)[] = [];
  vi.spyOn(client.api, "presence").mockImplementation(() => new Promise((answer) => answers.push(answer)));
  const offline: Presence = { user_id: "bob", status: "offline", last_seen_at: null, current_conversation_id: null };
  const bob = () => client.store.state.presence.get("bob")?.status;
  push("p1", "away", 5 * MINUTE);
  client.watchPresence(["bob"]);
  await pass(100);
  push("p2", "online", 5 * MINUTE);
  await pass(10);
  answers[0]?.([offline]);
  await pass(10);
  expect(bob()).toBe("online");
  // The next lookup began after the push.
  await pass(3 * MINUTE);
  answers[1]?.([offline]);
  await pass(10);
  expect(bob()).toBe("offline");
});

test("pushed presence expires to offline", async () => {
  const client = await connected();
  push("p2", "online", 30_000);
  push("p1", "offline", 30_000);
  await pass(10);
  expect(client.store.state.presence.get("bob")?.status).toBe("online");
  await pass(31 * SECOND);
  expect(client.store.state.presence.get("bob")?.status).toBe("offline");
});
