// Whatever happens on the way, the store comes to show what the server has.

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Tidings, memoryStorage } from "../src/index.js";
import type { Conversation, Message, OutboxStorage, TidingsEvent } from "../src/index.js";
import { dice } from "./dice.js";
import { Model } from "./model.js";
import { Browser, NO_FAULTS, Wire } from "./wire.js";

const PEOPLE = ["alice", "bob", "carol"];
/** Schedules, and what happens in each. */
const SCHEDULES = Number(process.env["SCHEDULES"] ?? 60);
const STEPS = 60;

beforeEach(() => {
  vi.useFakeTimers({ now: new Date("2026-01-31T12:00:00Z") });
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

class Schedule {
  readonly random: () => number;
  readonly model = new Model(PEOPLE);
  readonly wire: Wire;
  readonly browser = new Browser();
  readonly tabs: Tidings[] = [];
  readonly heard = new Map<Tidings, TidingsEvent[]>();
  readonly closes: (() => void)[] = [];
  /** What alice wrote in this browser, in order, by conversation. */
  readonly written = new Map<string, string[]>();
  readonly takenBack = new Set<string>();
  #texts = 0;

  constructor(
    readonly seed: number,
    tabs: number,
  ) {
    this.random = dice(seed);
    this.wire = new Wire(this.model, this.random);
    this.wire.page = this.below(2) === 0 ? 5 : 100;
    vi.spyOn(Math, "random").mockImplementation(this.random);
    const shared = memoryStorage();
    // What IndexedDB is: the same for all tabs, and not at once.
    const later = async () => new Promise<void>((resolve) => setTimeout(resolve, this.random() * 3));
    const storage: OutboxStorage = {
      isShared: true,
      all: () => later().then(() => shared.all()),
      update: (id, change) => later().then(() => shared.update(id, change)),
    };
    for (let tab = 0; tab < tabs; tab += 1) {
      const { fetch, WebSocket } = this.wire;
      const options = { url: "http://x", token: () => "alice", fetch, WebSocket, storage: () => storage };
      const client = new Tidings({ ...options, tabs: this.browser.tab() });
      this.tabs.push(client);
      this.heard.set(client, []);
      client.on("event", (event) => this.heard.get(client)?.push(event));
    }
  }

  below(sides: number): number {
    return Math.floor(this.random() * sides);
  }

  pick<T>(list: readonly T[]): T | undefined {
    return list[this.below(list.length)];
  }

  text(): string {
    this.#texts += 1;
    return `text ${this.#texts}`;
  }

  /** Something that someone does elsewhere; being refused is part of life. */
  others(): void {
    const who = this.pick(PEOPLE) ?? "bob";
    const { model } = this;
    const chat = this.pick([...model.chats.values()]);
    try {
      const with_ = this.pick(PEOPLE.filter((other) => other !== who)) ?? "carol";
      const message = chat && this.pick(chat.messages);
      switch (this.below(15)) {
        case 0:
          model.group(this.text(), ["alice", "bob"]);
          break;
        case 1:
          if (chat) model.forget(who, chat.id);
          break;
        case 2:
          if (message) model.edit(message.sender_id, message.id, this.text());
          break;
        case 3:
          if (message && !this.takenBack.has(message.client_message_id ?? "")) model.delete(message.sender_id, message.id);
          break;
        case 4:
          if (message) model.hide(who, message.id);
          break;
        case 5:
          if (chat && chat.name !== null) model.rename(chat.id, this.text());
          break;
        case 6:
          if (chat && chat.name !== null) model.leave(who, chat.id);
          break;
        case 7:
          if (chat && chat.name !== null) model.join(who, chat.id);
          break;
        case 10:
          if (message) model.restore(message.id, message.message_text || "back");
          break;
        case 8:
        case 9:
          if (message) model.read(who, message.id);
          break;
        default:
          model.send(who, chat && this.below(3) > 0 ? chat.id : model.direct(who, with_).id, this.text());
      }
    } catch (error) {
      if (!(error instanceof Error) || error.name !== "Error") throw error;
    }
  }

  /** Something that alice does in this browser. */
  alice(): void {
    const client = this.pick(this.tabs);
    if (!client || !client.store.state.me) return;
    const { state } = client.store;
    const row = this.pick(state.conversations);
    const message = row && this.pick(state.timelines.get(row.conversation_id)?.messages ?? []);
    const ignore = () => {};
    switch (this.below(10)) {
      case 0:
      case 1:
      case 2: {
        if (!row) break;
        const text = this.text();
        const id = row.conversation_id;
        this.written.set(id, [...(this.written.get(id) ?? []), text]);
        client.send({ conversation_id: id, message_text: text }).catch(ignore);
        break;
      }
      case 3:
        if (message?.sender_id === "alice" && message.status !== "sent") {
          this.takenBack.add(message.key);
          client.delete(message.id).catch(ignore);
        }
        break;
      case 4:
        if (message?.sender_id === "alice") client.edit(message.id, `${message.message_text} edited`).catch(ignore);
        break;
      case 5:
        if (row) client.markAsRead(row.conversation_id, message?.id).catch(ignore);
        break;
      case 6:
        if (row) this.closes.push(client.open(row.conversation_id));
        break;
      case 7:
        if (row) client.loadOlder(row.conversation_id).catch(ignore);
        break;
      case 8:
        if (message?.status === "sent") client.jumpTo(message.conversation_id, message.id).catch(ignore);
        break;
      default:
        this.closes.splice(this.below(this.closes.length), 1)[0]?.();
    }
  }

  /** Something that goes wrong, or right again. */
  async world(): Promise<void> {
    switch (this.below(9)) {
      case 0:
        this.wire.isOffline = true;
        break;
      case 1:
      case 2:
        this.wire.isOffline = false;
        break;
      case 3:
        this.wire.endSockets();
        break;
      case 4:
        this.wire.cutSockets();
        break;
      case 5:
        this.model.generation += 1;
        break;
      case 6:
        // The lid is closed for a while: the clock jumps, no timer runs.
        vi.setSystemTime(Date.now() + this.below(3 * 3_600_000));
        break;
      case 7:
        await vi.advanceTimersByTimeAsync(60_000);
        break;
      default:
        this.wire.faults = {
          lost: this.random() * 0.3,
          unanswered: this.random() * 0.3,
          busy: this.random() * 0.2,
          dropped: this.random() * 0.5,
          doubled: this.random() * 0.5,
          late: this.random() * 0.5,
          refused: this.random() * 0.5,
          latency: this.random() * 2_000,
          lags: this.below(2) === 0,
        };
    }
  }

  async run(): Promise<void> {
    for (let n = 0; n < 8; n += 1) this.others();
    for (const client of this.tabs) void client.connect();
    for (let step = 0; step < STEPS; step += 1) {
      const kind = this.below(10);
      if (kind < 5) for (let n = this.below(4); n >= 0; n -= 1) this.others();
      else if (kind < 8) this.alice();
      else await this.world();
      await vi.advanceTimersByTimeAsync(this.random() * 3_000);
    }
    this.wire.faults = NO_FAULTS;
    this.wire.isOffline = false;
    // A failing server may have made some messages wait for their user.
    await vi.advanceTimersByTimeAsync(10 * 60_000);
    for (const { id } of this.tabs[0]?.store.state.outbox ?? []) void this.tabs[0]?.retry(id);
    await vi.advanceTimersByTimeAsync(2 * 60_000);
  }

  check(): void {
    for (const client of this.tabs) {
      const { state } = client.store;
      expect(state.connection).toBe("live");
      // What is left was refused, to one who is no longer in the group.
      // Or it was a change that failed, and waits for its user.
      const unsent = state.outbox.filter((entry) => !entry.message_id);
      for (const entry of unsent) expect(entry.failed?.code).toBe("not_a_participant");
      for (const entry of state.outbox) expect(entry.failed).not.toBeNull();
      const inbox = this.model.inbox("alice");
      expect(byId(state.conversations)).toEqual(byId(inbox));
      expect(state.unread).toBe(inbox.reduce((sum, row) => sum + row.unread_count, 0));
      for (const [id, timeline] of state.timelines) {
        if (!timeline.isLoaded || !state.byId.has(id)) continue;
        const ids = timeline.messages.map((message) => message.id);
        expect(new Set(timeline.messages.map((message) => message.key)).size).toBe(ids.length);
        let there = this.model.messages(id, "alice");
        // A stretch without gaps: of what there is, all from its first to its last.
        if (timeline.hasOlder) there = there.filter((message) => message.id >= (ids[0] ?? ""));
        if (timeline.hasNewer) there = there.filter((message) => message.id <= (ids.at(-1) ?? ""));
        expect(timeline.messages.map(plain)).toEqual(there.map(plain));
      }
      const heard = (this.heard.get(client) ?? []).map((event) => event.id);
      expect(new Set(heard).size).toBe(heard.length);
    }
    this.checkSent();
  }

  /** Nothing that was typed is lost or double, and all of a conversation is in order. */
  checkSent(): void {
    for (const [id, texts] of this.written) {
      const chat = this.model.chats.get(id);
      const first = (chat?.messages ?? []).map((message) => message.message_text.replaceAll(" edited", ""));
      for (const text of texts) expect(first.filter((other) => other === text).length).toBeLessThanOrEqual(1);
      const numbers = (chat?.messages ?? [])
        .filter((message) => message.client_message_id !== null && message.version === 1)
        .map((message) => texts.indexOf(message.message_text.replaceAll(" edited", "")))
        .filter((number) => number >= 0);
      if (this.tabs.length === 1) expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
      if (chat?.people.includes("alice")) {
        const outbox = this.tabs[0]?.store.state.outbox ?? [];
        const there = chat.messages.map((message) => message.message_text);
        const refused = outbox.map(({ draft }) => draft.message_text);
        const all = new Set([...there, ...refused].map((text) => text.replaceAll(" edited", "")));
        // Deleted and edited elsewhere, or taken back here.
        const gone = chat.messages.filter((m) => m.version > 1).length + this.takenBack.size;
        expect(texts.filter((text) => !all.has(text)).length).toBeLessThanOrEqual(gone);
      }
    }
  }
}

function byId(rows: readonly Conversation[]): Conversation[] {
  return [...rows].sort((a, b) => (a.conversation_id < b.conversation_id ? -1 : 1));
}

/** A message without what a group's events do not tell, and what only views have. */
function plain(shown: Message): object {
  const { key: _, status: __, error: ___, ...message } = shown as Message & { key: string; status: string; error: unknown };
  if (message.recipient_id !== null) return message;
  const { read: ____, read_at: _____, read_count: ______, ...rest } = message;
  return rest;
}

test(`the store converges in ${SCHEDULES} random schedules`, async () => {
  const first = Number(process.env["SEED"] ?? 1);
  for (let seed = first; seed < first + SCHEDULES; seed += 1) {
    // Each begins at the same time, so that a seed can be had again by itself.
    vi.useRealTimers();
    vi.useFakeTimers({ now: new Date("2026-01-31T12:00:00Z") });
    const schedule = new Schedule(seed, seed % 3 === 0 ? 2 : 1);
    try {
      await schedule.run();
      schedule.check();
    } catch (error) {
      throw new Error(`in the schedule of seed ${seed}`, { cause: error });
    } finally {
      for (const client of schedule.tabs) client.disconnect();
      vi.clearAllTimers();
    }
  }
});
