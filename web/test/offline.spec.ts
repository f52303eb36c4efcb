// Opening the page without a network: the last state is shown, and what is written waits.

import type { BrowserContextOptions, Page } from "@playwright/test";

import { PASSWORD, expect, test, uniqueName } from "./stack.js";
import type { Actor, Fixtures } from "./stack.js";

test.beforeEach(() => test.slow());

const ALLOWED: BrowserContextOptions = { serviceWorkers: "allow" };

/** Waits until the page opens offline: the worker has its files, and the client has stored the open conversation. */
async function untilStored({ page }: Actor, text: string): Promise<void> {
  await page.evaluate(async () => void (await navigator.serviceWorker.ready));
  await expect.poll(() => storedText(page), { timeout: 20_000 }).toContain(text);
  await expect.poll(() => storedText(page), { timeout: 20_000 }).toMatch(/recent\\":\[\\"/);
}

/** Returns the stored state as text. */
const storedText = (page: Page) =>
  page.evaluate(async () => {
    const name = (await indexedDB.databases()).find(({ name }) => name?.startsWith("tidings state"))?.name;
    if (!name) return "";
    const opening = indexedDB.open(name);
    await new Promise((resolve) => Object.assign(opening, { onsuccess: resolve, onerror: resolve }));
    if (!opening.result.objectStoreNames.contains("state")) return opening.result.close(), "";
    const reading = opening.result.transaction("state").objectStore("state").get("last");
    await new Promise((resolve) => (reading.onsuccess = resolve));
    opening.result.close();
    return JSON.stringify(reading.result ?? "");
  });

/** Reloads the page without a network. */
async function reloadOffline({ page }: Actor): Promise<void> {
  await page.context().setOffline(true);
  await page.reload();
}

/** Names of what the page has stored, apart from its settings, its own files, and words in the chosen language. */
const stored = (page: Page) =>
  page.evaluate(async () => [
    ...Object.keys(localStorage).filter((name) => name !== "tidings settings"),
    ...Object.keys(sessionStorage),
    ...(await indexedDB.databases()).map(({ name }) => name).filter((name) => name?.startsWith("tidings ")),
    ...(await Promise.all((await caches.keys()).map(async (name) => (await caches.open(name)).keys())))
      .flat()
      .map(({ url }) => new URL(url).pathname)
      .filter((path) => path !== "/" && path !== "/config.json" && !/^\/(assets|words)\//.test(path)),
  ]);

async function twoInAChat({ newUser, newAccount }: Pick<Fixtures, "newUser" | "newAccount">) {
  const ann = await newUser(uniqueName("Ann"), ALLOWED);
  const ben = await newAccount(uniqueName("Ben"));
  await ben.write(ann, "good morning");
  await ann.open(ben.name);
  await expect(ann.message("good morning")).toBeVisible();
  return { ann, ben };
}

test("an offline reload shows the inbox and the messages, and says how old they are", async ({ newUser, newAccount }) => {
  const { ann, ben } = await twoInAChat({ newUser, newAccount });
  await untilStored(ann, "good morning");
  await reloadOffline(ann);
  const { page } = ann;
  await expect(ann.row(ben.name)).toBeVisible();
  await expect(ann.message("good morning")).toBeVisible();
  await expect(page.getByRole("status").getByText(/You are offline\. Showing messages as of \d+:\d\d\./)).toBeVisible();
  await ann.screenshot("offline-start");
  await ben.write(ann, "are you there?");
  await page.context().setOffline(false);
  await expect(ann.message("are you there?")).toHaveCount(1);
  await expect(ann.message("good morning")).toHaveCount(1);
  await expect(page.getByText("You are offline.")).toHaveCount(0);
});

test("the divider of new messages follows the server, not the row from an earlier visit", async ({ newUser, newAccount }) => {
  const { ann, ben } = await twoInAChat({ newUser, newAccount });
  await untilStored(ann, "good morning");
  await reloadOffline(ann);
  await expect(ann.message("good morning")).toBeVisible();
  await ben.write(ann, "the first new one");
  await ben.write(ann, "the second new one");
  await ann.page.context().setOffline(false);
  await expect(ann.message("the second new one")).toBeVisible();
  const divider = ann.page.getByTestId("unread-divider");
  await expect(divider).toHaveCount(1);
  const [above, below] = await Promise.all([divider.boundingBox(), ann.message("the first new one").boundingBox()]);
  expect(above?.y ?? Infinity).toBeLessThan(below?.y ?? 0);
  const before = await ann.message("good morning").boundingBox();
  expect(before?.y ?? Infinity).toBeLessThan(above?.y ?? 0);
});

test("what is written offline survives another offline reload, and is sent once", async ({ newUser, newAccount }) => {
  const { ann, ben } = await twoInAChat({ newUser, newAccount });
  await untilStored(ann, "good morning");
  await reloadOffline(ann);
  await expect(ann.message("good morning")).toBeVisible();
  await ann.send("written offline");
  await expect(ann.message("written offline").getByLabel("Sending")).toBeVisible();
  await ann.page.reload();
  await expect(ann.message("written offline").getByLabel("Sending")).toBeVisible();
  await expect(ann.message("good morning")).toBeVisible();
  await ann.page.context().setOffline(false);
  await expect.poll(() => ben.texts(ann)).toEqual(["good morning", "written offline"]);
  await expect(ann.page.getByLabel("Sending")).toHaveCount(0);
  await ann.page.reload();
  await expect(ann.message("written offline")).toHaveCount(1);
  expect(await ben.texts(ann)).toEqual(["good morning", "written offline"]);
});

test("what was deleted or edited meanwhile is gone after the reconnect", async ({ newUser, newAccount }) => {
  const { ann, ben } = await twoInAChat({ newUser, newAccount });
  const deleted = await ben.write(ann, "to be deleted");
  const edited = await ben.write(ann, "first words");
  await expect(ann.message("first words")).toBeVisible();
  await untilStored(ann, "first words");
  await reloadOffline(ann);
  await expect(ann.message("to be deleted")).toBeVisible();
  await ben.call("DELETE", `/messages/${deleted.id}`);
  await ben.call("PATCH", `/messages/${edited.id}`, { message_text: "better words" });
  await ann.page.context().setOffline(false);
  await expect(ann.message("better words")).toHaveCount(1);
  await expect(ann.message("to be deleted")).toHaveCount(0);
  await expect(ann.message("first words")).toHaveCount(0);
  await untilStored(ann, "better words");
  expect(await storedText(ann.page)).not.toContain("to be deleted");
});

test("signing out leaves nothing of the state", async ({ newUser, newAccount }) => {
  const { ann } = await twoInAChat({ newUser, newAccount });
  const { page } = ann;
  await untilStored(ann, "good morning");
  const other = await page.context().newPage();
  await other.goto(page.url());
  await expect(other.locator("a.row").first()).toBeVisible();
  // A change that is about to be written.
  await ann.send("bye");
  await other.getByRole("button", { name: "Profile and settings" }).click();
  await other.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
  await expect.poll(() => stored(page)).toEqual([]);
  await page.waitForTimeout(4_000);
  expect(await stored(page)).toEqual([]);
});

test("if the session has ended meanwhile, the state goes and the page asks to sign in", async ({ newUser, newAccount }) => {
  const { ann } = await twoInAChat({ newUser, newAccount });
  const { page } = ann;
  await untilStored(ann, "good morning");
  await reloadOffline(ann);
  await expect(ann.message("good morning")).toBeVisible();
  await ann.call("DELETE", "/users/me", { password: PASSWORD });
  await page.context().setOffline(false);
  await expect(page.getByText("Your session has ended.")).toBeVisible();
  await expect(ann.message("good morning")).toHaveCount(0);
  await expect.poll(async () => (await stored(page)).filter((name) => /state|session/.test(name ?? ""))).toEqual([]);
});

test("a demo user leaves no state", async ({ demoUser }) => {
  const demo = await demoUser("Alice Sommer");
  await demo.page.locator("a.row").first().click();
  await demo.page.waitForTimeout(5_000);
  expect(await storedText(demo.page)).toBe("");
});
