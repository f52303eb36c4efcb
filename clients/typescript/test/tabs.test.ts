// Coordination between tabs.

import { expect, test } from "vitest";

import { MINUTE, SECOND, connected, model, pass, polls, useFakes, wire } from "./setup.js";
import { Browser } from "./wire.js";

useFakes();

test("one of several tabs holds the socket, and all receive its events", async () => {
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
  expect(polls() - before).toBeLessThanOrEqual(36);
});

test("when the leader closes, another tab takes over", async () => {
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

test("a tab does not wait for a leader that never answers", async () => {
  const { id } = model.direct("alice", "bob");
  const browser = new Browser();
  const silent = browser.tab();
  // This tab holds the lock, but the other tab does not receive its messages.
  const { BroadcastChannel } = new Browser().tab();
  await connected({ tabs: { ...silent, BroadcastChannel } });
  const second = await connected({ tabs: browser.tab() });
  await pass(MINUTE);
  expect(second.store.state.connection).toBe("polling");
  model.send("bob", id, "polled");
  await pass(1_500);
  expect(second.store.state.unread).toBe(1);
});

test("a tab polls while its leader stops answering", async () => {
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

test("without locks, each tab opens its own socket", async () => {
  const { BroadcastChannel } = new Browser().tab();
  await connected({ tabs: { BroadcastChannel } });
  await connected({ tabs: { BroadcastChannel } });
  await pass(SECOND);
  expect(wire.sockets.size).toBe(2);
});
