// The page over plain http, as in a home network: browsers then leave out what they offer to secure pages only.

import { Actor, PASSWORD, expect, register, test, uniqueName } from "./stack.js";

test.use({
  launchOptions: {
    executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP chat.lan 127.0.0.1"],
  },
});

test("over plain http, messages are sent, groups created and texts copied", async ({ browser, stack, newUser }) => {
  const ben = await newUser(uniqueName("Ben"));
  const name = uniqueName("Ann");
  const username = await register(stack.url, name);
  const page = await (await browser.newContext()).newPage();
  const errors: Error[] = [];
  page.on("pageerror", (error) => errors.push(error));
  await page.goto(stack.url.replace("127.0.0.1", "chat.lan"));
  expect(await page.evaluate(() => [isSecureContext, "randomUUID" in crypto, "clipboard" in navigator])).toEqual([false, false, false]);
  await page.getByLabel("Username or e-mail address").fill(username);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  const ann = new Actor(page, name);
  await ann.createGroup("Neighbours", ben.name);
  await ann.send("Whose cat is this?");
  await expect(ann.message("Whose cat is this?").getByLabel("Sent")).toBeVisible();
  await ben.open("Neighbours");
  await expect(ben.message("Whose cat is this?")).toBeVisible();
  await ann.chooseAction("Whose cat is this?", "Copy text");
  await expect(page.getByText("Copied.")).toBeVisible();
  await ann.field.focus();
  await page.keyboard.press("Control+V");
  await expect(ann.field).toHaveValue("Whose cat is this?");
  expect(errors).toEqual([]);
});
