// Mentions: the list in the message field, marks in texts, badges, and the jump to the next one.

import type { Locator } from "@playwright/test";

import { Actor, expect, expectNoViolations, register, test, uniqueName } from "./stack.js";
import type { Account } from "./stack.js";

/** Ann's group with Ben and people of the given names. Where Ann has a page, she opens it. */
async function groupOf(ann: Account, ben: Account, names: string[] = []) {
  const group = uniqueName("Picnic");
  const others = await Promise.all(names.map((name) => register(ann.user.url, name)));
  const id = await ann.createGroup(group, ben, ...others);
  if (ann instanceof Actor) await ann.open(group);
  return { group, id, ids: others.map(({ id }) => id) };
}

const options = (actor: Actor): Locator => actor.page.getByRole("listbox", { name: "People to mention" }).getByRole("option");

test("names are found in any script, without case and accents, and chosen by keyboard", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  const { group, id, ids } = await groupOf(ann, ben, ["Zoë Łąka Núñez", "فرح خوري", "さくら 🌸", "अनन्या"]);
  await ann.field.pressSequentially("Hi @zoe");
  await expect(options(ann)).toHaveText([/Zoë Łąka Núñez/]);
  await expect(ann.field).toHaveAttribute("aria-activedescendant", /.+/);
  await ann.field.press("Enter");
  await expect(ann.field).toHaveValue("Hi @Zoë Łąka Núñez ");
  await expect(options(ann)).toHaveCount(0);
  for (const [typed, name] of [["@nunez", "Zoë Łąka Núñez"], ["@فرح", "فرح خوري"], ["@さく", "さくら 🌸"], ["@अन", "अनन्या"]] as const) {
    await ann.field.pressSequentially(typed);
    await expect(options(ann)).toHaveText([new RegExp(name)]);
    await ann.field.press("Tab");
    await expect(ann.field).toBeFocused();
  }
  await expect(ann.field).toHaveValue("Hi @Zoë Łąka Núñez @Zoë Łąka Núñez @فرح خوري @さくら 🌸 @अनन्या ");
  await ann.field.press("Enter");
  await expect(ann.page.locator(".mention")).toHaveCount(5);
  await ben.open(group);
  await expect(ben.page.locator(".mention")).toHaveText(["@Zoë Łąka Núñez", "@Zoë Łąka Núñez", "@فرح خوري", "@さくら 🌸", "@अनन्या"]);
  await expect(ben.page.locator(".mention.of-me")).toHaveCount(0);
  const [message] = await ann.history(id);
  expect(message?.mentions.toSorted()).toEqual(ids.toSorted());
});

test("the list follows arrow keys, Escape and the pointer, and is no hindrance otherwise", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  await groupOf(ann, ben, ["Cem", "Dana"]);
  await ann.field.pressSequentially("mail@");
  await ann.field.pressSequentially("c");
  await expect(options(ann)).toHaveCount(0);
  await ann.field.fill("");
  await ann.field.pressSequentially("@");
  await expect(options(ann)).toContainText([ben.name, "Cem", "Dana", "everyone"]);
  await ann.field.press("ArrowDown");
  await ann.field.press("ArrowDown");
  await expect(options(ann).nth(2)).toHaveAttribute("aria-selected", "true");
  await ann.field.press("ArrowUp");
  await ann.field.press("ArrowUp");
  await ann.field.press("ArrowUp");
  await expect(options(ann).last()).toHaveAttribute("aria-selected", "true");
  await expectNoViolations(ann.page);
  // A list closed with Escape stays closed while the word is typed, and Enter sends.
  await ann.field.press("Escape");
  await ann.field.pressSequentially("ce");
  await expect(options(ann)).toHaveCount(0);
  await ann.field.press("Enter");
  await expect(ann.message("@ce")).toBeVisible();
  await expect(ann.page.locator(".mention")).toHaveCount(0);
  await ann.field.pressSequentially("and @d");
  await options(ann).first().click();
  await expect(ann.field).toHaveValue("and @Dana ");
  await expect(ann.field).toBeFocused();
  // A mention that is deleted from the text again is none.
  await ann.field.fill("and nobody");
  await ann.field.press("Enter");
  await expect(ann.message("and nobody")).toBeVisible();
  await expect(ann.page.locator(".mention")).toHaveCount(0);
});

test("a mention shows in the inbox, stands out, and can be jumped to", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  const { group, id } = await groupOf(ann, ben);
  // Together, because their order does not matter.
  const talk = () => Promise.all(Array.from({ length: 30 }, (_, n) => ann.write(id, `Talk ${n}`)));
  await talk();
  await ann.write(id, `@${ben.name}, first`, { mentions: [ben.id] });
  await talk();
  await ann.write(id, "@everyone, second", { mention_all: true });
  await talk();
  await expect(ben.row(group).locator(".mention-badge")).toContainText("@");
  await expect(ben.row(group)).toContainText("You were mentioned");
  await ben.open(group);
  const jump = ben.page.getByRole("button", { name: "Jump to the next mention" });
  await expect(jump).toContainText("2");
  await expectNoViolations(ben.page);
  await ben.screenshot("mentions-jump-light");
  await jump.click();
  await expect(ben.message("first")).toBeInViewport();
  await expect(ben.message("first").locator(".mention.of-me")).toHaveText(`@${ben.name}`);
  await expect(jump).toContainText("1");
  await jump.click();
  await expect(ben.message("second")).toBeInViewport();
  await expect(ben.message("second").locator(".mention.of-me")).toHaveText("@everyone");
  await expect(jump).toHaveCount(0);
  await expect(ben.row(group).locator(".mention-badge")).toHaveCount(0);
  // One's own mention of somebody does not mention oneself.
  await expect(ann.page.locator(".mention.of-me")).toHaveCount(1);
});

test("a draft keeps its mentions over a reload, and an edit changes them", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  const { group, id } = await groupOf(ann, ben);
  await ann.field.pressSequentially("Ask @Ben");
  await options(ann).first().click();
  await ann.page.reload();
  await expect(ann.field).toHaveValue(`Ask @${ben.name} `);
  await ann.field.press("Enter");
  await expect(ben.row(group).locator(".mention-badge")).toBeVisible();
  await ann.chooseAction("Ask", "Edit");
  await ann.field.fill("Ask nobody");
  await ann.field.press("Enter");
  await expect(ben.row(group).locator(".mention-badge")).toHaveCount(0);
  await ann.chooseAction("Ask", "Edit");
  await ann.field.fill("");
  await ann.field.pressSequentially("Ask @every");
  await options(ann).first().click();
  await ann.field.press("Enter");
  await expect(ben.row(group).locator(".mention-badge")).toBeVisible();
  expect((await ann.history(id)).at(-1)?.mention_all).toBe(true);
});

test("on a phone, a touch chooses a mention and keeps the keyboard open", async ({ newUser, newAccount }) => {
  const phone = { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true };
  const ann = await newUser(uniqueName("Ann"), phone);
  const ben = await newAccount(uniqueName("Ben"));
  await groupOf(ann, ben, ["A person with an extraordinarily long name that does not fit anywhere"]);
  await ann.field.tap();
  await ann.page.keyboard.type("@a pers");
  await options(ann).first().tap();
  await expect(ann.field).toHaveValue(/^@A person with .* anywhere $/);
  await expect(ann.field).toBeFocused();
  await ann.page.getByRole("button", { name: "Send", exact: true }).tap();
  await expect(ann.page.locator(".mention")).toBeVisible();
  expect(await ann.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
});

for (const [name, looks] of Object.entries({
  light: { colorScheme: "light" },
  dark: { colorScheme: "dark" },
  narrow: { colorScheme: "light", viewport: { width: 360, height: 640 } },
  "right-to-left": {},
  "forced-colors": { forcedColors: "active" },
} as const)) {
  test(`mentions look well and are accessible: ${name}`, async ({ newUser, newAccount }) => {
    const ann = await newUser(uniqueName("Ann"), { viewport: { width: 1100, height: 760 }, ...looks });
    const ben = await newAccount(uniqueName("Ben"));
    const { id } = await groupOf(ann, ben, ["فرح خوري", "Cem Yılmaz"]);
    if (name === "right-to-left") await ann.page.evaluate(() => (document.documentElement.dir = "rtl"));
    await ben.write(id, `@${ann.name}, can you bring plates?`, { mentions: [ann.id] });
    await ann.field.pressSequentially("@فر");
    // The participants are loaded with the first "@".
    await expect(options(ann)).toHaveCount(1);
    await ann.field.press("Enter");
    await ann.field.pressSequentially("و @cem");
    await expect(options(ann)).toHaveCount(1);
    await ann.field.press("Enter");
    await ann.field.press("Enter");
    await expect(ann.page.locator(".mine .mention")).toHaveCount(2);
    await ann.field.pressSequentially("@");
    await expect(options(ann)).toHaveCount(4);
    await ann.screenshot(`mentions-${name}`);
    await expectNoViolations(ann.page, { except: name === "forced-colors" ? ["color-contrast"] : [] });
  });
}

test("one's mentions are listed, lead to their messages, and follow what happens", async ({ newUser, newAccount }) => {
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  const { group, id } = await groupOf(ann, ben);
  const { page } = ben;
  const button = page.getByRole("button", { name: /^Mentions/ });
  const list = page.getByRole("region", { name: "Mentions" });
  await button.click();
  await expect(list.getByText("Nobody has mentioned you yet.")).toBeVisible();
  await page.getByRole("button", { name: "Back to all conversations" }).click();
  await expect(ben.row(group)).toBeVisible();

  const send = (text: string) => ann.write(id, text, { mentions: [ben.id] });
  const first = await send("Mention 0;");
  for (let n = 1; n < 45; n += 1) await send(`Mention ${n};`);
  await expect(button).toHaveAccessibleName("Mentions, 45 unread");
  await button.click();
  const rows = list.locator("a.row");
  // Newest first, a page at a time.
  await expect(rows.first()).toContainText("Mention 44;");
  await expect(rows.first()).toContainText(group);
  await expect(rows.first()).toContainText(ann.name);
  await expect(rows.first().getByRole("img", { name: "Unread" })).toBeVisible();
  expect(await rows.count()).toBeLessThan(45);
  await expectNoViolations(page, { also: "label-content-name-mismatch" });
  await ben.screenshot("mentions-list");
  await expect
    .poll(async () => {
      await list.evaluate((element) => (element.scrollTop = element.scrollHeight));
      return rows.count();
    })
    .toBe(45);
  await rows.last().click();
  await expect(ben.message("Mention 0;")).toBeInViewport();
  await expect(ben.message("Mention 0;")).toHaveClass(/highlighted/);
  // Read meanwhile, on any device.
  const newest = await send("Mention 45;");
  await expect(rows.first()).toContainText("Mention 45;");
  await ben.call("PUT", `/messages/mark-as-read/${encodeURIComponent(newest.id)}`);
  await expect(list.getByRole("img", { name: "Unread" })).toHaveCount(0);
  await expect(button).toHaveAccessibleName("Mentions");
  await ann.call("DELETE", `/messages/${encodeURIComponent(newest.id)}`);
  await ann.call("PATCH", `/messages/${encodeURIComponent(first.id)}`, { message_text: "Nobody now", mentions: [] });
  await expect(rows.first()).toContainText("Mention 44;");
  await expect(rows).toHaveCount(44);
  // By keyboard.
  await rows.first().focus();
  await page.keyboard.press("ArrowDown");
  await expect(rows.nth(1)).toBeFocused();
  await page.keyboard.press("Escape");
  await expect(ben.row(group)).toBeVisible();
});
