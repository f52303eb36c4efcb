// Reactions and forwarding: by pointer, keyboard and touch.

import type { Locator, Page } from "@playwright/test";

import { expect, expectNoViolations, test, uniqueName } from "./stack.js";
import type { Account, Actor, Fixtures, UserOptions } from "./stack.js";

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

/** Lets one user send "Good news" to another, who opens the conversation. Returns the message's id. */
async function tellGoodNews(from: Account, to: Actor): Promise<string> {
  const { id } = await from.write(to, "Good news");
  await to.row(from.name).click();
  await expect(to.message("Good news")).toBeVisible();
  return id;
}

/** Two users with a message from the first, which the second sees. */
async function pair({ newUser, newAccount }: Pick<Fixtures, "newUser" | "newAccount">, options: UserOptions = {}) {
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"), options);
  return { ann, ben, id: await tellGoodNews(ann, ben) };
}

/** The reactions to the first message of a conversation, as the API tells them. */
const reactionsOf = async (reader: Account, other: Account) => (await reader.history(other))[0]?.reactions.map(({ emoji }) => emoji);

const chip = (actor: Actor, text: string, emoji: string): Locator =>
  actor.message(text).getByRole("list", { name: "Reactions" }).getByRole("button", { name: emoji });

/** Holds a finger on an element. */
async function press(page: Page, element: Locator): Promise<void> {
  const devtools = await page.context().newCDPSession(page);
  const box = await element.boundingBox();
  const at = { x: (box?.x ?? 0) + 12, y: (box?.y ?? 0) + (box?.height ?? 0) / 2 };
  await devtools.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [at] });
  await page.waitForTimeout(700);
  await devtools.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
}

test("reactions by pointer: the quick bar, chips, the list and a double click", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  await tellGoodNews(ann, ben);
  await ann.open(ben.name);
  const message = ben.message("Good news");
  await message.locator(".bubble").hover();
  await message.getByRole("button", { name: "React", exact: true }).click();
  await ben.page.getByRole("button", { name: "React with 🙏" }).click();
  await expect(chip(ben, "Good news", "🙏")).toHaveAttribute("aria-pressed", "true");
  await expect(chip(ann, "Good news", "🙏")).toHaveAttribute("aria-pressed", "false");
  // The author sees who it was, and joins in with a click on the chip.
  await chip(ann, "Good news", "🙏").hover();
  await expect(ann.page.getByRole("tooltip")).toHaveText(ben.name);
  const [chipBox, namesBox] = [await chip(ann, "Good news", "🙏").boundingBox(), await ann.page.getByRole("tooltip").boundingBox()];
  expect((namesBox?.y ?? NaN) + (namesBox?.height ?? NaN)).toBeLessThan(chipBox?.y ?? NaN);
  await chip(ann, "Good news", "🙏").click();
  await expect(chip(ben, "Good news", "🙏 2, including you")).toBeVisible();
  await chip(ann, "Good news", "🙏").click({ button: "right" });
  await expect(ann.page.getByRole("dialog", { name: "Reactions" }).getByRole("listitem")).toContainText(["You", ben.name]);
  await ann.page.getByRole("button", { name: "Remove 🙏" }).click();
  await ann.page.keyboard.press("Escape");
  await expect(chip(ben, "Good news", "🙏 1, including you")).toBeVisible();
  // A double click toggles the first quick reaction, and selects no text.
  await ann.message("Good news").locator(".text").dblclick();
  await expect(chip(ben, "Good news", "👍 1")).toBeVisible();
  expect(await ann.page.evaluate(() => String(getSelection()))).toBe("");
  await ann.message("Good news").locator(".text").dblclick();
  await expect(chip(ben, "Good news", "👍")).toHaveCount(0);
  // A reaction is neither an edit nor unread.
  await expect(ben.message("Good news")).not.toContainText("edited");
  await ben.page.reload();
  await expect(chip(ben, "Good news", "🙏 1, including you")).toBeVisible();
  await chip(ben, "Good news", "🙏").click();
  await expect(ann.message("Good news").getByRole("list", { name: "Reactions" })).toHaveCount(0);
});

test("the bar opens when the pointer rests on its button, and closes when it leaves", async ({ newUser, newAccount }) => {
  const { ben } = await pair({ newUser, newAccount });
  await ben.message("Good news").locator(".bubble").hover();
  await ben.message("Good news").getByRole("button", { name: "React", exact: true }).hover();
  const bar = ben.page.getByRole("dialog", { name: "Quick reactions" });
  await expect(bar).toBeVisible();
  await bar.getByRole("button", { name: "React with 😂" }).hover();
  await ben.page.waitForTimeout(600);
  await expect(bar).toBeVisible();
  await ben.page.mouse.move(5, 400);
  await expect(bar).toHaveCount(0);
});

test("reactions by keyboard: the menu, its arrow keys, and all emoji", async ({ newUser, newAccount }) => {
  const { ann, ben } = await pair({ newUser, newAccount });
  const { page } = ben;
  const button = ben.message("Good news").getByRole("button", { name: "Message actions" });
  // The menu replaces a button without it once it is loaded.
  await expect(button).toHaveAttribute("data-state", "closed");
  await button.focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("menuitemcheckbox", { name: "React with 👍" })).toBeFocused();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  await expect(page.getByRole("menuitem", { name: "Reply" })).toBeFocused();
  await page.keyboard.press("ArrowUp");
  await expect(page.getByRole("menuitem", { name: "More reactions" })).toBeFocused();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("menuitemcheckbox", { name: "React with ❤️" })).toBeFocused();
  await expectNoViolations(page);
  await page.keyboard.press("Enter");
  await expect.poll(() => reactionsOf(ann, ben)).toEqual(["❤️"]);
  await expect(ben.message("Good news").getByRole("button", { name: "Message actions" })).toBeFocused();

  await page.keyboard.press("Enter");
  await page.keyboard.press("ArrowLeft");
  await expect(page.getByRole("menuitem", { name: "More reactions" })).toBeFocused();
  await page.keyboard.press("Enter");
  await page.getByRole("searchbox", { name: "Search emoji" }).fill("rocket");
  await page.getByRole("button", { name: "rocket", exact: true }).focus();
  await expectNoViolations(page);
  await page.keyboard.press("Enter");
  await expect.poll(() => reactionsOf(ann, ben)).toEqual(["❤️", "🚀"]);
  // The chip says who, and the key that clicks toggles.
  await chip(ben, "Good news", "🚀").focus();
  await expect(page.getByRole("tooltip")).toHaveText("You");
  await page.keyboard.press("Space");
  await expect.poll(() => reactionsOf(ann, ben)).toEqual(["❤️"]);
});

test("reactions by touch: a long press opens a sheet, and one on a chip lists who has reacted", async ({ newUser, newAccount }) => {
  const { ann, ben } = await pair({ newUser, newAccount }, PHONE);
  const { page } = ben;
  await press(page, ben.message("Good news").locator(".bubble"));
  const menu = page.getByRole("menu");
  await expect(menu).toBeVisible();
  await page.waitForTimeout(300);
  const box = await menu.boundingBox();
  expect([box?.x, box?.width, (box?.y ?? 0) + (box?.height ?? 0)]).toEqual([0, 390, 844]);
  await ben.screenshot("message-sheet-light");
  await page.getByRole("menuitemcheckbox", { name: "React with 😮" }).tap();
  await expect(menu).toHaveCount(0);
  await expect.poll(() => reactionsOf(ann, ben)).toEqual(["😮"]);
  await press(page, chip(ben, "Good news", "😮"));
  await expect(page.getByRole("dialog", { name: "Reactions" })).toContainText("You");
  await page.getByRole("button", { name: "Close" }).tap();
  await expect(chip(ben, "Good news", "😮")).toBeVisible();
  await chip(ben, "Good news", "😮").tap();
  await expect.poll(() => reactionsOf(ann, ben)).toEqual([]);
  // A touch beside the sheet closes it, and nothing else.
  await press(page, ben.message("Good news").locator(".bubble"));
  await expect(menu).toBeVisible();
  await page.touchscreen.tap(195, 30);
  await expect(menu).toHaveCount(0);
  await expect(page.locator("dialog")).toHaveCount(0);
});

test("a refused reaction disappears again, and tells why", async ({ newUser, newAccount }) => {
  const { ann, ben } = await pair({ newUser, newAccount });
  await ann.call("POST", "/messages/block-user", { blocked_user_id: ben.id });
  await ben.message("Good news").locator(".text").dblclick();
  await expect(ben.page.locator(".toast")).toBeVisible();
  await expect(ben.message("Good news").getByRole("list", { name: "Reactions" })).toHaveCount(0);
});

test("a message is forwarded to several conversations and people, found by name", async ({ newUser, newAccount }) => {
  const { ann, ben } = await pair({ newUser, newAccount });
  const group = uniqueName("Crème brûlée 🍮");
  const id = await ben.createGroup(group, ann);
  const zoe = await newUser(uniqueName("Zoë Łąka"));
  await ben.chooseAction("Good news", "Forward");
  const dialog = ben.page.getByRole("dialog", { name: "Forward to" });
  await expect(dialog.getByRole("searchbox")).toBeFocused();
  await dialog.getByRole("searchbox").fill("creme brulee");
  await dialog.getByRole("checkbox", { name: group }).check();
  await dialog.getByRole("searchbox").fill(zoe.name);
  await dialog.getByRole("checkbox", { name: zoe.name }).check();
  await expectNoViolations(ben.page);
  await ben.screenshot("forward-light");
  await dialog.getByRole("button", { name: "Forward", exact: true }).click();
  await expect(ben.page.getByText("Forwarded to 2 conversations.")).toBeVisible();
  await zoe.open(ben.name);
  await expect(zoe.message("Good news")).toContainText("Forwarded");
  await expect.poll(() => ann.history(id)).toMatchObject([{ message_text: "Good news", is_forwarded: true }]);
  // Nothing tells who wrote it first.
  await expect(zoe.message("Good news")).not.toContainText(ann.name);
});

test("a forward that is written offline shows at once, and is sent later", async ({ newUser, newAccount }) => {
  const { ann, ben } = await pair({ newUser, newAccount }, { fetchesAhead: true });
  await ben.page.context().setOffline(true);
  await ben.chooseAction("Good news", "Forward");
  await ben.page.getByRole("checkbox", { name: ann.name }).check();
  await ben.page.getByRole("button", { name: "Forward", exact: true }).click();
  await expect(ben.message("Good news").last().getByLabel("Sending")).toBeVisible();
  await expect(ben.message("Good news").last()).toContainText("Forwarded");
  await ben.page.context().setOffline(false);
  await expect.poll(() => ann.texts(ben)).toEqual(["Good news", "Good news"]);
});

test("a link to a message is copied, and leads to it", async ({ newUser, newAccount }) => {
  const { ben } = await pair({ newUser, newAccount });
  await ben.chooseAction("Good news", "Copy link");
  const link = await ben.page.evaluate(() => navigator.clipboard.readText());
  await ben.page.goto("about:blank");
  await ben.page.goto(link);
  await expect(ben.message("Good news")).toHaveClass(/highlighted/);
});

for (const [name, options] of Object.entries({
  light: { colorScheme: "light", viewport: { width: 1280, height: 800 } },
  dark: { colorScheme: "dark", viewport: { width: 1280, height: 800 } },
  narrow: { colorScheme: "light", viewport: { width: 320, height: 640 } },
  "forced-colors": { forcedColors: "active", viewport: { width: 800, height: 700 } },
} as const)) {
  test(`many reactions look well and are accessible: ${name}`, async ({ newUser, newAccount }) => {
    const { ann, ben, id } = await pair({ newUser, newAccount }, options);
    const { page } = ben;
    const emoji = ["👍", "❤️", "😂", "🎉", "🚀", "👀", "🧑🏽‍🚀", "🏳️‍🌈", "🇺🇳", "🤷‍♀️"];
    for (const each of emoji) await ann.call("PUT", `/messages/${id}/reactions/${encodeURIComponent(each)}`);
    for (const each of emoji.slice(0, 3)) await ben.call("PUT", `/messages/${id}/reactions/${encodeURIComponent(each)}`);
    await ben.send("Answer 1");
    await expect(ben.message("Answer 1").getByLabel(/Sent|Read/)).toBeVisible();
    await ben.message("Answer 1").locator(".text").dblclick();
    await expect(chip(ben, "Answer 1", "👍")).toBeVisible();
    await expect(chip(ben, "Good news", "🤷")).toBeVisible();
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
    await ben.message("Good news").locator(".bubble").hover();
    if (name !== "narrow") {
      await ben.message("Good news").getByRole("button", { name: "React", exact: true }).click();
      await expect(page.getByRole("dialog", { name: "Quick reactions" })).toBeVisible();
    }
    await ben.screenshot(`reactions-${name}`);
    // In forced colours, axe does not see the colours that are shown.
    await expectNoViolations(page, { except: name === "forced-colors" ? ["color-contrast"] : [] });
  });
}
