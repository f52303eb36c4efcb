// People: their profiles, and the details of groups.

import type { Page } from "@playwright/test";

import { expect, startDirectChat, test, uniqueName } from "./stack.js";

test("names and pictures open a profile, from which one can write and block", async ({ newUser, newAccount }) => {
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  const group = uniqueName("Choir");
  await ann.write(await ann.createGroup(group, ben), "Welcome");
  await ben.open(group);
  const { page } = ben;
  await ben.message("Welcome").locator(".sender-name").getByRole("button", { name: ann.name }).click();
  const dialog = page.getByRole("dialog", { name: ann.name });
  await expect(dialog.getByRole("list", { name: "Groups in common" }).getByText(group)).toBeVisible();
  await ben.screenshot("profile");
  await dialog.getByRole("button", { name: "Block" }).click();
  await expect(dialog.getByText("Blocked.")).toBeVisible();
  await dialog.getByRole("button", { name: "Unblock" }).click();
  await page.keyboard.press("Escape");
  await ben.message("Welcome").locator(".sender").getByRole("button", { name: ann.name }).click();
  await dialog.getByRole("button", { name: "Message" }).click();
  await expect(page.getByRole("heading", { level: 2, name: ann.name })).toBeVisible();
  await expect(page.locator("dialog")).toHaveCount(0);
  await expect(ben.field).toBeVisible();

  // From the members of the group as well.
  await ben.open(group);
  await page.getByRole("button", { name: "Details", exact: true }).click();
  await page.getByRole("list", { name: "People" }).getByRole("button", { name: ann.name }).click();
  await expect(dialog.getByRole("button", { name: "Message" })).toBeVisible();
  await dialog.getByRole("button", { name: "Message" }).click();
  await expect(page.locator("dialog")).toHaveCount(0);
  await expect(page.getByRole("heading", { level: 2, name: ann.name })).toBeVisible();
});

test("a description has several lines, and all see it", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  const group = uniqueName("Garden");
  await ann.createGroup(group, ben);
  await ann.open(group);
  await ann.page.getByRole("button", { name: "Details", exact: true }).click();
  await ann.page.getByRole("button", { name: "Edit name and description" }).click();
  const text = `Mondays at six\n\nSee https://example.com/plan\n${"and so on ".repeat(40)}`.trim();
  await ann.page.getByLabel("Description").fill(text);
  await ann.page.getByRole("button", { name: "Save" }).click();
  await expect(ann.page.getByText("Saved.")).toBeVisible();
  await ann.screenshot("group-details");
  await ben.open(group);
  await ben.page.getByRole("button", { name: "Details", exact: true }).click();
  const shown = ben.page.locator(".description");
  expect(await shown.innerText()).toBe(text);
  await expect(shown.getByRole("link")).toHaveAttribute("href", "https://example.com/plan");
  await expect(ben.page.getByRole("button", { name: "Edit name" })).toHaveCount(0);
});

test("an account is signed in to all tabs, a demo user to one", async ({ newUser, demoUser, stack }) => {
  const ann = await newUser(uniqueName("Ann"));
  const second = await ann.page.context().newPage();
  await second.goto(stack.url);
  await expect(second.getByRole("button", { name: "New conversation" }).first()).toBeVisible();
  const alice = await demoUser("Alice Sommer");
  const other = await alice.page.context().newPage();
  await other.goto(stack.url);
  await expect(other.getByRole("button", { name: "Bob Okafor" })).toBeVisible();
});

test("a group shows how many have read a message, and a link leads to it", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  const cara = await newUser(uniqueName("Cara"));
  const group = uniqueName("Trio");
  const id = await ann.createGroup(group, ben, cara);
  await ann.open(group);
  await expect(ann.page.getByTestId("presence")).toHaveText("Group, 3 members");
  await ann.send("Read this");
  await expect(ann.message("Read this").getByLabel("Sent")).toBeVisible();
  await ben.markAsRead(id);
  await expect(ann.message("Read this").locator(".read-by")).toHaveText("1");
  await ann.chooseAction("Read this", "Copy link");
  await expect(ann.page.getByText("Link copied.")).toBeVisible();
  const link = await ann.page.evaluate(() => navigator.clipboard.readText());
  await cara.page.goto(link);
  await expect(cara.message("Read this")).toHaveClass(/highlighted/);
});

test("the configuration is fetched beside the scripts, and once", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"));
  const { page } = ann;
  const address = page.url();
  // The calls of the page before are not counted.
  await page.goto("about:blank");
  const asked: string[] = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await page.goto(address);
  await expect(page.getByRole("button", { name: "New conversation" }).first()).toBeVisible();
  // The stored state is shown before the server is asked.
  await expect.poll(() => asked).toContain("/api/users/me");
  expect(asked.filter((path) => path === "/config.json")).toHaveLength(1);
  expect(asked.indexOf("/config.json")).toBeLessThan(asked.indexOf("/api/users/me"));
});

test("a conversation is loaded beside the inbox, and no longer after it", async ({ newUser, newAccount }) => {
  // Without a stored state, as on the first visit.
  const prepare = async (page: Page) => {
    await page.addInitScript(() => Object.defineProperty(window, "indexedDB", { value: undefined }));
  };
  const ann = await newUser(uniqueName("Ann"), { prepare });
  const ben = await newAccount(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  await ann.send("Hello");
  await expect(ann.message("Hello").getByLabel("Sent")).toBeVisible();
  // The answer for the inbox is held back, and the messages are asked for nevertheless.
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  await ann.page.route("**/api/messages/inbox**", async (route) => {
    await held;
    await route.continue();
  });
  const messages = ann.page.waitForRequest(/\/conversations\/[^/]+\/messages/);
  await ann.page.reload();
  await messages;
  release();
  await expect(ann.message("Hello")).toBeVisible();
  await ann.page.unrouteAll({ behavior: "ignoreErrors" });
});
