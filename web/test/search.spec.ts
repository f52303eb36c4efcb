// Searching messages: marks, results one after the other, filters, and jumps to a date.

import { expect, startDirectChat, test, uniqueName, WITH_MOTION } from "./stack.js";

test.use(WITH_MOTION);

test("the found words are marked in the result and in the message, and results follow each other", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  const { page } = ann;
  await startDirectChat(ann, ben);
  const texts = ["An *apple* a day", `${"filler and more ".repeat(20)} apple at last`, "The apple of my eye", "no fruit"];
  for (const text of texts) await ann.write(ben, text);
  await page.getByRole("searchbox", { name: "Search conversations" }).fill("apple");
  const hits = page.locator(".hit");
  await expect(hits).toHaveCount(3);
  // The words are in view, even after a long beginning.
  for (const mark of await hits.locator("mark").all()) await expect(mark).toBeInViewport({ ratio: 1 });
  await page.keyboard.press("Enter");
  await expect(hits.first()).toHaveAttribute("aria-current", "true");
  await expect(ann.message("of my eye").locator("mark")).toHaveText("apple");
  await expect(page.locator("article mark")).toHaveCount(1);
  const bar = page.getByRole("toolbar", { name: "Search results" });
  await expect(bar).toContainText("Result 1 of 3");
  await ann.screenshot("search-hit");
  await bar.getByRole("button", { name: "Older result" }).click();
  await expect(ann.message("at last").locator("mark")).toHaveText("apple");
  await bar.getByRole("button", { name: "Older result" }).click();
  // Within what is formatted.
  await expect(ann.message("a day").locator("strong mark")).toHaveText("apple");
  await expect(hits.nth(2)).toHaveAttribute("aria-current", "true");
  await expect(bar.getByRole("button", { name: "Older result" })).toBeDisabled();
  await bar.getByRole("button", { name: "Newer result" }).click();
  await expect(bar).toContainText("Result 2 of 3");
  await bar.getByRole("button", { name: "End the search" }).click();
  await expect(bar).toHaveCount(0);
  await expect(page.locator("article mark")).toHaveCount(0);
});

test("results can be narrowed by sender, day and content", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  const { page } = ann;
  await startDirectChat(ann, ben);
  await ann.write(ben, "pear from Ann");
  await ben.write(ann, "pear from Ben https://example.com/");
  await page.getByRole("searchbox", { name: "Search conversations" }).fill("pear");
  const hits = page.locator(".hit .preview-text");
  await expect(hits).toHaveCount(2);
  const filters = page.getByRole("group", { name: "Search filters" });
  await filters.getByLabel("From").selectOption(ben.name);
  await expect(hits).toHaveText(["pear from Ben https://example.com/"]);
  await filters.getByLabel("From").selectOption("You");
  await expect(hits).toHaveText(["pear from Ann"]);
  await filters.getByRole("button", { name: "Clear filters" }).click();
  await expect(hits).toHaveCount(2);
  await filters.getByLabel("Has").selectOption("Links");
  await expect(hits).toHaveText(["pear from Ben https://example.com/"]);
  await filters.getByLabel("Has").selectOption("");
  // A day of the page's time zone, as an input of dates takes it.
  const day = (days: number) =>
    page.evaluate((days) => new Date(Date.now() + days * 86_400_000).toLocaleDateString("sv-SE"), days);
  await filters.getByLabel("Before").fill(await day(-2));
  await expect(page.getByText("No results.")).toBeVisible();
  await filters.getByLabel("Before").fill(await day(1));
  await expect(hits).toHaveCount(2);
  await filters.getByLabel("After").fill(await day(1));
  await expect(page.getByText("No results.")).toBeVisible();
});

test("the date floats above older messages, and a calendar leads to a day", async ({ demoUser }) => {
  const alice = await demoUser("Alice Sommer");
  const { page } = alice;
  await alice.open("Café Babel");
  await expect(page.locator("article").first()).toBeVisible();
  const list = page.getByTestId("messages");
  await list.hover();
  for (let n = 0; n < 5; n += 1) await page.mouse.wheel(0, -700);
  const floating = page.locator(".floating-date");
  await expect(floating).toBeVisible();
  await alice.screenshot("floating-date");
  await floating.click();
  const calendar = page.getByRole("grid");
  await expect(calendar).toBeVisible();
  await alice.screenshot("calendar");
  // By keyboard: a year back, which is before the first message, so the first one shows.
  await calendar.locator("[tabindex='0']").focus();
  await page.keyboard.press("Shift+PageUp");
  await page.keyboard.press("Enter");
  await expect(page.locator("dialog")).toHaveCount(0);
  const first = page.locator("article.highlighted");
  await expect(first).toBeInViewport();
  await expect.poll(() => list.evaluate((element) => element.scrollTop)).toBeLessThan(900);
  // To today, whose first message is not the first of all.
  await expect(floating).toBeVisible();
  await floating.click();
  await calendar.locator("[tabindex='0']").focus();
  for (let n = 0; n < 3; n += 1) await page.keyboard.press("Shift+PageDown");
  await page.keyboard.press("Enter");
  await expect(page.locator("dialog")).toHaveCount(0);
  const today = page.locator(".day", { hasText: "Today" });
  await expect(async () => {
    if ((await today.count()) > 0) return expect(today).toBeInViewport({ timeout: 100 });
    // Shortly after midnight, nothing was written today: then the newest message shows.
    const toEnd = await list.evaluate(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight);
    expect(toEnd).toBeLessThan(50);
  }).toPass({ timeout: 15_000 });
});

test("a jump to a date works where motion is reduced, as does scrolling", async ({ demoUser }) => {
  const alice = await demoUser("Alice Sommer", { reducedMotion: "reduce" });
  const { page } = alice;
  await alice.open("Café Babel");
  await expect(page.locator("article").first()).toBeVisible();
  const list = page.getByTestId("messages");
  await list.hover();
  /** Messages in view. There is always one, and the page has not failed. */
  const visible = () =>
    list.evaluate((box) => {
      const { top, bottom } = box.getBoundingClientRect();
      return [...box.querySelectorAll("article")].filter((each) => {
        const at = each.getBoundingClientRect();
        return at.bottom > top && at.top < bottom;
      }).length;
    });
  for (let n = 0; n < 25; n += 1) {
    await page.mouse.wheel(0, n % 5 === 4 ? 900 : -600);
    await page.waitForTimeout(40);
    expect(await visible()).toBeGreaterThan(0);
  }
  for (const word of ["the", "coffee", "seats", "van"]) {
    await page.getByRole("searchbox", { name: "Search conversations" }).fill(word);
    const hit = page.locator(".hit").filter({ has: page.locator("mark", { hasText: word }) }).last();
    await expect(hit).toBeVisible();
    await hit.click();
    await expect(page.locator("article.highlighted")).toBeInViewport();
    expect(await visible()).toBeGreaterThan(0);
  }
});
