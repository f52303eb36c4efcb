// Every path of the sync, by a fake server, socket and clock.

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Tidings, TidingsError, memoryStorage } from "../src/index.js";
import type { Presence, TidingsEvent, TidingsOptions } from "../src/index.js";
import { Model } from "./model.js";
import { Browser, Wire } from "./wire.js";

const clients: Tidings[] = [];
let model: Model;
let wire: Wire;

beforeEach(() => {
  vi.useFakeTimers({ now: new Date("2026-01-31T12:00:00Z") });
  model = new Model(["alice", "bob", "carol"]);
  wire = new Wire(model);
});
afterEach(() => {
  for (const client of clients.splice(0)) client.disconnect();
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** A client of alice's. */
function alice(more: Partial<TidingsOptions> = {}): Tidings {
  const { fetch, WebSocket } = wire;
  const client = new Tidings({
    url: "http://x",
    token: () => "alice",
    fetch,
    WebSocket,
    storage: () => memoryStorage(),
    tabs: {},
    ...more,
  });
  clients.push(client);
  return client;
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const SECOND = 1_000;
const MINUTE = 60 * SECOND;

async function connected(more?: Partial<TidingsOptions>): Promise<Tidings> {
  const client = alice(more);
  const ready = client.connect();
  await pass(200);
  await ready;
  return client;
}

const polls = () => wire.count(/^GET \/api\/events$/);
const tickets = () => wire.count(/ws-ticket/);
const texts = (client: Tidings, id: string) =>
  client.store.state.timelines.get(id)?.messages.map((message) => message.message_text);

/** A client that only polls, and bob's direct conversation with alice. */
async function polling(): Promise<{ client: Tidings; id: string }> {
  const { id } = model.direct("alice", "bob");
  model.send("bob", id, "one");
  return { client: await connected({ socketUrl: null }), id };
}

test("a cursor is taken before anything is loaded, and read on from afterwards", async () => {
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

test("polls come at the server's pace", async () => {
  wire.pollAfter = 7_000;
  await polling();
  const before = polls();
  await pass(70 * SECOND);
  expect(polls() - before).toBe(10);
});

test("what is left of a full answer is read at once", async () => {
  const { client, id } = await polling();
  wire.page = 3;
  wire.pollAfter = 30_000;
  await pass(2 * SECOND);
  for (let n = 0; n < 10; n += 1) model.send("bob", id, `more ${n}`);
  await pass(30 * SECOND);
  expect(client.store.state.unread).toBe(11);
});

test("one's own call is followed by a poll, so that its events come soon", async () => {
  wire.pollAfter = 30_000;
  const { client, id } = await polling();
  await pass(SECOND);
  client.markAsRead(id);
  expect(client.store.state.unread).toBe(0);
  await pass(200);
  expect(client.store.state.byId.get(id)?.last_read_message_id).not.toBeNull();
});

test("pushes arrive through a socket, and polling slows down", async () => {
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  expect(client.store.state.connection).toBe("live");
  await pass(SECOND);
  const before = polls();
  model.send("bob", id, "pushed");
  await pass(10);
  expect(client.store.state.unread).toBe(1);
  await pass(10 * MINUTE);
  expect(polls() - before).toBe(10);
});

test("a lost push comes with the next poll", async () => {
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

test("an event that comes both ways is told once", async () => {
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  const heard: TidingsEvent[] = [];
  const created: string[] = [];
  client.on("event", (event) => heard.push(event));
  const off = client.on("message.created", ({ data }) => created.push(data.message.message_text));
  wire.faults = { ...wire.faults, doubled: 1 };
  model.send("bob", id, "once");
  await pass(2 * MINUTE);
  expect(heard.map(({ type }) => type)).toEqual(["conversation.created", "message.created"]);
  off();
  model.send("bob", id, "not heard");
  await pass(2 * MINUTE);
  expect(created).toEqual(["once"]);
});

test("a push without its data is polled for", async () => {
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  await pass(SECOND);
  const pushed = model.pushed;
  model.pushed = (user, { data: _, ...event }) => pushed(user, { ...event, truncated: true } as unknown as TidingsEvent);
  model.send("bob", id, "long");
  await pass(100);
  expect(client.store.state.unread).toBe(1);
});

test("when a socket ends, polling carries on from the cursor until the next one", async () => {
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

test("a new socket is followed by a poll: what came before it was not pushed", async () => {
  // The next socket takes a moment.
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

test("where sockets are blocked, attempts become rare and polling carries everything", async () => {
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

test("sockets that end at once become rare as well", async () => {
  vi.spyOn(Math, "random").mockReturnValue(1);
  await connected();
  wire.pollAfter = 10_000;
  for (let n = 0; n < 720; n += 1) {
    wire.endSockets();
    await pass(5 * SECOND);
  }
  expect(tickets()).toBeLessThan(25);
});

test("when the network is back a socket is tried at once", async () => {
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

test("a listener that throws stops nobody else", async () => {
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
  const heard: string[] = [];
  client.on("message.created", () => {
    throw new Error("mine");
  });
  client.on("message.created", ({ data }) => heard.push(data.message.message_text));
  model.send("bob", id, "one");
  model.send("bob", id, "two");
  await pass(SECOND);
  expect([heard, uncaught.length, client.store.state.unread]).toEqual([["one", "two"], 2, 2]);
});

test("a socket that fails to construct is no socket", async () => {
  const WebSocket = class {
    constructor() {
      throw new Error("Blocked by the page's policy.");
    }
  } as unknown as TidingsOptions["WebSocket"];
  const client = await connected({ ...(WebSocket ? { WebSocket } : {}) });
  expect(client.store.state.connection).toBe("polling");
});

test("a socket is pinged before it counts as idle", async () => {
  await connected();
  const [socket] = wire.sockets;
  await pass(30 * MINUTE);
  expect(wire.sockets.has(socket!)).toBe(true);
  expect(socket?.sent.filter(({ action }) => action === "ping").length).toBe(7);
});

test("a socket that does not answer is replaced", async () => {
  const client = await connected();
  await pass(SECOND);
  const [socket] = wire.sockets;
  wire.cutSockets();
  await pass(5 * MINUTE);
  expect(client.store.state.connection).toBe("live");
  expect(wire.sockets.has(socket!)).toBe(false);
});

test("a socket is replaced before two hours are over, and never missing meanwhile", async () => {
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

test("an expired cursor: everything is loaded again, and what is shown stays meanwhile", async () => {
  const { client, id } = await polling();
  client.open(id);
  await pass(SECOND);
  expect(texts(client, id)).toEqual(["one"]);
  // Told to nobody who follows.
  model.generation += 1;
  model.queue("alice").events.forEach((told) => (told.isGone = true));
  model.send("bob", id, "two");
  model.queue("alice").events.forEach((told) => (told.isGone = true));
  const lengths = new Set<number>();
  client.store.subscribe(() => lengths.add(client.store.state.conversations.length));
  await pass(5 * SECOND);
  expect(texts(client, id)).toEqual(["one", "two"]);
  expect([...lengths]).toEqual([1]);
});

test("an inbox of several pages shows with the first, and is complete later", async () => {
  wire.page = 4;
  for (let n = 0; n < 10; n += 1) model.group(`group ${n}`, ["alice", "bob"]);
  wire.faults = { ...wire.faults, latency: 400 };
  const client = alice({ socketUrl: null });
  let first = 0;
  void client.connect().then(() => (first = client.store.state.conversations.length));
  await pass(10 * SECOND);
  expect(first).toBe(4);
  expect(client.store.state).toMatchObject({ isComplete: true });
  expect(client.store.state.conversations.map(({ name }) => name)).toEqual(
    model.inbox("alice").map(({ name }) => name),
  );
});

test("a row that slips past the pages is loaded by itself", async () => {
  wire.page = 2;
  const chats = [0, 1, 2, 3, 4, 5].map((n) => model.group(`group ${n}`, ["alice", "bob"]));
  wire.faults = { ...wire.faults, latency: 400 };
  const client = alice({ socketUrl: null });
  await Promise.all([client.connect(), pass(1_200)]);
  // It moves from a page that is still to come to one that has been loaded.
  model.send("bob", chats[0]?.id ?? "", "to the top");
  await pass(10 * SECOND);
  expect(client.store.state.conversations.length).toBe(6);
  expect(client.store.state.conversations[0]?.name).toBe("group 0");
});

test("failures are repeated with growing pauses", async () => {
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

test("the pauses have full jitter", async () => {
  const { backoff } = await import("../src/time.js");
  const random = vi.spyOn(Math, "random").mockReturnValue(1);
  expect([0, 1, 2, 3, 50].map((failures) => backoff(failures, 30_000))).toEqual([500, 1_000, 2_000, 4_000, 30_000]);
  random.mockReturnValue(0);
  expect(backoff(10, 30_000)).toBe(0);
});

test("Retry-After is heeded", async () => {
  await polling();
  wire.refusals.push({ path: /events/, status: 503, headers: { "retry-after": "20" } });
  await pass(2 * SECOND);
  const before = polls();
  await pass(15 * SECOND);
  expect(polls() - before).toBe(0);
  await pass(10 * SECOND);
  expect(polls() - before).toBeGreaterThan(0);
});

test("offline and back: nothing is lost", async () => {
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

test("after sleep it polls at once, and finds out that its socket is dead", async () => {
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

test("a token that is refused is asked for once more, and then it stops", async () => {
  const { client } = await polling();
  const given: (string | undefined)[] = [];
  let fresh = "alice";
  const other = alice({
    socketUrl: null,
    token: (refused) => {
      given.push(refused);
      return refused === undefined ? "stale" : fresh;
    },
  });
  const ready = other.connect();
  await pass(200);
  await ready;
  expect(given.slice(0, 2)).toEqual([undefined, "stale"]);
  expect(other.store.state.connection).toBe("polling");
  fresh = "nobody";
  await pass(2 * SECOND);
  expect(other.store.state.connection).toBe("signed_out");
  const before = wire.calls.filter(({ user }) => user === "nobody").length;
  await pass(10 * MINUTE);
  expect(wire.calls.filter(({ user }) => user === "nobody").length).toBe(before);
  expect(client.store.state.connection).toBe("polling");
});

test("connect fails where the token is refused, and waits where nobody answers", async () => {
  const stranger = alice({ token: () => "nobody" });
  const refused = expect(stranger.connect()).rejects.toMatchObject({ code: "not_authenticated" });
  await pass(SECOND);
  await refused;
  expect(stranger.store.state.connection).toBe("signed_out");
  wire.isOffline = true;
  const client = alice();
  let isThere = false;
  void client.connect().then(() => (isThere = true));
  await pass(5 * MINUTE);
  expect([isThere, client.store.state.connection]).toEqual([false, "offline"]);
  wire.isOffline = false;
  await pass(MINUTE);
  expect(isThere).toBe(true);
});

test("disconnect ends everything, and connecting again catches up", async () => {
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
  const ended = expect(waiting).rejects.toThrow("disconnected");
  clients.at(-1)?.disconnect();
  await ended;
});

test("another user does not see what the one before did", async () => {
  let user = "alice";
  const { id } = model.direct("alice", "bob");
  model.send("bob", id, "for alice");
  const client = await connected({ token: () => user });
  client.disconnect();
  user = "carol";
  await Promise.all([client.connect(), pass(200)]);
  expect(client.store.state).toMatchObject({ conversations: [], me: { id: "carol" } });
});

test("typing shows, and passes by itself, whatever this machine's clock says", async () => {
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

test("typing is told at most every 4 seconds, through the socket where there is one", async () => {
  const { id } = model.direct("alice", "bob");
  const client = await connected();
  const [socket] = wire.sockets;
  for (let n = 0; n < 90; n += 1) {
    client.typing(id);
    await pass(100);
  }
  client.typing(id, false);
  client.typing(id, false);
  const told = socket?.sent.filter(({ action }) => action === "typing");
  expect(told?.length).toBe(4);
  const poller = await connected({ socketUrl: null });
  poller.typing(id);
  await pass(100);
  expect(wire.count(/POST \/api\/typing/)).toBe(1);
});

test("presence is looked up while polling, and expires", async () => {
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

test("where one looks is told under the status that one has, once, and never of who is not to be seen", async () => {
  const client = await connected();
  const told: unknown[] = [];
  vi.spyOn(client.api, "setPresence").mockImplementation(async (...what) => {
    told.push(what.slice(0, 2));
    return {} as Presence;
  });
  const looks = async (at: string | null) => void (await Promise.all([client.lookAt(at), pass(100)]));
  const own: Presence = { user_id: "alice", status: "away", last_seen_at: null, current_conversation_id: null };
  model.presence.set("alice", own);
  await looks("d1");
  await looks(null);
  model.presence.set("alice", { ...own, current_conversation_id: "d1" });
  await looks("d1");
  await looks(null);
  model.presence.set("alice", { ...own, status: "offline" });
  await looks("d1");
  expect(told).toEqual([["away", "d1"], ["away", undefined]]);
});

test("presence is pushed, and shows offline once it has expired", async () => {
  const client = await connected();
  const pushed = (id: string, status: string, lasts: number) => {
    const occurred_at = new Date().toISOString();
    const expires_at = new Date(Date.now() + lasts).toISOString();
    const data = { user_id: "bob", status, last_seen_at: null, current_conversation_id: null, expires_at };
    model.pushed("alice", { id, type: "presence", conversation_id: null, occurred_at, data } as TidingsEvent);
  };
  pushed("p2", "online", 30_000);
  pushed("p1", "offline", 30_000);
  await pass(10);
  expect(client.store.state.presence.get("bob")?.status).toBe("online");
  await pass(31 * SECOND);
  expect(client.store.state.presence.get("bob")?.status).toBe("offline");
});

test("of several tabs one holds the socket, and all hear the same", async () => {
  const { id } = model.direct("alice", "bob");
  const browser = new Browser();
  const tabs = [];
  for (let n = 0; n < 3; n += 1) tabs.push(await connected({ tabs: browser.tab() }));
  await pass(20 * SECOND);
  expect(wire.sockets.size).toBe(1);
  expect(tabs.map((tab) => tab.store.state.connection)).toEqual(["live", "live", "live"]);
  model.send("bob", id, "to all");
  await pass(20);
  expect(tabs.map((tab) => tab.store.state.unread)).toEqual([1, 1, 1]);
  const before = polls();
  await pass(10 * MINUTE);
  expect(polls() - before).toBeLessThanOrEqual(33);
});

test("when the leading tab goes, another one takes its place", async () => {
  const { id } = model.direct("alice", "bob");
  const browser = new Browser();
  const first = await connected({ tabs: browser.tab() });
  const second = await connected({ tabs: browser.tab() });
  await pass(20 * SECOND);
  first.disconnect();
  model.send("bob", id, "in between");
  await pass(SECOND);
  expect(wire.sockets.size).toBe(1);
  expect(second.store.state).toMatchObject({ connection: "live", unread: 1 });
});

test("a leading tab that does not answer is not waited for", async () => {
  const { id } = model.direct("alice", "bob");
  const browser = new Browser();
  const mute = browser.tab();
  // It holds the lock, and its messages get lost.
  const { BroadcastChannel } = new Browser().tab();
  await connected({ tabs: { ...mute, BroadcastChannel } });
  const second = await connected({ tabs: browser.tab() });
  await pass(MINUTE);
  expect(second.store.state.connection).toBe("polling");
  model.send("bob", id, "polled");
  await pass(1_500);
  expect(second.store.state.unread).toBe(1);
});

test("a leading tab that falls silent is noticed", async () => {
  const { id } = model.direct("alice", "bob");
  const browser = new Browser();
  const { locks, BroadcastChannel } = browser.tab();
  let isSilent = false;
  class Silenced extends BroadcastChannel {
    override postMessage(data: unknown): void {
      if (!isSilent) super.postMessage(data);
    }
  }
  await connected({ tabs: { locks, BroadcastChannel: Silenced } });
  const second = await connected({ tabs: browser.tab() });
  await pass(MINUTE);
  expect(second.store.state.connection).toBe("live");
  isSilent = true;
  await pass(31 * SECOND);
  expect(second.store.state.connection).toBe("polling");
  model.send("bob", id, "polled");
  await pass(1_500);
  expect(second.store.state.unread).toBe(1);
  isSilent = false;
  await pass(16 * SECOND);
  expect(second.store.state.connection).toBe("live");
});

test("without locks each tab works for itself", async () => {
  const { BroadcastChannel } = new Browser().tab();
  await connected({ tabs: { BroadcastChannel } });
  await connected({ tabs: { BroadcastChannel } });
  await pass(SECOND);
  expect(wire.sockets.size).toBe(2);
});

test("a timeline is loaded in pages, in both directions, and around a message", async () => {
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

test("one message by itself, and the first unread one", async () => {
  const { id } = model.direct("alice", "bob");
  for (let n = 1; n <= 200; n += 1) model.send("bob", id, `m${n}`);
  await pass(MINUTE);
  const client = await connected({ socketUrl: null });
  const close = client.open(id);
  await pass(2 * SECOND);
  const [, , third, fourth] = model.messages(id, "alice");
  const one = client.message(id, third?.id ?? "");
  void client.message(id, third?.id ?? "");
  let told = 0;
  const stop = client.store.subscribe(() => client.store.message(id, third?.id ?? ""), () => (told += 1));
  await pass(100);
  expect((await one)?.message_text).toBe("m3");
  expect([told, wire.count(/^GET .*messages$/)]).toEqual([1, 3]);
  stop();
  model.hide("alice", fourth?.id ?? "");
  const hidden = client.message(id, fourth?.id ?? "");
  await pass(100);
  expect(await hidden).toBeUndefined();
  // It stands alone: the timeline has no gap.
  expect(texts(client, id)?.[0]).toBe("m151");

  // Nothing was ever read: from the beginning on.
  await Promise.all([client.jumpToUnread(id), pass(100)]);
  expect(texts(client, id)?.slice(0, 4)).toEqual(["m1", "m2", "m3", "m5"]);
  close();
});

test("jumping to the newest message, and to one that is shown", async () => {
  const { client, id } = await polling();
  const [first] = model.messages(id, "alice");
  await Promise.all([client.jumpTo(id, first?.id ?? ""), pass(100)]);
  expect(texts(client, id)).toEqual(["one"]);
  const before = wire.calls.length;
  await client.jumpTo(id, first?.id ?? "");
  expect(wire.calls.length).toBe(before);
});

test("what is gone stays gone, and an open conversation that returns is loaded again", async () => {
  const { client, id } = await polling();
  client.open(id);
  await pass(2 * SECOND);
  model.forget("alice", id);
  await pass(2 * SECOND);
  expect(client.store.state.conversations).toEqual([]);
  model.send("bob", id, "again");
  await pass(2 * SECOND);
  expect(client.store.state.conversations.length).toBe(1);
  expect(texts(client, id)).toEqual(["again"]);
});

test("everything can be aborted", async () => {
  const { client, id } = await polling();
  wire.faults = { ...wire.faults, latency: 60_000 };
  const abort = new AbortController();
  const { signal } = abort;
  const ends = [
    client.markAsRead(id, undefined, { signal }),
    client.history(id, { signal }).next(),
    client.inbox({ signal }).next(),
    client.search("x", { signal }).next(),
    client.openDirect("bob", { signal }),
    client.jumpToLatest(id, { signal }),
  ].map((call) => expect(call).rejects.toBe("enough"));
  await pass(10);
  abort.abort("enough");
  await Promise.all(ends);
});

test("an error of a call is a TidingsError", async () => {
  const { client } = await polling();
  const call = client.openDirect("alice").catch((error: unknown) => error);
  wire.refusals.push({ path: /conversations/, status: 429, headers: { "retry-after": "3" } });
  await pass(100);
  const error = (await call) as TidingsError;
  expect(error).toBeInstanceOf(TidingsError);
  expect(error).toMatchObject({ code: "rate_limited", status: 429, retryable: true, retryAfterMs: 3_000 });
});
