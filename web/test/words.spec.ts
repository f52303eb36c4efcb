// The languages of the page: which one it speaks, how the user changes it, and its layout from right to left.

import { execFile } from "node:child_process";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import type { Locator, Page } from "@playwright/test";

import { expect, expectNoViolations, startDirectChat, test, uniqueName, withTemporaryFolder } from "./stack.js";
import type { Actor } from "./stack.js";

const SCRIPT = fileURLToPath(new URL("../scripts/words.js", import.meta.url));
const ARABIC = "العربية";

/** Creates a room with a message in it, and opens it. */
async function openRoom(actor: Actor, name: string, text: string): Promise<void> {
  const { conversation_id } = await actor.call<{ conversation_id: string }>("POST", "/rooms", { name });
  await actor.write(conversation_id, text);
  await actor.open(name);
  await expect(actor.message(text)).toBeVisible();
}

const box = async (locator: Locator) => {
  const found = await locator.boundingBox();
  if (!found) throw new Error("not displayed");
  return { ...found, right: found.x + found.width };
};

const documentOf = (page: Page) => page.evaluate(() => [document.documentElement.lang, document.documentElement.dir]);

/** Returns the texts of what is cut off or wider than the window, but for what scrolls sideways or ends in an ellipsis. */
const overflowing = (page: Page) =>
  page.evaluate(() => {
    const scrolls = (element: Element) => ["auto", "scroll", "hidden"].includes(getComputedStyle(element).overflowX);
    const isWithin = (element: Element | null): boolean =>
      element !== null && element !== document.body && (scrolls(element) || isWithin(element.parentElement));
    return [...document.querySelectorAll("body *")]
      .filter((element) => {
        const { left, right, width } = element.getBoundingClientRect();
        if (width <= 1 || !(element as HTMLElement).checkVisibility()) return false;
        const isOutside = left < -1 || right > innerWidth + 1;
        const isCutOff = element.matches("button, label, h1, h2, h3, p, option") && element.scrollWidth > element.clientWidth + 1;
        return (isOutside && !isWithin(element.parentElement)) || (isCutOff && !scrolls(element));
      })
      .map((element) => `${element.tagName} ${element.className}: ${element.textContent?.slice(0, 60)}`);
  });

test("no view has a text of its own", async () => {
  test.setTimeout(180_000);
  await promisify(execFile)("node", [SCRIPT]);
});

test("a text of its own is found", async () => {
  await withTemporaryFolder(async (folder) => {
    const source = (text: string) => writeFile(join(folder, "view.tsx"), text);
    await promisify(execFile)("mkdir", [join(folder, "words")]);
    await writeFile(join(folder, "words/en.tsx"), `export const en = { used: "Used", left: "Left" };`);
    await writeFile(join(folder, "words/en-parts.tsx"), `export const enParts = { group: { later: "Later", unused: "Unused" } };`);
    const complaints = async () => {
      const { stderr } = await promisify(execFile)("node", [SCRIPT, folder]).catch((error: { stderr: string }) => error);
      return stderr.trim().split("\n");
    };
    await source(`const a = <p title={isOn ? "On now" : words.used} id="Some id">Hello {name || "nobody"}{\`and \${more}\`}</p>; toast("Sent"); words.left; partWords.group;`);
    expect(await complaints()).toEqual([
      "src/view.tsx:1: a text of its own: On now",
      "src/view.tsx:1: a text of its own: Hello",
      "src/view.tsx:1: a text of its own: nobody",
      "src/view.tsx:1: a text of its own: and",
      "src/view.tsx:1: a text of its own: Sent",
    ]);
    await source(`const a = <p className="Some class">{words.used} 1 · 2</p>; throw new Error("Not shown to users.");`);
    await writeFile(join(folder, "main.tsx"), `import { View } from "./first.js";\nconst View = lazyPart(() => import("./view.js"));`);
    await writeFile(join(folder, "first.tsx"), `<p>{partWords.group.later}</p>`);
    expect(await complaints()).toEqual([
      "src/words/en.tsx: not used: left",
      "src/words/en-parts.tsx: not used: group.unused",
      "src/first.tsx: uses words that are loaded later",
    ]);
  });
});

test("styles know no left and right", async () => {
  const folder = fileURLToPath(new URL("../src/", import.meta.url));
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".css"));
  expect(names.length).toBeGreaterThan(10);
  const sided = /^(?:[a-z]+-)*(?:left|right)(?:-[a-z]+)*:|^(?:float|clear|text-align): (?:left|right)|translateX|^border-radius: (?!\S+ \S+ 0 0;)\S+ \S+ \S/;
  const isUneven = (line: string) => {
    const [, , right, , left] = /^(?:margin|padding|inset): ([^\s()!]+) ([^\s()!]+) ([^\s()!]+) ([^\s()!]+);$/.exec(line) ?? [];
    return right !== left;
  };
  for (const name of names) {
    const lines = (await readFile(join(folder, name), "utf8")).split("\n").map((line) => line.trim());
    expect(lines.filter((line) => sided.test(line) || isUneven(line)), name).toEqual([]);
  }
});

test("the page speaks the browser's language, with its dates and numbers", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"), { locale: "de-DE" });
  const { page } = ann;
  expect(await documentOf(page)).toEqual(["de", "ltr"]);
  await openRoom(ann, uniqueName("Team"), "Moin");
  await expect(page.getByTestId("presence")).toHaveText("Raum, 1 Mitglied");
  await expect(page.getByTestId("messages").getByText("Heute")).toBeVisible();
  await expect(page.getByPlaceholder("Nachricht", { exact: true })).toBeVisible();
  await expect(ann.message("Moin").locator("time")).toHaveText(/^\d\d:\d\d$/);
  await expect(ann.message("Moin").locator("time")).toHaveAttribute("title", / \d{4} um \d\d:\d\d:\d\d$/);
  await ann.field.fill("x".repeat(11_500));
  await expect(page.getByText("1.500 Zeichen zu viel")).toBeVisible();
  await ann.field.fill("");
  // The server's errors are English, and known by their codes.
  const problem = { status: 429, contentType: "application/problem+json", body: JSON.stringify({ code: "rate_limited", detail: "Too many requests." }) };
  await page.route("**/api/users/me", (route) => (route.request().method() === "GET" ? route.continue() : route.fulfill(problem)));
  await page.getByRole("button", { name: "Profil und Einstellungen" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Speichern" }).click();
  await expect(page.getByRole("alert")).toHaveText("Das war viel auf einmal. Versuch es gleich noch einmal.");
  await expectNoViolations(page);
});

test("a browser without any of the languages gets English", async ({ browser, stack }) => {
  const page = await (await browser.newContext({ locale: "fr-FR" })).newPage();
  const loaded: string[] = [];
  page.on("request", (request) => loaded.push(new URL(request.url()).pathname));
  await page.goto(stack.url);
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
  expect(await documentOf(page)).toEqual(["en", "ltr"]);
  expect(loaded.filter((path) => /\/assets\/(de|ar)-/.test(path))).toEqual([]);
  // So does one whose language cannot be loaded.
  const offline = await (await browser.newContext({ locale: "ar-EG" })).newPage();
  await offline.route(/\/assets\/ar-/, (route) => route.abort());
  await offline.goto(stack.url);
  await expect(offline.getByRole("heading", { name: "Sign in" })).toBeVisible();
  expect(await documentOf(offline)).toEqual(["en", "ltr"]);
});

test("the language can be chosen before signing in, and another tab follows", async ({ browser, stack }) => {
  const context = await browser.newContext({ locale: "fr-FR" });
  const [page, other] = [await context.newPage(), await context.newPage()];
  for (const each of [page, other]) {
    await each.goto(stack.url);
    await expect(each.getByRole("heading", { name: "Sign in" })).toBeVisible();
  }
  await page.locator("[name=username]").fill("ann");
  await page.getByLabel("Language").selectOption("Deutsch");
  await expect(page.getByRole("heading", { name: "Anmelden" })).toBeVisible();
  await expect(page.locator("[name=username]")).toHaveValue("ann");
  expect(await documentOf(page)).toEqual(["de", "ltr"]);
  await expect(other.getByRole("heading", { name: "Anmelden" })).toBeVisible();
  await other.getByLabel("Sprache").selectOption(ARABIC);
  await expect.poll(() => documentOf(page)).toEqual(["ar", "rtl"]);
});

test("the language changes at once, nothing typed is lost, and it stays", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  const { page } = ann;
  await ann.send("first");
  await ann.chooseAction("first", "Edit");
  await ann.field.fill("an edit that is not saved");
  await page.getByRole("button", { name: "Profile and settings" }).click();
  const settings = page.getByRole("dialog");
  const language = settings.locator("select", { has: page.locator("option[value=ar]") });
  await expect(language.locator("option")).toHaveText(["Match browser", "English", "Deutsch", ARABIC]);
  await page.route(/\/assets\/ar-/, (route) => route.abort());
  await language.selectOption(ARABIC);
  await expect(page.getByText("The language could not be loaded.")).toBeVisible();
  expect(await documentOf(page)).toEqual(["en", "ltr"]);
  await page.unroute(/\/assets\/ar-/);
  await language.selectOption("Deutsch");
  await expect(settings.getByRole("heading", { name: "Einstellungen" })).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("button", { name: "Neuer Chat" })).toBeVisible();
  // Rows and messages, which only render again for reasons of their own, have changed as well.
  await expect(ann.message("first").getByLabel("Gesendet")).toBeVisible();
  await expect(ann.message("first")).toHaveAttribute("aria-label", /^Du, /);
  await expect(ann.field).toHaveValue("an edit that is not saved");
  await expect(page.getByText("Nachricht bearbeiten")).toBeVisible();
  await page.reload();
  await expect(page.getByRole("button", { name: "Neuer Chat" }).first()).toBeVisible();
  expect(await documentOf(page)).toEqual(["de", "ltr"]);
});

test("the page works in Arabic, from right to left", async ({ newUser, newAccount }) => {
  test.setTimeout(180_000);
  const ben = await newAccount(uniqueName("Ben"));
  const ann = await newUser(uniqueName("Ann"), { locale: "ar-EG" });
  const { page } = ann;
  expect(await documentOf(page)).toEqual(["ar", "rtl"]);
  await ann.write(ben, "مرحبا");
  const long = `This long message in English keeps its own direction, whatever the page does. ${"It goes on. ".repeat(12)}The end.`;
  await ben.write(ann, long);
  await ann.open(ben.name);
  await expect(ann.message("This long message")).toBeVisible();

  await ann.screenshot("arabic-conversation");

  // The columns, the bubbles and the icons are mirrored.
  const [inbox, conversation] = [await box(page.locator(".inbox")), await box(page.locator(".pane"))];
  expect(inbox.x).toBeGreaterThanOrEqual(conversation.right - 1);
  const [mine, theirs] = [await box(ann.message("مرحبا").locator(".bubble")), await box(ann.message("This long").locator(".bubble"))];
  expect(mine.x).toBeLessThan(theirs.x);
  expect(mine.x - conversation.x).toBeLessThan(conversation.right - mine.right);
  const send = page.locator(".composer .send");
  expect((await box(send)).right).toBeLessThan((await box(ann.field)).x);
  // The text has its own direction, and begins at its left.
  const text = ann.message("This long").locator(".text");
  const lines = await text.evaluate((element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    return [...range.getClientRects()].map(({ left }) => Math.round(left));
  });
  expect(lines.length).toBeGreaterThan(1);
  // Spaces at the ends of lines hang over.
  expect(Math.max(...lines) - Math.min(...lines)).toBeLessThan(16);
  expect(lines[0]).toBeLessThan(theirs.x + 24);
  // Times and counts are in the digits of Egypt.
  await expect(ann.message("مرحبا").locator("time")).toHaveText(/[٠-٩]:[٠-٩]{2}/);

  await ann.send("جملة ثانية");
  await expect(ann.message("جملة ثانية").getByLabel("أُرسلت")).toBeVisible();
  await ann.message("This long").hover();
  await ann.message("This long").getByRole("button", { name: "إجراءات الرسالة" }).click();
  await ann.screenshot("arabic-menu");
  await page.getByRole("menuitemcheckbox", { name: "التفاعل بـ 👍" }).click();
  await expect(page.getByRole("button", { name: "👍 ١، وأنت منهم" })).toBeVisible();
  await page.locator("#search").fill("direction");
  await expect(page.locator(".found .hit")).toBeVisible();
  await ann.screenshot("arabic-search");
  await expectNoViolations(page, {}, "search");
  await page.locator("#search").press("Escape");
  // An arrow key to the left goes on.
  await page.getByRole("button", { name: "الكل", exact: true }).focus();
  await page.keyboard.press("ArrowLeft");
  await expect(page.getByRole("button", { name: "غير مقروءة", exact: true })).toBeFocused();
  await page.getByRole("button", { name: "الملف الشخصي والإعدادات" }).click();
  await expect(page.getByRole("heading", { name: "الإعدادات" })).toBeVisible();
  await ann.screenshot("arabic-settings");
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await expectNoViolations(page, { only: colorScheme === "dark" ? "color-contrast" : undefined }, colorScheme);
  }
  await ann.screenshot("arabic-settings-dark");
  await page.keyboard.press("Escape");
  await page.locator(".who").click();
  await expect(page.getByRole("tab", { name: "معلومات" })).toBeVisible();
  await ann.screenshot("arabic-details-dark");
  // A title in the other direction is where others are.
  const title = await box(page.getByRole("dialog").getByRole("heading", { level: 2 }));
  expect(title.right).toBeGreaterThan((await box(page.getByRole("dialog"))).right - 40);
  await page.keyboard.press("Escape");
  await ann.screenshot("arabic-conversation-dark");
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize({ width: 390, height: 844 });
  expect(await overflowing(page)).toEqual([]);
  await ann.screenshot("arabic-narrow");
  await page.getByRole("button", { name: "العودة إلى المحادثات" }).click();
  await expect(ann.row(ben.name)).toBeVisible();
  expect(await overflowing(page)).toEqual([]);
  await ann.screenshot("arabic-narrow-inbox");
});

test("selecting, the mentions and the offline notice work in Arabic", async ({ newUser, newAccount }) => {
  test.setTimeout(120_000);
  const ben = await newAccount(uniqueName("Ben"));
  const ann = await newUser(uniqueName("Ann"), { locale: "ar-EG" });
  const { page } = ann;
  const group = uniqueName("Team");
  const id = await ben.createGroup(group, ann);
  for (const text of ["أولى", "second", "ثالثة"]) await ben.write(id, text, { mentions: [ann.id] });
  await expect(page.getByRole("button", { name: "الإشارات إليك، ٣ غير مقروءة" })).toBeVisible();
  await ann.open(group);
  await expect(ann.message("ثالثة")).toBeVisible();

  await ann.message("أولى").focus();
  await page.keyboard.press("x");
  await page.keyboard.press("Shift+ArrowDown");
  const bar = page.getByRole("toolbar", { name: "الرسائل المحدّدة" });
  await expect(bar).toContainText("رسالتان محدّدتان");
  const [end, remove] = [await box(bar.getByRole("button", { name: "إنهاء التحديد" })), await box(bar.getByRole("button", { name: "حذف" }))];
  expect(end.x).toBeGreaterThan(remove.right);
  expect((await box(ann.message("second").locator(".select-box"))).x).toBeGreaterThan((await box(ann.message("second").locator(".bubble"))).right);
  await ann.screenshot("arabic-selecting");
  await expectNoViolations(page, {}, "selecting");
  await bar.getByRole("button", { name: "حذف" }).click();
  await expect(page.getByRole("dialog").getByRole("heading", { name: "حذف رسالتين؟" })).toBeVisible();
  await ann.screenshot("arabic-delete-selected");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await expect(bar).toHaveCount(0);

  await page.getByRole("button", { name: "الإشارات إليك" }).click();
  const list = page.getByRole("region", { name: "الإشارات إليك" });
  await expect(list.locator("a.row")).toHaveCount(3);
  expect((await box(page.locator(".archive-bar button"))).x).toBeGreaterThan((await box(page.locator(".archive-bar h2"))).x);
  await ann.screenshot("arabic-mentions");
  await expectNoViolations(page, {}, "mentions");

  await page.context().setOffline(true);
  const notice = page.getByRole("status").filter({ hasText: "أنت غير متصل." });
  await expect(notice).toContainText(/آخر تحديث للرسائل: .*[٠-٩]:[٠-٩]{2}/);
  expect((await box(notice.locator("svg"))).x).toBeGreaterThan((await box(notice.getByRole("button"))).right);
  expect(await overflowing(page)).toEqual([]);
  await ann.screenshot("arabic-offline");
  await page.setViewportSize({ width: 320, height: 640 });
  expect(await overflowing(page)).toEqual([]);
  await ann.screenshot("arabic-offline-narrow");
});

test("no German text overflows on the narrowest screens", async ({ browser, newUser, stack }) => {
  test.setTimeout(120_000);
  const options = { locale: "de-DE", viewport: { width: 320, height: 640 } };
  const welcome = await (await browser.newContext(options)).newPage();
  await welcome.goto(stack.url);
  await expect(welcome.getByRole("heading", { name: "Anmelden" })).toBeVisible();
  expect(await overflowing(welcome), "sign-in").toEqual([]);
  await welcome.getByRole("button", { name: "Registrieren" }).click();
  expect(await overflowing(welcome), "registration").toEqual([]);
  await welcome.close();

  const ann = await newUser(uniqueName("Annegret"), options);
  const { page } = ann;
  const expectNoOverflow = async (view: string) => {
    expect(await overflowing(page), view).toEqual([]);
    await ann.screenshot(`german-${view}`);
  };
  await expectNoOverflow("inbox");
  await page.getByRole("button", { name: "Profil und Einstellungen" }).click();
  await expect(page.getByRole("heading", { name: "Einstellungen" })).toBeVisible();
  await expectNoOverflow("settings");
  expect((await box(page.locator(".profile-row .strong"))).height).toBeLessThan(80);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Neuer Chat" }).first().click();
  await expect(page.getByRole("tab", { name: "Gruppe" })).toBeVisible();
  await expectNoOverflow("new");
  await page.getByRole("tab", { name: "Gruppe" }).click();
  await expectNoOverflow("new-group");
  await page.keyboard.press("Escape");
  await openRoom(ann, uniqueName("Donaudampfschifffahrt"), "Moin");
  await expectNoOverflow("conversation");
  await page.locator(".who").click();
  await expect(page.getByText("Raum verlassen")).toBeVisible();
  await expectNoOverflow("details");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "In diesem Chat suchen" }).click();
  await page.locator("#search").fill("Moin");
  await expect(page.locator(".found .hit")).toBeVisible();
  await expectNoOverflow("search");
});
