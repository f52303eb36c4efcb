// Network and server faults neither lose nor duplicate messages.

import type { Page } from "@playwright/test";

import { Actor, Stack, expect, startDirectChat, test, uniqueName, withTemporaryFolder } from "./stack.js";

/** Blocks sockets, as some proxies do. */
const withoutSockets = async (page: Page) => {
  await page.routeWebSocket(/\/ws/, (socket) => socket.close());
};

/** Returns the visible texts in order. */
const texts = (actor: Actor) => actor.page.locator("article .text").allInnerTexts();

test("messages sent while offline arrive once, in order", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  await ann.send("before");
  await ben.open(ann.name);
  await expect(ben.message("before")).toBeVisible();

  await ann.page.context().setOffline(true);
  for (const text of ["first", "second", "third"]) await ann.send(text);
  await expect(ann.message("third").getByLabel("Sending")).toBeVisible();
  await expect(ann.page.getByText("You are offline.")).toBeVisible();
  await ann.screenshot("offline");
  await ben.send("meanwhile");
  await expect(ben.message("meanwhile").getByLabel("Sent")).toBeVisible();

  await ann.page.context().setOffline(false);
  await expect(ann.message("meanwhile")).toBeVisible();
  await expect(ann.message("third").getByLabel("Read")).toBeVisible();
  await expect(ann.page.getByText("You are offline.")).toHaveCount(0);
  await expect(ben.message("third")).toBeVisible();
  const expected = ["before", "meanwhile", "first", "second", "third"];
  await expect.poll(() => texts(ben)).toEqual(expected);
  await expect.poll(() => texts(ann)).toEqual(expected);
});

test("messages sent while offline survive a reload", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  await ann.send("before");
  await expect(ann.message("before").getByLabel("Sent")).toBeVisible();
  // The server is unreachable, although the network is up.
  await ann.page.route("**/api/messages/send", (route) => route.abort());
  await ann.send("pending");
  await expect(ann.message("pending").getByLabel("Sending")).toBeVisible();
  await ann.page.reload();
  await expect(ann.message("pending").getByLabel("Sending")).toBeVisible();
  await ann.page.unroute("**/api/messages/send");
  await expect.poll(() => ben.texts(ann)).toEqual(["before", "pending"]);
  await expect(ann.message("pending")).toHaveCount(1);
});

test("a lost response does not duplicate the message", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"), { prepare: withoutSockets });
  const ben = await newAccount(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  let attempts = 0;
  // The message's event would confirm it, and there would be no second attempt.
  await ann.page.route("**/api/events?*", async (route) => {
    while (attempts < 2) await new Promise((done) => setTimeout(done, 50));
    await route.continue();
  });
  await ann.page.route("**/api/messages/send", async (route) => {
    attempts += 1;
    if (attempts > 1) return route.continue();
    await route.fetch();
    return route.abort();
  });
  await ann.send("only once");
  await expect(ann.message("only once").getByLabel("Sent")).toBeVisible();
  expect(attempts).toBe(2);
  expect(await ben.texts(ann)).toEqual(["only once"]);
  await expect(ann.message("only once")).toHaveCount(1);
  await ann.send("and on");
  await expect.poll(() => ben.texts(ann)).toEqual(["only once", "and on"]);
});

test("a refused edit of a pending or sent message keeps its text", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  let isHeld = true;
  await ann.page.route("**/api/messages/send", async (route) => {
    while (isHeld) await new Promise((done) => setTimeout(done, 50));
    await route.continue();
  });
  const problem = { status: 403, code: "blocked", message: "That is not possible.", detail: "That is not possible." };
  await ann.page.route(/\/api\/messages\/[^/]+$/, async (route) => {
    if (route.request().method() !== "PATCH") return route.fallback();
    await route.fulfill({ status: 403, contentType: "application/problem+json", json: problem });
  });
  await ann.send("one try");
  await ann.chooseAction("one try", "Edit");
  await ann.send("a first try");
  await expect(ann.message("a first try")).toBeVisible();
  isHeld = false;
  const note = ann.page.getByTestId("failed-edit");
  await expect(note).toContainText("a first try");
  await expect(ann.page.getByText("Could not edit the message: That is not possible.")).toBeVisible();
  await expect(ann.message("one try").getByLabel("Sent")).toBeVisible();
  await ann.screenshot("failed-edit");

  // The text survives a reload, can be edited further, and is kept again.
  await ann.page.reload();
  await note.getByRole("button", { name: "Edit" }).click();
  await expect(ann.field).toHaveValue("a first try");
  await ann.send("a second try");
  await expect(note).toContainText("a second try");
  await ann.page.unroute(/\/api\/messages\/[^/]+$/);
  await note.getByRole("button", { name: "Try again" }).click();
  await expect(ann.message("a second try")).toContainText("edited");
  await expect(note).toHaveCount(0);
});

test("without sockets, everything arrives by polling", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"), { prepare: withoutSockets });
  const ben = await newUser(uniqueName("Ben"), { prepare: withoutSockets });
  await startDirectChat(ann, ben);
  await ann.send("sent without a socket");
  await ben.open(ann.name);
  await expect(ben.message("sent without a socket")).toBeVisible();
  await expect(ann.message("sent without a socket").getByLabel("Read")).toBeVisible();
  await ben.field.pressSequentially("mm");
  await expect(ann.page.getByTestId("typing")).toContainText("is typing");
  await ben.send("arrived");
  await expect(ann.message("arrived")).toBeVisible();
  await ann.chooseAction("sent without a socket", "Edit");
  await ann.send("edited without a socket");
  await expect(ben.message("edited without a socket")).toBeVisible();
  await expect(ann.page.getByTestId("presence")).toContainText("online");
});

test("the chat continues after a server crash", async ({ newUser }) => {
  await withTemporaryFolder(async (folder) => {
    const stack = await new Stack(["--data-dir", folder]).start();
    try {
      const ann = await newUser(uniqueName("Ann"), { stack });
      const ben = await newUser(uniqueName("Ben"), { stack });
      await startDirectChat(ann, ben);
      await ann.send("before the crash");
      await ben.open(ann.name);
      await expect(ann.message("before the crash").getByLabel("Read")).toBeVisible();
      await stack.kill();
      await ann.send("during the crash");
      await expect(ann.page.getByText("You are offline.")).toBeVisible();
      await stack.start();
      await expect(ben.message("during the crash")).toBeVisible({ timeout: 40_000 });
      await expect(ann.page.getByText("You are offline.")).toHaveCount(0);
      await ben.send("after the crash");
      await expect(ann.message("after the crash")).toBeVisible();
      const expected = ["before the crash", "during the crash", "after the crash"];
      await expect.poll(() => texts(ann)).toEqual(expected);
      await expect.poll(() => texts(ben)).toEqual(expected);
    } finally {
      await stack.kill();
    }
  });
});
