// Push subscriptions.

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Api } from "../src/api.js";
import { Http } from "../src/http.js";
import { Push } from "../src/push.js";

const KEY = "BAECAw";
const bytes = (text: string) => Uint8Array.from(Buffer.from(text, "base64url")).buffer;

/** A browser with a push service. */
class FakeBrowser {
  permission: NotificationPermission = "default";
  /** The user's answer to the browser's question. */
  answer: NotificationPermission = "granted";
  /** The key of the present subscription; null without one. */
  key: string | null = null;
  endpoints = 0;

  get subscription() {
    const { key, endpoints } = this;
    if (key === null) return null;
    return {
      options: { applicationServerKey: bytes(key) },
      toJSON: () => ({ endpoint: `https://push.example/${endpoints}`, expirationTime: null, keys: { p256dh: "p", auth: "a" } }),
      unsubscribe: async () => {
        this.key = null;
        return true;
      },
    };
  }

  readonly pushManager = {
    getSubscription: async () => this.subscription,
    subscribe: async ({ userVisibleOnly, applicationServerKey }: { userVisibleOnly: boolean; applicationServerKey: string }) => {
      if (this.key !== null || !userVisibleOnly) throw new DOMException("There is a subscription.", "InvalidStateError");
      this.key = applicationServerKey;
      this.endpoints += 1;
      return this.subscription;
    },
  };
}

let browser: FakeBrowser;
/** Calls of the server, in order, and what it answers to those that match. */
let calls: { route: string; body: unknown }[];
let refused: { route: RegExp; status: number } | undefined;

const answer = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
  const route = `${init?.method} ${new URL(String(input)).pathname}`;
  calls.push({ route, body: init?.body ? JSON.parse(String(init.body)) : undefined });
  if (refused?.route.test(route)) {
    if (refused.status === 0) throw new TypeError("fetch failed");
    return Response.json({ success: false, code: "not_found", detail: "no" }, { status: refused.status });
  }
  const data = route.endsWith("/key") ? { public_key: KEY } : route.startsWith("PUT") ? { id: "i/d" } : null;
  return Response.json({ success: true, data, message: "OK" });
};

const newPush = () => {
  const registration = { pushManager: browser.pushManager } as unknown as ServiceWorkerRegistration;
  return new Push(new Api(new Http("http://x", () => "alice", answer)), async () => registration);
};
const routes = () => calls.map(({ route }) => route);

beforeEach(() => {
  browser = new FakeBrowser();
  calls = [];
  refused = undefined;
  vi.stubGlobal("navigator", { serviceWorker: {} });
  vi.stubGlobal("PushManager", class {});
  vi.stubGlobal("Notification", {
    get permission() {
      return browser.permission;
    },
    requestPermission: async () => (browser.permission = browser.answer),
  });
});
afterEach(() => void vi.unstubAllGlobals());

test("a subscription is stored with what the server accepts, and again at each start", async () => {
  expect(await newPush().resume(true)).toBe("off");
  expect(browser.permission).toBe("default");
  expect(await newPush().subscribe()).toBe("on");
  const stored = { route: "PUT /api/push/subscriptions", body: { endpoint: "https://push.example/1", keys: { p256dh: "p", auth: "a" } } };
  expect(calls.at(-1)).toEqual(stored);
  calls = [];
  const push = newPush();
  expect(await push.resume(true)).toBe("on");
  expect(calls).toEqual([{ route: "GET /api/push/key", body: undefined }, stored]);
  expect(push.state).toBe("on");
});

test("another key of the server, and a lost subscription, lead to a new one", async () => {
  browser.permission = "granted";
  browser.key = "BAEC";
  browser.endpoints = 5;
  expect(await newPush().resume(true)).toBe("on");
  expect([browser.key, browser.endpoints]).toEqual([KEY, 6]);
  browser.key = null;
  expect(await newPush().resume(true)).toBe("on");
  expect(browser.endpoints).toBe(7);
});

test("a user who wants none, has blocked them, or has a server without them gets no subscription", async () => {
  browser.permission = "granted";
  expect(await newPush().resume(false)).toBe("off");
  browser.permission = "default";
  browser.answer = "denied";
  expect(await newPush().subscribe()).toBe("blocked");
  expect(await newPush().resume(true)).toBe("blocked");
  browser.permission = "granted";
  refused = { route: /key$/, status: 404 };
  expect(await newPush().resume(true)).toBe("unavailable");
  expect(await newPush().subscribe()).toBe("unavailable");
  Reflect.deleteProperty(globalThis, "PushManager");
  expect(await newPush().subscribe()).toBe("unsupported");
  expect([browser.key, browser.endpoints]).toEqual([null, 0]);
});

test("a failure to ask for the key is no answer", async () => {
  refused = { route: /key$/, status: 0 };
  await expect(newPush().resume(true)).rejects.toMatchObject({ code: "network" });
});

test("the subscription ends in the browser, whether or not the server can be told", async () => {
  const push = newPush();
  await push.subscribe();
  calls = [];
  await push.unsubscribe();
  expect(routes()).toEqual(["DELETE /api/push/subscriptions/i%2Fd"]);
  expect([browser.key, push.state]).toEqual([null, "off"]);
  await push.subscribe();
  refused = { route: /DELETE/, status: 0 };
  await push.unsubscribe();
  expect(browser.key).toBeNull();
  // A page that has not resumed does not know the id.
  refused = undefined;
  await push.subscribe();
  calls = [];
  await newPush().unsubscribe();
  expect(routes()).toEqual(["PUT /api/push/subscriptions", "DELETE /api/push/subscriptions/i%2Fd"]);
});
