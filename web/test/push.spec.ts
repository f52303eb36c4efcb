// Notifications by push, and opening the page without a network.

import type { BrowserContextOptions, CDPSession, Page } from "@playwright/test";

import { addressOf, describePush } from "../worker/notification.js";
import { kindOf } from "../worker/offline.js";
import { preferred, show } from "../worker/windows.js";
import { PushService } from "./push-service.js";
import { Stack, expect, test as base, uniqueName } from "./stack.js";

const test = base.extend<{ service: PushService }, { stack: Stack }>({
  stack: [
    async ({}, use) => {
      const environment = { TIDINGS_PUSH_HOSTS: "127.0.0.1", TIDINGS_VAPID_SUBJECT: "mailto:ops@example.com" };
      const stack = await new Stack(["--in-memory", "--demo=10"], environment).start();
      await use(stack);
      await stack.kill();
    },
    { scope: "worker" },
  ],
  service: async ({}, use) => {
    const service = await new PushService().start();
    await use(service);
    service.stop();
  },
});

// Pushes are 2 to 15 s late, and some tests need several users.
test.beforeEach(() => test.slow());

const ALLOWED: BrowserContextOptions = { serviceWorkers: "allow", permissions: ["notifications"] };

/** Opens the settings. */
const openSettings = (page: Page) => page.getByRole("button", { name: "Profile and settings" }).click();

const theSwitch = (page: Page) => page.getByRole("switch", { name: "Notifications" });

/** Turns notifications on, as a user does. */
async function turnOn(page: Page): Promise<void> {
  await openSettings(page);
  await theSwitch(page).check();
  await expect(page.getByText("even while Tidings is closed")).toBeVisible();
  await expect(page.getByRole("button", { name: "Send me a test" })).toBeVisible();
  await page.keyboard.press("Escape");
}

/** The service worker of a page. */
class Worker {
  readonly #session: CDPSession;
  readonly #page: Page;
  #registration = "";

  private constructor(page: Page, session: CDPSession) {
    this.#page = page;
    this.#session = session;
  }

  static async of(page: Page): Promise<Worker> {
    const session = await page.context().newCDPSession(page);
    const worker = new Worker(page, session);
    session.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => {
      worker.#registration = registrations.find(({ isDeleted }) => !isDeleted)?.registrationId ?? worker.#registration;
    });
    await page.evaluate(async () => void (await navigator.serviceWorker.ready));
    await session.send("ServiceWorker.enable");
    await expect.poll(() => worker.#registration).not.toBe("");
    return worker;
  }

  /**
   * Lets the browser deliver a push. Waits until its notification is shown: Chromium forgets a notification that it is
   * about to show when it is asked for those on the screen.
   */
  async deliver(data: string): Promise<void> {
    const { origin } = new URL(this.#page.url());
    const notified = await this.#page.evaluateHandle(() => ({
      shown: new Promise<void>((resolve) => navigator.serviceWorker.addEventListener("message", () => resolve(), { once: true })),
    }));
    await this.#session.send("ServiceWorker.deliverPushMessage", { origin, registrationId: this.#registration, data });
    await notified.evaluate(({ shown }) => shown);
  }

  /** Returns the notifications on the screen. */
  shown(): Promise<{ title: string; body: string; tag: string }[]> {
    return this.#page.evaluate(async () => {
      const registration = await navigator.serviceWorker.ready;
      return (await registration.getNotifications()).map(({ title, body, tag }) => ({ title, body, tag }));
    });
  }

  /** Clicks on the notification with a tag. */
  async click(tag: string): Promise<void> {
    const worker = this.#page.context().serviceWorkers().at(-1);
    await worker?.evaluate(async (tag) => {
      const scope = self as unknown as ServiceWorkerScope;
      const [notification] = await scope.registration.getNotifications({ tag });
      if (!notification) throw new Error("There is no such notification.");
      scope.dispatchEvent(new scope.NotificationEvent("notificationclick", { notification }));
    }, tag);
  }
}

/** The part of the service worker's global scope that the test uses. It has no types in pages. */
interface ServiceWorkerScope extends EventTarget {
  registration: ServiceWorkerRegistration;
  NotificationEvent: new (type: string, init: { notification: Notification }) => Event;
}

test("what the service worker shows follows from the push, whatever is in it", () => {
  const pictures = { icon: "/assets/icon.png", badge: "/assets/badge.png" };
  const text = JSON.stringify({
    web_push: 8030,
    notification: { title: "Ann", body: "hello", navigate: "/#/c/x", tag: "x", app_badge: 0, dir: "auto" },
    conversation_id: "x",
    message_id: "m",
  });
  expect(describePush(text, pictures)).toEqual({
    title: "Ann",
    options: {
      ...pictures,
      body: "hello",
      dir: "auto",
      tag: "x",
      renotify: true,
      data: { navigate: "/#/c/x", conversation_id: "x", message_id: "m" },
    },
    badge: 0,
  });
  for (const broken of [undefined, "", "no JSON", "null", "[]", "7", '{"notification":{}}', '{"notification":{"title":""}}']) {
    const { title, options, badge } = describePush(broken, pictures);
    expect([title, options.tag, badge], broken).toEqual(["New message", "tidings", undefined]);
  }
});

test("a click leads into the page alone", () => {
  const at = (navigate: unknown) => addressOf({ navigate }, "https://chat.example.com");
  expect(at("/#/c/x")).toBe("https://chat.example.com/#/c/x");
  const outside = ["https://evil.example/#/c/x", "//evil.example", "/docs", "javascript:alert(1)", "http://[", undefined];
  for (const each of outside) expect(at(each)).toBe("https://chat.example.com/");
  expect(addressOf(null, "https://chat.example.com")).toBe("https://chat.example.com/");
});

test("a click uses the window that was used last, and opens one if there is none", async () => {
  const calls: string[] = [];
  const origin = "https://chat.example.com";
  const window = (url: string, focused: boolean, visibilityState: string) => ({
    url,
    focused,
    visibilityState,
    focus: async () => calls.push(`focus ${url}`),
    postMessage: (message: unknown) => calls.push(JSON.stringify(message)),
  });
  const [hidden, visible] = [window(`${origin}/#/`, false, "hidden"), window(`${origin}/#/c/a`, false, "visible")];
  const [focused, docs] = [window(`${origin}/?as=ann`, true, "visible"), window(`${origin}/docs`, true, "visible")];
  expect(preferred([hidden, visible, focused, docs], origin)).toBe(focused);
  expect(preferred([docs, hidden, visible], origin)).toBe(visible);
  expect(preferred([docs, hidden], origin)).toBe(hidden);
  const open = async (url: string) => calls.push(`open ${url}`);
  await show(`${origin}/#/c/x`, [docs], origin, open);
  await show(`${origin}/#/c/x`, [hidden], origin, open);
  expect(calls).toEqual([`open ${origin}/#/c/x`, `{"kind":"open","url":"${origin}/#/c/x"}`, `focus ${origin}/#/`]);
});

test("the service worker answers for the page and its files, and never for the API", () => {
  const origin = "https://chat.example.com";
  const kind = (path: string, mode = "cors", method = "GET") => kindOf({ method, url: new URL(path, origin).href, mode }, origin);
  expect(kind("/?as=ann", "navigate")).toBe("page");
  expect(kind("/config.json")).toBe("config");
  expect(kind("/assets/main-abc.js")).toBe("asset");
  for (const path of ["/api/messages/inbox", "/_local/people", "/docs", "/", "/sw.js", "https://api.example.com/assets/x"]) {
    expect(kind(path), path).toBeNull();
  }
  expect(kind("/docs", "navigate")).toBeNull();
  expect(kind("/assets/x", "cors", "POST")).toBeNull();
});

test("a message is pushed, shown once, opened by a click, and closed when it is read elsewhere", async ({ newUser, newAccount, service }) => {
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"), { ...ALLOWED, prepare: (page) => service.replaceBrowsers(page) });
  await turnOn(ben.page);
  const worker = await Worker.of(ben.page);
  // A second window would show a notification of its own.
  const second = await ben.page.context().newPage();
  await service.replaceBrowsers(second);
  await second.goto(ben.page.url());
  await expect(second.getByRole("button", { name: "New conversation" }).first()).toBeVisible();

  await ann.write(ben, "are you there?");
  await expect.poll(() => service.received.length, { timeout: 30_000 }).toBe(1);
  const pushed = service.received[0]?.text ?? "";
  const { conversation_id: id } = JSON.parse(pushed) as { conversation_id: string };
  expect(await worker.shown()).toEqual([]);
  await worker.deliver(pushed);
  await expect.poll(() => worker.shown()).toEqual([{ title: ann.name, body: "are you there?", tag: id }]);

  await worker.click(id);
  const opened = (page: Page) => page.getByRole("heading", { level: 2, name: ann.name }).isVisible();
  await expect.poll(async () => (await opened(ben.page)) || (await opened(second))).toBe(true);
  await expect.poll(() => worker.shown()).toEqual([]);

  // Read on another device.
  for (const page of [ben.page, second]) await page.evaluate(() => (location.hash = "#/"));
  await ann.write(ben, "and now?");
  await expect.poll(() => service.received.length, { timeout: 30_000 }).toBe(2);
  await worker.deliver(service.received[1]?.text ?? "");
  await expect.poll(() => worker.shown()).toHaveLength(1);
  await ben.markAsRead(id);
  await expect.poll(() => worker.shown()).toEqual([]);
  // A push that comes after the message was read.
  await worker.deliver(service.received[1]?.text ?? "");
  await expect.poll(() => worker.shown()).toEqual([]);
});

test("notifications are asked for by a click, tested, and end before the user signs out", async ({ newUser, service, stack }) => {
  const ben = await newUser(uniqueName("Ben"), { ...ALLOWED, prepare: (page) => service.replaceBrowsers(page) });
  const { page } = ben;
  const asked = await page.evaluate(() => {
    const asked = { count: 0 };
    const request = Notification.requestPermission.bind(Notification);
    Notification.requestPermission = () => {
      asked.count += 1;
      return request();
    };
    Object.assign(window, { asked });
    return asked.count;
  });
  const askedNow = () => page.evaluate(() => (window as unknown as { asked: { count: number } }).asked.count);
  await openSettings(page);
  await expect(page.getByText("Your browser will ask for your permission.")).toBeVisible();
  await expect(theSwitch(page)).not.toBeChecked();
  expect([asked, await askedNow()]).toEqual([0, 0]);
  expect(await ben.call<unknown[]>("GET", "/push/subscriptions")).toEqual([]);
  await page.keyboard.press("Escape");
  await turnOn(page);
  expect(await askedNow()).toBe(1);
  expect(await ben.call<unknown[]>("GET", "/push/subscriptions")).toHaveLength(1);

  await openSettings(page);
  await page.getByRole("button", { name: "Send me a test" }).click();
  await expect(page.getByText("Sent. The notification should appear")).toBeVisible();
  await expect.poll(() => service.received.length).toBe(1);
  expect(service.received[0]?.headers["content-type"]).toBe("application/notification+json");
  const worker = await Worker.of(page);
  await worker.deliver(service.received[0]?.text ?? "");
  await expect.poll(() => worker.shown()).toMatchObject([{ tag: "test" }]);

  // The browser has lost its subscription, and gets a new one with the next start.
  await page.evaluate(() => localStorage.removeItem("test subscription"));
  await page.reload();
  await expect.poll(() => page.evaluate(() => localStorage.getItem("test subscription"))).not.toBeNull();
  // So it does if the server's key has changed.
  await page.evaluate(() => localStorage.setItem("test subscription", "BAAA"));
  await page.reload();
  await expect.poll(() => page.evaluate(() => localStorage.getItem("test subscription")?.length)).toBe(87);

  const token = await page.evaluate(() => Object.entries(localStorage).find(([name]) => name.startsWith("tidings session"))?.[1] ?? "");
  const authorization = `Bearer ${(JSON.parse(token) as { access: string }).access}`;
  const order: string[] = [];
  page.on("request", (request) => {
    if (/push\/subscriptions\/|auth\/logout/.test(request.url())) order.push(`${request.method()} ${new URL(request.url()).pathname}`);
  });
  await openSettings(page);
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
  expect(await page.evaluate(() => localStorage.getItem("test subscription"))).toBeNull();
  await expect.poll(() => order).toEqual([expect.stringMatching(/^DELETE /), "POST /api/auth/logout"]);
  expect(await worker.shown()).toEqual([]);
  const left = await fetch(`${stack.url}/api/push/subscriptions`, { headers: { authorization } });
  expect(await left.json()).toMatchObject({ data: [] });
});

test("a subscription that the push service has ended is renewed", async ({ newUser, service }) => {
  const ben = await newUser(uniqueName("Ben"), { ...ALLOWED, prepare: (page) => service.replaceBrowsers(page) });
  await turnOn(ben.page);
  service.status = 410;
  await openSettings(ben.page);
  await ben.page.getByRole("button", { name: "Send me a test" }).click();
  await expect(ben.page.getByText("The notification could not be sent.")).toBeVisible();
  await expect.poll(() => ben.call<unknown[]>("GET", "/push/subscriptions")).toHaveLength(1);
  await theSwitch(ben.page).uncheck();
  await expect.poll(() => ben.call<unknown[]>("GET", "/push/subscriptions")).toEqual([]);
  await expect(ben.page.getByRole("button", { name: "Send me a test" })).toHaveCount(0);
});

test("the settings say why there are no notifications", async ({ newUser }) => {
  const hint = async (change: (page: Page) => Promise<unknown>, options: BrowserContextOptions = { serviceWorkers: "allow" }) => {
    const ben = await newUser(uniqueName("Ben"), { ...options, prepare: async (page) => void (await change(page)) });
    await openSettings(ben.page);
    const text = ben.page.locator("#notifications-hint");
    await expect(text).not.toBeEmpty();
    return { text, box: theSwitch(ben.page) };
  };
  const blocked = await hint((page) =>
    page.addInitScript(() => Object.defineProperty(Notification, "permission", { get: () => "denied" })),
  );
  await expect(blocked.text).toContainText("Your browser blocks notifications from this page.");
  await expect(blocked.box).toBeDisabled();
  const phone = await hint(
    (page) => page.addInitScript(() => Reflect.deleteProperty(window, "Notification")),
    { serviceWorkers: "allow", userAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X)" },
  );
  await expect(phone.text).toContainText("Add to Home Screen");
  await expect(phone.box).toBeDisabled();
  const old = await hint((page) => page.addInitScript(() => Reflect.deleteProperty(window, "PushManager")), ALLOWED);
  await expect(old.text).toContainText("Your browser can’t notify you while it is closed.");
  await expect(old.box).toBeEnabled();
  const failing = await hint(
    (page) =>
      page.addInitScript(() => {
        PushManager.prototype.subscribe = () => Promise.reject(new DOMException("push service error", "AbortError"));
      }),
    ALLOWED,
  );
  await failing.box.check();
  await expect(failing.text).toContainText("Your browser refused more.");
  await expect(failing.text.page().getByRole("button", { name: "Try again" })).toBeVisible();
});

test("a server that sends no pushes leaves the notifications of open pages", async ({ newUser }) => {
  const answer = { status: 404, json: { code: "not_found", detail: "This server sends no notifications." } };
  const prepare = (page: Page) => page.route("**/api/push/key", (route) => route.fulfill(answer));
  const ben = await newUser(uniqueName("Ben"), { ...ALLOWED, prepare: async (page) => void (await prepare(page)) });
  await openSettings(ben.page);
  await expect(ben.page.getByText("This server can’t notify you while it is closed.")).toBeVisible();
  await theSwitch(ben.page).check();
  await expect(ben.page.getByText("You are notified of new messages while Tidings is open")).toBeVisible();
  await expect(ben.page.getByRole("button", { name: "Send me a test" })).toHaveCount(0);
});

test("one tab reports that the user is active, at most once a minute, and takes it back when it is hidden or closed", async ({ newUser, newAccount, service, stack }) => {
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"), { ...ALLOWED, prepare: (page) => service.replaceBrowsers(page) });
  await turnOn(ben.page);
  const context = ben.page.context();
  const reports: boolean[] = [];
  // Finished, because a report that is still on its way may arrive after the next one.
  context.on("requestfinished", (request) => {
    if (request.method() !== "PUT" || !request.url().endsWith("/api/presence")) return;
    const { is_active: isActive } = request.postDataJSON() as { is_active?: boolean };
    if (isActive !== undefined) reports.push(isActive);
  });
  const later = () =>
    ben.page.evaluate(() => {
      const name = Object.keys(localStorage).find((name) => name.startsWith("tidings active")) ?? "";
      localStorage.setItem(name, String(Date.now() - 61_000));
    });
  const second = await context.newPage();
  await service.replaceBrowsers(second);
  await second.goto(ben.page.url());
  await expect(second.getByRole("button", { name: "New conversation" }).first()).toBeVisible();
  await later();
  for (const page of [ben.page, second, ben.page]) await page.keyboard.press("Shift");
  await expect.poll(() => reports).toEqual([true]);
  const hide = (page: Page) =>
    page.evaluate(() => {
      Object.defineProperty(document, "visibilityState", { configurable: true, get: () => "hidden" });
      document.dispatchEvent(new Event("visibilitychange"));
    });
  await hide(ben.page);
  await expect.poll(() => reports).toEqual([true, false]);
  await second.keyboard.press("Shift");
  await later();
  // A tab that has just been opened listens a little later.
  const use = async () => {
    await second.keyboard.press("Shift");
    return reports;
  };
  await expect.poll(use).toEqual([true, false, true]);

  // The report of a page that is closing is seen by the server alone: it pushes what it has held back at once, and not
  // after a minute.
  await ann.write(ben, "while you were here");
  // A page of the same site: to another one, a third of these reports were lost on a busy machine.
  await second.goto(`${stack.url}/health`);
  await expect.poll(() => service.received.length, { timeout: 45_000 }).toBe(1);
});

test("the page opens without a network, and nothing of the API is kept", async ({ newUser }) => {
  const ben = await newUser(uniqueName("Ben"), ALLOWED);
  const { page } = ben;
  await page.evaluate(async () => void (await navigator.serviceWorker.ready));
  // The first load is not the worker's.
  await page.reload();
  await expect(page.getByRole("button", { name: "New conversation" }).first()).toBeVisible();
  await page.context().setOffline(true);
  await page.reload();
  await expect(page.getByText("You are offline.")).toBeVisible();
  await expect(page.getByRole("button", { name: "New conversation" }).first()).toBeVisible();
  // Parts that are loaded later are there, too.
  await openSettings(page);
  await expect(page.getByRole("heading", { name: "Settings" })).toBeVisible();
  const kept = await page.evaluate(async () => {
    const names = await caches.keys();
    const requests = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
    return requests.flat().map(({ url }) => new URL(url).pathname);
  });
  expect(kept).toContain("/");
  expect(kept.filter((path) => path !== "/" && path !== "/config.json" && !/^\/(assets|words)\//.test(path))).toEqual([]);
  await page.context().setOffline(false);
  await expect(page.getByText("You are offline.")).toHaveCount(0);
});

test("the page is installable", async ({ newUser }) => {
  const { page } = await newUser(uniqueName("Ben"), ALLOWED);
  await page.evaluate(async () => void (await navigator.serviceWorker.ready));
  const session = await page.context().newCDPSession(page);
  const { errors, url } = await session.send("Page.getAppManifest");
  expect(errors).toEqual([]);
  expect(url).toMatch(/\.webmanifest$/);
  const { installabilityErrors } = await session.send("Page.getInstallabilityErrors");
  // Windows of tests are like private ones, from which nothing can be installed.
  expect(installabilityErrors.filter(({ errorId }) => errorId !== "in-incognito")).toEqual([]);
});
