// The look of texts, names and times.

import type { Page } from "@playwright/test";

import { PASSWORD, expect, test, uniqueName } from "./stack.js";

test("links show where they lead, and direction overrides are visible", async ({ newUser, newAccount }) => {
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  await ann.write(ben, "first");
  await ben.open(ann.name);
  await expect(ben.message("first")).toBeVisible();
  /** Sends a text. Returns what is drawn, and the links in it. */
  const draw = async (text: string) => {
    const before = await ben.page.locator("article").count();
    await ann.write(ben, text);
    await expect(ben.page.locator("article")).toHaveCount(before + 1);
    const shown = ben.page.locator("article").last().locator(".text");
    const links = await shown.locator("a").evaluateAll((all) => all.map((a) => `${a.textContent} ${(a as HTMLAnchorElement).href}`));
    return { text: await shown.innerText(), links };
  };
  expect(await draw("see https://example.com/a?b#c.")).toEqual({
    text: "see https://example.com/a?b#c.",
    links: ["https://example.com/a?b#c https://example.com/a?b#c"],
  });
  expect(await draw("https://evil.example/\u202egpj.exe")).toEqual({
    text: "https://evil.example/\ufffdgpj.exe",
    links: ["https://evil.example/ https://evil.example/"],
  });
  expect(await draw("\u202ehttps://evil.example/moc")).toEqual({
    text: "\ufffdhttps://evil.example/moc",
    links: ["https://evil.example/moc https://evil.example/moc"],
  });
  // A mark, which Arabic and Hebrew texts may need, stays, but is no part of the link.
  expect((await draw("https://evil.example/\u200f/moc.elgoog")).links).toEqual(["https://evil.example/ https://evil.example/"]);
  const cyrillic = await draw("https://\u0430pple.com/login");
  expect(cyrillic.text).toBe("https://\u0430pple.com/login (xn--pple-43d.com)");
  expect((await draw("https://google.com@evil.example/")).links).toEqual(["https://google.com https://google.com/"]);
  // Previews and quotes show them, too.
  await draw("tail \u202egnp.exe");
  await expect(ben.row(ann.name).locator(".preview")).toContainText("tail \ufffdgnp.exe");
  await ben.page.getByRole("searchbox", { name: "Search conversations" }).fill("tail");
  await expect(ben.page.locator(".hit .preview-text")).toHaveText("tail \ufffdgnp.exe");
});

test("a deleted author is shown as such, and asked for once", async ({ newUser, newAccount }) => {
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  const group = uniqueName("Choir");
  const id = await ann.createGroup(group, ben);
  for (let n = 0; n < 12; n += 1) {
    await ann.write(id, `from Ann ${n}`);
    await ben.write(id, `from Ben ${n}`);
  }
  await ann.call("DELETE", "/users/me", { password: PASSWORD });
  let asked = 0;
  ben.page.on("request", (request) => {
    if (request.url().endsWith(`/api/users/${ann.id}`)) asked += 1;
  });
  await ben.page.reload();
  await ben.open(group);
  await expect(ben.message("from Ann 11").locator(".sender-name")).toHaveText("Deleted user");
  for (let n = 0; n < 10; n += 1) await ben.page.mouse.wheel(0, n % 2 ? 2_000 : -2_000);
  await ben.page.getByRole("searchbox", { name: "Search conversations" }).fill("from Ann");
  await expect(ben.page.locator(".hit").first()).toContainText("Deleted user");
  expect(asked).toBeLessThanOrEqual(1);
});

test("days and times follow the clock over midnight", async ({ newUser, newAccount }) => {
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"), { prepare: async (page) => page.clock.install({ time: new Date() }) });
  await ann.write(ben, "good evening");
  await ben.open(ann.name);
  await expect(ben.page.locator(".day")).toHaveText("Today");
  const time = ben.row(ann.name).locator("time");
  await expect(time).toHaveText(/^\d+:\d\d/);
  // To the first minute of the next day, on the page's clock.
  const midnight = await ben.page.evaluate(() => new Date().setHours(24, 0, 30, 0) - Date.now());
  await ben.page.clock.fastForward(midnight);
  await expect(ben.page.locator(".day")).toHaveText("Yesterday");
  await expect(time).toHaveText(/^\D+$/);
  await ben.page.clock.fastForward(24 * 3_600_000);
  await expect(ben.page.locator(".day")).not.toHaveText("Yesterday");
});

for (const [change, time, hours] of [
  ["starts", "2026-03-28T23:30:00Z", 23],
  ["ends", "2026-10-24T22:30:00Z", 25],
] as const) {
  test(`days follow the clock when summer time ${change}`, async ({ newUser, newAccount }) => {
    // The page's clock is at half past midnight in Berlin; the day has another number of hours.
    const ann = await newAccount(uniqueName("Ann"));
    // For Ben, everything was sent at that time, too.
    const prepare = async (page: Page) => {
      await page.clock.install({ time });
      await page.routeWebSocket(/\/ws/, (socket) => socket.close());
      await page.route(/\/api\/(events|conversations\/.*messages)/, async (route) => {
        const response = await route.fetch();
        const body = (await response.text()).replace(/"sent_at":"[^"]*"/g, `"sent_at":"${time}"`);
        await route.fulfill({ response, body });
      });
    };
    const ben = await newUser(uniqueName("Ben"), { prepare });
    await ann.write(ben, "good night");
    await ben.open(ann.name);
    await expect(ben.page.locator(".day")).toHaveText("Today");
    await ben.page.clock.fastForward((hours - 1) * 3_600_000);
    await expect(ben.page.locator(".day")).toHaveText("Today");
    await ben.page.clock.fastForward(3_600_000);
    await expect(ben.page.locator(".day")).toHaveText("Yesterday");
    await ben.page.unrouteAll({ behavior: "ignoreErrors" });
  });
}
