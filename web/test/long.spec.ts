// A conversation of 50,000 messages: what is shown stays where it is, and stays quick.
//
// The conversation and its newest messages are a real server's; the 50,000 before them are made up here, by a fixed rule,
// and served in place of the server's older pages. Most come in pages of 4,000, so that the test is not mostly loading.

import type { Locator, Page } from "@playwright/test";

import { Someone, expect, named, test } from "./stack.js";

const MANY = 50_000;
const BULK = 4_000;
/** Of the oldest messages, those that come in pages of the usual size. */
const BY_PAGE = 2_000;
const PAGE = 50;

const START = Date.UTC(2025, 0, 1);
const WORDS = "the van is full and we are off to the sea with everything that fits and a cat who does not".split(" ");

/** The message of a number: of a few lengths, in runs of a sender, about 60 a day. */
function madeUp(conversation: string, number: number, people: [string, string]): object {
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
  };
}

/** Sorts before the server's own. */
const idOf = (conversation: string, number: number) => `${conversation}-0${String(number).padStart(9, "0")}`;

/** Puts many messages before those that the server has. The answer tells what was served. */
async function putBefore(page: Page, people: [string, string], count: number, slow = 0): Promise<{ pages: number; from: number }> {
  const served = { pages: 0, from: count };
  await page.route(/\/api\/conversations\/[^/]+\/messages\?/, async (route) => {
    const url = new URL(route.request().url());
    const conversation = decodeURIComponent(url.pathname.split("/")[3] ?? "");
    const cursor = url.searchParams.get("cursor");
    const range = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => madeUp(conversation, from + at, people));
    if (!cursor?.startsWith("made up ")) {
      const answer = await route.fetch();
      const body = (await answer.json()) as { data: object[]; next_cursor: string | null };
      if (url.search.includes("after=") || body.next_cursor !== null) return route.fulfill({ response: answer });
      return route.fulfill({ response: answer, json: { ...body, next_cursor: `made up ${count}` } });
    }
    const to = Number(cursor.slice(8));
    const from = Math.max(0, to - (to > BY_PAGE ? Math.min(BULK, to - BY_PAGE) : PAGE));
    if (slow) await new Promise((done) => setTimeout(done, slow));
    await route.fulfill({ json: { success: true, data: range(from, to), next_cursor: from === 0 ? null : `made up ${from}` } });
    served.pages += 1;
    served.from = from;
  });
  return served;
}

/** Puts two into a group, in which one of them has written; its name. */
async function inGroup(ann: Someone, ben: Someone): Promise<string> {
  const group = named("Sea");
  await ann.makeGroup(group, ben.name);
  await ann.write("the newest");
  await expect(ann.message("the newest").getByLabel("Sent")).toBeVisible();
  await expect(ben.row(group)).toContainText("the newest");
  return group;
}

/** Follows where a message is on the screen, frame by frame, until told to stop. */
async function follow(page: Page): Promise<() => Promise<number[]>> {
  await page.evaluate(() => {
    const list = document.querySelector("[data-testid=messages]") as HTMLElement;
    const top = list.getBoundingClientRect().top;
    const first = [...list.querySelectorAll<HTMLElement>("article.message")].find((e) => e.getBoundingClientRect().bottom > top + 40);
    const id = first?.dataset["message"] ?? "";
    const places: number[] = [];
    const channel = new MessageChannel();
    // After the frame was drawn.
    channel.port1.onmessage = () => {
      const text = list.querySelector(`[data-message="${id}"] .bubble .text`);
      const row = text?.closest<HTMLElement>(".slot")?.parentElement;
      const isShown = text && getComputedStyle(row ?? text).visibility === "visible";
      places.push(isShown ? text.getBoundingClientRect().top : NaN);
    };
    Object.assign(window, { places, isFollowing: true });
    const each = () => {
      channel.port2.postMessage(null);
      if ((window as unknown as { isFollowing: boolean }).isFollowing) requestAnimationFrame(each);
    };
    requestAnimationFrame(each);
  });
  return () =>
    page.evaluate(() => {
      Object.assign(window, { isFollowing: false });
      return (window as unknown as { places: number[] }).places;
    });
}

const frames = (page: Page, count: number) =>
  page.evaluate(async (count) => {
    for (let at = 0; at < count; at += 1) await new Promise((done) => requestAnimationFrame(done));
  }, count);

/** How far a message went on the screen in all that is told of it, and whether it was there in every frame. */
function journey(places: number[]): { furthest: number; end: number } {
  expect(places.length).toBeGreaterThan(1);
  expect(places.filter((place) => Number.isNaN(place))).toEqual([]);
  const moved = places.map((place) => place - (places[0] ?? 0));
  return { furthest: Math.max(...moved.map(Math.abs)), end: moved.at(-1) ?? 0 };
}

test("older messages come in above without moving what one reads, also at the very top", async ({ newcomer }) => {
  const ann = await newcomer(named("Ann"));
  const ben = await newcomer(named("Ben"));
  const group = await inGroup(ann, ben);
  const served = await putBefore(ben.page, [await ann.id(), await ben.id()], BY_PAGE, 60);
  await ben.open(group);
  await expect(ben.message("the newest")).toBeVisible();
  await expect.poll(() => served.pages).toBeGreaterThan(0);
  const list = ben.page.getByTestId("messages");
  for (const top of [300, 0, 0, 7, 1100, 0, 40]) {
    const before = served.pages;
    await list.evaluate((e, top) => (e.scrollTop = top), top);
    await frames(ben.page, 2);
    const stop = await follow(ben.page);
    await expect.poll(() => served.pages).toBeGreaterThan(before);
    await frames(ben.page, 30);
    expect(journey(await stop()).furthest).toBeLessThan(2);
  }
  // By the wheel, while pages come in: each turn moves what one sees by that much, or less at the end of what is there.
  await list.hover();
  const before = served.pages;
  while (served.pages < before + 4) {
    const stop = await follow(ben.page);
    await ben.page.mouse.wheel(0, -400);
    await frames(ben.page, 15);
    const { end } = journey(await stop());
    expect(end).toBeGreaterThan(-2);
    expect(end).toBeLessThan(402);
  }
});

test("50,000 messages", async ({ newcomer }, testInfo) => {
  testInfo.setTimeout(240_000);
  const ann = await newcomer(named("Ann"));
  const ben = await newcomer(named("Ben"));
  const group = await inGroup(ann, ben);
  const served = await putBefore(ben.page, [await ann.id(), await ben.id()], MANY);
  await ben.open(group);
  await expect(ben.message("the newest")).toBeVisible();
  const list = ben.page.getByTestId("messages");
  const upTo = (number: number) =>
    expect
      .poll(
        async () => {
          await list.evaluate((e) => (e.scrollTop = 0));
          return served.from;
        },
        { intervals: [20], timeout: 60_000 },
      )
      .toBe(number);
  await upTo(BY_PAGE);
  const inPage = () => ben.page.evaluate(() => ({ rows: document.querySelectorAll("article.message").length, nodes: document.querySelectorAll("*").length }));
  const most = { rows: 0, nodes: 0 };
  const note = async () => {
    const { rows, nodes } = await inPage();
    most.rows = Math.max(most.rows, rows);
    most.nodes = Math.max(most.nodes, nodes);
  };
  const times: Record<string, string> = {};
  const timed = async (what: string, work: () => Promise<void>) => {
    const stop = await measure(ben.page);
    await work();
    times[what] = await stop();
    await note();
  };

  await timed("pages of 50 come in above", () => upTo(0));
  await timed("the wheel, at the top", () => wheel(ben.page, list, 300, 60));
  await timed("the scrollbar, through all of it", async () => {
    for (let part = 0; part <= 40; part += 1) {
      await list.evaluate((e, part) => (e.scrollTop = (e.scrollHeight - e.clientHeight) * (part / 40)), part);
      await frames(ben.page, 2);
      await note();
    }
  });
  await timed("the wheel, in the middle", async () => {
    await list.evaluate((e) => (e.scrollTop = e.scrollHeight / 2));
    await wheel(ben.page, list, -300, 60);
  });
  await timed("messages come in while one reads in the middle", async () => {
    const stop = await follow(ben.page);
    for (let at = 1; at <= 10; at += 1) await ann.write(`meanwhile ${at}`);
    await expect(ben.row(group).locator(".preview")).toContainText("meanwhile 10");
    expect(journey(await stop()).furthest).toBeLessThan(2);
  });
  await ben.page.getByRole("button", { name: "Jump to latest" }).click();
  await expect(ben.message("meanwhile 10")).toBeInViewport();
  await timed("messages come in at the end", async () => {
    for (let at = 1; at <= 10; at += 1) await ann.write(`and now ${at}`);
    await expect(ben.message("and now 10")).toBeInViewport();
  });
  await timed("typing", () => ben.field.pressSequentially("all of it is still here, and one can write"));
  await timed("sending", async () => {
    for (let at = 1; at <= 10; at += 1) await ben.write(`answer ${at}`);
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

/** Measures frames and long tasks until told to stop. */
async function measure(page: Page): Promise<() => Promise<string>> {
  await page.evaluate(() => {
    const kept = { frames: [] as number[], tasks: [] as number[], isOver: false };
    Object.assign(window, { kept });
    new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => kept.tasks.push(duration))).observe({ type: "longtask" });
    let last = performance.now();
    const each = (now: number) => {
      kept.frames.push(now - last);
      last = now;
      if (!kept.isOver) requestAnimationFrame(each);
    };
    requestAnimationFrame(each);
  });
  return () =>
    page.evaluate(() => {
      const { kept } = window as unknown as { kept: { frames: number[]; tasks: number[]; isOver: boolean } };
      kept.isOver = true;
      const sorted = kept.frames.sort((a, b) => a - b);
      const at = (part: number) => Math.round(sorted[Math.floor((sorted.length - 1) * part)] ?? 0);
      const tasks = kept.tasks.length > 0 ? `${kept.tasks.length} tasks over 50 ms, at most ${Math.round(Math.max(...kept.tasks))}` : "no task over 50 ms";
      return `${sorted.length} frames: median ${at(0.5)} ms, 95% ${at(0.95)} ms, longest ${at(1)} ms; ${tasks}`;
    });
}
