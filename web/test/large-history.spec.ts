// A conversation of 50,000 messages: the viewport stays stable and fast.
//
// The newest messages come from the server. The 50,000 before them are generated here and served instead of the server's
// older pages. Most come in pages of 4,000, so that the test does not spend its time on loading.

import type { Locator, Page } from "@playwright/test";

import { expect, test, uniqueName, WITH_MOTION } from "./stack.js";
import type { Account, Actor } from "./stack.js";

test.use(WITH_MOTION);

const TOTAL = 50_000;
/** Page size of the newer generated messages. */
const BULK = 4_000;
/** Number of oldest messages that come in pages of the usual size. */
const PAGED = 2_000;
const PAGE = 50;

const START = Date.UTC(2025, 0, 1);
const WORDS = "the van is full and we are off to the sea with everything that fits and a cat who does not".split(" ");

/** Generates a message: of varying length, in groups of one sender, 60 per day. */
function generate(conversation: string, number: number, people: [string, string]): object {
  const sent_at = new Date(START + number * 24 * 60_000).toISOString();
  const length = 1 + ((number * 7919) % 97);
  const text = Array.from({ length }, (_, at) => WORDS[(number + at) % WORDS.length]).join(" ");
  return {
    id: idOf(conversation, number),
    conversation_id: conversation,
    sender_id: people[number % 7 < 4 ? 0 : 1],
    recipient_id: null,
    message_text: `${number}: ${text}`,
    attachment_url: null,
    attachment_type: null,
    attachments: [],
    reply_to: null,
    client_message_id: null,
    sent_at,
    is_edited: false,
    edited_at: null,
    is_deleted: false,
    deleted_at: null,
    read: true,
    read_at: null,
    read_count: 1,
    version: 1,
    reactions: [],
    mentions: [],
    mention_all: false,
    is_forwarded: false,
    pinned_at: null,
    custom: null,
  };
}

/** Ids sort before those of the server. */
const idOf = (conversation: string, number: number) => `${conversation}-0${String(number).padStart(9, "0")}`;

/** Serves generated messages before those of the server. The returned object counts served pages. */
async function serveHistory(page: Page, people: [string, string], count: number, slow = 0): Promise<{ pages: number; from: number }> {
  const served = { pages: 0, from: count };
  await page.route(/\/api\/conversations\/[^/]+\/messages\?/, async (route) => {
    const url = new URL(route.request().url());
    const conversation = decodeURIComponent(url.pathname.split("/")[3] ?? "");
    // Older pages are asked for by their newest message; the page before those of the server has a cursor.
    const asked = url.searchParams.get("cursor") ?? url.searchParams.get("before") ?? "";
    const to = Number(/^generated (\d+)$|-0(\d{9})$/.exec(asked)?.slice(1).find(Boolean) ?? NaN);
    const range = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => generate(conversation, from + at, people));
    if (Number.isNaN(to)) {
      const response = await route.fetch();
      const body = (await response.json()) as { data: object[]; next_cursor: string | null };
      if (url.search.includes("after=") || body.next_cursor !== null) return route.fulfill({ response });
      return route.fulfill({ response, json: { ...body, next_cursor: `generated ${count}` } });
    }
    const from = Math.max(0, to - (to > PAGED ? Math.min(BULK, to - PAGED) : PAGE));
    if (slow) await new Promise((done) => setTimeout(done, slow));
    await route.fulfill({ json: { success: true, data: range(from, to), next_cursor: from === 0 ? null : `generated ${from}` } });
    served.pages += 1;
    served.from = from;
  });
  return served;
}

/** Creates a group of two with one message. Returns its name and id. */
async function createGroup(ann: Account, ben: Actor): Promise<{ group: string; id: string }> {
  const group = uniqueName("Sea");
  const id = await ann.createGroup(group, ben);
  await ann.write(id, "the newest");
  await expect(ben.row(group)).toContainText("the newest");
  return { group, id };
}

/** Records the position of the first visible message in each frame, until the returned function is called. */
async function track(page: Page): Promise<() => Promise<number[]>> {
  await page.evaluate(() => {
    const list = document.querySelector("[data-testid=messages]") as HTMLElement;
    const top = list.getBoundingClientRect().top;
    const first = [...list.querySelectorAll<HTMLElement>("article.message")].find((e) => e.getBoundingClientRect().bottom > top + 40);
    const id = first?.dataset["message"] ?? "";
    const positions: number[] = [];
    const channel = new MessageChannel();
    // The message event runs after the frame was painted.
    channel.port1.onmessage = () => {
      const text = list.querySelector(`[data-message="${id}"] .bubble .text`);
      const row = text?.closest<HTMLElement>(".slot")?.parentElement;
      const isShown = text && getComputedStyle(row ?? text).visibility === "visible";
      positions.push(isShown ? text.getBoundingClientRect().top : NaN);
    };
    Object.assign(window, { positions, isTracking: true });
    const each = () => {
      channel.port2.postMessage(null);
      if ((window as unknown as { isTracking: boolean }).isTracking) requestAnimationFrame(each);
    };
    requestAnimationFrame(each);
  });
  return () =>
    page.evaluate(() => {
      Object.assign(window, { isTracking: false });
      return (window as unknown as { positions: number[] }).positions;
    });
}

const frames = (page: Page, count: number) =>
  page.evaluate(async (count) => {
    for (let at = 0; at < count; at += 1) await new Promise((done) => requestAnimationFrame(done));
  }, count);

/** Checks that a message was visible in every frame. Returns its furthest and last distance from the start. */
function movement(positions: number[]): { furthest: number; end: number } {
  expect(positions.length).toBeGreaterThan(1);
  expect(positions.filter((position) => Number.isNaN(position))).toEqual([]);
  const moved = positions.map((position) => position - (positions[0] ?? 0));
  return { furthest: Math.max(...moved.map(Math.abs)), end: moved.at(-1) ?? 0 };
}

test("older messages load without moving the viewport, even at the very top", async ({ newUser, newAccount }) => {
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  const { group } = await createGroup(ann, ben);
  const served = await serveHistory(ben.page, [ann.id, ben.id], PAGED, 60);
  await ben.open(group);
  await expect(ben.message("the newest")).toBeVisible();
  await expect.poll(() => served.pages).toBeGreaterThan(0);
  const list = ben.page.getByTestId("messages");
  for (const top of [300, 0, 0, 7, 1100, 0, 40]) {
    const before = served.pages;
    await list.evaluate((e, top) => (e.scrollTop = top), top);
    await frames(ben.page, 2);
    const stop = await track(ben.page);
    await expect.poll(() => served.pages).toBeGreaterThan(before);
    await frames(ben.page, 30);
    expect(movement(await stop()).furthest).toBeLessThan(2);
  }
  // While pages load, each turn of the wheel scrolls by its own distance, or less at the top.
  await list.hover();
  const before = served.pages;
  while (served.pages < before + 4) {
    const stop = await track(ben.page);
    await ben.page.mouse.wheel(0, -400);
    await frames(ben.page, 15);
    const { end } = movement(await stop());
    expect(end).toBeGreaterThan(-2);
    expect(end).toBeLessThan(402);
  }
});

test("50,000 messages render a bounded number of rows and elements", async ({ newUser, newAccount }, testInfo) => {
  testInfo.setTimeout(240_000);
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  const { group, id } = await createGroup(ann, ben);
  const served = await serveHistory(ben.page, [ann.id, ben.id], TOTAL);
  await ben.open(group);
  await expect(ben.message("the newest")).toBeVisible();
  const list = ben.page.getByTestId("messages");
  const loadUpTo = (number: number) =>
    expect
      .poll(
        async () => {
          await list.evaluate((e) => (e.scrollTop = 0));
          return served.from;
        },
        { intervals: [20], timeout: 60_000 },
      )
      .toBe(number);
  await loadUpTo(PAGED);
  const count = () => ben.page.evaluate(() => ({ rows: document.querySelectorAll("article.message").length, nodes: document.querySelectorAll("*").length }));
  const most = { rows: 0, nodes: 0 };
  const record = async () => {
    const { rows, nodes } = await count();
    most.rows = Math.max(most.rows, rows);
    most.nodes = Math.max(most.nodes, nodes);
  };
  const times: Record<string, string> = {};
  const timed = async (what: string, work: () => Promise<void>) => {
    const stop = await measure(ben.page);
    await work();
    times[what] = await stop();
    await record();
  };

  await timed("loading pages of 50", () => loadUpTo(0));
  await timed("wheel at the top", () => wheel(ben.page, list, 300, 60));
  await timed("scrollbar through everything", async () => {
    for (let part = 0; part <= 40; part += 1) {
      await list.evaluate((e, part) => (e.scrollTop = (e.scrollHeight - e.clientHeight) * (part / 40)), part);
      await frames(ben.page, 2);
      await record();
    }
  });
  await timed("wheel in the middle", async () => {
    await list.evaluate((e) => (e.scrollTop = e.scrollHeight / 2));
    await wheel(ben.page, list, -300, 60);
  });
  await timed("receiving while reading in the middle", async () => {
    const stop = await track(ben.page);
    for (let at = 1; at <= 10; at += 1) await ann.write(id, `meanwhile ${at}`);
    await expect(ben.row(group).locator(".preview")).toContainText("meanwhile 10");
    expect(movement(await stop()).furthest).toBeLessThan(2);
  });
  await ben.page.getByRole("button", { name: "Jump to latest" }).click();
  await expect(ben.message("meanwhile 10")).toBeInViewport();
  await timed("receiving at the end", async () => {
    for (let at = 1; at <= 10; at += 1) await ann.write(id, `and now ${at}`);
    await expect(ben.message("and now 10")).toBeInViewport();
  });
  await timed("typing", () => ben.field.pressSequentially("all of it is still here, and one can write"));
  await timed("sending", async () => {
    for (let at = 1; at <= 10; at += 1) await ben.send(`answer ${at}`);
    await expect(ben.message("answer 10").getByLabel(/Sent|Read/)).toBeVisible();
  });
  await ben.message("answer 10").scrollIntoViewIfNeeded();
  await list.evaluate((e) => (e.scrollTop = 0));
  await expect(ben.page.locator("article.message .text").first()).toHaveText(/^0: /);
  console.log(JSON.stringify({ ...times, most }, null, 1));
  expect(most.rows).toBeLessThan(150);
  expect(most.nodes).toBeLessThan(6_000);
});

async function wheel(page: Page, list: Locator, by: number, turns: number): Promise<void> {
  await list.hover();
  for (let turn = 0; turn < turns; turn += 1) {
    await page.mouse.wheel(0, by);
    await frames(page, 1);
  }
}

/** Measures frames and long tasks until the returned function is called, which returns a summary. */
async function measure(page: Page): Promise<() => Promise<string>> {
  await page.evaluate(() => {
    const measured = { frames: [] as number[], tasks: [] as number[], isOver: false };
    Object.assign(window, { measured });
    new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => measured.tasks.push(duration))).observe({ type: "longtask" });
    let last = performance.now();
    const each = (now: number) => {
      measured.frames.push(now - last);
      last = now;
      if (!measured.isOver) requestAnimationFrame(each);
    };
    requestAnimationFrame(each);
  });
  return () =>
    page.evaluate(() => {
      const { measured } = window as unknown as { measured: { frames: number[]; tasks: number[]; isOver: boolean } };
      measured.isOver = true;
      const sorted = measured.frames.sort((a, b) => a - b);
      const at = (part: number) => Math.round(sorted[Math.floor((sorted.length - 1) * part)] ?? 0);
      const tasks = measured.tasks.length > 0 ? `${measured.tasks.length} tasks over 50 ms, at most ${Math.round(Math.max(...measured.tasks))}` : "no task over 50 ms";
      return `${sorted.length} frames: median ${at(0.5)} ms, 95% ${at(0.95)} ms, longest ${at(1)} ms; ${tasks}`;
    });
}
