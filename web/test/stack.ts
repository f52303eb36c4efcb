// Fixtures: a local stack per worker, and actors who use its page.

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { AxeBuilder } from "@axe-core/playwright";
import { expect, test as base } from "@playwright/test";
import type { BrowserContextOptions, Locator, Page } from "@playwright/test";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const BINARY = process.env["TIDINGS_BINARY"] ?? here("../../target/debug/tidings");
const SCREENSHOTS = here("../screenshots/");
mkdirSync(SCREENSHOTS, { recursive: true });

/** A running server. */
export class Stack {
  #process: ChildProcess | undefined;
  url = "";
  readonly #options: string[];
  readonly #environment: Record<string, string>;

  constructor(options: string[], environment: Record<string, string> = {}) {
    this.#options = options;
    this.#environment = environment;
  }

  /** Starts the server and waits until it is ready. A restart uses the same port. */
  async start(): Promise<this> {
    const port = this.url === "" ? "0" : new URL(this.url).port;
    const child = spawn(BINARY, ["--port", port, "--quiet", "--web-dir", here("../dist"), ...this.#options], {
      env: { ...process.env, TIDINGS_RATE_LIMITS: "off", ...this.#environment },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#process = child;
    for await (const line of createInterface({ input: child.stdout })) {
      const url = /^ready (\S+)$/.exec(line)?.[1];
      if (url === undefined) continue;
      this.url = url;
      child.stdout.resume();
      return this;
    }
    throw new Error(`${BINARY} did not start`);
  }

  /** Kills the server without a shutdown, as a power cut would. */
  async kill(): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }
}

/** What a server and a test know of a user. */
interface User {
  url: string;
  name: string;
  username: string;
  id: string;
  /** An access token. It lasts for 15 minutes, longer than any test. */
  token: string;
}

/** What tests read of a message. */
export interface Message {
  id: string;
  conversation_id: string;
  message_text: string;
  is_deleted: boolean;
  is_forwarded: boolean;
  mentions: string[];
  mention_all: boolean;
  reactions: { emoji: string }[];
}

/** A user who calls the API. */
export class Account {
  constructor(readonly user: User) {}

  get name(): string {
    return this.user.name;
  }

  get id(): string {
    return this.user.id;
  }

  /** Calls the API as this user. Returns the response's `data`. */
  call<T>(method: string, path: string, body?: object): Promise<T> {
    return request(this.user.url, method, path, body, this.user.token);
  }

  /** Creates a group with other users, of whom this user is the admin. Returns its id. */
  async createGroup(name: string, ...others: { id: string }[]): Promise<string> {
    const group = { type: "group", name, participant_ids: others.map(({ id }) => id) };
    return (await this.call<{ conversation_id: string }>("POST", "/conversations", group)).conversation_id;
  }

  /** Sends a message to a user, or to the conversation with an id. */
  write(to: Account | string, message_text: string, more: object = {}): Promise<Message> {
    const place = typeof to === "string" ? { conversation_id: to } : { recipient_id: to.id };
    return this.call("POST", "/messages/send", { ...place, message_text, ...more });
  }

  /** Returns the messages with a user, or of the conversation with an id, oldest first. This leaves them unread. */
  history(of: Account | string): Promise<Message[]> {
    const path = typeof of === "string" ? `/conversations/${encodeURIComponent(of)}/messages` : `/messages/conversation/${of.id}`;
    return this.call("GET", `${path}?limit=100&mark_read=false`);
  }

  /** Returns the texts of these messages. */
  async texts(of: Account | string): Promise<string[]> {
    return (await this.history(of)).map(({ message_text }) => message_text);
  }

  /** Marks all messages of a conversation as read. */
  async markAsRead(conversation: string): Promise<void> {
    await this.call("PUT", `/conversations/${encodeURIComponent(conversation)}/read`);
  }
}

/** A user with a page of their own. */
export class Actor extends Account {
  constructor(
    readonly page: Page,
    { user }: Account,
  ) {
    super(user);
  }

  /** Opens a conversation by its title in the inbox. */
  async open(title: string): Promise<void> {
    await this.row(title).click();
    await expect(this.page.getByRole("heading", { level: 2, name: title })).toBeVisible();
  }

  /** Creates a group with another user in the page's dialog. */
  async createGroupInDialog(group: string, other: string): Promise<void> {
    await this.page.getByRole("button", { name: "New conversation" }).first().click();
    await this.page.getByRole("tab", { name: "Group" }).click();
    await this.page.getByLabel("Group name").fill(group);
    await this.page.getByLabel("Find people").fill(other);
    await this.page.getByRole("button", { name: `Add ${other}` }).click();
    await this.page.getByRole("button", { name: "Create group" }).click();
    await expect(this.page.getByRole("heading", { level: 2, name: group })).toBeVisible();
  }

  row(title: string): Locator {
    return this.page.locator("a.row").filter({ has: this.page.locator(".row-name", { hasText: title }) }).first();
  }

  get field(): Locator {
    return this.page.locator("textarea");
  }

  /** Types a text and sends it. */
  async send(text: string): Promise<void> {
    await this.field.fill(text);
    await this.field.press("Enter");
  }

  /** Finds the message with a text. */
  message(text: string): Locator {
    return this.page.locator("article.message").filter({ has: this.page.locator(".text", { hasText: text }) });
  }

  /** Chooses an action from a message's menu. */
  async chooseAction(text: string, action: string): Promise<void> {
    await this.message(text).last().hover();
    await this.message(text).last().getByRole("button", { name: "Message actions" }).click();
    await this.page.getByRole("menuitem", { name: action }).click();
  }

  /** Saves a screenshot for visual review. */
  async screenshot(name: string): Promise<void> {
    await screenshot(this.page, name);
  }
}

/** Saves a screenshot of a page for visual review. */
export async function screenshot(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}

/** Appends a random suffix to a name, because tests share a server. */
export const uniqueName = (name: string) => `${name} ${crypto.randomUUID().slice(0, 6)}`;

/** Makes a call of the API. Returns the response's `data`. */
async function request<T>(url: string, method: string, path: string, body?: object, token?: string): Promise<T> {
  const response = await fetch(`${url}/api${path}`, {
    method,
    headers: { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
  return ((await response.json()) as { data: T }).data;
}

/** Registers a user through the API. */
export function register(url: string, name: string): Promise<{ id: string; username: string }> {
  const username = `u${crypto.randomUUID().replaceAll("-", "").slice(0, 20)}`;
  const user = { username, email: `${username}@example.com`, password: PASSWORD, full_name: name };
  return request(url, "POST", "/auth/register", user);
}

/** The response to a sign-in. */
interface SignedIn {
  access_token: string;
  refresh_token: string;
  expires_in: number;
}

/** Registers a user and signs in. Returns the account, and the session as a page stores it. */
async function signUp(url: string, name: string): Promise<{ account: Account; session: object }> {
  const { id, username } = await register(url, name);
  const tokens = await request<SignedIn>(url, "POST", "/auth/login", { username, password: PASSWORD });
  const { access_token: access, refresh_token: refresh, expires_in } = tokens;
  const account = new Account({ url, name, username, id, token: access });
  return { account, session: { user: id, access, refresh, until: Date.now() + expires_in * 1000 } };
}

/**
 * Lets a page start with something in a storage of the browser, as after a sign-in. A sign-in with the form costs a quarter
 * of a second of computing time.
 */
async function startWith(page: Page, storage: "localStorage" | "sessionStorage", name: string, value: string): Promise<void> {
  await page.addInitScript(
    ([storage, name, value]) => {
      // Only once: the page may remove it, and load again. A cookie, because tests look at the storages.
      if (!location.protocol.startsWith("http") || document.cookie.includes("is_prepared=1")) return;
      document.cookie = "is_prepared=1";
      window[storage].setItem(name, value);
    },
    [storage, name, value] as const,
  );
}

export const PASSWORD = "correct horse battery";

/** Turns animations on, which tests otherwise reduce. */
export const WITH_MOTION: { contextOptions: BrowserContextOptions } = { contextOptions: { reducedMotion: "no-preference" } };

/** Lets a page fetch its later parts only when it needs them: it never becomes idle. */
const fetchOnDemand = (page: Page) => page.addInitScript(() => (window.requestIdleCallback = () => 0));

/** Parts of the page that are fetched ahead. */
const PARTS = "crop delete details emoji-picker forward message-menu new palette pictures quick-bar receipts recorder settings tray uploading viewer voice-player".split(" ");

/** Waits until a page has fetched its later parts. */
const fetchedAhead = (page: Page) =>
  expect
    .poll(() => page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name).join()))
    .toMatch(new RegExp(PARTS.map((part) => `(?=.*/${part}-)`).join("")));

export interface UserOptions extends BrowserContextOptions {
  stack?: Stack;
  prepare?: (page: Page) => Promise<void>;
  /** Fetches all parts of the page ahead, as it does for users, and waits for them. This costs as much as the rest of the first load. */
  fetchesAhead?: boolean;
  /** Signs in with the form, for pages that have no storage. */
  withForm?: boolean;
}

export interface Fixtures {
  stack: Stack;
  /** Registers a user who has no page, and signs in. */
  newAccount: (name: string, stack?: Stack) => Promise<Account>;
  /** Registers a user and signs in, in a new browser context. */
  newUser: (name: string, options?: UserOptions) => Promise<Actor>;
  /** Signs in as a demo user, in a new browser context. */
  demoUser: (name: string, options?: Omit<UserOptions, "stack" | "withForm" | "fetchesAhead">) => Promise<Actor>;
}

export const test = base.extend<Omit<Fixtures, "stack"> & { closeContexts: void }, { stack: Stack }>({
  // Playwright leaves the contexts open that a test creates. Their pages would go on working during all later tests.
  closeContexts: [
    async ({ browser }, use) => {
      await use();
      await Promise.all(browser.contexts().map((context) => context.close()));
    },
    { auto: true },
  ],
  stack: [
    async ({}, use) => {
      const stack = await new Stack(["--in-memory", "--demo=120"]).start();
      await use(stack);
      await stack.kill();
    },
    { scope: "worker" },
  ],
  newAccount: async ({ stack }, use) => {
    await use(async (name, { url } = stack) => (await signUp(url, name)).account);
  },
  newUser: async ({ browser, stack }, use) => {
    await use(async (name, { stack: { url } = stack, prepare, fetchesAhead = false, withForm = false, ...options } = {}) => {
      const { account, session } = await signUp(url, name);
      const page = await (await browser.newContext({ permissions: ["clipboard-read", "clipboard-write"], ...options })).newPage();
      failOnPageErrors(page);
      if (!fetchesAhead) await fetchOnDemand(page);
      await prepare?.(page);
      if (!withForm) await startWith(page, "localStorage", `tidings session ${url}`, JSON.stringify(session));
      await page.goto(url);
      if (withForm) await signIn(page, account);
      await expect(page.locator(".inbox .wordmark")).toBeVisible();
      if (fetchesAhead) await fetchedAhead(page);
      return new Actor(page, account);
    });
  },
  demoUser: async ({ browser, stack }, use) => {
    await use(async (name, { prepare, ...options } = {}) => {
      const response = await fetch(`${stack.url}/_local/people`);
      const people = ((await response.json()) as { data: { id: string; name: string; token: string }[] }).data;
      const person = people.find((person) => person.name === name);
      if (!person) throw new Error(`There is no demo user ${name}.`);
      const page = await (await browser.newContext(options)).newPage();
      failOnPageErrors(page);
      await fetchOnDemand(page);
      await prepare?.(page);
      await startWith(page, "sessionStorage", "tidings person", person.token);
      await page.goto(stack.url);
      await expect(page.locator("a.row").first()).toBeVisible();
      return new Actor(page, new Account({ url: stack.url, name, username: person.id, id: person.id, token: person.token }));
    });
  },
});

export { expect };

/** Signs in with the form, in whatever language the page speaks. */
export async function signIn(page: Page, { user }: Account): Promise<void> {
  await page.locator("[name=username]").fill(user.username);
  await page.locator("[name=password]").fill(PASSWORD);
  await page.locator("form .primary").click();
}

/** Fails the test on uncaught exceptions and on violations of the Content Security Policy. */
function failOnPageErrors(page: Page): void {
  page.on("pageerror", (error) => {
    throw error;
  });
  page.on("console", (message) => {
    if (/Content Security Policy/.test(message.text())) throw new Error(message.text());
  });
}

/** Runs work with a temporary folder, and removes it afterwards. */
export async function withTemporaryFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "tidings-web-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Lets one user open a direct conversation with another. Only the test of the dialog does it as a user does. */
export async function startDirectChat(one: Actor, other: Account): Promise<void> {
  const { conversation_id } = await one.call<{ conversation_id: string }>("POST", "/conversations", { type: "direct", participant_ids: [other.id] });
  await one.page.evaluate((id) => (location.hash = `#/c/${encodeURIComponent(id)}`), conversation_id);
  await expect(one.page.getByRole("heading", { level: 2, name: other.name })).toBeVisible();
}

/** The id of the conversation that is open in a page. */
export const conversationOf = (page: Page) => decodeURIComponent(new URL(page.url()).hash.split("/")[2] ?? "");

/** Which rules are checked: only one, all but some, or also one that is off by default. */
interface Rules {
  only?: string | undefined;
  except?: readonly string[];
  also?: string | undefined;
}

/** Checks the accessibility of a page. The name of the view is part of the failure's message. */
export async function expectNoViolations(page: Page, { only, except = [], also }: Rules = {}, name = ""): Promise<void> {
  const rules = Object.fromEntries(except.map((rule) => [rule, { enabled: false }]));
  if (also) rules[also] = { enabled: true };
  const axe = new AxeBuilder({ page }).setLegacyMode().options({ rules, resultTypes: ["violations"], selectors: false });
  if (only) axe.withRules(only);
  const { violations } = await axe.analyze();
  const messages = violations.flatMap(({ id, nodes }) => nodes.map(({ html, any }) => `${id}: ${html.slice(0, 200)} ${any[0]?.message ?? ""}`));
  expect(messages, name).toEqual([]);
}
