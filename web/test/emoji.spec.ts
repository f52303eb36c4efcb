// Emoji: those used last, skin tones, and completion of names.

import { expect, startDirectChat, test, uniqueName } from "./stack.js";

test("the picker knows what was used last, and skin tones, and closes on a click elsewhere", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  const { page } = ann;
  const picker = page.getByRole("dialog", { name: "Emoji" });
  await page.getByRole("button", { name: "Emoji" }).click();
  await picker.getByRole("searchbox").fill("waving hand");
  await picker.getByRole("button", { name: "waving hand", exact: true }).click();
  await expect(ann.field).toBeFocused();
  await expect(ann.field).toHaveValue("👋");
  await picker.getByLabel("Skin tone").selectOption("✋🏾");
  await expect(picker.getByRole("button", { name: "waving hand", exact: true })).toHaveText("👋🏾");
  await picker.getByRole("button", { name: "waving hand", exact: true }).click();
  await expect(ann.field).toHaveValue("👋👋🏾");
  await page.getByTestId("messages").click();
  await expect(picker).toHaveCount(0);
  await page.reload();
  await page.getByRole("button", { name: "Emoji" }).click();
  await expect(picker.getByRole("button", { name: "Recent" })).toHaveAttribute("aria-pressed", "true");
  await expect(picker.locator(".emoji-grid button")).toHaveText(["👋🏾", "👋"]);
  await ann.screenshot("emoji-recent");
  await page.keyboard.press("Escape");
  await expect(picker).toHaveCount(0);
  await expect(ann.field).toBeFocused();
});

test("a name between colons becomes an emoji, and other colons stay", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  const { keyboard } = ann.page;
  const list = ann.page.getByRole("listbox", { name: "Emoji" });
  await ann.field.focus();
  await keyboard.type("Look :thumbsup");
  await expect(list.getByRole("option").first()).toContainText("👍");
  await ann.screenshot("emoji-completion");
  await keyboard.press("Tab");
  // Whoever types on at once finds the caret behind the emoji.
  await keyboard.type(" and :pizza:");
  await expect(ann.field).toHaveValue("Look 👍 and 🍕");
  await keyboard.type(" at 10:30 :thumbs");
  await expect(list).toBeVisible();
  await keyboard.press("Escape");
  await expect(list).toHaveCount(0);
  await keyboard.press("Enter");
  await expect(ann.message("Look 👍 and 🍕 at 10:30 :thumbs")).toBeVisible();
});
