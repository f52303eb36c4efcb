// The main views, wide and narrow, light and dark: pictures to be looked at, and no violation that axe finds.

import { AxeBuilder } from "@axe-core/playwright";

import { Someone, expect, test } from "./stack.js";

const SIZES = { wide: { width: 1440, height: 900 }, narrow: { width: 390, height: 844 } };

async function inspect(someone: Someone, name: string): Promise<void> {
  await someone.screenshot(name);
  const { violations } = await new AxeBuilder({ page: someone.page }).analyze();
  const found = violations.map(({ id, nodes }) => `${name}: ${id}: ${nodes.map(({ html, any }) => `${html.slice(0, 200)} ${any[0]?.message ?? ""}`).join("; ")}`);
  expect(found).toEqual([]);
}

for (const [size, viewport] of Object.entries(SIZES)) {
  for (const colorScheme of ["light", "dark"] as const) {
    test(`the main views, ${size} and ${colorScheme}`, async ({ browser, stack, demo }) => {
      const name = (view: string) => `${view}-${size}-${colorScheme}`;
      // Without motion, so that nothing is half-way there.
      const options = { viewport, colorScheme, reducedMotion: "reduce" as const };
      const page = await (await browser.newContext(options)).newPage();
      await page.goto(stack.url);
      await expect(page.getByRole("button", { name: "Alice Sommer" })).toBeVisible();
      await inspect(new Someone(page, "nobody"), name("sign-in"));

      const alice = await demo("Alice Sommer", options);
      await expect(alice.row("Moving day")).toBeVisible();
      await inspect(alice, name("inbox"));
      await alice.open("Moving day");
      await expect(alice.message("القطة معي")).toBeVisible();
      await inspect(alice, name("group"));
      await alice.page.getByRole("button", { name: "Details", exact: true }).click();
      await expect(alice.page.getByRole("list", { name: "People" }).getByText("Bob Okafor")).toBeVisible();
      await inspect(alice, name("details"));
      await alice.page.keyboard.press("Escape");
      await expect(alice.page.locator("dialog")).toHaveCount(0);
      await alice.page.getByRole("button", { name: "Emoji" }).click();
      await expect(alice.page.getByRole("button", { name: "grinning face", exact: true })).toBeVisible();
      await inspect(alice, name("emoji"));
      await alice.page.keyboard.press("Escape");
      if (size === "narrow") await alice.page.getByRole("button", { name: "Back to the inbox" }).click();
      await alice.open("Bob Okafor");
      await expect(alice.message("It rattles")).toBeVisible();
      await inspect(alice, name("direct"));
      if (size === "narrow") await alice.page.getByRole("button", { name: "Back to the inbox" }).click();
      await alice.page.getByRole("button", { name: "New conversation" }).first().click();
      await alice.page.getByRole("tab", { name: "Rooms" }).click();
      await expect(alice.page.getByRole("button", { name: "Open Café Babel" })).toBeVisible();
      await inspect(alice, name("rooms"));
      await alice.page.keyboard.press("Escape");
      await alice.page.getByRole("button", { name: "Profile and settings" }).click();
      await expect(alice.page.getByLabel("Colours")).toBeVisible();
      await inspect(alice, name("settings"));
      await alice.page.keyboard.press("Escape");
      await alice.page.getByRole("searchbox", { name: "Search conversations" }).fill("van");
      await expect(alice.page.locator(".hit mark").first()).toBeVisible();
      await inspect(alice, name("search"));

      // Nothing is wider than the page.
      const overflow = await alice.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      expect(overflow).toBeLessThanOrEqual(0);
    });
  }
}

test("the colours that were chosen stay, whatever the system says", async ({ demo }) => {
  const carol = await demo("Carol Núñez", { colorScheme: "light" });
  await carol.page.getByRole("button", { name: "Profile and settings" }).click();
  await carol.page.getByLabel("Colours").selectOption("dark");
  await carol.page.reload();
  await expect(carol.page.locator("a.row").first()).toBeVisible();
  const scheme = await carol.page.evaluate(() => getComputedStyle(document.documentElement).colorScheme);
  expect(scheme).toBe("dark");
});
