// Background pages: notifications, and several tabs of one browser.

import type { Page } from "@playwright/test";

import { Actor, expect, startDirectChat, test, uniqueName } from "./stack.js";
import type { Account } from "./stack.js";

/** Records notifications instead of showing them. */
const recordNotifications = async (page: Page) => {
  await page.addInitScript(() => {
    const shown: string[] = [];
    class FakeNotification {
      static permission = "granted";
      static requestPermission = async () => "granted";
      onclick: (() => void) | null = null;
      constructor(title: string, { body }: { body: string }) {
        shown.push(`${title}: ${body}`);
      }
      close() {}
    }
    Object.assign(window, { Notification: FakeNotification, shown });
  });
};

/** Simulates whether the page is visible and focused. */
const setVisible = (page: Page, isVisible: boolean, hasFocus = isVisible) =>
  page.evaluate(
    ([isVisible, hasFocus]) => {
      Object.defineProperty(document, "visibilityState", { configurable: true, get: () => (isVisible ? "visible" : "hidden") });
      Object.defineProperty(document, "hasFocus", { configurable: true, value: () => hasFocus });
      document.dispatchEvent(new Event("visibilitychange"));
    },
    [isVisible, hasFocus],
  );

test("only unseen messages are notified", async ({ newUser, newAccount }) => {
  const ann = await newAccount(uniqueName("Ann"));
  const cem = await newAccount(uniqueName("Cem"));
  const ben = await newUser(uniqueName("Ben"), { prepare: recordNotifications });
  const shown = () => ben.page.evaluate(() => (window as unknown as { shown: string[] }).shown);
  // Sends a message and waits until it has arrived.
  const send = async (from: Account, text: string) => {
    await from.write(ben, text);
    await expect(ben.row(from.name).locator(".preview")).toContainText(text);
  };
  await setVisible(ben.page, false);
  await send(ann, "before notifications are on");
  expect(await shown()).toEqual([]);
  await setVisible(ben.page, true);
  await ben.page.getByRole("button", { name: "Profile and settings" }).click();
  await ben.page.getByRole("switch", { name: "Notifications" }).check();
  await ben.page.keyboard.press("Escape");
  await send(ann, "seen in the inbox");
  expect(await shown()).toEqual([]);

  await setVisible(ben.page, false);
  await send(ann, "unseen");
  await send(cem, "unseen too");
  const expected = [`${ann.name}: unseen`, `${cem.name}: unseen too`];
  expect(await shown()).toEqual(expected);
  // Ben's own message, from another device.
  await ben.write(ann, "my own");
  await expect(ben.row(ann.name).locator(".preview")).toContainText("my own");
  expect(await shown()).toEqual(expected);

  // Visible without focus: only the open conversation is seen.
  await ben.open(ann.name);
  await setVisible(ben.page, true, false);
  await send(ann, "seen without focus");
  await send(cem, "in another conversation");
  expected.push(`${cem.name}: in another conversation`);
  expect(await shown()).toEqual(expected);

  await setVisible(ben.page, true);
  await ben.page.getByRole("button", { name: "Details", exact: true }).click();
  await ben.page.locator("dialog").getByLabel("Mute").selectOption("Always");
  await ben.page.keyboard.press("Escape");
  await expect(ben.row(ann.name).getByLabel("Muted")).toBeVisible();
  await setVisible(ben.page, false);
  await send(ann, "muted");
  await send(cem, "and not muted");
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

/** Opens another tab of the same user. */
async function openTab(actor: Actor, page: Page, url: string): Promise<Actor> {
  await page.goto(url);
  await expect(page.getByRole("button", { name: "New conversation" }).first()).toBeVisible();
  return new Actor(page, actor);
}

/** Returns the number of outbox entries on disk. */
const storedEntries = (page: Page) =>
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

test("one of two tabs holds the socket, and the other takes over when it closes", async ({ newUser, newAccount, stack }) => {
  const ben = await newAccount(uniqueName("Ben"));
  let first = { open: 0 };
  const ann = await newUser(uniqueName("Ann"), { prepare: async (page) => void (first = sockets(page)) });
  const { conversation_id } = await ben.write(ann, "to both");
  await ann.open(ben.name);
  await expect.poll(() => first.open).toBe(1);

  const page = await ann.page.context().newPage();
  const second = sockets(page);
  const other = await openTab(ann, page, stack.url);
  await other.open(ben.name);
  for (const tab of [ann, other]) await expect(tab.message("to both")).toBeVisible();
  await ben.call("POST", "/typing", { conversation_id, is_typing: true });
  for (const tab of [ann, other]) await expect(tab.page.getByTestId("typing")).toContainText("is typing");
  await ben.write(ann, "and again");
  for (const tab of [ann, other]) await expect(tab.message("and again")).toHaveCount(1);
  // A message sent in one tab appears in the other.
  await other.send("from the second tab");
  for (const tab of [ann, other]) await expect(tab.message("from the second tab")).toHaveCount(1);
  await expect.poll(() => ben.texts(ann)).toEqual(["to both", "and again", "from the second tab"]);
  expect([first.open, second.open]).toEqual([1, 0]);

  await ann.page.close();
  await expect.poll(() => second.open).toBe(1);
  await ben.write(ann, "to the one that is left");
  await expect(other.message("to the one that is left")).toHaveCount(1);
});

test("messages sent offline in a closed tab are sent once by the next tab", async ({ newUser, newAccount, stack }) => {
  const ben = await newAccount(uniqueName("Ben"));
  const ann = await newUser(uniqueName("Ann"));
  await startDirectChat(ann, ben);
  await ann.send("before");
  await expect(ann.message("before").getByLabel("Sent")).toBeVisible();
  const context = ann.page.context();
  await context.setOffline(true);
  for (const text of ["one", "two", "three"]) await ann.send(`${text}, offline`);
  await expect(ann.message("three, offline").getByLabel("Sending")).toBeVisible();
  await expect.poll(() => storedEntries(ann.page)).toBe(3);
  // Removes the page's own copies, so that only the outbox has the messages.
  await ann.page.evaluate(() => {
    for (const name of Object.keys(localStorage)) if (name.startsWith("tidings on its way")) localStorage.removeItem(name);
  });
  await ann.page.close();
  await context.setOffline(false);

  const other = await openTab(ann, await context.newPage(), stack.url);
  const third = await openTab(ann, await context.newPage(), stack.url);
  const expected = ["before", "one, offline", "two, offline", "three, offline"];
  await expect.poll(() => ben.texts(ann)).toEqual(expected);
  for (const tab of [other, third]) {
    await tab.open(ben.name);
    await expect.poll(() => tab.page.locator("article .text").allInnerTexts()).toEqual(expected);
    await expect(tab.page.getByLabel("Sending")).toHaveCount(0);
  }
  expect(await ben.texts(ann)).toEqual(expected);
});
