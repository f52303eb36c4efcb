// Shared setup: a fake clock, a model of the server, and clients that connect alice to it.

import { afterEach, beforeAll, beforeEach, vi } from "vitest";

import { Tidings, loadOptimistic, loadUploading, memoryStorage } from "../src/index.js";
import type { TidingsOptions } from "../src/index.js";
import { Model } from "./model.js";
import { Wire } from "./wire.js";

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;

export let model: Model;
export let wire: Wire;
export const clients: Tidings[] = [];

/** Loads the parts of the client that it loads on first use, which takes time that a fake clock does not count. */
export async function loadParts(): Promise<void> {
  await Promise.all([loadOptimistic(), loadUploading()]);
  await Promise.all([import("../src/socket.js"), import("../src/presence-watcher.js"), import("../src/offline.js")]);
}

/** Creates a new model and network for each test of a file, and disconnects all clients afterwards. */
export function useFakes(): void {
  beforeAll(loadParts);
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
}

/** Lets time pass on the fake clock. */
export const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** Creates a client for alice. */
export function alice(more: Partial<TidingsOptions> = {}): Tidings {
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

/** Creates a client for alice and connects it. */
export async function connected(more?: Partial<TidingsOptions>): Promise<Tidings> {
  const client = alice(more);
  const ready = client.connect();
  await pass(200);
  await ready;
  return client;
}

/** Connects a client without a socket. It has a direct conversation with one message from bob. */
export async function polling(): Promise<{ client: Tidings; id: string }> {
  const { id } = model.direct("alice", "bob");
  model.send("bob", id, "one");
  return { client: await connected({ socketUrl: null }), id };
}

/** Number of polls so far. */
export const polls = () => wire.count(/^GET \/api\/events$/);
/** Number of attempts to open a socket so far. */
export const tickets = () => wire.count(/ws-ticket/);
/** Texts of a timeline. */
export const texts = (client: Tidings, id: string) =>
  client.store.state.timelines.get(id)?.messages.map((message) => message.message_text);
