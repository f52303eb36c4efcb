// The page goes on when a part of it, of the browser or of the network fails.

import type { Page } from "@playwright/test";

import { jpeg } from "./pictures.js";
import { expect, startDirectChat, test, uniqueName } from "./stack.js";

test("all dialogs open offline, also with reduced motion", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"), { reducedMotion: "reduce", fetchesAhead: true });
  const ben = await newAccount(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  await ann.send("hello");
  await expect(ann.message("hello").getByLabel("Sent")).toBeVisible();
  await ann.page.context().setOffline(true);
  const { page } = ann;
  const close = async () => {
    await page.keyboard.press("Escape");
    await expect(page.locator("dialog")).toHaveCount(0);
  };
  await page.getByRole("button", { name: "Profile and settings" }).click();
  await expect(page.getByRole("heading", { name: "Settings" })).toBeVisible();
  await close();
  await page.getByRole("button", { name: "New conversation" }).first().click();
  await expect(page.getByRole("tab", { name: "Group" })).toBeVisible();
  await close();
  await page.getByRole("button", { name: "Details", exact: true }).click();
  await expect(page.getByRole("button", { name: "Block", exact: true })).toBeVisible();
  await close();
  await ann.chooseAction("hello", "Delete");
  await expect(page.getByRole("button", { name: "For me" })).toBeVisible();
  await close();
  await page.getByRole("button", { name: "Emoji" }).click();
  await expect(page.getByRole("searchbox", { name: "Search emoji" })).toBeVisible();
  await page.keyboard.press("Escape");
  // A picture can be chosen, seen and sent; it waits.
  await page.setInputFiles("input[aria-label='Files to attach']", await jpeg(page, "offline.jpg", 300, 200));
  await expect(page.getByRole("group", { name: "Files to send" }).locator("img")).toBeVisible();
  await page.getByRole("button", { name: "Send", exact: true }).click();
  // Beside the button that cancels.
  await page.getByRole("button", { name: "Open picture: offline.jpg" }).click({ position: { x: 20, y: 20 } });
  await expect(page.getByRole("dialog", { name: "Pictures" }).getByRole("img")).toBeVisible();
});

test("a part that cannot be fetched is fetched again, and otherwise reported", async ({ newUser }) => {
  let isBlocked = true;
  let attempts = 0;
  const ann = await newUser(uniqueName("Ann"), {
    prepare: async (page) => {
      await page.route(/assets\/settings-/, (route) => {
        attempts += 1;
        return isBlocked ? route.abort() : route.continue();
      });
    },
  });
  const settings = ann.page.getByRole("button", { name: "Profile and settings" });
  await settings.click();
  await expect(ann.page.getByText("This could not be loaded.")).toBeVisible();
  expect(attempts).toBeGreaterThanOrEqual(3);
  await settings.click();
  isBlocked = false;
  await expect(ann.page.getByRole("heading", { name: "Settings" })).toBeVisible();
});

test("an error in a view leaves the rest of the page as it is", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  await ann.send("hello");
  await ann.page.goto(`${new URL(ann.page.url()).origin}/#/`);
  await ann.page.evaluate(() => {
    const { prototype } = Intl.DateTimeFormat;
    const { get } = Object.getOwnPropertyDescriptor(prototype, "format") ?? {};
    const setFormat = (get: ((this: Intl.DateTimeFormat) => unknown) | undefined) =>
      Object.defineProperty(prototype, "format", { configurable: true, ...(get ? { get } : {}) });
    // Only messages show the full date.
    setFormat(function () {
      if (this.resolvedOptions().dateStyle === "full") throw new Error("thrown by the test");
      return get?.call(this);
    });
    Object.assign(window, { mend: () => setFormat(get) });
  });
  await ann.row(ben.name).click();
  const alert = ann.page.getByRole("alert");
  await expect(alert).toContainText("Something went wrong");
  await expect(ann.page.getByRole("button", { name: "New conversation" }).first()).toBeVisible();
  await ann.page.evaluate(() => (window as unknown as { mend: () => void }).mend());
  await alert.getByRole("button", { name: "Try again" }).click();
  await expect(ann.message("hello")).toBeVisible();
});

test("without IndexedDB and with storage blocked, messages are sent", async ({ newUser, newAccount }) => {
  const prepare = async (page: Page) => {
    await page.addInitScript(() => {
      // As with an unusable profile: the database never answers, and storages throw.
      IDBFactory.prototype.open = () => ({}) as IDBOpenDBRequest;
      for (const name of ["localStorage", "sessionStorage"]) {
        Object.defineProperty(window, name, {
          get: () => {
            throw new DOMException("Access is denied for this document.", "SecurityError");
          },
        });
      }
    });
  };
  const ann = await newUser(uniqueName("Ann"), { prepare, withForm: true });
  const ben = await newAccount(uniqueName("Ben"));
  await ben.write(ann, "anybody?");
  await ann.open(ben.name);
  for (const text of ["one", "two", "three"]) await ann.send(text);
  await expect.poll(() => ben.texts(ann)).toEqual(["anybody?", "one", "two", "three"]);
});

test("after IndexedDB is deleted, messages are sent, and those sent offline keep their order", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  await ann.send("before");
  await expect(ann.message("before").getByLabel("Sent")).toBeVisible();
  const deleteDatabases = () =>
    ann.page.evaluate(async () => {
      for (const { name } of await indexedDB.databases()) {
        await new Promise((resolve) => (indexedDB.deleteDatabase(name ?? "").onsuccess = resolve));
      }
    });
  await deleteDatabases();
  await ann.send("after");
  await expect(ann.message("after").getByLabel("Sent")).toBeVisible();
  await ann.page.route("**/api/messages/send", (route) => route.abort());
  const numbers = ["one", "two", "three", "four", "five", "six"];
  for (const text of numbers) await ann.send(text);
  await expect(ann.message("six").getByLabel("Sending")).toBeVisible();
  // Only the page's own copies are left.
  await deleteDatabases();
  await ann.page.reload();
  await ann.page.unroute("**/api/messages/send");
  await expect.poll(() => ben.texts(ann), { timeout: 40_000 }).toEqual(["before", "after", ...numbers]);
});
