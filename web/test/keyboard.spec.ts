// The page by keyboard alone.

import type { Page } from "@playwright/test";

import { expect, startDirectChat, test, uniqueName } from "./stack.js";

/** Describes what has the focus. */
const focused = (page: Page) =>
  page.evaluate(() => {
    const element = document.activeElement;
    return element?.getAttribute("aria-label") ?? element?.textContent?.trim() ?? "";
  });

test("each part of the page is one stop of the Tab key", async ({ demoUser }) => {
  const alice = await demoUser("Alice Sommer");
  const { page } = alice;
  await alice.open("Moving day");
  await expect(alice.message("القطة معي")).toBeVisible();
  await expect(alice.field).toBeFocused();
  // Backwards from the field: attach, the messages, the header, the inbox.
  const regions: string[] = [];
  for (let n = 0; n < 14; n += 1) {
    await page.keyboard.press("Shift+Tab");
    regions.push(
      await page.evaluate(() => {
        const { activeElement } = document;
        const found = [".composer", ".scroller", ".conversation-bar", ".rows", ".chips", ".search"].find((box) => activeElement?.closest(box));
        return found ?? "other";
      }),
    );
  }
  expect(regions.filter((region) => region === ".scroller")).toHaveLength(1);
  expect(regions.filter((region) => region === ".rows")).toHaveLength(1);
  expect(regions.filter((region) => region === ".chips")).toHaveLength(1);
});

test("arrows move between messages, Enter opens the actions, and Escape returns to the field", async ({ demoUser }) => {
  const alice = await demoUser("Alice Sommer");
  const { page } = alice;
  await alice.open("Bob Okafor");
  await expect(alice.message("It rattles")).toBeVisible();
  await page.keyboard.press("Shift+F6");
  const article = page.locator("article:focus");
  await expect(article).toHaveCount(1);
  const first = await focused(page);
  // The name has the author, the time and the text.
  expect(first).toMatch(/^(You|Bob Okafor), \d+:\d\d: /);
  await page.keyboard.press("ArrowUp");
  expect(await focused(page)).not.toBe(first);
  for (let n = 0; n < 20; n += 1) await page.keyboard.press("ArrowUp");
  await expect(article).toBeInViewport();
  // Tab reaches what is in the message, and then leaves the messages.
  await page.keyboard.press("Tab");
  expect(await page.evaluate(() => document.activeElement?.closest("article") !== null)).toBe(true);
  await page.keyboard.press("Shift+Tab");
  await expect(article).toHaveCount(1);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("menuitem", { name: "Reply" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect.poll(() => page.evaluate(() => document.activeElement?.closest("article") !== null)).toBe(true);
  await page.keyboard.press("Escape");
  await expect(alice.field).toBeFocused();
});

test("arrows move in the inbox, among results and emoji; Enter in the search opens the first hit", async ({ demoUser }) => {
  const alice = await demoUser("Alice Sommer");
  const { page } = alice;
  const search = page.getByRole("searchbox", { name: "Search conversations" });
  await search.focus();
  await page.keyboard.press("ArrowDown");
  await expect(page.locator("a.row").first()).toBeFocused();
  await page.keyboard.press("ArrowDown");
  await expect(page.locator("a.row").nth(1)).toBeFocused();
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowUp");
  await expect(search).toBeFocused();
  await page.keyboard.type("bob");
  await expect(page.getByRole("region", { name: "Conversations found" }).getByText("Bob Okafor")).toBeVisible();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 2, name: "Bob Okafor" })).toBeVisible();

  await page.getByRole("button", { name: "Emoji" }).click();
  await expect(page.getByRole("button", { name: "grinning face", exact: true })).toBeVisible();
  await page.keyboard.press("ArrowDown");
  await expect(page.getByRole("button", { name: "grinning face", exact: true })).toBeFocused();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  const chosen = await page.evaluate(() => document.activeElement?.textContent ?? "");
  await page.keyboard.press("Enter");
  await expect(alice.field).toHaveValue(chosen);
  await expect(alice.field).toBeFocused();
});

test("page up and down scroll while writing, and typing anywhere writes", async ({ demoUser }) => {
  const alice = await demoUser("Alice Sommer");
  const { page } = alice;
  await alice.open("Café Babel");
  await expect(page.locator("article").first()).toBeVisible();
  const top = () => page.getByTestId("messages").evaluate((list) => list.scrollTop);
  await alice.field.focus();
  const before = await top();
  await page.keyboard.press("PageUp");
  await expect.poll(top).toBeLessThan(before - 200);
  await expect(alice.field).toBeFocused();
  await alice.row("Bob Okafor").focus();
  await page.keyboard.type("hello");
  await expect(alice.field).toBeFocused();
  await expect(alice.field).toHaveValue("hello");
});

test("a dialog that was opened from a menu gives the focus back", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"), { fetchesAhead: true });
  const ben = await newAccount(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  await ann.send("Never mind");
  await ann.chooseAction("Never mind", "Delete…");
  await expect(ann.page.getByRole("heading", { name: "Delete this message?" })).toBeVisible();
  await ann.page.keyboard.press("Escape");
  await expect(ann.page.locator("dialog")).toHaveCount(0);
  expect(await ann.page.evaluate(() => document.activeElement?.closest("article, .composer") !== null)).toBe(true);
  await ann.chooseAction("Never mind", "Delete…");
  await ann.page.getByRole("button", { name: "Delete for me" }).click();
  await expect(ann.field).toBeFocused();
});

test("one list finds conversations, people, rooms and messages", async ({ demoUser }) => {
  const alice = await demoUser("Alice Sommer");
  const { page } = alice;
  const list = page.getByRole("listbox", { name: "Found" });
  await page.keyboard.press("Control+k");
  const field = page.getByRole("combobox", { name: "Find people" });
  await expect(field).toBeFocused();
  await page.keyboard.type("cafe");
  await expect(list.getByRole("option", { selected: true })).toContainText("Café Babel");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 2, name: "Café Babel" })).toBeVisible();
  await page.keyboard.press("Control+k");
  await page.keyboard.type("coffee machine");
  await expect(list.getByRole("group", { name: "Messages" }).getByText("It had the coffee machine in it")).toBeVisible();
  await expect(list.locator("mark").first()).toHaveText("coffee");
  await page.keyboard.press("Enter");
  await expect(alice.message("It had the coffee machine in it").first()).toBeInViewport();
  await page.keyboard.press("Control+k");
  await alice.screenshot("palette");
  await page.keyboard.press("Escape");
  await expect(alice.field).toBeFocused();
  await page.keyboard.press("Control+/");
  await expect(page.getByRole("heading", { name: "Keyboard shortcuts" })).toBeVisible();
  await page.keyboard.press("Escape");
});

test("one list finds people and rooms that the user does not know yet", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  const room = uniqueName("Quiet corner");
  await ben.call("POST", "/rooms", { name: room });
  const { page } = ann;
  const list = page.getByRole("listbox", { name: "Found" });
  for (const [name, group] of [[ben.name, "People"], [room, "Rooms to join"]] as const) {
    await page.keyboard.press("Control+k");
    await expect(page.getByRole("combobox", { name: "Find people" })).toBeFocused();
    await page.keyboard.type(name);
    await list.getByRole("group", { name: group }).getByRole("option", { name }).click();
    await expect(page.getByRole("heading", { level: 2, name })).toBeVisible();
  }
  // The search beside the inbox finds them, too.
  const search = page.getByRole("searchbox", { name: "Search conversations" });
  const cara = await newAccount(uniqueName("Cara"));
  await search.fill(cara.name);
  await page.getByRole("region", { name: "People found" }).getByRole("button", { name: cara.name }).click();
  await expect(page.getByRole("heading", { level: 2, name: cara.name })).toBeVisible();
});

test("F6 goes through the parts of the page, and Alt with arrows through conversations", async ({ demoUser }) => {
  const alice = await demoUser("Alice Sommer");
  const { page } = alice;
  await alice.open("Bob Okafor");
  await expect(alice.message("It rattles")).toBeVisible();
  const region = () =>
    page.evaluate(() => [".inbox", ".conversation-bar", ".timeline", ".composer"].find((box) => document.activeElement?.closest(box)));
  await alice.field.focus();
  const visited: (string | undefined)[] = [];
  for (let n = 0; n < 4; n += 1) {
    await page.keyboard.press("F6");
    visited.push(await region());
  }
  expect(visited).toEqual([".inbox", ".conversation-bar", ".timeline", ".composer"]);
  const heading = page.locator(".conversation-bar h2");
  await page.keyboard.press("Alt+ArrowDown");
  await expect(heading).not.toHaveText("Bob Okafor");
});

test("a conversation can be had by keyboard alone", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"), { fetchesAhead: true });
  const ben = await newUser(uniqueName("Ben"), { fetchesAhead: true });
  const { page } = ann;
  const { keyboard } = page;
  // Ann finds Ben and writes.
  await keyboard.press("Control+k");
  await expect(page.getByRole("combobox", { name: "Find people" })).toBeFocused();
  await keyboard.type(ben.name);
  await expect(page.getByRole("option", { selected: true })).toContainText(ben.name);
  await keyboard.press("Enter");
  await expect(ann.field).toBeFocused();
  await keyboard.type("Shall we meet :coffe");
  const coffee = page.getByRole("listbox", { name: "Emoji" }).getByRole("option").first();
  await expect(coffee).toHaveText(/:coffee:/);
  await keyboard.press("Enter");
  await keyboard.type("?");
  await keyboard.press("Enter");
  await expect(ann.message("Shall we meet ☕?")).toBeVisible();
  // Ben is told, opens it and replies to the message.
  await expect(ben.row(ann.name)).toBeVisible();
  await ben.page.keyboard.press("Alt+Shift+ArrowDown");
  await expect(ben.message("Shall we meet ☕?")).toBeVisible();
  await ben.page.keyboard.press("Shift+F6");
  await ben.page.keyboard.press("Enter");
  // The quick reactions are first.
  await expect(ben.page.getByRole("menuitemcheckbox", { name: "React with 👍" })).toBeFocused();
  await ben.page.keyboard.press("ArrowDown");
  await expect(ben.page.getByRole("menuitem", { name: "Reply" })).toBeFocused();
  await ben.page.keyboard.press("Enter");
  await expect(ben.page.getByText("Reply to")).toBeVisible();
  await ben.page.keyboard.type("Gladly. At *nine*");
  await ben.page.keyboard.press("Enter");
  await expect(ann.message("Gladly. At nine").locator("strong")).toHaveText("nine");
  // Ann corrects her message, and deletes it.
  await keyboard.press("ArrowUp");
  await expect(ann.field).toHaveValue("Shall we meet ☕?");
  await keyboard.press("End");
  await keyboard.type(" Tomorrow?");
  await keyboard.press("Enter");
  await expect(ben.message("Tomorrow?")).toBeVisible();
  await keyboard.press("Shift+F6");
  await keyboard.press("ArrowUp");
  await keyboard.press("Enter");
  await expect(page.getByRole("menuitemcheckbox", { name: "React with 👍" })).toBeFocused();
  await keyboard.press("End");
  await expect(page.getByRole("menuitem", { name: "Delete…" })).toBeFocused();
  await keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Delete this message?" })).toBeVisible();
  for (let n = 0; n < 3; n += 1) await keyboard.press("Tab");
  await expect(page.getByRole("button", { name: "Delete for everyone" })).toBeFocused();
  await keyboard.press("Enter");
  await expect(ben.page.getByText("This message was deleted")).toBeVisible();
});

test("new messages are announced, and controls are called what they show", async ({ newUser, newAccount }) => {
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  await ann.write(ben, "Hello");
  await ann.call("PUT", "/presence", { status: "online" });
  await ben.open(ann.name);
  await expect(ben.message("Hello")).toBeVisible();
  await ann.write(ben, "Are you there?");
  await expect(ben.page.locator("[aria-live=polite]", { hasText: `${ann.name}: Are you there?` })).toBeAttached();
  // The header's name contains what it shows.
  await expect(ben.page.locator(".who")).toHaveAccessibleName(/online.*Details/);
});
