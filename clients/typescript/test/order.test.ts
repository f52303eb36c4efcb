// Events that are reordered or duplicated lead to the same state as a fresh load.

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Store } from "../src/index.js";
import type { Conversation, Message, OwnUser, SettingsChange, TidingsEvent } from "../src/index.js";
import { dice } from "./dice.js";
import { Model } from "./model.js";

const USERS = ["alice", "bob", "carol"];
const ALL = { from: "", to: null };

beforeEach(() => void vi.useFakeTimers({ now: new Date("2026-01-31T12:00:00Z") }));
afterEach(() => void vi.useRealTimers());

/** Returns alice's store with everything loaded. */
function loadedStore(model: Model): Store {
  const store = new Store();
  store.set({ me: { id: "alice" } as OwnUser });
  const rows = [...model.inbox("alice"), ...model.archive("alice")];
  const open = rows.map(({ conversation_id: id }) => [id, { window: ALL, messages: model.messages(id, "alice") }] as const);
  store.replace(structuredClone(rows), new Map(structuredClone(open)));
  return store;
}

/** Returns what a store shows, with all conversations opened: those that came as events have no window yet. */
function snapshot(store: Store): { rows: Conversation[]; messages: [string, object[]][] } {
  for (const id of store.state.byId.keys()) store.showWindow(store.checkpoint, id, [], ALL);
  const { byId, timelines } = store.state;
  const rows = [...byId.values()].sort((a, b) => (a.conversation_id < b.conversation_id ? -1 : 1));
  const messages = rows.map((row): [string, object[]] => {
    const { messages = [] } = timelines.get(row.conversation_id) ?? {};
    return [row.conversation_id, messages.map(comparable)];
  });
  return { rows, messages };
}

/** Returns the fields that events keep up to date. */
function comparable(message: Message): object {
  const { id, version, message_text, is_deleted, read, read_at, reactions, pinned_at } = message;
  const reads = message.recipient_id === null ? {} : { read, read_at };
  return { id, version, message_text, is_deleted, reactions, pinned_at, ...reads };
}

const CHANGES: SettingsChange[] = [
  { muted_until: "always" },
  { muted_until: "2026-01-31T12:00:05.000Z" },
  { muted_until: null },
  { notify: "none" },
  { pinned: true },
  { pinned: false },
  { archived: true },
  { archived: true, muted_until: "always" },
  { archived: false },
];

/** Lets a random user do something random. */
function act(model: Model, random: () => number, n: number): void {
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)];
  const who = pick(USERS) ?? "";
  const chat = pick([...model.chats.values()]);
  const message = chat && pick(chat.messages);
  vi.setSystemTime(Date.now() + 1 + Math.floor(random() * 1_000));
  try {
    switch (Math.floor(random() * 29)) {
      case 0:
        model.group(`group ${n}`, ["alice", "bob"]);
        break;
      case 1:
        if (chat) model.deleteConversation(who, chat.id);
        break;
      case 2:
      case 3:
        if (message) model.edit(message.sender_id, message.id, `edit ${n}`);
        break;
      case 4:
        if (message) model.delete(message.sender_id, message.id);
        break;
      case 5:
        if (message) model.hide(who, message.id);
        break;
      case 6:
        if (chat && chat.name !== null) model.rename(chat.id, `name ${n}`);
        break;
      case 7:
        if (chat && chat.name !== null) model.leave(who, chat.id);
        break;
      case 8:
        if (chat && chat.name !== null) model.join(who, chat.id);
        break;
      case 9:
      case 10:
        // Alice leaves and rejoins, which invalidates earlier counts.
        if (chat && chat.name !== null) {
          model.leave("alice", chat.id);
          if (random() < 0.5) model.rename(chat.id, `name ${n}`);
          model.join("alice", chat.id);
        }
        break;
      case 11:
      case 12:
        if (message) {
          model.delete(message.sender_id, message.id);
          if (random() < 0.5) model.read("alice", chat?.messages.at(-1)?.id ?? "");
          model.restore(message.id, `restored ${n}`);
        }
        break;
      case 13:
      case 14:
        if (message) model.read(who, message.id);
        break;
      case 15:
      case 16:
        if (message) model.markUnread("alice", message.id);
        break;
      case 17:
      case 18:
      case 19:
        if (chat) model.set("alice", chat.id, pick(CHANGES) ?? {});
        break;
      case 20:
      case 21:
      case 22:
        if (message) model.react(who, message.id, pick(["👍", "❤️", "🎉"]) ?? "👍", random() < 0.7);
        break;
      case 23:
        if (message) model.pin(who, message.id, random() < 0.6);
        break;
      default:
        model.send(who, chat?.id ?? model.direct("alice", "bob").id, `text ${n}`);
    }
  } catch (error) {
    // The model may refuse the action.
    if (!(error instanceof Error) || error.name !== "Error") throw error;
  }
}

function shuffled<T>(list: readonly T[], random: () => number): T[] {
  return list
    .map((item) => ({ item, place: random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

test("state plus events equals fresh state, in any order", () => {
  for (let seed = 1; seed <= 400; seed += 1) {
    const random = dice(seed);
    const model = new Model(USERS);
    for (let n = 0; n < 10; n += 1) act(model, random, n);
    const inOrder = loadedStore(model);
    const seen = model.queue("alice").events.length;
    const [duplicated, reordered] = [loadedStore(model), loadedStore(model)];
    for (let n = 0; n < 12; n += 1) act(model, random, 100 + n);
    const events: TidingsEvent[] = model.queue("alice").events.slice(seen).filter(({ isRemoved }) => !isRemoved).map(({ event }) => event);
    inOrder.apply(events);
    duplicated.apply(events.flatMap((event, at) => [event, ...events.slice(Math.max(0, at - 3), at + 1)]));
    for (const event of shuffled(events, random)) reordered.apply([event]);
    const fresh = snapshot(loadedStore(model));
    expect(snapshot(inOrder), `in order, seed ${seed}`).toEqual(fresh);
    expect(snapshot(duplicated), `duplicated, seed ${seed}`).toEqual(fresh);
    expect(snapshot(reordered), `reordered, seed ${seed}`).toEqual(fresh);
  }
});

test("joins, leaves and renames each lead to one notice, in order", () => {
  const model = new Model(USERS);
  const { id } = model.group("picnic", ["alice", "bob"]);
  const store = loadedStore(model);
  const { length } = model.queue("alice").events;
  model.join("carol", id);
  model.rename(id, "picnics");
  model.send("bob", id, "hello");
  model.leave("carol", id);
  const events = model.queue("alice").events.slice(length).map(({ event }) => event);
  for (const event of [...events, ...events].reverse()) store.apply([structuredClone(event)]);
  const { notices = [] } = store.state.timelines.get(id) ?? {};
  expect(notices.map(({ type }) => type)).toEqual(["participant.joined", "conversation.updated", "participant.left"]);
  const before = store.state.timelines.get(id);
  store.apply(structuredClone(events));
  expect(store.state.timelines.get(id)).toBe(before);
});
