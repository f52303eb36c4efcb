// Polling, loading, retries and the connection's lifecycle.

import { expect, test, vi } from "vitest";

import { TidingsError, memoryStorage } from "../src/index.js";
import { MINUTE, SECOND, alice, clients, connected, model, pass, polling, polls, texts, useFakes, wire } from "./setup.js";

useFakes();

test("the client takes a cursor before it loads anything, and polls from it", async () => {
  const { client } = await polling();
  const paths = wire.calls.map(({ method, path, query }) => `${method} ${path}${query.get("cursor") ? " on" : ""}`);
  expect(paths.slice(0, 4)).toEqual([
    "GET /api/users/me",
    "GET /api/events",
    "GET /api/messages/inbox",
    "GET /api/events on",
  ]);
  expect(client.store.state).toMatchObject({ connection: "polling", isComplete: true, unread: 1 });
});

test("the client polls at the interval the server asks for", async () => {
  wire.pollAfter = 7_000;
  await polling();
  const before = polls();
  await pass(70 * SECOND);
  expect(polls() - before).toBe(10);
});

test("the client polls again at once while there are more events", async () => {
  const { client, id } = await polling();
  wire.pageSize = 3;
  wire.pollAfter = 30_000;
  await pass(2 * SECOND);
  for (let n = 0; n < 10; n += 1) model.send("bob", id, `more ${n}`);
  await pass(30 * SECOND);
  expect(client.store.state.unread).toBe(11);
});

test("the client polls after a write, so that its events arrive soon", async () => {
  wire.pollAfter = 30_000;
  const { client, id } = await polling();
  await pass(SECOND);
  client.markAsRead(id);
  expect(client.store.state.unread).toBe(0);
  await pass(200);
  expect(client.store.state.byId.get(id)?.last_read_message_id).not.toBeNull();
});

test("a listener that throws does not affect other listeners", async () => {
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  const uncaught: unknown[] = [];
  vi.stubGlobal("queueMicrotask", (work: () => void) => {
    try {
      work();
    } catch (error) {
      uncaught.push(error);
    }
  });
  const received: string[] = [];
  client.on("message.created", () => {
    throw new Error("in a listener");
  });
  client.on("message.created", ({ data }) => received.push(data.message.message_text));
  model.send("bob", id, "one");
  model.send("bob", id, "two");
  await pass(SECOND);
  expect([received, uncaught.length, client.store.state.unread]).toEqual([["one", "two"], 2, 2]);
});

test("after an expired cursor, the old state stays visible until everything is loaded again", async () => {
  const { client, id } = await polling();
  client.open(id);
  await pass(SECOND);
  expect(texts(client, id)).toEqual(["one"]);
  // Neither the expired cursor nor a new one provides these events.
  model.generation += 1;
  model.queue("alice").events.forEach((queued) => (queued.isRemoved = true));
  model.send("bob", id, "two");
  model.queue("alice").events.forEach((queued) => (queued.isRemoved = true));
  const lengths = new Set<number>();
  client.store.subscribe(() => lengths.add(client.store.state.conversations.length));
  await pass(5 * SECOND);
  expect(texts(client, id)).toEqual(["one", "two"]);
  expect([...lengths]).toEqual([1]);
});

test("a long inbox shows its first page first and completes in the background", async () => {
  wire.pageSize = 4;
  for (let n = 0; n < 10; n += 1) model.group(`group ${n}`, ["alice", "bob"]);
  wire.faults = { ...wire.faults, latency: 400 };
  const client = alice({ socketUrl: null });
  let firstPage = 0;
  void client.connect().then(() => (firstPage = client.store.state.conversations.length));
  await pass(10 * SECOND);
  expect(firstPage).toBe(4);
  expect(client.store.state).toMatchObject({ isComplete: true });
  expect(client.store.state.conversations.map(({ name }) => name)).toEqual(
    model.inbox("alice").map(({ name }) => name),
  );
});

test("a row that moves between pages during loading is loaded separately", async () => {
  wire.pageSize = 2;
  const chats = [0, 1, 2, 3, 4, 5].map((n) => model.group(`group ${n}`, ["alice", "bob"]));
  wire.faults = { ...wire.faults, latency: 400 };
  const client = alice({ socketUrl: null });
  await Promise.all([client.connect(), pass(1_200)]);
  // The row moves from a page that is not loaded yet to one that is.
  model.send("bob", chats[0]?.id ?? "", "to the top");
  await pass(10 * SECOND);
  expect(client.store.state.conversations.length).toBe(6);
  expect(client.store.state.conversations[0]?.name).toBe("group 0");
});

test("failed polls are retried with backoff", async () => {
  const { client } = await polling();
  vi.spyOn(Math, "random").mockReturnValue(1);
  for (let n = 0; n < 4; n += 1) wire.refusals.push({ path: /events/, status: 500 });
  const at: number[] = [];
  for (let tenths = 0, before = polls(); tenths < 100; tenths += 1) {
    await pass(100);
    if (polls() > before) at.push(tenths);
    before = polls();
  }
  const pauses = at.slice(1).map((tenth, n) => tenth - (at[n] ?? 0));
  expect(pauses.slice(0, 4)).toEqual([5, 10, 20, 40]);
  wire.isOffline = true;
  await pass(2 * SECOND);
  expect(client.store.state.connection).toBe("offline");
});

test("the backoff has full jitter", async () => {
  const { backoff } = await import("../src/time.js");
  const random = vi.spyOn(Math, "random").mockReturnValue(1);
  expect([0, 1, 2, 3, 50].map((failures) => backoff(failures, 30_000))).toEqual([500, 1_000, 2_000, 4_000, 30_000]);
  random.mockReturnValue(0);
  expect(backoff(10, 30_000)).toBe(0);
});

test("Retry-After delays the next poll", async () => {
  await polling();
  wire.refusals.push({ path: /events/, status: 503, headers: { "retry-after": "20" } });
  await pass(2 * SECOND);
  const before = polls();
  await pass(15 * SECOND);
  expect(polls() - before).toBe(0);
  await pass(10 * SECOND);
  expect(polls() - before).toBeGreaterThan(0);
});

test("events that occur while offline arrive afterwards", async () => {
  const target = new EventTarget();
  vi.stubGlobal("addEventListener", target.addEventListener.bind(target));
  vi.stubGlobal("removeEventListener", target.removeEventListener.bind(target));
  const { client, id } = await polling();
  wire.isOffline = true;
  target.dispatchEvent(new Event("offline"));
  expect(client.store.state.connection).toBe("offline");
  model.send("bob", id, "meanwhile");
  await pass(30 * MINUTE);
  expect(client.store.state.unread).toBe(1);
  wire.isOffline = false;
  target.dispatchEvent(new Event("online"));
  await pass(100);
  expect(client.store.state).toMatchObject({ connection: "polling", unread: 2 });
});

test("after a refused token, the client asks for a new one once, then stops", async () => {
  const { client } = await polling();
  const refusedTokens: (string | undefined)[] = [];
  let fresh = "alice";
  const other = alice({
    socketUrl: null,
    token: (refused) => {
      refusedTokens.push(refused);
      return refused === undefined ? "stale" : fresh;
    },
  });
  const ready = other.connect();
  await pass(200);
  await ready;
  expect(refusedTokens.slice(0, 2)).toEqual([undefined, "stale"]);
  expect(other.store.state.connection).toBe("polling");
  fresh = "nobody";
  await pass(2 * SECOND);
  expect(other.store.state.connection).toBe("signed_out");
  const before = wire.calls.filter(({ user }) => user === "nobody").length;
  await pass(10 * MINUTE);
  expect(wire.calls.filter(({ user }) => user === "nobody").length).toBe(before);
  expect(client.store.state.connection).toBe("polling");
});

test("connect rejects if the token is refused, and waits while offline", async () => {
  const stranger = alice({ token: () => "nobody" });
  const refused = expect(stranger.connect()).rejects.toMatchObject({ code: "not_authenticated" });
  await pass(SECOND);
  await refused;
  expect(stranger.store.state.connection).toBe("signed_out");
  wire.isOffline = true;
  const client = alice();
  let isConnected = false;
  void client.connect().then(() => (isConnected = true));
  await pass(5 * MINUTE);
  expect([isConnected, client.store.state.connection]).toEqual([false, "offline"]);
  wire.isOffline = false;
  await pass(MINUTE);
  expect(isConnected).toBe(true);
});

test("disconnect stops all activity, and connect catches up", async () => {
  const { client, id } = await polling();
  client.disconnect();
  const before = wire.calls.length;
  await pass(10 * MINUTE);
  expect([wire.calls.length, vi.getTimerCount()]).toEqual([before, 0]);
  model.send("bob", id, "two");
  const ready = client.connect();
  await pass(200);
  await ready;
  expect(client.store.state.unread).toBe(2);
  const waiting = alice().connect();
  const rejected = expect(waiting).rejects.toThrow("disconnected");
  clients.at(-1)?.disconnect();
  await rejected;
});

test("a different user does not see the previous user's state", async () => {
  let user = "alice";
  const { id } = model.direct("alice", "bob");
  model.send("bob", id, "for alice");
  const client = await connected({ token: () => user });
  client.disconnect();
  user = "carol";
  await Promise.all([client.connect(), pass(200)]);
  expect(client.store.state).toMatchObject({ conversations: [], me: { id: "carol" } });
});

test("all calls can be aborted", async () => {
  const { client, id } = await polling();
  wire.faults = { ...wire.faults, latency: 60_000 };
  const abort = new AbortController();
  const { signal } = abort;
  const rejections = [
    client.markAsRead(id, undefined, { signal }),
    client.history(id, { signal }).next(),
    client.inbox({ signal }).next(),
    client.search("x", { signal }).next(),
    client.openDirect("bob", { signal }),
    client.jumpToLatest(id, { signal }),
  ].map((call) => expect(call).rejects.toBe("aborted by the test"));
  await pass(10);
  abort.abort("aborted by the test");
  await Promise.all(rejections);
});

test("a failed call throws a TidingsError", async () => {
  const { client } = await polling();
  const call = client.openDirect("alice").catch((error: unknown) => error);
  wire.refusals.push({ path: /conversations/, status: 429, headers: { "retry-after": "3" } });
  await pass(100);
  const error = (await call) as TidingsError;
  expect(error).toBeInstanceOf(TidingsError);
  expect(error).toMatchObject({ code: "rate_limited", status: 429, retryable: true, retryAfterMs: 3_000 });
});

test("disconnect during connect settles it, and leaves neither timer nor listener", async () => {
  const target = new EventTarget();
  let listeners = 0;
  const add = (...[name, listener, options]: Parameters<EventTarget["addEventListener"]>) => {
    listeners += 1;
    const { signal } = options as AddEventListenerOptions;
    signal?.addEventListener("abort", () => (listeners -= 1));
    target.addEventListener(name, listener, options);
  };
  vi.stubGlobal("addEventListener", add);
  vi.stubGlobal("removeEventListener", target.removeEventListener.bind(target));
  let answer: () => void = () => {};
  const slow = { ...memoryStorage(), all: () => new Promise<[]>((resolve) => (answer = () => resolve([]))) };
  for (let ms = 0; ms < 100; ms += 5) {
    const client = alice({ storage: () => slow });
    const rejected = expect(client.connect()).rejects.toThrow("disconnected");
    await pass(ms);
    client.disconnect();
    // Even if the storage never answers.
    await rejected;
    answer();
    await pass(MINUTE);
    expect([vi.getTimerCount(), listeners, client.store.state.connection]).toEqual([0, 0, "idle"]);
  }
  const client = await connected();
  expect([listeners, client.store.state.connection]).toEqual([3, "live"]);
});

test("a failed markAsRead leaves newer ones as they are", async () => {
  const { client, id } = await polling();
  const [first] = model.messages(id, "alice");
  model.send("bob", id, "two");
  await pass(2 * SECOND);
  wire.isOffline = true;
  const older = client.markAsRead(id, first?.id).catch(() => {});
  wire.isOffline = false;
  wire.refusals.push({ path: /mark-as-read/, status: 500 });
  wire.faults = { ...wire.faults, latency: 1_000 };
  const newer = client.markAsRead(id);
  expect(client.store.state.unread).toBe(0);
  await pass(600);
  expect(client.store.state.unread).toBe(0);
  await pass(10 * SECOND);
  await Promise.all([older, newer]);
  expect(client.store.state.unread).toBe(0);
});
