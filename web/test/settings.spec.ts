// The user's own settings of conversations: the menu of a row, the archive, muted and unread conversations.

import type { Page } from "@playwright/test";

import { Actor, conversationOf, expect, expectNoViolations, startDirectChat, test, uniqueName } from "./stack.js";
import type { Account, Fixtures } from "./stack.js";

/** Sends messages to a user, each from a new person. Returns these people, the latest first. */
async function crowd(newAccount: Fixtures["newAccount"], to: Actor, names: string[]): Promise<Account[]> {
  const people: Account[] = [];
  for (const name of names) {
    const person = await newAccount(uniqueName(name));
    await person.write(to, `Hello from ${name}`);
    people.unshift(person);
  }
  await expect(to.row(people[0]?.name ?? "")).toBeVisible();
  return people;
}

const titles = (page: Page) => page.locator("a.row .row-name").allInnerTexts();

/** Opens the menu of a row by a right click and chooses an item, and one of its submenu. */
async function choose(actor: Actor, title: string, item: string, subItem?: string): Promise<void> {
  await actor.row(title).click({ button: "right" });
  await actor.page.getByRole("menuitem", { name: item, exact: true }).click();
  if (subItem) await actor.page.getByRole("menu", { name: item }).getByText(subItem, { exact: true }).click();
  await expect(actor.page.getByRole("menu")).toHaveCount(0);
}

/** Runs accessibility checks; in dark mode only of contrast. */
async function expectAccessible(page: Page): Promise<void> {
  for (const colorScheme of ["dark", "light"] as const) {
    await page.emulateMedia({ colorScheme });
    await expectNoViolations(page, { only: colorScheme === "dark" ? "color-contrast" : undefined }, colorScheme);
  }
}

test("conversations are pinned, muted and archived by pointer, in all tabs", async ({ newUser, newAccount, stack }) => {
  const ann = await newUser(uniqueName("Ann"));
  const [cem, ben] = (await crowd(newAccount, ann, ["Ben", "Cem"])) as [Account, Account];
  const other = new Actor(await ann.page.context().newPage(), ann);
  await other.page.goto(stack.url);
  await expect(other.row(ben.name)).toBeVisible();
  await expect(ann.page).toHaveTitle("(2) Tidings");

  await choose(ann, ben.name, "Pin");
  await expect(ann.row(ben.name).getByLabel("Pinned")).toBeVisible();
  for (const { page } of [ann, other]) await expect.poll(() => titles(page)).toEqual([ben.name, cem.name]);
  await choose(ann, ben.name, "Mute", "For 8 hours");
  for (const { page } of [ann, other]) await expect(page).toHaveTitle("(1) Tidings");
  await expect(ann.row(ben.name).getByLabel("Muted")).toBeVisible();
  await expect(ann.row(ben.name).locator(".badge")).toContainText("1");

  await choose(ann, ben.name, "Archive");
  for (const { page } of [ann, other]) await expect.poll(() => titles(page)).toEqual([cem.name]);
  await other.page.getByRole("button", { name: "Archived (1)" }).click();
  await expect(other.page.getByRole("navigation", { name: "Archived conversations" })).toBeVisible();
  await other.open(ben.name);
  await expect(other.message("Hello from Ben")).toBeVisible();
  // A link to an archived conversation opens it.
  await other.page.reload();
  await expect(other.message("Hello from Ben")).toBeVisible();
  // A muted one stays in the archive, another comes back.
  await ben.write(ann, "Still here");
  await ann.page.getByRole("button", { name: "Archived (1)" }).click();
  await expect(ann.page.getByRole("button", { name: "Back to all conversations" })).toBeFocused();
  await expect(ann.row(ben.name)).toContainText("Still here");
  await ann.screenshot("archive");
  await expectAccessible(ann.page);
  const unmuted = ann.page.waitForResponse((response) => response.request().method() === "PATCH");
  await choose(ann, ben.name, "Unmute");
  await unmuted;
  await ben.write(ann, "And back");
  await expect(ann.page.getByText("No archived conversations.")).toBeVisible();
  await ann.page.getByRole("button", { name: "Back to all conversations" }).click();
  await expect.poll(() => titles(ann.page)).toEqual([ben.name, cem.name]);
});

test("the menu of a row works by keyboard, and gives the focus back", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const [cem, ben] = (await crowd(newAccount, ann, ["Ben", "Cem"])) as [Account, Account];
  const { page } = ann;
  await ann.row(ben.name).focus();
  await page.keyboard.press("Shift+F10");
  const item = (name: string) => page.getByRole("menuitem", { name, exact: true });
  const openNotifications = async () => {
    await expect(ann.row(ben.name)).toBeFocused();
    await page.keyboard.press("Shift+F10");
    await expect(page.getByRole("menu", { name: ben.name })).toBeFocused();
    await page.keyboard.press("n");
    await expect(item("Notifications")).toBeFocused();
    await page.keyboard.press("ArrowRight");
  };
  await expect(page.getByRole("menu", { name: ben.name })).toBeFocused();
  await page.keyboard.press("ArrowDown");
  await expect(item("Mark as read")).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(ann.row(ben.name)).toBeFocused();
  await page.keyboard.press("ContextMenu");
  await expect(page.getByRole("menu", { name: ben.name })).toBeFocused();
  await page.keyboard.press("p");
  await expect(item("Pin")).toBeFocused();
  await page.keyboard.press("Enter");
  await expect.poll(() => titles(page)).toEqual([ben.name, cem.name]);
  await expect(ann.row(ben.name)).toBeFocused();
  await openNotifications();
  const level = (name: string) => page.getByRole("menuitemradio", { name });
  await expect(level("All messages")).toBeChecked();
  await expect(level("All messages")).toBeFocused();
  await page.keyboard.press("End");
  await expect(level("None")).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("menu")).toHaveCount(0);
  await openNotifications();
  await expect(level("None")).toBeChecked();
  await expectAccessible(page);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await expect(page.getByRole("menu")).toHaveCount(0);
});

test("a long press opens the menu of a row, and does not open the conversation", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"), { hasTouch: true, isMobile: true, viewport: { width: 390, height: 844 } });
  const [ben] = (await crowd(newAccount, ann, ["Ben"])) as [Account];
  const { page } = ann;
  const box = await ann.row(ben.name).boundingBox();
  const touchPoints = [{ x: (box?.x ?? 0) + 120, y: (box?.y ?? 0) + 20 }];
  const session = await page.context().newCDPSession(page);
  await session.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints });
  await expect(page.getByRole("menu")).toBeVisible();
  await session.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  await expect(page.getByRole("menu")).toBeVisible();
  expect(new URL(page.url()).hash).not.toContain("/c/");
  await ann.screenshot("row-menu-narrow");
  await page.getByRole("menuitem", { name: "Mute", exact: true }).tap();
  await page.getByRole("menuitem", { name: "Always" }).tap();
  await expect(ann.row(ben.name).getByLabel("Muted")).toBeVisible();
  // A tap still opens the conversation.
  await ann.row(ben.name).tap();
  await expect(page.getByRole("heading", { level: 2, name: ben.name })).toBeVisible();
});

test("a conversation that is marked as unread stays so until it is opened again", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  await startDirectChat(ben, ann);
  await ben.send("one");
  await ben.send("two");
  await ann.open(ben.name);
  await expect(ben.message("two").getByLabel("Read")).toBeVisible();
  await expect(ann.row(ben.name).locator(".badge")).toHaveCount(0);
  await choose(ann, ben.name, "Mark as unread");
  await expect(ann.row(ben.name).locator(".badge")).toContainText("1");
  await ben.send("three");
  await expect(ann.message("three")).toBeVisible();
  await expect(ann.row(ben.name).locator(".badge")).toContainText("2");
  await expect(ann.page).toHaveTitle("(2) Tidings");
  await expect(ben.message("two").getByLabel("Read")).toBeVisible();
  await expect(ben.message("three").getByLabel("Sent")).toBeVisible();
  await ann.page.goto(`${new URL(ann.page.url()).origin}/#/`);
  await ann.open(ben.name);
  await expect(ann.page.getByTestId("unread-divider")).toBeVisible();
  await expect(ann.row(ben.name).locator(".badge")).toHaveCount(0);
  await expect(ben.message("three").getByLabel("Read")).toBeVisible();

  // After one's own message, nothing counts: a dot.
  await ann.send("four");
  await expect(ben.message("four")).toBeVisible();
  await choose(ann, ben.name, "Mark as unread");
  await expect(ann.row(ben.name).getByLabel("Marked as unread")).toBeVisible();
  await ann.page.getByRole("button", { name: "Unread", exact: true }).click();
  await expect(ann.row(ben.name)).toBeVisible();
  await choose(ann, ben.name, "Mark as read");
  await expect(ann.row(ben.name).getByLabel("Marked as unread")).toHaveCount(0);
});

test("a change that is refused is rolled back, and the user is told", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const [ben] = (await crowd(newAccount, ann, ["Ben"])) as [Account];
  await ann.page.route(/\/api\/conversations\/[^/]+\/me$/, async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 500));
    await route.fulfill({ status: 409, json: { code: "conflict", detail: "At most 10 conversations can be pinned.", success: false } });
  });
  await choose(ann, ben.name, "Pin");
  await expect(ann.row(ben.name).getByLabel("Pinned")).toBeVisible();
  await expect(ann.page.locator(".toast")).toContainText("At most 10 conversations can be pinned.");
  await expect(ann.row(ben.name).getByLabel("Pinned")).toHaveCount(0);
});

test("the details have the same settings, and follow other devices", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const [ben] = (await crowd(newAccount, ann, ["Ben"])) as [Account];
  const { page } = ann;
  await ann.open(ben.name);
  await page.getByRole("button", { name: "Details", exact: true }).click();
  await page.getByRole("switch", { name: "Pinned" }).check();
  await page.locator("dialog").getByLabel("Mute").selectOption("For 1 hour");
  await page.getByLabel("Notifications").selectOption("Mentions");
  await expect(ann.row(ben.name).getByLabel("Pinned")).toBeVisible();
  await expect(page.locator("dialog").getByLabel("Mute").locator("option:checked")).toHaveText(/^Until /);
  const path = `/conversations/${encodeURIComponent(conversationOf(page))}`;
  await expect.poll(() => ann.call<{ notify: string }>("GET", path).then(({ notify }) => notify)).toBe("mentions");
  await ann.call("PATCH", `${path}/me`, { archived: true, muted_until: null });
  await expect(page.getByRole("switch", { name: "Archived" })).toBeChecked();
  await expect(page.getByRole("switch", { name: "Pinned" })).not.toBeChecked();
  await expect(page.locator("dialog").getByLabel("Mute").locator("option:checked")).toHaveText("Off");
  await expectAccessible(page);
});

test("only unmuted conversations count in the badge of the page", async ({ newUser, newAccount }) => {
  const badges = async (page: Page) => {
    await page.addInitScript(() => {
      const badges: number[] = [];
      Object.assign(window, { badges });
      Object.assign(navigator, { setAppBadge: async (count: number) => void badges.push(count) });
    });
  };
  const ann = await newUser(uniqueName("Ann"), { prepare: badges });
  const [ben] = (await crowd(newAccount, ann, ["Ben"])) as [Account];
  const shown = () => ann.page.evaluate(() => (window as unknown as { badges: number[] }).badges.at(-1));
  await expect.poll(shown).toBe(1);
  await choose(ann, ben.name, "Mute", "Always");
  await expect.poll(shown).toBe(0);
});

test("rows show what a message is, who sent it, who types, and what is not sent", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  const group = uniqueName("Trip");
  const conversation_id = await ann.createGroup(group, ben);
  const map = { attachment_url: "https://example.org/a/map.jpg", attachment_type: "image/jpeg" };
  const preview = ann.row(group).locator(".preview");
  await ben.write(conversation_id, "At nine?");
  await expect(preview).toHaveText(`${ben.name}: At nine?`);
  // The sender is looked up after a reload.
  await ann.page.reload();
  await expect(preview).toHaveText(`${ben.name}: At nine?`);
  await ben.write(conversation_id, "", map);
  await expect(preview.getByText("Photo", { exact: true })).toBeVisible();
  await ben.write(conversation_id, "Our way", map);
  await expect(preview.getByLabel("Photo")).toBeVisible();
  await expect(preview).toContainText("Our way");
  const { id } = await ben.write(conversation_id, "Oops");
  await ben.call("DELETE", `/messages/${id}`);
  await expect(preview).toHaveText("Message deleted");
  await ben.call("POST", "/typing", { conversation_id, is_typing: true });
  await expect(preview).toHaveText(`${ben.name} is typing…`);
  const colors = await preview.evaluate((preview) => [getComputedStyle(preview).color, getComputedStyle(preview.ownerDocument.body).color]);
  expect(colors[0]).not.toBe(colors[1]);

  await ann.open(group);
  await ann.page.context().setOffline(true);
  await ann.send("Not yet sent");
  await expect(preview.getByLabel("Sending")).toBeVisible();
  await expect(preview).toContainText("Not yet sent");
  await ann.page.context().setOffline(false);
  await expect(preview.getByLabel("Sending")).toHaveCount(0);
  await ann.page.route("**/api/messages/send", (route) =>
    route.fulfill({ status: 400, json: { code: "invalid_request", detail: "No.", success: false } }),
  );
  await ann.send("Refused");
  await expect(preview.getByLabel("Not sent")).toBeVisible();
});

test("names and texts of both directions start where the page starts, and keep their beginnings", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const long = await newAccount(uniqueName("Bartholomew Featherstonehaugh-Cholmondeley of Kirkcudbright and Llanfair"));
  await long.write(ann, "Hello");
  const arabic = await newAccount(uniqueName("فرح"));
  await arabic.write(ann, "مرحبا");
  // In a left-to-right page, Arabic names and texts start at the left, too.
  for (const part of [".row-name", ".preview-text"]) {
    const start = await ann.row(arabic.name).locator(part).boundingBox();
    const whole = await ann.row(arabic.name).locator(".row-text").boundingBox();
    expect(Math.abs((start?.x ?? 0) - (whole?.x ?? 0))).toBeLessThan(2);
  }
  await ann.page.getByRole("button", { name: "Profile and settings" }).click();
  await ann.page.getByLabel("Direction").selectOption("rtl");
  await ann.page.keyboard.press("Escape");
  const row = ann.row(long.name);
  // The first letter is inside the box of the name, at its left.
  const first = await row.locator(".row-name").evaluate((name) => {
    const range = document.createRange();
    range.setStart(name.firstChild as Text, 0);
    range.setEnd(name.firstChild as Text, 1);
    return range.getBoundingClientRect().left - name.getBoundingClientRect().left;
  });
  expect(Math.abs(first)).toBeLessThan(2);
  const [name, text, avatar] = await Promise.all([".row-name", ".row-text", ".avatar"].map((part) => row.locator(part).boundingBox()));
  expect(avatar?.x ?? 0).toBeGreaterThan((name?.x ?? 0) + (name?.width ?? 0));
  expect(Math.abs((name?.x ?? 0) + (name?.width ?? 0) - (text?.x ?? 0) - (text?.width ?? 0))).toBeLessThan(2);
  await ann.row(long.name).click({ button: "right" });
  await ann.page.getByRole("menuitem", { name: "Mute" }).press("ArrowLeft");
  await expect(ann.page.getByRole("menuitem", { name: "Always" })).toBeVisible();
  await ann.screenshot("row-menu-right-to-left");
});

test("a new conversation starts with the keyboard, from the whole row, and tells a newcomer what to do", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  const { page } = ann;
  await expect(page.getByRole("heading", { name: "Welcome to Tidings" })).toBeVisible();
  await page.getByRole("button", { name: "New conversation" }).first().click();
  await expect(page.getByRole("searchbox", { name: "Find people" })).toBeFocused();
  await expect(page.getByText("Type a name or username to find people.")).toBeVisible();
  const height = async () => Math.round((await page.locator("dialog").boundingBox())?.height ?? 0);
  const before = await height();
  await page.keyboard.type(ben.name);
  await expect(page.getByRole("button", { name: `Message ${ben.name}` })).toBeVisible();
  expect(await height()).toBe(before);
  await page.locator("dialog").getByText(ben.name).click();
  await expect(page.getByRole("heading", { level: 2, name: ben.name })).toBeVisible();
  const hint = await page.locator(".empty-timeline").boundingBox();
  const timeline = await page.locator(".scroller").boundingBox();
  expect((hint?.y ?? 0) - (timeline?.y ?? 0)).toBeGreaterThan((timeline?.height ?? 0) / 3);
  await page.getByRole("button", { name: "Search in this conversation" }).click();
  await expect(page.getByText("Type words to find messages in this conversation.")).toBeVisible();
});

test("the settings show the current status", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"));
  const { page } = ann;
  const open = () => page.getByRole("button", { name: "Profile and settings" }).click();
  await open();
  await expect(page.getByLabel("Status")).toHaveValue("online");
  await page.getByLabel("Status").selectOption("Do not disturb");
  await expect(page.locator(".toast")).toContainText("Status updated.");
  await page.keyboard.press("Escape");
  await page.reload();
  await open();
  await expect(page.getByLabel("Status")).toHaveValue("do_not_disturb");
});
