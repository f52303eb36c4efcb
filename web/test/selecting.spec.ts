// Selecting several messages: with the pointer, the keyboard and by touch; and what can be done with them.

import type { Locator, Page } from "@playwright/test";

import type { Account, Fixtures, Message, UserOptions } from "./stack.js";
import { expect, expectNoViolations, startDirectChat, test, uniqueName } from "./stack.js";

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

const bar = (page: Page): Locator => page.getByRole("toolbar", { name: "Selected messages" });
const selected = (page: Page): Locator => page.locator("article.message.selected");
const texts = (page: Page) => selected(page).locator(".text").allTextContents();

/** Two users in a direct conversation, in which the first has sent messages. */
async function withMessages({ newUser, newAccount }: Pick<Fixtures, "newUser" | "newAccount">, sent: readonly string[], options: UserOptions = {}) {
  const ann = await newUser(uniqueName("Ann"), options);
  const ben = await newAccount(uniqueName("Ben"));
  for (const text of sent) await ann.write(ben, text);
  await startDirectChat(ann, ben);
  await expect(ann.message(sent.at(-1) ?? "")).toBeVisible();
  return { ann, ben };
}

/** The messages of a conversation, oldest first. */
const history = async (reader: Account, other: Account) =>
  (await reader.history(other)).map(({ message_text, is_deleted }) => (is_deleted ? "(deleted)" : message_text));

test("clicks select, Shift extends, and the texts are copied with names and times", async ({ newUser, newAccount }) => {
  const { ann, ben } = await withMessages({ newUser, newAccount }, ["one", "two", "three", "four", "five https://example.com/"]);
  const { page } = ann;
  await ben.write(ann, "of Ben");
  await expect(ann.message("of Ben")).toBeVisible();
  await ann.field.fill("unfinished");
  await ann.chooseAction("two", "Select");
  await expect(bar(page)).toContainText("1 selected");
  await expect(page.getByRole("status").filter({ hasText: "1 selected" })).toHaveCount(1);
  await expect(ann.field).toBeHidden();
  // Links and the like do not open.
  await ann.message("five").locator("a").click({ force: true });
  expect(page.context().pages()).toHaveLength(1);
  await expect(bar(page)).toContainText("2 selected");
  await ann.message("two").click();
  expect(await texts(page)).toEqual([expect.stringContaining("five")]);
  await ann.message("five").click();
  await expect(bar(page)).toHaveCount(0);
  await expect(ann.field).toHaveValue("unfinished");

  await ann.chooseAction("four", "Select");
  await ann.message("two").click({ modifiers: ["Shift"] });
  expect(await texts(page)).toEqual(["two", "three", "four"]);
  // Another range from the same message replaces it.
  await ann.message("of Ben").click({ modifiers: ["Shift"] });
  expect(await texts(page)).toEqual(["four", expect.stringContaining("five"), "of Ben"]);
  await expectNoViolations(page);
  await ann.screenshot("selecting");
  await bar(page).getByRole("button", { name: "Copy" }).click();
  await expect(page.getByText("3 messages copied.")).toBeVisible();
  const lines = (await page.evaluate(() => navigator.clipboard.readText())).split("\n");
  const line = (name: string, text: string) => expect.stringMatching(new RegExp(`^\\[[\\d/]+, \\d\\d:\\d\\d\\] ${name}: ${text}`));
  expect(lines).toEqual([line(ann.name, "four"), line(ann.name, "five"), line(ben.name, "of Ben")]);
  await expect(bar(page)).toHaveCount(0);
  expect(await history(ann, ben)).toHaveLength(6);
});

test("the keyboard selects, extends and ends", async ({ newUser, newAccount }) => {
  const { ann } = await withMessages({ newUser, newAccount }, ["one", "two", "three", "four"]);
  const { page } = ann;
  await ann.message("four").focus();
  await page.keyboard.press("x");
  await expect(bar(page)).toContainText("1 selected");
  await expect(page.getByRole("article", { name: /^Selected\. You, .*four/ })).toBeFocused();
  await page.keyboard.press("Shift+ArrowUp");
  await page.keyboard.press("Shift+ArrowUp");
  expect(await texts(page)).toEqual(["two", "three", "four"]);
  await page.keyboard.press("Shift+ArrowDown");
  expect(await texts(page)).toEqual(["three", "four"]);
  // Arrows alone only move, and Enter toggles instead of opening the menu.
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowUp");
  await expect(ann.message("one")).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("menu")).toHaveCount(0);
  expect(await texts(page)).toEqual(["one", "three", "four"]);
  // The box itself, which Tab reaches.
  await page.keyboard.press("Tab");
  await expect(page.getByRole("checkbox", { name: "Select", checked: true }).first()).toBeFocused();
  await page.keyboard.press("Space");
  expect(await texts(page)).toEqual(["three", "four"]);
  await page.keyboard.press("Space");
  expect(await texts(page)).toEqual(["one", "three", "four"]);
  await page.keyboard.press("F6");
  await expect(bar(page).getByRole("button", { name: "End selecting" })).toBeFocused();
  await page.keyboard.press("ArrowRight");
  await expect(bar(page).getByRole("button", { name: "Copy" })).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(bar(page)).toHaveCount(0);
  await expect(ann.field).toBeFocused();
  // Escape on a message leaves the focus there.
  await page.keyboard.press("Shift+F6");
  await page.keyboard.press("Shift+ArrowDown");
  await expect(selected(page)).toHaveCount(2);
  await page.keyboard.press("Escape");
  await expect(bar(page)).toHaveCount(0);
  await expect(page.locator("article:focus")).toHaveCount(1);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("menuitem", { name: "Select" })).toBeVisible();
});

test("on a touch screen, a long press leads to Select, and taps go on", async ({ newUser, newAccount }) => {
  const { ann } = await withMessages({ newUser, newAccount }, ["one", "two", "three"], PHONE);
  const { page } = ann;
  const devtools = await page.context().newCDPSession(page);
  const box = await ann.message("two").locator(".bubble").boundingBox();
  const touchPoints = [{ x: (box?.x ?? 0) + 10, y: (box?.y ?? 0) + 10 }];
  await devtools.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints });
  await expect(page.getByRole("menuitem", { name: "Select" })).toBeVisible();
  await devtools.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  await page.getByRole("menuitem", { name: "Select" }).tap();
  await expect(bar(page)).toContainText("1 selected");
  await ann.message("three").tap();
  await expect(bar(page)).toContainText("2 selected");
  await ann.screenshot("selecting-touch");
  await expectNoViolations(page);
  await ann.message("two").tap();
  expect(await texts(page)).toEqual(["three"]);
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
  await bar(page).getByRole("button", { name: "End selecting" }).tap();
  await expect(bar(page)).toHaveCount(0);
});

test("several messages are forwarded in their order, and at a refusal it is said what was done", async ({ newUser, newAccount }) => {
  const { ann } = await withMessages({ newUser, newAccount }, ["one", "two", "three", "four"]);
  const carl = await newAccount(uniqueName("Carl"));
  const { page } = ann;
  const forwarded = (...texts: string[]) => texts.map((message_text) => ({ message_text, is_forwarded: true }));
  const forward = async (name: string) => {
    await bar(page).getByRole("button", { name: "Forward" }).click();
    const dialog = page.getByRole("dialog", { name: "Forward to" });
    await dialog.getByRole("searchbox").fill(name);
    await dialog.getByRole("checkbox", { name }).check();
    await expect(dialog).toContainText(`${await selected(page).count()} messages`);
    await dialog.getByRole("button", { name: "Forward" }).click();
    return dialog;
  };
  // Selected in another order.
  await ann.chooseAction("four", "Select");
  for (const text of ["two", "one"]) await ann.message(text).click();
  await forward(carl.name);
  await expect(page.getByText(`3 messages forwarded to ${carl.name}.`)).toBeVisible();
  await expect(bar(page)).toHaveCount(0);
  expect(await carl.history(ann)).toMatchObject(forwarded("one", "two", "four"));

  // The second one is refused.
  let sends = 0;
  await page.route("**/api/messages/send", (route) => {
    sends += 1;
    if (sends !== 2) return route.continue();
    const problem = { success: false, code: "blocked", message: "You cannot write to this person.", detail: "You cannot write to this person." };
    return route.fulfill({ status: 403, contentType: "application/problem+json", body: JSON.stringify(problem) });
  });
  await ann.chooseAction("one", "Select");
  await ann.message("three").click({ modifiers: ["Shift"] });
  const dialog = await forward(carl.name);
  await expect(dialog.getByRole("alert")).toHaveText("1 of 3 messages were forwarded, the others are still selected: You cannot write to this person.");
  await expectNoViolations(page);
  await dialog.getByRole("button", { name: "Close" }).last().click();
  expect(await texts(page)).toEqual(["two", "three"]);
  // Nothing is left behind that would be sent later.
  expect(sends).toBe(2);
  await page.unroute("**/api/messages/send");
  // In the middle, the browser asks before it closes the page.
  let release = () => {};
  const isReleased = new Promise<void>((resolve) => (release = resolve));
  await page.route("**/api/messages/send", async (route) => {
    await isReleased;
    await route.continue();
  });
  await forward(carl.name);
  await expect(page.getByText("Forwarding: 0 of 2")).toBeVisible();
  const question = page.waitForEvent("dialog");
  void page.close({ runBeforeUnload: true });
  expect((await question).type()).toBe("beforeunload");
  await (await question).dismiss();
  release();
  await expect.poll(() => carl.history(ann)).toMatchObject(forwarded("one", "two", "four", "one", "two", "three"));
});

test("several messages are deleted, for everyone only if all are one's own", async ({ newUser, newAccount }) => {
  const { ann, ben } = await withMessages({ newUser, newAccount }, ["one", "two", "three", "four"]);
  const { page } = ann;
  await ben.write(ann, "of Ben");
  await expect(ann.message("of Ben")).toBeVisible();
  await ann.chooseAction("four", "Select");
  await ann.message("of Ben").click();
  await bar(page).getByRole("button", { name: "Delete" }).click();
  const dialog = page.getByRole("dialog", { name: "Delete 2 messages?" });
  await expect(dialog.getByRole("button", { name: "Delete for everyone" })).toHaveCount(0);
  await dialog.getByRole("button", { name: "Delete for me" }).click();
  await expect(page.getByText("2 messages deleted.")).toBeVisible();
  await expect(page.locator("article.message")).toHaveCount(3);
  expect(await history(ben, ann)).toEqual(["one", "two", "three", "four", "of Ben"]);

  // A call that is turned away for the moment is repeated.
  let calls = 0;
  await page.route("**/api/messages/*?scope=everyone", (route) => {
    calls += 1;
    if (calls !== 2) return route.continue();
    const body = JSON.stringify({ success: false, code: "rate_limited", message: "Too fast." });
    return route.fulfill({ status: 429, headers: { "retry-after": "1" }, contentType: "application/problem+json", body });
  });
  await ann.chooseAction("one", "Select");
  await ann.message("three").click({ modifiers: ["Shift"] });
  await bar(page).getByRole("button", { name: "Delete" }).click();
  await page.getByRole("button", { name: "Delete for everyone" }).click();
  await expect(page.getByText("3 messages deleted.")).toBeVisible();
  expect(calls).toBe(4);
  expect(await history(ben, ann)).toEqual(["(deleted)", "(deleted)", "(deleted)", "four", "of Ben"]);
  await expect(bar(page)).toHaveCount(0);
});

test("a selection outlives new messages and scrolling, is bounded, and loses what is deleted", async ({ newUser, newAccount }) => {
  test.slow();
  const { ann, ben } = await withMessages({ newUser, newAccount }, Array.from({ length: 130 }, (_, n) => `Number ${n};`));
  const { page } = ann;
  const list = page.getByTestId("messages");
  await ann.chooseAction("Number 129;", "Select");
  await ben.write(ann, "meanwhile");
  await expect(ann.message("meanwhile")).toBeVisible();
  await expect(bar(page)).toContainText("1 selected");
  // The selected message is not rendered meanwhile.
  await expect
    .poll(async () => {
      await list.evaluate((element) => (element.scrollTop = 0));
      return ann.message("Number 0;").count();
    })
    .toBe(1);
  await expect(ann.message("Number 129;")).toHaveCount(0);
  await ann.message("Number 0;").click({ modifiers: ["Shift"] });
  await expect(page.getByText("Up to 100 messages at a time.")).toBeVisible();
  await expect(bar(page)).toContainText("100 selected");
  await expect(ann.message("Number 29;")).not.toHaveClass(/selected/);
  await ann.message("Number 1;").click();
  await expect(bar(page)).toContainText("100 selected");
  await page.keyboard.press("Escape");

  await ann.message("Number 2;").hover();
  await ann.chooseAction("Number 2;", "Select");
  await ann.message("Number 3;").click();
  await expect(bar(page)).toContainText("2 selected");
  const messages = await ann.call<Message[]>("GET", `/messages/conversation/${ben.id}?limit=100&offset=60`);
  const remove = async (text: string, scope: string) =>
    ann.call("DELETE", `/messages/${encodeURIComponent(messages.find(({ message_text }) => message_text === text)?.id ?? "")}?scope=${scope}`);
  await remove("Number 2;", "me");
  await expect(bar(page)).toContainText("1 selected");
  await expect(page.getByRole("status").filter({ hasText: "1 selected" })).toHaveCount(1);
  await remove("Number 3;", "everyone");
  await expect(bar(page)).toHaveCount(0);
  await expect(ann.field).toBeVisible();
  // Leaving the conversation ends a selection.
  await ann.chooseAction("Number 4;", "Select");
  await page.goBack();
  await page.goForward();
  await expect(ann.field).toBeVisible();
  await expect(bar(page)).toHaveCount(0);
});
