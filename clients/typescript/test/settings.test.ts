// The user's own settings of conversations, the archive, and marking as unread.

import { expect, test } from "vitest";

import type { Tidings } from "../src/index.js";
import { MINUTE, SECOND, connected, model, pass, polling, useFakes, wire } from "./setup.js";
import { Browser } from "./wire.js";

useFakes();

/** Creates conversations of alice with bob and carol, each with one message, carol's being newer. */
async function two(): Promise<[string, string]> {
  const [bob, carol] = [model.direct("alice", "bob").id, model.direct("alice", "carol").id];
  model.send("bob", bob, "from bob");
  await pass(SECOND);
  model.send("carol", carol, "from carol");
  await pass(SECOND);
  return [bob, carol];
}

const ids = (rows: readonly { conversation_id: string }[]) => rows.map((row) => row.conversation_id);

test("pinned conversations come first, in the order in which they were pinned", async () => {
  const [bob, carol] = await two();
  const group = model.group("newest", ["alice", "bob"]).id;
  const client = await connected();
  expect(ids(client.store.state.conversations)).toEqual([group, carol, bob]);
  const [first, second] = [client.changeSettings(bob, { pinned: true }), client.changeSettings(carol, { pinned: true })];
  await pass(0);
  expect(ids(client.store.state.conversations)[2]).toBe(group);
  await pass(SECOND);
  await Promise.all([first, second]);
  expect(ids(client.store.state.conversations)).toEqual([bob, carol, group]);
  model.send("bob", group, "moves no pinned row");
  await pass(SECOND);
  expect(ids(client.store.state.conversations)).toEqual([bob, carol, group]);
  const unpinned = client.changeSettings(bob, { pinned: false });
  await pass(0);
  expect(ids(client.store.state.conversations)).toEqual([carol, group, bob]);
  await Promise.all([unpinned, pass(SECOND)]);
});

test("a change shows at once, and is rolled back if it is refused", async () => {
  const [bob] = await two();
  const client = await connected();
  const row = () => client.store.state.byId.get(bob);
  const before = row();
  wire.refusals.push({ path: /PATCH .*\/me$/, status: 409 });
  const refused = client.changeSettings(bob, { pinned: true, notify: "none", muted_until: "always" });
  const outcome = expect(refused).rejects.toMatchObject({ status: 409 });
  await pass(0);
  expect(row()).toMatchObject({ muted_until: "always", notify: "none" });
  expect(row()?.pinned_at).not.toBeNull();
  await pass(SECOND);
  await outcome;
  expect(row()).toEqual(before);
});

test("a change whose answer is lost is sent again", async () => {
  const [bob] = await two();
  const client = await connected();
  wire.refusals.push({ path: /PATCH .*\/me$/, status: 503 }, { path: /PATCH .*\/me$/, status: 0 });
  const changed = client.changeSettings(bob, { muted_until: "always" });
  await pass(MINUTE);
  await changed;
  expect(client.store.state.byId.get(bob)?.muted_until).toBe("always");
  expect(model.row(bob, "alice").muted_until).toBe("always");
});

test("of several changes of a conversation, the last one wins", async () => {
  const [bob] = await two();
  const client = await connected();
  wire.refusals.push({ path: /PATCH .*\/me$/, status: 503 });
  for (const pinned of [true, false, true, false]) client.changeSettings(bob, { pinned }).catch(() => {});
  await pass(0);
  expect(client.store.state.byId.get(bob)?.pinned_at).toBeNull();
  await pass(MINUTE);
  expect(model.row(bob, "alice").pinned_at).toBeNull();
  expect(client.store.state.byId.get(bob)?.pinned_at).toBeNull();
});

test("a confirmed change does not show its previous value until its event arrives", async () => {
  const { client, id } = await polling();
  const shown = new Set<unknown>();
  await pass(SECOND);
  client.store.subscribe((state) => state.byId.get(id)?.notify, (notify) => shown.add(notify));
  await Promise.all([client.changeSettings(id, { notify: "none" }), pass(MINUTE)]);
  expect([...shown]).toEqual(["none"]);
  // A later change on another device replaces it.
  model.set("alice", id, { notify: "mentions" });
  await pass(MINUTE);
  expect([...shown]).toEqual(["none", "mentions"]);
});

test("settings that another device changes reach all tabs at once", async () => {
  const [bob] = await two();
  const browser = new Browser();
  const tabs = [await connected({ tabs: browser.tab() }), await connected({ tabs: browser.tab() })];
  await pass(20 * SECOND);
  model.set("alice", bob, { muted_until: "always", pinned: true });
  await pass(20);
  for (const tab of tabs) expect(tab.store.state.conversations[0]).toMatchObject({ conversation_id: bob, muted_until: "always" });
  const archived = tabs[1]?.changeSettings(bob, { archived: true });
  await pass(30);
  await archived;
  for (const tab of tabs) expect(ids(tab.store.state.archived)).toEqual([bob]);
});

test("muted conversations are counted apart, until their mute ends", async () => {
  const [bob, carol] = await two();
  model.send("bob", bob, "another");
  const client = await connected();
  const unread = () => [client.store.state.unread, client.store.state.unmutedUnread];
  expect(unread()).toEqual([3, 3]);
  await Promise.all([
    client.changeSettings(bob, { muted_until: new Date(Date.now() + 10 * MINUTE).toISOString() }),
    client.changeSettings(carol, { archived: true }),
    pass(SECOND),
  ]);
  expect(unread()).toEqual([3, 0]);
  await pass(9 * MINUTE);
  expect(client.store.state.byId.get(bob)?.muted_until).not.toBeNull();
  await pass(2 * MINUTE);
  expect(unread()).toEqual([3, 2]);
  expect(client.store.state.byId.get(bob)?.muted_until).toBeNull();
});

test("the archive is loaded on demand, page by page, and stays up to date", async () => {
  const people = ["bob", "carol"].map((name) => model.direct("alice", name).id);
  const groups = Array.from({ length: 7 }, (_, n) => model.group(`group ${n}`, ["alice", "bob"]).id);
  for (const id of groups) model.set("alice", id, { archived: true });
  for (const id of people) model.send("alice", id, "hello");
  wire.pageSize = 3;
  const client = await connected();
  await pass(20 * SECOND);
  const archive = () => client.store.state.archived.length;
  // Only what the latest events have told.
  expect(wire.calls.some(({ query }) => query.get("archived") === "true")).toBe(false);
  expect(client.store.state.isArchiveLoaded).toBe(false);
  client.loadArchive();
  client.loadArchive();
  await pass(SECOND);
  expect(client.store.state.isArchiveLoaded).toBe(true);
  expect(archive()).toBe(7);
  expect(wire.calls.filter(({ query }) => query.get("archived") === "true").length).toBe(3);
  // It comes back with a message, unless it is muted.
  model.set("alice", groups[1] ?? "", { muted_until: "always" });
  for (const id of groups.slice(0, 2)) model.send("bob", id, "hello");
  await pass(SECOND);
  expect(archive()).toBe(6);
  expect(client.store.state.conversations[0]).toMatchObject({ conversation_id: groups[0], unread_count: 1 });
  expect(client.store.state.byId.get(groups[1] ?? "")).toMatchObject({ is_archived: true, unread_count: 1 });
  // A full reload keeps it.
  model.generation += 1;
  await pass(2 * MINUTE);
  expect([archive(), client.store.state.isArchiveLoaded]).toEqual([6, true]);
});

test("an archived conversation that is not loaded appears when another device takes it out", async () => {
  const { id } = model.group("old", ["alice", "bob"]);
  model.set("alice", id, { archived: true });
  await two();
  await pass(MINUTE);
  for (let n = 0; n < 10; n += 1) model.send("bob", model.direct("alice", "bob").id, "many events later");
  await pass(MINUTE);
  const client = await connected();
  await pass(SECOND);
  expect(client.store.state.byId.has(id)).toBe(false);
  model.set("alice", id, { archived: false });
  await pass(MINUTE);
  expect(client.store.state.byId.get(id)).toMatchObject({ is_archived: false });
});

/** Returns what the row shows as unread. */
const shown = (client: Tidings, id: string) => {
  const { unread_count = -1, marked_unread = false } = client.store.state.byId.get(id) ?? {};
  return [unread_count, marked_unread];
};

test("messages are marked as unread and as read again, also when the watermark does not move", async () => {
  const { client, id } = await polling();
  const messages = ["two", "three"].map((text) => model.send("bob", id, text).message.id);
  await pass(SECOND);
  await Promise.all([client.markAsRead(id), pass(SECOND)]);
  expect(shown(client, id)).toEqual([0, false]);
  await Promise.all([client.api.markAsUnread(messages[0] ?? ""), pass(SECOND)]);
  expect(shown(client, id)).toEqual([2, true]);
  model.send("bob", id, "four");
  await pass(2 * SECOND);
  expect(shown(client, id)).toEqual([3, true]);
  // At once, before the server confirms it.
  wire.refusals.push({ path: /mark-as-read/, status: 403 });
  const refused = client.markAsRead(id).catch((error: unknown) => error);
  expect(shown(client, id)).toEqual([0, false]);
  await pass(SECOND);
  expect(await refused).toMatchObject({ status: 403 });
  expect(shown(client, id)).toEqual([3, true]);
  await Promise.all([client.markAsRead(id), pass(SECOND)]);
  expect(shown(client, id)).toEqual([0, false]);
  // Marked as unread by another device while this one shows its own mark.
  model.markUnread("alice", messages[1] ?? "");
  await pass(2 * SECOND);
  expect(shown(client, id)).toEqual([2, true]);
});

test("marking as unread tells the others nothing", async () => {
  const { client, id } = await polling();
  await Promise.all([client.markAsRead(id), pass(SECOND)]);
  const seen = model.queue("bob").events.length;
  const own = model.send("alice", id, "mine").message.id;
  await Promise.all([client.api.markAsUnread(own), pass(2 * SECOND)]);
  expect(shown(client, id)).toEqual([0, true]);
  expect(model.queue("bob").events.slice(seen).map(({ event }) => event.type)).toEqual(["message.created"]);
});

test("the preview of the last message has its kind", async () => {
  const { client, id } = await polling();
  const kinds = () => {
    const { last_message, last_message_kind } = client.store.state.byId.get(id) ?? {};
    return [last_message, last_message_kind];
  };
  const link = { attachment_url: "https://example.org/cat.jpg", attachment_type: "image/jpeg" };
  const { id: picture } = model.send("bob", id, "", link).message;
  await pass(2 * SECOND);
  expect(kinds()).toEqual(["cat.jpg", "image"]);
  model.send("bob", id, "", { attachment_url: "https://example.org/notes.pdf", attachment_type: "application/pdf" });
  await pass(2 * SECOND);
  expect(kinds()).toEqual(["notes.pdf", "file"]);
  const { id: last } = model.send("bob", id, "words").message;
  await pass(2 * SECOND);
  expect(kinds()).toEqual(["words", "text"]);
  model.delete("bob", last);
  await pass(2 * SECOND);
  expect(kinds()).toEqual(["", "deleted"]);
  expect(picture < last).toBe(true);
});

test("the archive, and one type of conversation, can be iterated over", async () => {
  const [bob] = await two();
  const { id } = model.group("group", ["alice", "bob"]);
  model.set("alice", bob, { archived: true });
  const client = await connected();
  const all = async (rows: AsyncIterable<{ conversation_id: string }>) => {
    const found: string[] = [];
    for await (const row of rows) found.push(row.conversation_id);
    return found;
  };
  const lists = Promise.all([all(client.inbox({ archived: true })), all(client.inbox({ type: "group" }))]);
  await pass(SECOND);
  expect(await lists).toEqual([[bob], [id]]);
});
