// Pushed events, and keeping a socket open.

import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

import { expect, test, vi } from "vitest";
import { WebSocket as NodeWebSocket } from "ws";

import type { TidingsEvent, TidingsOptions } from "../src/index.js";
import { Socket as ClientSocket } from "../src/socket.js";
import type { SocketConstructor } from "../src/socket.js";
import { MINUTE, SECOND, connected, model, pass, polls, tickets, useFakes, wire } from "./setup.js";

useFakes();

/** Seconds from now at which the client polls. */
async function pollTimes(seconds: number): Promise<number[]> {
  const times: number[] = [];
  for (let second = 1; second <= seconds; second += 1) {
    const before = polls();
    await pass(SECOND);
    if (polls() > before) times.push(second);
  }
  return times;
}

test("while a socket pushes events, polls follow an event at growing intervals, then once a minute", async () => {
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  expect(client.store.state.connection).toBe("live");
  await pass(10 * MINUTE);
  expect(await pollTimes(5 * 60)).toHaveLength(5);
  await pollTimes(60 - 35);
  model.send("bob", id, "pushed");
  await pass(10);
  expect(client.store.state.unread).toBe(1);
  // The event comes during a wait of a minute, and brings the next poll forward.
  const tens = (await pollTimes(5 * 60)).map((second) => Math.floor(second / 10) * 10);
  expect(tens).toEqual([10, 20, 40, 80, 140, 200, 260]);
});

test("while events or writes go on, the client polls every 10 s", async () => {
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  await pass(10 * MINUTE);
  let before = polls();
  for (let n = 0; n < 60; n += 1) {
    model.send("bob", id, `message ${n}`);
    await pass(SECOND);
  }
  expect(polls() - before).toBeGreaterThanOrEqual(5);
  await pass(10 * MINUTE);
  client.api.markAsRead(model.messages(id, "alice").at(-1)?.id ?? "").catch(() => {});
  before = polls();
  expect((await pollTimes(60)).slice(0, 2).map((second) => Math.round(second / 10))).toEqual([1, 2]);
  // Presence, of which idle users have some all the time, does not count.
  await pass(10 * MINUTE);
  before = polls();
  for (let n = 0; n < 20; n += 1) {
    const data = { user_id: "bob", status: "online", last_seen_at: null, current_conversation_id: null, expires_at: null };
    const event = { id: `p${n}`, type: "presence", conversation_id: "", occurred_at: new Date().toISOString(), data };
    model.onPush("alice", event as unknown as TidingsEvent);
    await pass(30 * SECOND);
  }
  expect(polls() - before).toBeLessThanOrEqual(11);
});

test("a lost push arrives with the next poll", async () => {
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  await pass(SECOND);
  wire.faults = { ...wire.faults, dropped: 1 };
  model.send("bob", id, "lost");
  await pass(SECOND);
  expect(client.store.state.unread).toBe(0);
  await pass(MINUTE);
  expect(client.store.state.unread).toBe(1);
});

test("an event that is both pushed and polled is reported once", async () => {
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  const reported: TidingsEvent[] = [];
  const created: string[] = [];
  client.on("event", (event) => reported.push(event));
  const unsubscribe = client.on("message.created", ({ data }) => created.push(data.message.message_text));
  wire.faults = { ...wire.faults, doubled: 1 };
  model.send("bob", id, "once");
  await pass(2 * MINUTE);
  expect(reported.map(({ type }) => type)).toEqual(["conversation.created", "message.created"]);
  unsubscribe();
  model.send("bob", id, "after unsubscribing");
  await pass(2 * MINUTE);
  expect(created).toEqual(["once"]);
});

test("an event is reported once, however many are pushed between two polls", async () => {
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  await pass(10 * MINUTE);
  const reported = new Set<string>();
  let count = 0;
  client.on("event", (event) => {
    reported.add(event.id);
    count += 1;
  });
  for (let n = 0; n < 6_000; n += 1) {
    model.typing("bob", id, true);
    if (n % 50 === 0) await pass(2);
  }
  await pass(2 * MINUTE);
  expect([reported.size, count]).toEqual([6_000, 6_000]);
});

test("a truncated push triggers a poll", async () => {
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  await pass(SECOND);
  const push = model.onPush;
  model.onPush = (user, { data: _, ...event }) => push(user, { ...event, truncated: true } as unknown as TidingsEvent);
  model.send("bob", id, "long");
  await pass(100);
  expect(client.store.state.unread).toBe(1);
});

test("when the socket closes, the client polls from its cursor until the next one opens", async () => {
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  await pass(2 * MINUTE);
  wire.faults = { ...wire.faults, refused: 1 };
  wire.endSockets();
  model.send("bob", id, "in between");
  await pass(50);
  expect(client.store.state).toMatchObject({ connection: "polling", unread: 1 });
  const before = polls();
  await pass(10 * SECOND);
  expect(polls() - before).toBeGreaterThanOrEqual(9);
  wire.faults = { ...wire.faults, refused: 0 };
  await pass(5 * MINUTE);
  expect(client.store.state.connection).toBe("live");
});

test("the client polls when a socket opens, because earlier events were not pushed", async () => {
  // A long backoff, so that the next socket takes a while.
  vi.spyOn(Math, "random").mockReturnValue(0.9);
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  await pass(2 * MINUTE);
  wire.endSockets();
  await pass(100);
  model.send("bob", id, "before the socket");
  const before = polls();
  while (client.store.state.connection !== "live") await pass(10);
  await pass(100);
  expect(client.store.state.unread).toBe(1);
  expect(polls()).toBeGreaterThan(before);
});

test("if sockets are blocked, the client backs off and polls", async () => {
  vi.spyOn(Math, "random").mockReturnValue(1);
  wire.faults = { ...wire.faults, refused: 1 };
  wire.pollAfter = 10_000;
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  await pass(20 * MINUTE);
  const before = tickets();
  await pass(60 * MINUTE);
  expect(tickets() - before).toBeLessThanOrEqual(12);
  model.send("bob", id, "polled");
  await pass(11 * SECOND);
  expect(client.store.state).toMatchObject({ connection: "polling", unread: 1 });
});

test("the client also backs off if sockets close at once", async () => {
  vi.spyOn(Math, "random").mockReturnValue(1);
  await connected();
  wire.pollAfter = 10_000;
  for (let n = 0; n < 720; n += 1) {
    wire.endSockets();
    await pass(5 * SECOND);
  }
  expect(tickets()).toBeLessThan(25);
});

test("the client opens a socket as soon as the network is back", async () => {
  const target = new EventTarget();
  vi.stubGlobal("addEventListener", target.addEventListener.bind(target));
  vi.stubGlobal("removeEventListener", target.removeEventListener.bind(target));
  vi.spyOn(Math, "random").mockReturnValue(1);
  wire.faults = { ...wire.faults, refused: 1 };
  wire.pollAfter = 10_000;
  const client = await connected();
  await pass(20 * MINUTE);
  wire.faults = { ...wire.faults, refused: 0 };
  expect(client.store.state.connection).toBe("polling");
  target.dispatchEvent(new Event("online"));
  await pass(200);
  expect(client.store.state.connection).toBe("live");
});

test("the client polls if the socket constructor throws", async () => {
  const WebSocket = class {
    constructor() {
      throw new Error("Blocked by the Content Security Policy.");
    }
  } as unknown as TidingsOptions["WebSocket"];
  const client = await connected({ ...(WebSocket ? { WebSocket } : {}) });
  expect(client.store.state.connection).toBe("polling");
});

test("an idle socket is pinged", async () => {
  await connected();
  const [socket] = wire.sockets;
  await pass(30 * MINUTE);
  expect(wire.sockets.has(socket!)).toBe(true);
  expect(socket?.sent.filter(({ action }) => action === "ping").length).toBe(7);
});

test("a socket that does not answer pings is replaced", async () => {
  const client = await connected();
  await pass(SECOND);
  const [socket] = wire.sockets;
  wire.cutSockets();
  await pass(5 * MINUTE);
  expect(client.store.state.connection).toBe("live");
  expect(wire.sockets.has(socket!)).toBe(false);
});

test("a socket is replaced within two hours, without a gap", async () => {
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  const states: string[] = [];
  client.store.subscribe((state) => state.connection, (connection) => states.push(connection));
  const [first] = wire.sockets;
  let most = 0;
  for (let minute = 0; minute < 118 && wire.sockets.has(first!); minute += 1) {
    for (let n = 0; n < 600; n += 1) {
      await pass(100);
      most = Math.max(most, wire.sockets.size);
    }
  }
  expect(wire.sockets.has(first!)).toBe(false);
  expect(states).toEqual([]);
  model.send("bob", id, "after it");
  await pass(100);
  expect(client.store.state.unread).toBe(1);
});

test("after sleep, the client polls at once and replaces a dead socket", async () => {
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  await pass(SECOND);
  wire.cutSockets();
  vi.setSystemTime(Date.now() + 8 * 3_600_000);
  model.send("bob", id, "good morning");
  await pass(16 * SECOND);
  expect(client.store.state.unread).toBe(1);
  await pass(15 * SECOND);
  expect([...wire.sockets].some((socket) => !socket.isCut)).toBe(true);
});

test("a socket that is not open yet can be given up", async () => {
  vi.useRealTimers();
  // Never answers the handshake.
  const server = createServer();
  const connection = new Promise<Socket>((resolve) => server.on("connection", (socket) => resolve(socket.resume())));
  const { port } = await new Promise<AddressInfo>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve(server.address() as AddressInfo)),
  );
  const stop = new AbortController();
  const constructor = NodeWebSocket as unknown as SocketConstructor;
  const opening = ClientSocket.open(constructor, `ws://127.0.0.1:${port}`, () => {}, stop.signal);
  const closed = once(await connection, "close");
  stop.abort();
  expect(await opening).toBeUndefined();
  // Node would end here by an error that nobody handles.
  await closed;
  server.close();
});
