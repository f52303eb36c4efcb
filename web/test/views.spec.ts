// The main views, wide and narrow, light and dark: takes screenshots for review and runs accessibility checks.

import type { Page } from "@playwright/test";

import { expect, expectNoViolations, screenshot, test } from "./stack.js";

const SIZES = { wide: { width: 1440, height: 900 }, narrow: { width: 390, height: 844 } };

/** Takes screenshots of a view in both colour schemes and runs axe. In dark mode it only checks contrast. */
async function inspect(page: Page, name: string, folder: string): Promise<void> {
  for (const colorScheme of ["dark", "light"] as const) {
    await page.emulateMedia({ colorScheme });
    // Waits until the page is painted.
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    await screenshot(page, `${name}-${folder}-${colorScheme}`);
    const rules = colorScheme === "dark" ? { only: "color-contrast" } : { also: "label-content-name-mismatch" };
    await expectNoViolations(page, rules, `${name}, ${colorScheme}`);
  }
}

for (const [size, viewport] of Object.entries(SIZES)) {
  test(`the main views are accessible, ${size}`, async ({ stack, demoUser }) => {
    // Each of its many views is searched for faults.
    test.slow();
    // Without animations, so that screenshots are stable.
    const signIn = async (page: Page) => {
      await page.goto(stack.url);
      await expect(page.getByRole("button", { name: "Alice Sommer" })).toBeVisible();
      await inspect(page, "sign-in", size);
      await page.getByRole("button", { name: "Alice Sommer" }).click();
      await expect(page.locator("a.row").first()).toBeVisible();
    };
    const alice = await demoUser("Alice Sommer", { viewport, prepare: signIn });
    const check = (name: string) => inspect(alice.page, name, size);
    const back = async () => {
      if (size === "narrow") await alice.page.getByRole("button", { name: "Back to inbox" }).click();
    };
    await expect(alice.row("Moving day")).toBeVisible();
    await check("inbox");
    await alice.open("Moving day");
    await expect(alice.message("القطة معي")).toBeVisible();
    await check("group");
    await alice.page.getByRole("button", { name: "Details", exact: true }).click();
    await expect(alice.page.getByRole("list", { name: "People" }).getByText("Bob Okafor")).toBeVisible();
    await check("details");
    await alice.page.getByRole("list", { name: "People" }).getByRole("button", { name: /^Bob Okafor/ }).click();
    await expect(alice.page.getByRole("dialog", { name: "Bob Okafor" }).getByRole("button", { name: "Message" })).toBeVisible();
    await check("profile");
    await alice.page.keyboard.press("Escape");
    await alice.page.getByRole("button", { name: "Edit name and description" }).click();
    await check("details-edit");
    await alice.page.keyboard.press("Escape");
    await expect(alice.page.locator("dialog")).toHaveCount(0);
    await back();
    await alice.open("Bob Okafor");
    await expect(alice.message("It rattles")).toBeVisible();
    await check("direct");
    await alice.page.getByRole("button", { name: "Emoji" }).click();
    await expect(alice.page.getByRole("button", { name: "grinning face", exact: true })).toBeVisible();
    await alice.page.getByRole("searchbox", { name: "Search emoji" }).fill("cat");
    await expect(alice.page.getByRole("button", { name: "cat", exact: true })).toBeVisible();
    await check("emoji");
    await alice.page.keyboard.press("Escape");
    await back();
    await alice.page.getByRole("button", { name: "New conversation" }).first().click();
    await alice.page.getByRole("tab", { name: "Rooms" }).click();
    await expect(alice.page.getByRole("button", { name: "Open Café Babel" })).toBeVisible();
    await check("rooms");
    await alice.page.keyboard.press("Escape");
    await alice.page.getByRole("button", { name: "Profile and settings" }).click();
    await expect(alice.page.getByLabel("Theme")).toBeVisible();
    await check("settings");
    await alice.page.keyboard.press("Escape");
    await alice.page.getByRole("searchbox", { name: "Search conversations" }).fill("van");
    await expect(alice.page.locator(".hit mark").first()).toBeVisible();
    await check("search");

    // No view scrolls horizontally.
    const overflow = await alice.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
  });
}

for (const [size, viewport] of Object.entries(SIZES)) {
  test(`what is found, and the dialogs for it, are accessible, ${size}`, async ({ demoUser }) => {
    const alice = await demoUser("Alice Sommer", { viewport });
    const { page } = alice;
    const check = (name: string) => inspect(page, name, size);
    const back = async () => {
      if (size === "narrow") await page.getByRole("button", { name: "Back to inbox" }).click();
    };
    await page.getByRole("searchbox", { name: "Search conversations" }).fill("coffee");
    await expect(page.locator(".hit mark").first()).toBeVisible();
    await page.locator(".hit").first().click();
    await expect(page.locator("article mark").first()).toBeVisible();
    await check("found");
    await back();
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: "Find people" }).fill("van");
    await expect(page.getByRole("listbox", { name: "Found" }).locator("mark").first()).toBeVisible();
    await check("palette");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+/");
    await expect(page.getByRole("heading", { name: "Keyboard shortcuts" })).toBeVisible();
    await check("keys");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Clear search" }).click();
    await alice.open("Café Babel");
    await page.getByTestId("messages").hover();
    for (let n = 0; n < 5; n += 1) await page.mouse.wheel(0, -500);
    await page.locator(".floating-date").click();
    await expect(page.getByRole("grid")).toBeVisible();
    await check("calendar");
  });
}

test("the page fits from a width of 360 pixels", async ({ demoUser }) => {
  const alice = await demoUser("Alice Sommer", { viewport: { width: 360, height: 640 } });
  await alice.open("Moving day");
  await expect(alice.message("القطة معي")).toBeVisible();
  for (const width of [360, 680, 721]) {
    await alice.page.setViewportSize({ width, height: 640 });
    const overflow = await alice.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflow).toBeLessThanOrEqual(0);
    await expect(alice.field).toBeInViewport({ ratio: 0.9 });
  }
});

test("a right-to-left page is mirrored", async ({ demoUser }) => {
  const farah = await demoUser("فرح خوري");
  await farah.page.getByRole("button", { name: "Profile and settings" }).click();
  await farah.page.getByLabel("Direction").selectOption("rtl");
  await farah.page.keyboard.press("Escape");
  await farah.open("Alice Sommer");
  const [inbox, pane] = await Promise.all([farah.page.locator(".inbox").boundingBox(), farah.page.locator(".pane").boundingBox()]);
  expect(inbox?.x ?? 0).toBeGreaterThan(pane?.x ?? Infinity);
  await farah.screenshot("right-to-left");
});

test("the chosen theme overrides the system's", async ({ demoUser }) => {
  const carol = await demoUser("Carol Núñez", { colorScheme: "light" });
  await carol.page.getByRole("button", { name: "Profile and settings" }).click();
  await carol.page.getByLabel("Theme").selectOption("dark");
  await carol.page.reload();
  await expect(carol.page.locator("a.row").first()).toBeVisible();
  const scheme = await carol.page.evaluate(() => getComputedStyle(document.documentElement).colorScheme);
  expect(scheme).toBe("dark");
});
