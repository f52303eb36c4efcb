// Random schedules of user actions and faults: in the end, the store always shows the server's state.

import { IDBFactory } from "fake-indexeddb";
import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";

import { Tidings, memoryStorage } from "../src/index.js";
import type { Conversation, Message, OutboxStorage, SettingsChange, TidingsEvent } from "../src/index.js";
import { Chat } from "../src/chat.js";
import { dice } from "./dice.js";
import { Model } from "./model.js";
import { loadParts } from "./setup.js";
import { Browser, NO_FAULTS, Wire } from "./wire.js";

const USERS = ["alice", "bob", "carol"];
/** Number of schedules, and of steps in each. */
const SCHEDULES = Number(process.env["SCHEDULES"] ?? 60);
const STEPS = 60;

beforeAll(loadParts);
beforeEach(() => {
  vi.useFakeTimers({ now: new Date("2026-01-31T12:00:00Z") });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

class Schedule {
  readonly random: () => number;
  readonly model = new Model(USERS);
  readonly wire: Wire;
  readonly browser = new Browser();
  readonly tabs: Tidings[] = [];
  readonly reported = new Map<Tidings, TidingsEvent[]>();
  readonly closes: (() => void)[] = [];
  /** Texts that alice sent from this browser, in order, by conversation. */
  readonly sent = new Map<string, string[]>();
  /** Keys of pending messages that alice discarded. */
  readonly discarded = new Set<string>();
  #texts = 0;
  readonly #newClient: () => Tidings;
  /** How many restarts have shown a stored state. */
  restored = 0;

  constructor(
    readonly seed: number,
    tabs: number,
  ) {
    // Each schedule has a browser of its own.
    vi.stubGlobal("indexedDB", new IDBFactory());
    this.random = dice(seed);
    this.wire = new Wire(this.model, this.random);
    this.wire.pageSize = this.below(2) === 0 ? 5 : 100;
    vi.spyOn(Math, "random").mockImplementation(this.random);
    const shared = memoryStorage();
    // Like IndexedDB: shared by all tabs, and asynchronous.
    const delay = async () => new Promise<void>((resolve) => setTimeout(resolve, this.random() * 3));
    const storage: OutboxStorage = {
      isShared: true,
      all: () => delay().then(() => shared.all()),
      update: (id, change, files) => delay().then(() => shared.update(id, change, files)),
      files: (id) => delay().then(() => shared.files?.(id)),
      clear: () => shared.clear(),
    };
    this.#newClient = () => {
      const { fetch, WebSocket } = this.wire;
      const options = { url: "http://x", token: () => "alice", fetch, WebSocket, storage: () => storage };
      const client = new Tidings({ ...options, tabs: this.browser.tab(), offline: { user: () => "alice" } });
      this.reported.set(client, []);
      client.on("event", (event) => this.reported.get(client)?.push(event));
      return client;
    };
    for (let tab = 0; tab < tabs; tab += 1) this.tabs.push(this.#newClient());
  }

  /** Reloads the page in a tab: the next client starts from the stored state. Without a chance to save, as in a crash. */
  async restart(): Promise<void> {
    const at = this.below(this.tabs.length);
    const before = this.tabs[at];
    if (!before) return;
    before.disconnect();
    const client = (this.tabs[at] = this.#newClient());
    client.store.wantsArchive = before.store.wantsArchive;
    void client.connect();
    // Open conversations are opened again at once, as a page does.
    for (const id of before.store.open.keys()) this.closes.push(client.open(id));
    await vi.advanceTimersByTimeAsync(this.random() * 100);
    if (client.store.state.byId.size > 0) this.restored += 1;
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

  /** The mentions of a message: some mention alice, some everyone. */
  mentions(): Pick<Message, "mentions" | "mention_all"> {
    return { mentions: this.below(3) === 0 ? ["alice"] : [], mention_all: this.below(8) === 0 };
  }

  emoji(): string {
    return this.pick(["👍", "❤️"]) ?? "👍";
  }

  /** A random change of the settings of a conversation. */
  settings(): SettingsChange {
    const soon = new Date(Date.now() + this.below(2 * 60) * 60_000).toISOString();
    const changes: SettingsChange[] = [
      { muted_until: this.pick([null, "always", soon]) ?? null },
      { notify: this.pick(["all", "mentions", "none"] as const) ?? "all" },
      { pinned: this.below(3) > 0 },
      { archived: this.below(2) === 0 },
      { archived: true, muted_until: this.pick(["always", soon]) ?? null },
    ];
    return this.pick(changes) ?? {};
  }

  /** A random action of a random user, not in this browser. The model may refuse it. */
  actElsewhere(): void {
    const who = this.pick(USERS) ?? "bob";
    const { model } = this;
    const chat = this.pick([...model.chats.values()]);
    try {
      const other = this.pick(USERS.filter((user) => user !== who)) ?? "carol";
      const message = chat && this.pick(chat.messages);
      switch (this.below(22)) {
        case 0:
          model.group(this.text(), ["alice", "bob"]);
          break;
        case 1:
          if (chat) model.deleteConversation(who, chat.id);
          break;
        case 2:
          if (message) model.edit(message.sender_id, message.id, this.text(), this.mentions());
          break;
        case 3:
          if (message && !this.discarded.has(message.client_message_id ?? "")) model.delete(message.sender_id, message.id);
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
          if (message) model.restore(message.id, message.message_text || "restored", this.mentions());
          break;
        case 8:
        case 9:
          if (message) model.read(who, message.id);
          break;
        case 11:
          if (message) model.markUnread("alice", message.id);
          break;
        case 14:
        case 15:
          if (message) model.react(who, message.id, this.emoji(), this.below(3) > 0);
          break;
        case 16:
          if (message) model.pin(who, message.id, this.below(3) > 0);
          break;
        case 12:
        case 13:
          if (chat) model.set("alice", chat.id, this.settings());
          break;
        default:
          model.send(who, chat && this.below(3) > 0 ? chat.id : model.direct(who, other).id, this.text(), this.mentions());
      }
    } catch (error) {
      if (!(error instanceof Error) || error.name !== "Error") throw error;
    }
  }

  /** A random action of alice in this browser. */
  actHere(): void {
    const client = this.pick(this.tabs);
    if (!client || !client.store.state.me) return;
    const { state } = client.store;
    const row = this.pick([...state.byId.values()]);
    const message = row && this.pick(state.timelines.get(row.conversation_id)?.messages ?? []);
    const ignore = () => {};
    switch (this.below(16)) {
      case 13:
      case 14:
        if (message?.status !== "sent") break;
        if (this.below(3) > 0) client.react(message.id, this.emoji()).catch(ignore);
        else client.unreact(message.id, this.emoji()).catch(ignore);
        break;
      case 15:
        if (message?.status !== "sent") break;
        (message.pinned_at === null ? client.pin(message.id) : client.unpin(message.id)).catch(ignore);
        break;
      case 10:
      case 11:
        if (row) client.changeSettings(row.conversation_id, this.settings()).catch(ignore);
        break;
      case 12:
        if (message?.status === "sent") client.api.markAsUnread(message.id).catch(ignore);
        break;
      case 0:
      case 1:
      case 2: {
        if (!row) break;
        const text = this.text();
        const id = row.conversation_id;
        this.sent.set(id, [...(this.sent.get(id) ?? []), text]);
        const files = this.below(3) === 0 ? [new Blob([text]), new Blob([`${text} again`])] : [];
        client.send({ conversation_id: id, message_text: text, files }).catch(ignore);
        break;
      }
      case 3:
        if (message?.sender_id === "alice" && message.status !== "sent") {
          this.discarded.add(message.key);
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

  /** A random fault, or a recovery. */
  async disturb(): Promise<void> {
    switch (this.below(11)) {
      case 9:
      case 10:
        await this.restart();
        break;
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
        // The machine sleeps: the clock jumps, and no timer runs.
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
    for (let n = 0; n < 8; n += 1) this.actElsewhere();
    for (const client of this.tabs) void client.connect();
    // Two of three schedules show the archive, some from the beginning.
    const archiveAt = this.seed % 3 === 1 ? -1 : Math.max(0, this.below(STEPS) - STEPS / 3);
    for (let step = 0; step < STEPS; step += 1) {
      if (step === archiveAt) for (const client of this.tabs) client.loadArchive();
      const kind = this.below(10);
      if (kind < 5) for (let n = this.below(4); n >= 0; n -= 1) this.actElsewhere();
      else if (kind < 8) this.actHere();
      else await this.disturb();
      await vi.advanceTimersByTimeAsync(this.random() * 3_000);
    }
    this.wire.faults = NO_FAULTS;
    this.wire.isOffline = false;
    // Messages that failed after too many server errors wait for a retry.
    await vi.advanceTimersByTimeAsync(10 * 60_000);
    for (const { id } of this.tabs[0]?.store.state.outbox ?? []) void this.tabs[0]?.retry(id);
    await vi.advanceTimersByTimeAsync(2 * 60_000);
    // Clients notice within 15 s that the time of a mute has passed.
    const hasJustEnded = ({ muted_until }: Conversation) => Math.abs(Date.now() - Date.parse(muted_until ?? "")) < 20_000;
    const rows = () => [...this.model.inbox("alice"), ...this.model.archive("alice")];
    while (rows().some(hasJustEnded)) await vi.advanceTimersByTimeAsync(20_000);
  }

  check(): void {
    for (const client of this.tabs) {
      const { state } = client.store;
      expect(state.connection).toBe("live");
      // Entries that remain in the outbox were refused because alice has left the group, or are failed edits.
      const unsent = state.outbox.filter((entry) => !entry.message_id);
      for (const entry of unsent) expect(entry.failed?.code).toBe("not_a_participant");
      for (const entry of state.outbox) expect(entry.failed).not.toBeNull();
      const inbox = this.model.inbox("alice").map(withoutEndedMute);
      expect(byId(state.conversations)).toEqual(byId(inbox));
      const pinned = (rows: readonly Conversation[]) => rows.flatMap((row) => (row.pinned_at ? [row.conversation_id] : []));
      expect(pinned(state.conversations)).toEqual(pinned(inbox));
      expect(state.conversations.slice(0, pinned(inbox).length)).toEqual(inbox.slice(0, pinned(inbox).length));
      // Without the archive, its conversations are known if events were about them.
      let archive = this.model.archive("alice").map(withoutEndedMute);
      expect(state.isArchiveLoaded).toBe(client.store.wantsArchive);
      if (!state.isArchiveLoaded) archive = archive.filter((row) => state.byId.has(row.conversation_id));
      expect(byId(state.archived)).toEqual(byId(archive));
      const sum = (rows: Conversation[]) => rows.reduce((sum, row) => sum + row.unread_count, 0);
      expect(state.unread).toBe(sum([...inbox, ...archive]));
      expect(state.unmutedUnread).toBe(sum(inbox.filter((row) => row.muted_until === null)));
      for (const [id, timeline] of state.timelines) {
        if (!timeline.isLoaded || !state.byId.has(id)) continue;
        const ids = timeline.messages.map((message) => message.id);
        expect(new Set(timeline.messages.map((message) => message.key)).size).toBe(ids.length);
        let expected = this.model.messages(id, "alice");
        // The timeline has no gaps between its first and last message.
        if (timeline.hasOlder) expected = expected.filter((message) => message.id >= (ids[0] ?? ""));
        if (timeline.hasNewer) expected = expected.filter((message) => message.id <= (ids.at(-1) ?? ""));
        expect(timeline.messages.map(comparable)).toEqual(expected.map(comparable));
      }
      const reported = (this.reported.get(client) ?? []).map((event) => event.id);
      expect(new Set(reported).size).toBe(reported.length);
    }
    this.checkSent();
  }

  /** No sent message is lost or duplicated, and each conversation is in order. */
  checkSent(): void {
    for (const [id, texts] of this.sent) {
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
        const delivered = chat.messages.map((message) => message.message_text);
        const refused = outbox.map(({ draft }) => draft.message_text);
        const all = new Set([...delivered, ...refused].map((text) => text.replaceAll(" edited", "")));
        // Messages that were deleted or edited elsewhere, or discarded here.
        const gone = chat.messages.filter((m) => m.version > 1).length + this.discarded.size;
        expect(texts.filter((text) => !all.has(text)).length).toBeLessThanOrEqual(gone);
      }
    }
  }
}

function withoutEndedMute(row: Conversation): Conversation {
  return Date.parse(row.muted_until ?? "") <= Date.now() ? { ...row, muted_until: null } : row;
}

function byId(rows: readonly Conversation[]): Conversation[] {
  return [...rows].sort((a, b) => (a.conversation_id < b.conversation_id ? -1 : 1));
}

/** Returns the fields to compare: without those of the view and, in groups, without the read state. */
function comparable(shown: Message): object {
  const { key: _, status: __, error: ___, ...message } = shown as Message & { key: string; status: string; error: unknown };
  if (message.recipient_id !== null) return message;
  const { read: ____, read_at: _____, read_count: ______, ...rest } = message;
  return rest;
}

test(`the store converges in ${SCHEDULES} random schedules`, async () => {
  const first = Number(process.env["SEED"] ?? 1);
  let restored = 0;
  for (let seed = first; seed < first + SCHEDULES; seed += 1) {
    // Each schedule starts at the same time, so that a seed is reproducible.
    vi.useRealTimers();
    vi.useFakeTimers({ now: new Date("2026-01-31T12:00:00Z") });
    // In every other schedule, the client keeps as little as possible.
    Chat.maxClosed = seed % 2 === 0 ? 2 : 200;
    const schedule = new Schedule(seed, seed % 3 === 0 ? 2 : 1);
    try {
      await schedule.run();
      schedule.check();
      restored += schedule.restored;
    } catch (error) {
      throw new Error(`schedule with seed ${seed} failed`, { cause: error });
    } finally {
      for (const client of schedule.tabs) client.disconnect();
      vi.clearAllTimers();
    }
  }
  // The schedules do restart from stored states.
  expect(restored).toBeGreaterThan(SCHEDULES / 2);
});
