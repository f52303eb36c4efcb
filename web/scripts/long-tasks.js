// Measures the longest task of the main thread on a processor that is four times slower, for what users do most.
//
// Run `npm run build` first, and name the server in TIDINGS_BINARY. Other programs delay tasks, so each figure is the
// least of several runs (TIDINGS_RUNS, by default 5). Tasks of less than 50 ms are not observed.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { chromium } from "@playwright/test";

const RUNS = Number(process.env.TIDINGS_RUNS ?? 5);
const SLOWDOWN = 4;
/** Rows of the inbox. */
const ROWS = 1_000;
/** Long messages in one conversation. */
const LONG_MESSAGES = 60;
/** Milliseconds without a long task after which an action has settled. */
const SETTLED = 1_500;
const PASSWORD = "correct horse battery";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Starts a server with an empty store. Returns its address, and a function that stops it. */
async function startServer() {
  const binary = process.env.TIDINGS_BINARY ?? here("../../target/release/tidings");
  const server = spawn(binary, ["--port", "0", "--quiet", "--in-memory", "--web-dir", here("../dist")], {
    env: { ...process.env, TIDINGS_RATE_LIMITS: "off" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: server.stdout })) {
    const url = /^ready (\S+)$/.exec(line)?.[1];
    if (url === undefined) continue;
    server.stdout.resume();
    return { url, stop: () => server.kill() };
  }
  throw new Error(`${binary} did not start`);
}

/** Fills the store. Returns a user with a large inbox. */
async function fill(url) {
  const post = async (path, body, token) => {
    const headers = { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) };
    const response = await fetch(`${url}/api${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
    return (await response.json()).data;
  };
  const register = async (username) => {
    await post("/auth/register", { username, email: `${username}@example.com`, password: PASSWORD, full_name: username });
    return post("/auth/login", { username, password: PASSWORD });
  };
  const [user, other] = [await register("reader"), await register("writer")];
  const token = other.access_token;
  const create = (name) => post("/conversations", { type: "group", name, participant_ids: [user.user.id] }, token);
  for (let from = 0; from < ROWS; from += 20) {
    await Promise.all(
      Array.from({ length: 20 }, async (_, at) => {
        const { conversation_id } = await create(`Group ${from + at}`);
        await post("/messages/send", { conversation_id, message_text: `The harbour of *group* ${from + at} opens at ${at}:00` }, token);
      }),
    );
  }
  const { conversation_id } = await create("Long messages");
  const words = "The *harbour* opens at noon, see https://example.com/a?b=c or _ask_ `me` 🌊 and bring rope ".repeat(108);
  for (let at = 0; at < LONG_MESSAGES; at += 1) {
    await post("/messages/send", { conversation_id, message_text: `${at} ${words}` }, token);
  }
  return "reader";
}

/** The actions, in the order in which one run does them. */
const ACTIONS = {
  "first load, 1,000 conversations": async (page, url) => {
    await page.goto(url);
    await page.locator("a.row").first().waitFor();
  },
  "palette opened": async (page) => {
    await page.keyboard.press("Control+k");
    await page.getByRole("option").first().waitFor();
  },
  "palette, one letter": async (page) => {
    await page.keyboard.type("h");
    await page.waitForTimeout(1_500);
    await page.keyboard.press("Escape");
  },
  "search results": async (page) => {
    await page.locator("#search").fill("harbour");
    await page.locator(".hit").first().waitFor();
  },
  "end of the search": async (page) => {
    await page.keyboard.press("Escape");
    await page.locator("nav.rows a.row").first().waitFor();
  },
  "conversation of long messages": async (page) => {
    await page.locator("a.row").first().click();
    await page.locator("article.message").first().waitFor();
  },
  "jump to the latest message": async (page) => {
    await page.getByRole("button", { name: "Jump to latest" }).click({ timeout: 5_000 }).catch(() => {});
  },
  "message sent": async (page) => {
    await page.locator("textarea").fill("Short");
    await page.locator("textarea").press("Enter");
    await page.locator("article.message.mine").last().waitFor();
  },
  "scrolling up": async (page) => {
    await page.getByTestId("messages").hover();
    for (let turn = 0; turn < 10; turn += 1) await page.mouse.wheel(0, -800);
  },
  "emoji opened": async (page) => {
    await page.getByRole("button", { name: "Emoji" }).click();
    await page.getByRole("button", { name: "grinning face", exact: true }).waitFor();
  },
};

/** Does everything once. Returns the longest task of each action, in milliseconds. */
async function run(browser, url, username) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, serviceWorkers: "block" });
  const page = await context.newPage();
  await page.addInitScript(() => {
    window.longTasks = [];
    new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" });
  });
  await page.goto(url);
  await page.getByLabel("Username or e-mail address").fill(username);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("a.row").first().waitFor();
  await (await context.newCDPSession(page)).send("Emulation.setCPUThrottlingRate", { rate: SLOWDOWN });
  const longest = {};
  for (const [name, act] of Object.entries(ACTIONS)) {
    await page.evaluate(() => void (window.longTasks = []));
    await act(page, url);
    let tasks = [];
    let known;
    do {
      known = tasks.length;
      await page.waitForTimeout(SETTLED);
      tasks = await page.evaluate(() => window.longTasks);
    } while (tasks.length !== known);
    longest[name] = Math.max(0, ...tasks);
  }
  await context.close();
  return longest;
}

const server = await startServer();
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
try {
  const username = await fill(server.url);
  const runs = [];
  for (let at = 0; at < RUNS; at += 1) runs.push(await run(browser, server.url, username));
  console.log(`Longest task at ${SLOWDOWN} times less speed, least of ${RUNS} runs:`);
  for (const name of Object.keys(ACTIONS)) {
    const least = Math.min(...runs.map((each) => each[name]));
    console.log(`${name.padEnd(34)}${least === 0 ? "below 50" : Math.round(least).toString().padStart(8)} ms`);
  }
} finally {
  await browser.close();
  server.stop();
}
