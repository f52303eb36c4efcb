// What two who write to each other see.

import { expect, meet, named, test } from "./stack.js";

/** A name that no other test has. */
test("two people chat: presence, typing, ticks, unread counts", async ({ newcomer }) => {
  const ann = await newcomer(named("Ann"));
  const ben = await newcomer(named("Ben"));
  await meet(ann, ben);
  await ann.write("Hello Ben");
  await expect(ann.message("Hello Ben").getByLabel("Sent")).toBeVisible();

  await expect(ben.row(ann.name).locator(".badge")).toContainText("1");
  await expect(ben.page).toHaveTitle("(1) Tidings");
  await ben.open(ann.name);
  await expect(ben.message("Hello Ben")).toBeVisible();
  await expect(ann.message("Hello Ben").getByLabel("Read")).toBeVisible();
  await expect(ben.row(ann.name).locator(".badge")).toHaveCount(0);
  await expect(ben.page).toHaveTitle("Tidings");
  await expect(ann.page.getByTestId("presence")).toHaveText("online, and here");

  await ben.field.pressSequentially("Hel");
  await expect(ann.page.getByTestId("typing")).toContainText(`${ben.name} is typing`);
  await ben.write("Hello Ann");
  await expect(ann.message("Hello Ann")).toBeVisible();
  await expect(ann.page.getByTestId("typing")).not.toContainText("typing");
  // Read out politely, and only what others write.
  await expect(ann.page.locator(".timeline [aria-live=polite]")).toHaveText(`${ben.name}: Hello Ann`);
  await expect(ben.page.locator(".timeline [aria-live=polite]")).toHaveText("");
  // Where one looks shows while one does.
  await ben.page.goto(`${new URL(ben.page.url()).origin}/#/`);
  await expect(ann.page.getByTestId("presence")).toHaveText("online");
});

test("editing, replying, copying and deleting", async ({ newcomer }) => {
  const ann = await newcomer(named("Ann"));
  const ben = await newcomer(named("Ben"));
  await meet(ann, ben);
  await ann.write("See you at nin");
  await ben.open(ann.name);
  await ann.act("See you at nin", "Edit");
  await ann.write("See you at nine");
  await expect(ben.message("See you at nine")).toContainText("edited");

  await ben.act("See you at nine", "Reply");
  await ben.write("With pleasure");
  await expect(ann.message("With pleasure").locator(".quote")).toContainText("See you at nine");
  await ben.act("See you at nine", "Copy text");
  await expect(ben.page.getByText("Copied.")).toBeVisible();
  expect(await ben.page.evaluate(() => navigator.clipboard.readText())).toBe("See you at nine");

  // The last one's own, by the keyboard.
  await ben.field.press("ArrowUp");
  await expect(ben.field).toHaveValue("With pleasure");
  await ben.field.press("Escape");
  await expect(ben.field).toHaveValue("");

  await ann.act("See you at nine", "Delete");
  await ann.page.getByRole("button", { name: "For everyone" }).click();
  await expect(ben.message("This message was deleted")).toBeVisible();
  await expect(ben.message("See you at nine")).toHaveCount(0);
  await ben.act("With pleasure", "Delete");
  await ben.page.getByRole("button", { name: "For me" }).click();
  await expect(ben.message("With pleasure")).toHaveCount(0);
  await expect(ann.message("With pleasure")).toBeVisible();
});

test("Enter sends, Shift+Enter does not, nor does an input method's", async ({ newcomer }) => {
  const ann = await newcomer(named("Ann"));
  const ben = await newcomer(named("Ben"));
  await meet(ann, ben);
  await ann.field.pressSequentially("one");
  await ann.field.press("Shift+Enter");
  await ann.field.pressSequentially("two");
  await expect(ann.field).toHaveValue("one\ntwo");
  await ann.field.evaluate((field) =>
    field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true, cancelable: true })),
  );
  await expect(ann.field).toHaveValue("one\ntwo");
  await ann.field.press("Enter");
  await expect(ann.field).toHaveValue("");
  await expect(ann.page.locator("article .text")).toHaveText("one\ntwo");
});

test("drafts stay with their conversation, also over a reload", async ({ newcomer }) => {
  const ann = await newcomer(named("Ann"));
  const ben = await newcomer(named("Ben"));
  const cem = await newcomer(named("Cem"));
  await meet(ann, ben);
  await ann.field.fill("half a thou");
  await meet(ann, cem);
  await expect(ann.field).toHaveValue("");
  await expect(ann.row(ben.name)).toContainText("Draft: half a thou");
  await ann.page.reload();
  await ann.open(ben.name);
  await expect(ann.field).toHaveValue("half a thou");
});

test("blocking and unblocking, and deleting a conversation", async ({ newcomer }) => {
  const ann = await newcomer(named("Ann"));
  const ben = await newcomer(named("Ben"));
  await meet(ann, ben);
  await ann.write("Hello");
  await ben.open(ann.name);
  await ben.page.getByRole("button", { name: "Details", exact: true }).click();
  await ben.page.getByRole("button", { name: "Block", exact: true }).click();
  await ben.page.getByRole("button", { name: "Close" }).click();
  await expect(ben.page.getByText("You have blocked")).toBeVisible();
  await ann.write("Do you hear me?");
  await expect(ann.page.locator(".failed-note")).toBeVisible();
  await ben.page.getByRole("button", { name: "Unblock" }).click();
  await expect(ben.field).toBeVisible();
  await ann.page.locator(".failed-note").getByRole("button", { name: "Try again" }).click();
  await expect(ben.message("Do you hear me?")).toBeVisible();
  await expect(ben.message("Do you hear me?")).toHaveCount(1);

  await ben.page.getByRole("button", { name: "Details", exact: true }).click();
  await ben.page.getByRole("button", { name: "Delete conversation" }).click();
  await ben.page.getByRole("button", { name: "Delete conversation" }).click();
  await expect(ben.row(ann.name)).toHaveCount(0);
});

test("a group and a room", async ({ newcomer }) => {
  const ann = await newcomer(named("Ann"));
  const ben = await newcomer(named("Ben"));
  const group = named("Picnic");
  await ann.makeGroup(group, ben.name);
  await ann.write("Who brings the blanket?");
  await ben.open(group);
  await expect(ben.message("Who brings the blanket?").locator(".sender-name")).toHaveText(ann.name);
  await ben.write("I do");
  await expect(ann.message("I do")).toBeVisible();
  await expect(ann.message("Who brings the blanket?").getByLabel("Read")).toBeVisible();

  await expect(ann.page.getByTestId("notice")).toHaveText([`You made this group`]);

  // Renamed, and Ben is taken out.
  await ann.page.getByRole("button", { name: "Details", exact: true }).click();
  await ann.page.getByLabel("Name", { exact: true }).fill(`${group} 2`);
  await ann.page.getByRole("button", { name: "Save" }).click();
  await expect(ben.row(`${group} 2`)).toBeVisible();
  await expect(ben.page.getByTestId("notice")).toHaveText(["You were added", `The name is now ${group} 2`]);
  await ann.page.getByRole("button", { name: `Make ${ben.name} an admin` }).click();
  await expect(ben.page.getByTestId("notice").last()).toHaveText("You are an admin now");
  await ann.page.getByRole("button", { name: `Remove ${ben.name}` }).click();
  await expect(ben.row(group)).toHaveCount(0);
  await ann.page.getByRole("button", { name: "Close" }).click();
  await expect(ann.page.getByTestId("notice")).toHaveText([
    "You made this group",
    `The name is now ${group} 2`,
    `You removed ${ben.name}`,
  ]);

  const room = named("Garden");
  await ann.page.getByRole("button", { name: "New conversation" }).first().click();
  await ann.page.getByRole("tab", { name: "Rooms" }).click();
  await ann.page.getByLabel("Name of a room").fill(room);
  await ann.page.getByRole("button", { name: `Make the room` }).click();
  await expect(ann.page.getByRole("heading", { level: 2, name: room })).toBeVisible();
  await ann.write("Tomatoes are ripe");
  await ben.page.getByRole("button", { name: "New conversation" }).first().click();
  await ben.page.getByRole("tab", { name: "Rooms" }).click();
  await ben.page.getByLabel("Name of a room").fill(room);
  await ben.page.getByRole("button", { name: `Join ${room}` }).click();
  await expect(ben.message("Tomatoes are ripe")).toBeVisible();
  await expect(ben.page.getByRole("heading", { level: 2, name: room })).toBeVisible();
  await ben.write("On my way");
  await expect(ann.message("On my way")).toBeVisible();
  // Between the messages, where it happened.
  await expect(ann.page.locator(".event, article .text")).toHaveText([
    "You made this room",
    "Tomatoes are ripe",
    `${ben.name} joined`,
    "On my way",
  ]);
  await ben.page.getByRole("button", { name: "Details", exact: true }).click();
  await ben.page.getByRole("button", { name: "Leave room" }).click();
  await ben.page.getByRole("button", { name: "Leave room" }).click();
  await expect(ben.row(room)).toHaveCount(0);
  await expect(ann.page.getByTestId("notice").last()).toHaveText(`${ben.name} left`);
  await ann.screenshot("notices");
});

test("registering, changing the password, deleting the account", async ({ page, stack }) => {
  const username = `u${crypto.randomUUID().replaceAll("-", "").slice(0, 20)}`;
  await page.goto(stack.url);
  await page.getByRole("button", { name: "Register" }).click();
  await page.getByLabel("Name", { exact: true }).fill("Dana Ortiz");
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("E-mail address").fill(`${username}@example.com`);
  await page.getByLabel("Password").fill("the first password");
  await page.getByRole("button", { name: "Make the account" }).click();
  await expect(page.getByText("No conversations yet")).toBeVisible();
  await page.getByRole("button", { name: "Profile and settings" }).click();
  await page.getByRole("button", { name: "Change password" }).click();
  await page.getByLabel("Current password").fill("the first password");
  await page.getByLabel("New password").fill("the second password");
  await page.getByRole("button", { name: "Change password", exact: true }).click();
  await expect(page.getByText("The password is changed")).toBeVisible();
  await page.getByRole("button", { name: "Sign out" }).click();

  const signIn = async (password: string) => {
    await page.getByLabel("Username or e-mail address").fill(username);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
  };
  await signIn("the first password");
  await expect(page.getByRole("alert")).toBeVisible();
  await signIn("the second password");
  await page.getByRole("button", { name: "Profile and settings" }).click();
  await page.getByRole("button", { name: "Delete account" }).click();
  await page.getByLabel("Password").fill("the second password");
  await page.getByRole("button", { name: "Delete account", exact: true }).click();
  await signIn("the second password");
  await expect(page.getByRole("alert")).toBeVisible();
});
