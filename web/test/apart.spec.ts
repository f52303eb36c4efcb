// While nobody looks, and in several tabs of one browser.

import type { Page } from "@playwright/test";

import { PASSWORD, Someone, expect, meet, named, test } from "./stack.js";

/** Notes what the system would be asked to show. */
const withNotifications = async (page: Page) => {
  await page.addInitScript(() => {
    const shown: string[] = [];
    class Notified {
      static permission = "granted";
      static requestPermission = async () => "granted";
      onclick: (() => void) | null = null;
      constructor(title: string, { body }: { body: string }) {
        shown.push(`${title}: ${body}`);
      }
      close() {}
    }
    Object.assign(window, { Notification: Notified, shown });
  });
};

/** Whether the page can be seen, and has the focus. */
const looks = (page: Page, isVisible: boolean, hasFocus = isVisible) =>
  page.evaluate(
    ([isVisible, hasFocus]) => {
      Object.defineProperty(document, "visibilityState", { configurable: true, get: () => (isVisible ? "visible" : "hidden") });
      Object.defineProperty(document, "hasFocus", { configurable: true, value: () => hasFocus });
      document.dispatchEvent(new Event("visibilitychange"));
    },
    [isVisible, hasFocus],
  );

test("notifications: one for each message that goes unseen, and none for others", async ({ newcomer }) => {
  const ann = await newcomer(named("Ann"));
  const cem = await newcomer(named("Cem"));
  const ben = await newcomer(named("Ben"), { prepare: withNotifications });
  const shown = () => ben.page.evaluate(() => (window as unknown as { shown: string[] }).shown);
  await meet(cem, ben);
  await meet(ann, ben);
  // Each is known to have arrived by its row.
  const write = async (someone: Someone, text: string) => {
    await someone.write(text);
    await expect(ben.row(someone.name).locator(".preview")).toContainText(text);
  };
  await looks(ben.page, false);
  await write(ann, "before it was asked for");
  expect(await shown()).toEqual([]);
  await looks(ben.page, true);
  await ben.page.getByRole("button", { name: "Profile and settings" }).click();
  await ben.page.getByRole("switch", { name: "Notifications" }).check();
  await ben.page.keyboard.press("Escape");
  await write(ann, "seen in the inbox");
  expect(await shown()).toEqual([]);

  await looks(ben.page, false);
  await write(ann, "unseen");
  await write(cem, "unseen too");
  const expected = [`${ann.name}: unseen`, `${cem.name}: unseen too`];
  expect(await shown()).toEqual(expected);
  // One's own, from another device.
  await ben.call("POST", "/messages/send", { recipient_id: await ann.id(), message_text: "my own" });
  await expect(ben.row(ann.name).locator(".preview")).toContainText("my own");
  expect(await shown()).toEqual(expected);

  // Beside another window: what is open there is seen, the rest is not.
  await ben.open(ann.name);
  await looks(ben.page, true, false);
  await write(ann, "seen without the focus");
  await write(cem, "in another conversation");
  expected.push(`${cem.name}: in another conversation`);
  expect(await shown()).toEqual(expected);

  await looks(ben.page, true);
  await ben.page.getByRole("button", { name: "Details", exact: true }).click();
  await ben.page.getByRole("button", { name: "Mute notifications" }).click();
  await ben.page.keyboard.press("Escape");
  await expect(ben.row(ann.name).getByLabel("Muted")).toBeVisible();
  await looks(ben.page, false);
  await write(ann, "muted");
  await write(cem, "and not muted");
  expected.push(`${cem.name}: and not muted`);
  expect(await shown()).toEqual(expected);
});

/** Counts a page's open sockets. */
function sockets(page: Page): { open: number } {
  const count = { open: 0 };
  page.on("websocket", (socket) => {
    count.open += 1;
    socket.on("close", () => (count.open -= 1));
  });
  return count;
}

/** Another tab in which the same one signs in. */
async function anotherTab(someone: Someone, username: string, page: Page, url: string): Promise<Someone> {
  await page.goto(url);
  await page.getByLabel("Username or e-mail address").fill(username);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("button", { name: "New conversation" }).first()).toBeVisible();
  return new Someone(page, someone.name);
}

/** How many messages on their way are on this browser's disk. */
const kept = (page: Page) =>
  page.evaluate(async () => {
    const [database] = await indexedDB.databases();
    const opened = await new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open(database?.name ?? "");
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    const count = await new Promise<number>((resolve, reject) => {
      const request = opened.transaction("outbox").objectStore("outbox").count();
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
    opened.close();
    return count;
  });

test("of two tabs one holds the socket, and the other takes over when it is closed", async ({ newcomer, stack }) => {
  const ben = await newcomer(named("Ben"));
  let first = { open: 0 };
  const ann = await newcomer(named("Ann"), { prepare: async (page) => void (first = sockets(page)) });
  const { username } = await ann.call<{ username: string }>("GET", "/users/me");
  await meet(ben, ann);
  await ben.write("to both");
  await ann.open(ben.name);
  await expect.poll(() => first.open).toBe(1);

  const page = await ann.page.context().newPage();
  const second = sockets(page);
  const other = await anotherTab(ann, username, page, stack.url);
  await other.open(ben.name);
  for (const tab of [ann, other]) await expect(tab.message("to both")).toBeVisible();
  await ben.field.pressSequentially("and");
  for (const tab of [ann, other]) await expect(tab.page.getByTestId("typing")).toContainText("is typing");
  await ben.write("and again");
  for (const tab of [ann, other]) await expect(tab.message("and again")).toHaveCount(1);
  // What one tab writes is in the other.
  await other.write("from the second tab");
  for (const tab of [ann, other, ben]) await expect(tab.message("from the second tab")).toHaveCount(1);
  expect([first.open, second.open]).toEqual([1, 0]);

  await ann.page.close();
  await expect.poll(() => second.open).toBe(1);
  await ben.write("to the one that is left");
  await expect(other.message("to the one that is left")).toHaveCount(1);
});

test("what was sent offline in a tab that was closed is sent by the next, once", async ({ newcomer, stack }) => {
  const ben = await newcomer(named("Ben"));
  const ann = await newcomer(named("Ann"));
  const { username } = await ann.call<{ username: string }>("GET", "/users/me");
  await meet(ann, ben);
  await ann.write("before");
  await expect(ann.message("before").getByLabel("Sent")).toBeVisible();
  const context = ann.page.context();
  await context.setOffline(true);
  for (const text of ["one", "two", "three"]) await ann.write(`${text}, offline`);
  await expect(ann.message("three, offline").getByLabel("Sending")).toBeVisible();
  await expect.poll(() => kept(ann.page)).toBe(3);
  // What the page keeps beside it would do as well.
  await ann.page.evaluate(() => localStorage.clear());
  await ann.page.close();
  await context.setOffline(false);

  const other = await anotherTab(ann, username, await context.newPage(), stack.url);
  const third = await anotherTab(ann, username, await context.newPage(), stack.url);
  await ben.open(ann.name);
  const expected = ["before", "one, offline", "two, offline", "three, offline"];
  await expect.poll(() => ben.page.locator("article .text").allInnerTexts()).toEqual(expected);
  for (const tab of [other, third]) {
    await tab.open(ben.name);
    await expect.poll(() => tab.page.locator("article .text").allInnerTexts()).toEqual(expected);
    await expect(tab.page.getByLabel("Sending")).toHaveCount(0);
  }
  const there = await ben.call<{ message_text: string }[]>("GET", `/messages/conversation/${encodeURIComponent(await other.id())}`);
  expect(there.map(({ message_text }) => message_text)).toEqual(expected);
});
