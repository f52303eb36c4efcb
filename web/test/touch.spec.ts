// Touch screens: gestures on messages, and a keyboard that only opens when it is wanted.

import type { Page } from "@playwright/test";

import { expect, startDirectChat, test, uniqueName, WITH_MOTION } from "./stack.js";

test.use(WITH_MOTION);

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

/** Touches the middle of a message, moves the finger, and lets go after a while. */
async function touch(page: Page, text: string, x: number, ms: number): Promise<void> {
  const devtools = await page.context().newCDPSession(page);
  const box = await page.locator(".bubble", { hasText: text }).boundingBox();
  const [startX, y] = [(box?.x ?? 0) + 20, (box?.y ?? 0) + (box?.height ?? 0) / 2];
  await devtools.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: [{ x: startX, y }] });
  for (let step = 1; step <= 5; step += 1) {
    if (x !== 0) await devtools.send("Input.dispatchTouchEvent", { type: "touchMove", touchPoints: [{ x: startX + (x * step) / 5, y }] });
    await page.waitForTimeout(ms / 5);
  }
  await devtools.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
}

test("a long press opens the menu, a swipe replies, and Enter starts a new line", async ({ newUser, newAccount }) => {
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"), PHONE);
  await ann.write(ben, "Touch this message");
  await ben.row(ann.name).tap();
  const { page } = ben;
  await expect(ben.message("Touch this message")).toBeVisible();
  // The keyboard would cover the messages.
  await expect(ben.field).not.toBeFocused();

  await touch(page, "Touch this message", 0, 700);
  await page.getByRole("menuitem", { name: "Copy text" }).tap();
  await expect(page.getByText("Copied.")).toBeVisible();
  await expect(page.getByRole("menu")).toHaveCount(0);
  // A short touch does nothing, nor does a short swipe.
  await touch(page, "Touch this message", 0, 100);
  await touch(page, "Touch this message", 30, 100);
  await expect(page.getByRole("menu")).toHaveCount(0);
  await expect(page.getByText("Reply to")).toHaveCount(0);
  await touch(page, "Touch this message", 100, 150);
  await expect(page.getByText(`Reply to ${ann.name}`)).toBeVisible();

  await ben.field.tap();
  await page.keyboard.type("one");
  await page.keyboard.press("Enter");
  await page.keyboard.type("two");
  await expect(ben.field).toHaveValue("one\ntwo");
  await page.getByRole("button", { name: "Send", exact: true }).tap();
  await expect.poll(() => ann.texts(ben)).toEqual(["Touch this message", "one\ntwo"]);
});

test("the button of a message's menu can be seen, and covers neither text nor time", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  await ann.send("A");
  const bubble = ann.page.locator(".bubble");
  await bubble.hover();
  const button = bubble.getByRole("button", { name: "Message actions" });
  await expect(button).toHaveCSS("opacity", "1");
  const [inner, outer] = await Promise.all([button.boundingBox(), bubble.boundingBox()]);
  expect((inner?.x ?? 0) + (inner?.width ?? 0)).toBeLessThanOrEqual((outer?.x ?? 0) + 1);
  // The pointer reaches it without leaving what shows it.
  await button.hover();
  await expect(button).toHaveCSS("opacity", "1");
  await button.click();
  await expect(ann.page.getByRole("menuitem", { name: "Edit" })).toBeVisible();
});
