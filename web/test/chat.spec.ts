// Chatting: messages, groups, rooms, blocking and accounts.

import { expect, startDirectChat, test, uniqueName, WITH_MOTION } from "./stack.js";

test.use(WITH_MOTION);

test("two users see each other's presence, typing, ticks and unread counts", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  await ann.page.getByRole("button", { name: "New conversation" }).first().click();
  await ann.page.getByLabel("Find people").fill(ben.name);
  await ann.page.getByRole("button", { name: `Message ${ben.name}` }).click();
  await expect(ann.page.getByRole("heading", { level: 2, name: ben.name })).toBeVisible();
  await ann.send("Hello Ben");
  await expect(ann.message("Hello Ben").getByLabel("Sent")).toBeVisible();

  await expect(ben.row(ann.name).locator(".badge")).toContainText("1");
  await expect(ben.page).toHaveTitle("(1) Tidings");
  await ben.open(ann.name);
  await expect(ben.message("Hello Ben")).toBeVisible();
  await expect(ann.message("Hello Ben").getByLabel("Read")).toBeVisible();
  await expect(ben.row(ann.name).locator(".badge")).toHaveCount(0);
  await expect(ben.page).toHaveTitle("Tidings");
  await expect(ann.page.getByTestId("presence")).toHaveText("online, in this conversation");

  await ben.field.pressSequentially("Hel");
  await expect(ann.page.getByTestId("typing")).toContainText(`${ben.name} is typing`);
  await ben.send("Hello Ann");
  await expect(ann.message("Hello Ann")).toBeVisible();
  await expect(ann.page.getByTestId("typing")).not.toContainText("typing");
  // Screen readers announce only messages of others.
  await expect(ann.page.locator(".timeline [aria-live=polite]")).toHaveText(`${ben.name}: Hello Ann`);
  await expect(ben.page.locator(".timeline [aria-live=polite]")).toHaveText("");
  // Leaving the conversation is visible to the other user.
  await ben.page.goto(`${new URL(ben.page.url()).origin}/#/`);
  await expect(ann.page.getByTestId("presence")).toHaveText("online");
});

test("messages can be edited, replied to, copied and deleted", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  await ann.send("See you at nin");
  await ben.open(ann.name);
  await ann.chooseAction("See you at nin", "Edit");
  await ann.send("See you at nine");
  await expect(ben.message("See you at nine")).toContainText("edited");

  await ben.chooseAction("See you at nine", "Reply");
  await ben.send("With pleasure");
  await expect(ann.message("With pleasure").locator(".quote")).toContainText("See you at nine");
  await ben.chooseAction("See you at nine", "Copy text");
  await expect(ben.page.getByText("Copied.")).toBeVisible();
  expect(await ben.page.evaluate(() => navigator.clipboard.readText())).toBe("See you at nine");

  // The arrow key edits the user's own last message.
  await ben.field.press("ArrowUp");
  await expect(ben.field).toHaveValue("With pleasure");
  await ben.field.press("Escape");
  await expect(ben.field).toHaveValue("");

  await ann.chooseAction("See you at nine", "Delete");
  await ann.page.getByRole("button", { name: "For everyone" }).click();
  await expect(ben.message("This message was deleted")).toBeVisible();
  await expect(ben.message("See you at nine")).toHaveCount(0);
  await ben.chooseAction("With pleasure", "Delete");
  await ben.page.getByRole("button", { name: "For me" }).click();
  await expect(ben.message("With pleasure")).toHaveCount(0);
  await expect(ann.message("With pleasure")).toBeVisible();
});

test("Enter sends, but not with Shift or from an input method", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  await startDirectChat(ann, ben);
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

test("drafts stay with their conversation, even after a reload", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  const cem = await newAccount(uniqueName("Cem"));
  await startDirectChat(ann, ben);
  await ann.field.fill("half a thou");
  await startDirectChat(ann, cem);
  await expect(ann.field).toHaveValue("");
  await expect(ann.row(ben.name)).toContainText("Draft: half a thou");
  await ann.page.reload();
  await ann.open(ben.name);
  await expect(ann.field).toHaveValue("half a thou");
  // Rows have as much of it as other places that show only the beginning.
  await ann.field.fill("x".repeat(400));
  await ann.open(cem.name);
  await expect(ann.row(ben.name).locator(".preview-text")).toHaveText("x".repeat(300));
});

test("users can block and unblock others, and delete conversations", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  await ann.send("Hello");
  await ben.open(ann.name);
  await ben.page.getByRole("button", { name: "Details", exact: true }).click();
  await ben.page.getByRole("button", { name: "Block", exact: true }).click();
  await ben.page.getByRole("button", { name: "Close" }).click();
  await expect(ben.page.getByText("You have blocked")).toBeVisible();
  await ann.send("Do you hear me?");
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

test("users chat in groups and rooms", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  const group = uniqueName("Picnic");
  await ann.createGroupInDialog(group, ben.name);
  await ann.send("Who brings the blanket?");
  await ben.open(group);
  await expect(ben.message("Who brings the blanket?").locator(".sender-name")).toHaveText(ann.name);
  await ben.send("I do");
  await expect(ann.message("I do")).toBeVisible();
  await expect(ann.message("Who brings the blanket?").getByLabel("Read")).toBeVisible();

  await expect(ann.page.getByTestId("notice")).toHaveText([`You created this group`]);

  // Ann renames the group and removes Ben.
  await ann.page.getByRole("button", { name: "Details", exact: true }).click();
  await ann.page.getByRole("button", { name: "Edit name and description" }).click();
  await ann.page.getByLabel("Name", { exact: true }).fill(`${group} 2`);
  await ann.page.getByRole("button", { name: "Save" }).click();
  await expect(ben.row(`${group} 2`)).toBeVisible();
  await expect(ben.page.getByTestId("notice")).toHaveText(["You were added", `Name changed to ${group} 2`]);
  await ann.page.getByRole("button", { name: `Make admin: ${ben.name}` }).click();
  await expect(ben.page.getByTestId("notice").last()).toHaveText("You are now an admin");
  // Removing takes a second click.
  const remove = ann.page.getByRole("button", { name: `Remove ${ben.name}`, exact: true });
  await remove.click();
  await ann.page.getByRole("button", { name: "Cancel" }).click();
  await expect(ben.row(group)).toHaveCount(1);
  await remove.click();
  await expect(ann.page.getByRole("heading", { name: `Remove ${ben.name}` })).toBeVisible();
  await remove.click();
  await expect(ben.row(group)).toHaveCount(0);
  await ann.page.getByRole("button", { name: "Close" }).click();
  await expect(ann.page.getByTestId("notice")).toHaveText([
    "You created this group",
    `Name changed to ${group} 2`,
    `You removed ${ben.name}`,
  ]);

  const room = uniqueName("Garden");
  await ann.page.getByRole("button", { name: "New conversation" }).first().click();
  await ann.page.getByRole("tab", { name: "Rooms" }).click();
  await ann.page.getByLabel("Room name").fill(room);
  await ann.page.getByRole("button", { name: `Create room` }).click();
  await expect(ann.page.getByRole("heading", { level: 2, name: room })).toBeVisible();
  await ann.send("Tomatoes are ripe");
  await ben.page.getByRole("button", { name: "New conversation" }).first().click();
  await ben.page.getByRole("tab", { name: "Rooms" }).click();
  await ben.page.getByLabel("Room name").fill(room);
  await ben.page.getByRole("button", { name: `Join ${room}` }).click();
  await expect(ben.message("Tomatoes are ripe")).toBeVisible();
  await expect(ben.page.getByRole("heading", { level: 2, name: room })).toBeVisible();
  await ben.send("On my way");
  await expect(ann.message("On my way")).toBeVisible();
  // Notices are sorted between the messages.
  await expect(ann.page.locator(".event, article .text")).toHaveText([
    "You created this room",
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

test("a user can register, change the password and delete the account", async ({ page, stack }) => {
  const username = `u${crypto.randomUUID().replaceAll("-", "").slice(0, 20)}`;
  await page.goto(stack.url);
  await page.getByRole("button", { name: "Register" }).click();
  await page.getByLabel("Name", { exact: true }).fill("Dana Ortiz");
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("E-mail address").fill(`${username}@example.com`);
  await page.getByLabel("Password").fill("the first password");
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(page.getByText("No conversations yet")).toBeVisible();
  await page.getByRole("button", { name: "Profile and settings" }).click();
  await page.getByRole("button", { name: "Change password" }).click();
  await page.getByLabel("Current password").fill("the first password");
  await page.getByLabel("New password").fill("the second password");
  await page.getByRole("button", { name: "Change password", exact: true }).click();
  await expect(page.getByText("Password changed")).toBeVisible();
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
