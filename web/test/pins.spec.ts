// Pinned messages: the bar, the list, and who may pin.

import { expect, expectNoViolations, register, startDirectChat, test, uniqueName } from "./stack.js";

test("the newest pinned message shows above the messages, and a click jumps to it", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  const { id } = await ann.write(ben, "The key is under the mat");
  for (let n = 0; n < 80; n += 1) await ann.write(ben, `Talk ${n}`);
  await ben.open(ann.name);
  await ann.call("PUT", `/messages/${id}/pin`);
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

test("all pins are listed, the latest first; edits and deletions show in the bar", async ({ newUser, newAccount }) => {
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  const first = await ann.write(ben, "First");
  const second = await ann.write(ben, "Second");
  await ben.open(ann.name);
  for (const { id } of [first, second]) await ann.call("PUT", `/messages/${id}/pin`);
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
  await ann.call("PATCH", `/messages/${first.id}`, { message_text: "First, edited" });
  await expect(bar).toContainText("First, edited");
  await ann.call("DELETE", `/messages/${first.id}`);
  await expect(bar).toHaveCount(0);
});

test("in a large conversation, only admins may pin and mention everyone", async ({ newUser, stack }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  const others = await Promise.all(Array.from({ length: 23 }, (_, n) => register(stack.url, `Member ${n}`)));
  const group = uniqueName("Choir");
  await ann.createGroup(group, ben, ...others);
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

test("the bar fits a narrow, mirrored page with text in another script", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"), { viewport: { width: 320, height: 568 } });
  const ben = await newAccount(uniqueName("Ben"));
  const { id } = await ben.write(ann, `لا تنسوا المفاتيح ${"very long text ".repeat(20)}`);
  await ann.open(ben.name);
  await ben.call("PUT", `/messages/${id}/pin`);
  await expect(ann.page.getByRole("complementary", { name: "Pinned messages" })).toBeVisible();
  await ann.page.evaluate(() => (document.documentElement.dir = "rtl"));
  expect(await ann.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
  await ann.screenshot("pins-right-to-left");
  await expectNoViolations(ann.page);
});
