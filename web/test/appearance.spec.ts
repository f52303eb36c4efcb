// How the page looks where screens and settings are unusual.

import type { Locator } from "@playwright/test";

import { expect, startDirectChat, test, uniqueName } from "./stack.js";

const box = async (locator: Locator) => (await locator.boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };

test("the page fits from 320 to 2560 pixels, and its lines do not grow without end", async ({ demoUser }) => {
  const alice = await demoUser("Alice Sommer", { viewport: { width: 320, height: 640 } });
  const { page } = alice;
  await alice.open("Moving day");
  await expect(alice.message("القطة معي")).toBeVisible();
  for (const width of [320, 360, 719, 720, 1024, 1440, 1920, 2560]) {
    await page.setViewportSize({ width, height: 800 });
    await expect(alice.field).toBeInViewport({ ratio: 0.9 });
    const overflow = await page.evaluate(() => [document.documentElement, document.querySelector(".scroller")].map((e) => (e?.scrollWidth ?? 0) - (e?.clientWidth ?? 0)));
    expect(overflow, `${width}`).toEqual([0, 0]);
    await alice.screenshot(`width-${width}`);
  }
  const mine = await box(page.locator(".mine .bubble").last());
  const theirs = await box(page.locator(".theirs .bubble").last());
  expect(mine.x + mine.width - theirs.x).toBeLessThan(1_100);
});

test("nothing is cut above the message field, and bubbles keep their borders in forced colours", async ({ demoUser }) => {
  const alice = await demoUser("Alice Sommer", { forcedColors: "active" });
  await alice.open("Moving day");
  await expect(alice.message("القطة معي")).toBeVisible();
  await expect(alice.page.locator(".mine .bubble").last()).toHaveCSS("border-top-style", "solid");
  await alice.screenshot("forced-colours");
  await alice.page.emulateMedia({ forcedColors: "none" });
  const fade = await alice.page.locator(".timeline").evaluate((element) => getComputedStyle(element, "::after").backgroundImage);
  expect(fade).toContain("gradient");
});

test("fields have a boundary that can be seen", async ({ demoUser }) => {
  const alice = await demoUser("Alice Sommer");
  await alice.open("Bob Okafor");
  for (const colorScheme of ["light", "dark"] as const) {
    await alice.page.emulateMedia({ colorScheme });
    for (const selector of [".field", "#search"]) {
      const contrast = await alice.page.locator(selector).evaluate((element) => {
        const parse = (text: string) => (text.match(/[\d.]+/g) ?? []).map(Number);
        const light = (color: string) => {
          const [r = 0, g = 0, b = 0] = parse(color).map((part) => {
            const value = part / 255;
            return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
          });
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        let around = element.parentElement;
        while (around && parse(getComputedStyle(around).backgroundColor)[3] === 0) around = around.parentElement;
        const [one, other] = [getComputedStyle(element).borderTopColor, getComputedStyle(around ?? document.body).backgroundColor].map(light);
        const [low = 0, high = 0] = [one ?? 0, other ?? 0].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
      });
      expect(contrast, `${selector}, ${colorScheme}`).toBeGreaterThanOrEqual(3);
    }
  }
});

test("buttons without words tell what they are for", async ({ demoUser }) => {
  const alice = await demoUser("Alice Sommer");
  await alice.open("Bob Okafor");
  const tip = alice.page.locator(".tooltip");
  await alice.page.getByRole("button", { name: "Emoji" }).hover();
  await expect(tip).toHaveText("Emoji");
  await expect(tip).toBeVisible();
  await alice.page.keyboard.press("Escape");
  await expect(tip).toBeHidden();
  // At the edge of the window it stays inside.
  await alice.page.getByRole("button", { name: "Details", exact: true }).hover();
  await expect(tip).toHaveText("Details");
  await expect(tip).toBeInViewport({ ratio: 1 });
});

test("back leads to the inbox, with the browser's button as well", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"), { viewport: { width: 390, height: 844 } });
  const ben = await newAccount(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  await ann.send("Hello");
  await ann.page.getByRole("button", { name: "Back to inbox" }).click();
  await ann.open(ben.name);
  await ann.page.goBack();
  await expect(ann.row(ben.name)).toBeVisible();
  await ann.open(ben.name);
  await ann.page.getByRole("button", { name: "Back to inbox" }).click();
  await expect(ann.row(ben.name)).toBeVisible();
  // The button went back, and not on: the way forward leads to the conversation.
  await ann.page.goForward();
  await expect(ann.message("Hello")).toBeVisible();
});
