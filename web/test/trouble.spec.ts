// What goes wrong on the way, and that nothing is lost or double.

import type { Page } from "@playwright/test";

import { Someone, Stack, expect, inFolder, meet, named, test } from "./stack.js";

/** No socket gets through, as behind some proxies. */
const withoutSockets = async (page: Page) => {
  await page.routeWebSocket(/\/ws/, (socket) => socket.close());
};

/** The texts that show, in order. */
const texts = (someone: Someone) => someone.page.locator("article .text").allInnerTexts();

test("offline and back: nothing lost, nothing double", async ({ newcomer }) => {
  const ann = await newcomer(named("Ann"));
  const ben = await newcomer(named("Ben"));
  await meet(ann, ben);
  await ann.write("before");
  await ben.open(ann.name);
  await expect(ben.message("before")).toBeVisible();

  await ann.page.context().setOffline(true);
  for (const text of ["first", "second", "third"]) await ann.write(text);
  await expect(ann.message("third").getByLabel("Sending")).toBeVisible();
  await expect(ann.page.getByText("You are offline.")).toBeVisible();
  await ann.screenshot("offline");
  await ben.write("meanwhile");
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

test("what was written offline survives a reload", async ({ newcomer }) => {
  const ann = await newcomer(named("Ann"));
  const ben = await newcomer(named("Ben"));
  await meet(ann, ben);
  await ann.write("before");
  await expect(ann.message("before").getByLabel("Sent")).toBeVisible();
  // The server is out of reach, though the network is there.
  await ann.page.route("**/api/messages/send", (route) => route.abort());
  await ann.write("kept");
  await expect(ann.message("kept").getByLabel("Sending")).toBeVisible();
  await ann.page.reload();
  await expect(ann.message("kept").getByLabel("Sending")).toBeVisible();
  await ann.page.unroute("**/api/messages/send");
  await ben.open(ann.name);
  await expect(ben.message("kept")).toHaveCount(1);
  await expect(ann.message("kept")).toHaveCount(1);
});

test("an answer that is lost: the message is there once", async ({ newcomer }) => {
  const ann = await newcomer(named("Ann"));
  const ben = await newcomer(named("Ben"));
  await meet(ann, ben);
  let lost = 0;
  await ann.page.route("**/api/messages/send", async (route) => {
    lost += 1;
    if (lost > 1) return route.continue();
    await route.fetch();
    return route.abort();
  });
  await ann.write("only once");
  await expect(ann.message("only once").getByLabel("Sent")).toBeVisible();
  await ben.open(ann.name);
  await expect(ben.message("only once")).toHaveCount(1);
  await expect(ann.message("only once")).toHaveCount(1);
  await ann.write("and on");
  await expect.poll(() => texts(ben)).toEqual(["only once", "and on"]);
});

test("a change that is refused, of a message on its way or sent, keeps what was typed", async ({ newcomer }) => {
  const ann = await newcomer(named("Ann"));
  const ben = await newcomer(named("Ben"));
  await meet(ann, ben);
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
  await ann.write("one try");
  await ann.act("one try", "Edit");
  await ann.write("a first try");
  await expect(ann.message("a first try")).toBeVisible();
  isHeld = false;
  const note = ann.page.getByTestId("refused-change");
  await expect(note).toContainText("a first try");
  await expect(ann.page.getByText("A message was not changed: That is not possible.")).toBeVisible();
  await expect(ann.message("one try").getByLabel("Sent")).toBeVisible();
  await ann.screenshot("refused-change");

  // It is there after a reload, can be worked on, and is kept again.
  await ann.page.reload();
  await note.getByRole("button", { name: "Edit" }).click();
  await expect(ann.field).toHaveValue("a first try");
  await ann.write("a second try");
  await expect(note).toContainText("a second try");
  await ann.page.unroute(/\/api\/messages\/[^/]+$/);
  await note.getByRole("button", { name: "Try again" }).click();
  await expect(ann.message("a second try")).toContainText("edited");
  await expect(note).toHaveCount(0);
});

test("without a socket, polling carries everything", async ({ newcomer }) => {
  const ann = await newcomer(named("Ann"), { prepare: withoutSockets });
  const ben = await newcomer(named("Ben"), { prepare: withoutSockets });
  await meet(ann, ben);
  await ann.write("by the slow road");
  await ben.open(ann.name);
  await expect(ben.message("by the slow road")).toBeVisible();
  await expect(ann.message("by the slow road").getByLabel("Read")).toBeVisible();
  await ben.field.pressSequentially("mm");
  await expect(ann.page.getByTestId("typing")).toContainText("is typing");
  await ben.write("arrived");
  await expect(ann.message("arrived")).toBeVisible();
  await ann.act("by the slow road", "Edit");
  await ann.write("by the other road");
  await expect(ben.message("by the other road")).toBeVisible();
  await expect(ann.page.getByTestId("presence")).toContainText("online");
});

test("the server is killed and started again: the chat goes on", async ({ newcomer }) => {
  await inFolder(async (folder) => {
    const stack = await new Stack(["--data-dir", folder]).start();
    try {
      const ann = await newcomer(named("Ann"), { stack });
      const ben = await newcomer(named("Ben"), { stack });
      await meet(ann, ben);
      await ann.write("before the cut");
      await ben.open(ann.name);
      await expect(ann.message("before the cut").getByLabel("Read")).toBeVisible();
      await stack.kill();
      await ann.write("during the cut");
      await expect(ann.page.getByText("You are offline.")).toBeVisible();
      await stack.start();
      await expect(ben.message("during the cut")).toBeVisible({ timeout: 40_000 });
      await expect(ann.page.getByText("You are offline.")).toHaveCount(0);
      await ben.write("after the cut");
      await expect(ann.message("after the cut")).toBeVisible();
      const expected = ["before the cut", "during the cut", "after the cut"];
      await expect.poll(() => texts(ann)).toEqual(expected);
      await expect.poll(() => texts(ben)).toEqual(expected);
    } finally {
      await stack.kill();
    }
  });
});
