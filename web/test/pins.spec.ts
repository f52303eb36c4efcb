// Pinned messages: the bar, the list, and who may pin.

import { expect, expectNoViolations, register, startDirectChat, test, uniqueName } from "./stack.js";

test("the newest pinned message shows above the messages, and a click jumps to it", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"), { reducedMotion: "reduce" });
  await startDirectChat(ann, ben);
  const [{ conversation_id }] = await ann.call<[{ conversation_id: string }]>("GET", "/messages/inbox");
  const texts = ["The key is under the mat", ...Array.from({ length: 80 }, (_, n) => `Talk ${n}`)];
  for (const message_text of texts) await ann.call("POST", "/messages/send", { conversation_id, message_text });
  await ben.open(ann.name);
  const messages = await ann.call<{ id: string; message_text: string }[]>("GET", `/conversations/${encodeURIComponent(conversation_id)}/messages?limit=100`);
  await ann.call("PUT", `/messages/${encodeURIComponent(messages[0]?.id ?? "")}/pin`);
  const bar = ben.page.getByRole("complementary", { name: "Pinned messages" });
  await expect(bar).toContainText("The key is under the mat");
  await bar.getByRole("button", { name: "Pinned message: The key" }).click();
  await expect(ben.message("The key is under the mat")).toBeInViewport();
  await expect(ben.message("The key is under the mat")).toHaveClass(/highlighted/);
  // The other may unpin it.
  await ben.chooseAction("The key is under the mat", "Unpin");
  await expect(bar).toHaveCount(0);
  await expect(ann.page.getByRole("complementary", { name: "Pinned messages" })).toHaveCount(0);
});

test("all pins are listed, the latest first; edits and deletions show in the bar", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  await ann.send("First");
  await ann.send("Second");
  await ben.open(ann.name);
  await ann.chooseAction("First", "Pin");
  await ann.chooseAction("Second", "Pin");
  const bar = ben.page.getByRole("complementary", { name: "Pinned messages" });
  await expect(bar).toContainText("Second");
  await ben.page.reload();
  await bar.getByRole("button", { name: "2 pinned messages" }).press("Enter");
  const dialog = ben.page.getByRole("dialog", { name: "Pinned messages" });
  await expect(dialog.getByRole("listitem")).toContainText(["Second", "First"]);
  await expectNoViolations(ben.page);
  await ben.screenshot("pins-light");
  await ben.page.emulateMedia({ colorScheme: "dark" });
  await ben.screenshot("pins-dark");
  await expectNoViolations(ben.page);
  await dialog.getByRole("button", { name: "Unpin “Second”" }).press("Enter");
  await expect(dialog.getByRole("listitem")).toContainText(["First"]);
  await dialog.getByRole("button", { name: /First/ }).first().press("Enter");
  await expect(dialog).toHaveCount(0);
  await expect(bar).toContainText("First");
  await ann.chooseAction("First", "Edit");
  await ann.send("First, edited");
  await expect(bar).toContainText("First, edited");
  await ann.chooseAction("First, edited", "Delete");
  await ann.page.getByRole("button", { name: "For everyone" }).click();
  await expect(bar).toHaveCount(0);
});

test("in a large conversation, only admins may pin and mention everyone", async ({ newUser, stack }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  const usernames = await Promise.all(Array.from({ length: 23 }, (_, n) => register(stack.url, `Member ${n}`)));
  const found = await Promise.all(usernames.map((name) => ann.call<[{ id: string }]>("GET", `/users?q=${name}`)));
  const participant_ids = [await ben.id(), ...found.map(([{ id }]) => id)];
  const group = uniqueName("Choir");
  await ann.call("POST", "/conversations", { type: "group", name: group, participant_ids });
  await ann.open(group);
  await ann.send("Rehearsal at eight");
  await ben.open(group);
  for (const [actor, isAdmin] of [[ben, false], [ann, true]] as const) {
    await actor.message("Rehearsal at eight").hover();
    await actor.message("Rehearsal at eight").getByRole("button", { name: "Message actions" }).click();
    await expect(actor.page.getByRole("menuitem", { name: "Reply" })).toBeVisible();
    await expect(actor.page.getByRole("menuitem", { name: "Pin", exact: true })).toHaveCount(isAdmin ? 1 : 0);
    await actor.page.keyboard.press("Escape");
    // The menu gives the focus back when it has closed.
    await expect(actor.page.getByRole("menu")).toHaveCount(0);
    await actor.field.pressSequentially("@");
    await expect(actor.page.getByRole("option")).toHaveCount(8);
    await actor.field.pressSequentially("every");
    await expect(actor.page.getByRole("option")).toHaveCount(isAdmin ? 1 : 0);
  }
  await ann.field.fill("");
  await ann.chooseAction("Rehearsal at eight", "Pin");
  await expect(ben.page.getByRole("complementary", { name: "Pinned messages" })).toContainText("Rehearsal at eight");
  await ben.page.getByRole("button", { name: "Pinned message", exact: true }).click();
  await expect(ben.page.getByRole("dialog", { name: "Pinned messages" })).toContainText("Rehearsal at eight");
  await expect(ben.page.getByRole("button", { name: /Unpin/ })).toHaveCount(0);
});

test("the bar fits a narrow, mirrored page with text in another script", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"), { viewport: { width: 320, height: 568 }, reducedMotion: "reduce" });
  const ben = await newUser(uniqueName("Ben"));
  await startDirectChat(ben, ann);
  await ben.send(`لا تنسوا المفاتيح ${"very long text ".repeat(20)}`);
  await ann.open(ben.name);
  await ben.chooseAction("very long", "Pin");
  await expect(ann.page.getByRole("complementary", { name: "Pinned messages" })).toBeVisible();
  await ann.page.evaluate(() => (document.documentElement.dir = "rtl"));
  expect(await ann.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
  await ann.screenshot("pins-right-to-left");
  await expectNoViolations(ann.page);
});
