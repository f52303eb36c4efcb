// Tests the React hooks.

import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { expect, test } from "vitest";

import { Tidings } from "../src/index.js";
import type { Conversation, Message, OwnUser, TidingsEvent } from "../src/index.js";
import * as hooks from "../src/react.js";

const row = { conversation_id: "c1", unread_count: 2, last_message_id: "c1.1", counted_to: "c1.1" } as Conversation;

test("the hooks return the store's state", () => {
  const client = new Tidings({ url: "http://x", token: () => "t" });
  client.store.set({ me: { id: "alice" } as OwnUser });
  client.store.replace([row], new Map());
  function View(): string {
    const parts = [
      hooks.useTidings() === client,
      hooks.useMe()?.id,
      hooks.useConnection(),
      hooks.useUnread(),
      hooks.useConversations().length,
      hooks.useConversation("c1")?.unread_count,
      hooks.useTimeline("c1").isLoaded,
      hooks.useTyping("c1").length,
      hooks.usePresence("bob")?.status,
      hooks.useSelected((state) => state.isComplete),
    ];
    return parts.join(" ");
  }
  const html = renderToString(createElement(hooks.TidingsProvider, { client }, createElement(View)));
  expect(html).toBe("true alice idle 2 1 2 false 0  false");
  expect(() => renderToString(createElement(View))).toThrow("TidingsProvider");
});

test("a listener with a selector is only called when the selected value changes", () => {
  const { store } = new Tidings({ url: "http://x", token: () => "t" });
  const selected: number[] = [];
  let all = 0;
  const unsubscribes = [store.subscribe((state) => state.unread, (unread) => selected.push(unread)), store.subscribe(() => (all += 1))];
  store.set({ connection: "polling" });
  store.set({ connection: "polling" });
  store.replace([row], new Map());
  for (const unsubscribe of unsubscribes) unsubscribe();
  store.set({ connection: "idle" });
  expect([selected, all]).toEqual([[2], 2]);
});

test("unchanged parts of the state keep their identity", () => {
  const { store } = new Tidings({ url: "http://x", token: () => "t" });
  store.replace([row, { ...row, conversation_id: "c2" }], new Map());
  const before = store.state;
  store.set({ connection: "polling" });
  store.replace([row, { ...row, conversation_id: "c2", unread_count: 3 }], new Map());
  expect(store.state.byId.get("c1")).toBe(before.byId.get("c1"));
  expect(store.state.byId.get("c2")).not.toBe(before.byId.get("c2"));
});

test("a message counts as read when all members have read it, those who joined later included", () => {
  const { store } = new Tidings({ url: "http://x", token: () => "t" });
  store.set({ me: { id: "alice" } as OwnUser });
  const group = { ...row, conversation_id: "g1", type: "group", participant_count: 2 } as Conversation;
  const message = { id: "g1.2", conversation_id: "g1", sender_id: "alice", recipient_id: null, read: false, read_count: 0, version: 1 } as Message;
  store.replace([group], new Map([["g1", { window: { from: "", to: null }, messages: [message] }]]));
  const event = (id: string, type: string, data: object) =>
    ({ id, type, conversation_id: "g1", occurred_at: "2026-01-01T00:00:00Z", data }) as unknown as TidingsEvent;
  const read = (id: string, user_id: string) => event(id, "message.read", { user_id, message_id: "g1.2", read_at: "2026-01-01T00:00:00Z" });
  store.apply([event("e1", "conversation.updated", { participant_count: 3, version: 2 }), read("e2", "bob")]);
  expect(store.message("g1", "g1.2")).toMatchObject({ read: false, read_count: 1 });
  store.apply([read("e3", "carol")]);
  expect(store.message("g1", "g1.2")).toMatchObject({ read: true, read_count: 2 });
  store.apply([event("e4", "conversation.updated", { participant_count: 4, version: 3 })]);
  expect(store.message("g1", "g1.2")).toMatchObject({ read: false, read_count: 2 });
});
