// A very long conversation: made up here, since it would take long to write.

import type { Locator } from "@playwright/test";

import { expect, test } from "./stack.js";

/** Messages in all, and of a page: more than the server gives, so that there are fewer to wait for. */
const ALL = 50_000;
const PAGE = 5_000;

test("in a conversation of 50,000 messages the page holds those around what one sees", async ({ demo }) => {
  // Each page waits until it is let through.
  let letThrough = () => {};
  const alice = await demo("Alice Sommer", {
    prepare: async (page) => {
      await page.route(/\/api\/conversations\/[^/]+\/messages/, async (route) => {
        const url = new URL(route.request().url());
        const conversation = decodeURIComponent(url.pathname.split("/")[3] ?? "");
        const end = Number(url.searchParams.get("cursor") ?? ALL);
        const data = Array.from({ length: PAGE }, (_, at) => made(conversation, end - PAGE + at));
        const next = end - PAGE > 0 ? String(end - PAGE) : null;
        if (end < ALL) await new Promise<void>((resolve) => (letThrough = resolve));
        return route.fulfill({ json: { success: true, data, message: "OK", next_cursor: next } });
      });
    },
  });
  await alice.open("Café Babel");
  const list = alice.page.getByTestId("messages");
  const shown = alice.page.locator("article.message");
  await expect(alice.message(`number ${ALL - 1}.`)).toBeInViewport();
  const toTop = async (message: Locator) => {
    await list.evaluate((element) => (element.scrollTop = 0));
    return message.isVisible();
  };
  for (let loaded = 2 * PAGE; loaded <= ALL; loaded += PAGE) {
    // To the very top of what is there; then the next page comes in above, and one stays where one was.
    const oldest = alice.message(`number ${ALL - loaded + PAGE}.`);
    await expect.poll(() => toTop(oldest)).toBe(true);
    letThrough();
    await expect.poll(() => list.evaluate((element) => element.scrollTop)).toBeGreaterThan(10_000);
    await expect(oldest).toBeInViewport();
    expect(await shown.count()).toBeLessThan(120);
  }
  await expect.poll(() => toTop(alice.message("number 0."))).toBe(true);
  await alice.field.fill("still here");
  await alice.page.getByRole("button", { name: "Jump to latest" }).click();
  await expect(alice.message(`number ${ALL - 1}.`)).toBeInViewport();
  expect(await shown.count()).toBeLessThan(120);
});

function made(conversation_id: string, number: number) {
  return {
    id: `m${String(number).padStart(9, "0")}`,
    conversation_id,
    sender_id: number % 3 === 0 ? "alice" : "bob",
    recipient_id: null,
    message_text: `${"word ".repeat(number % 40)}number ${number}.`,
    attachment_url: null,
    attachment_type: null,
    reply_to: null,
    client_message_id: null,
    sent_at: new Date(Date.UTC(2026, 0, 1) + number * 60_000).toISOString(),
    is_edited: false,
    edited_at: null,
    is_deleted: false,
    deleted_at: null,
    read: true,
    read_at: null,
    read_count: 1,
    version: 1,
  };
}
