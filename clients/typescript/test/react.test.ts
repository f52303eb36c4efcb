// Tests the React hooks.

import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { expect, test } from "vitest";

import { Tidings } from "../src/index.js";
import type { Conversation, OwnUser } from "../src/index.js";
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
