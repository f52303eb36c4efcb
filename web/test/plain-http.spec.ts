// The page over plain http, as in a home network: browsers then leave out what they offer to secure pages only.

import { Actor, conversationOf, expect, signIn, test, uniqueName } from "./stack.js";

test.use({
  launchOptions: {
    executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP chat.lan 127.0.0.1"],
  },
});

test("over plain http, messages are sent, groups created and texts copied", async ({ browser, stack, newAccount }) => {
  const ben = await newAccount(uniqueName("Ben"));
  const page = await (await browser.newContext()).newPage();
  const ann = new Actor(page, await newAccount(uniqueName("Ann")));
  const errors: Error[] = [];
  page.on("pageerror", (error) => errors.push(error));
  await page.goto(stack.url.replace("127.0.0.1", "chat.lan"));
  expect(await page.evaluate(() => [isSecureContext, "randomUUID" in crypto, "clipboard" in navigator])).toEqual([false, false, false]);
  await signIn(page, ann);
  await ann.createGroupInDialog("Neighbours", ben.name);
  await ann.send("Whose cat is this?");
  await expect(ann.message("Whose cat is this?").getByLabel("Sent")).toBeVisible();
  expect(await ben.texts(conversationOf(page))).toEqual(["Whose cat is this?"]);
  await ann.chooseAction("Whose cat is this?", "Copy text");
  await expect(page.getByText("Copied.")).toBeVisible();
  await ann.field.focus();
  await page.keyboard.press("Control+V");
  await expect(ann.field).toHaveValue("Whose cat is this?");
  expect(errors).toEqual([]);
});
