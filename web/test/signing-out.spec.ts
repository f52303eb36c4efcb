// Accounts are signed in to the whole browser; signing out leaves nothing behind.

import type { Page } from "@playwright/test";

import { PASSWORD, expect, startDirectChat, test, uniqueName } from "./stack.js";

/** Names of what the page has stored, apart from its settings. */
const stored = (page: Page) =>
  page.evaluate(async () => [
    ...Object.keys(localStorage).filter((name) => name !== "tidings settings"),
    ...Object.keys(sessionStorage),
    ...(await indexedDB.databases()).map(({ name }) => name).filter((name) => name?.startsWith("tidings ")),
  ]);

test("signing out asks about unsent messages, and removes everything of the user", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  const { page } = ann;
  await startDirectChat(ann, ben);
  await page.route("**/api/messages/send", (route) => route.abort());
  await ann.send("secret unsent");
  await expect(ann.message("secret unsent").getByLabel("Sending")).toBeVisible();
  await ann.field.fill("secret draft");
  await expect.poll(async () => (await stored(page)).length).toBeGreaterThanOrEqual(3);
  await page.getByRole("button", { name: "Profile and settings" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByText("One message has not been sent yet")).toBeVisible();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Delete and sign out" }).click();
  await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
  await expect.poll(() => stored(page)).toEqual([]);
});

test("deleting the account removes everything of the user", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  const { page } = ann;
  await startDirectChat(ann, ben);
  await ann.field.fill("secret draft");
  await page.getByRole("button", { name: "Profile and settings" }).click();
  await page.getByRole("button", { name: "Delete account" }).click();
  // A wrong password is reported in the form, and costs one attempt.
  let attempts = 0;
  page.on("request", (request) => {
    if (request.method() === "DELETE" || request.url().endsWith("/auth/refresh")) attempts += 1;
  });
  await page.getByLabel("Password").fill("not this one");
  await page.getByRole("button", { name: "Delete account", exact: true }).click();
  await expect(page.locator("dialog").getByRole("alert")).toHaveText("The password is wrong.");
  expect(attempts).toBe(1);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Delete account", exact: true }).click();
  await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
  await expect.poll(() => stored(page)).toEqual([]);
});

test("an account is signed in to all tabs, and signed out of all", async ({ newUser, stack }) => {
  const ann = await newUser(uniqueName("Ann"));
  const other = await ann.page.context().newPage();
  await other.goto(stack.url);
  await expect(other.getByRole("button", { name: "New conversation" }).first()).toBeVisible();
  // A demo user can be signed in beside it.
  const demo = await ann.page.context().newPage();
  await demo.goto(`${stack.url}/?as=alice`);
  await expect(demo.locator("a.row").first()).toBeVisible();
  await other.getByRole("button", { name: "Profile and settings" }).click();
  await other.getByRole("button", { name: "Sign out" }).click();
  await expect(ann.page.getByText("Your session has ended.")).toBeVisible();
  await expect(demo.locator("a.row").first()).toBeVisible();
});
