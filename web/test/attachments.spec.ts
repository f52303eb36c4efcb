// Files: pictures, voice messages and others, from the moment they are chosen until somebody else sees them.

import type { Page } from "@playwright/test";

import { jpeg, transfer, video, withMetadata } from "./pictures.js";
import { expect, expectNoViolations, startDirectChat, test, uniqueName } from "./stack.js";
import type { Account, Actor, Fixtures } from "./stack.js";

interface Attachment {
  kind: string;
  file_name: string;
  size: number;
  width: number | null;
  height: number | null;
  alt: string | null;
  thumbhash: string | null;
  url: string;
  preview_url: string | null;
}

/** Two users in their direct conversation; the second one looks at the inbox. */
async function twoUsers(newUser: Fixtures["newUser"]): Promise<[Actor, Actor]> {
  const [ann, ben] = await Promise.all([newUser(uniqueName("Ann")), newUser(uniqueName("Ben"))]);
  await startDirectChat(ann, ben);
  return [ann, ben];
}

const choose = (page: Page, files: Parameters<Page["setInputFiles"]>[1]) => page.setInputFiles("input[aria-label='Files to attach']", files);
const tray = (page: Page) => page.getByRole("group", { name: "Files to send" });
const sendButton = (page: Page) => page.getByRole("button", { name: "Send", exact: true });

/** The attachments of all messages of a conversation, as the API tells them. */
async function attachmentsOf(reader: Account, other: Account): Promise<Attachment[]> {
  const messages = await reader.call<{ attachments: Attachment[] }[]>("GET", `/messages/conversation/${other.id}?mark_read=false`);
  return messages.flatMap(({ attachments }) => attachments);
}

async function bytes(url: string): Promise<Buffer> {
  const response = await fetch(url);
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

async function expectAccessible(page: Page, name: string): Promise<void> {
  await expectNoViolations(page, {}, name);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(overflow, `${name} scrolls horizontally`).toBeLessThanOrEqual(0);
}

test("pictures from a chooser, a drop and a paste arrive upright, small and without their metadata", async ({ newUser }) => {
  const [ann, ben] = await twoUsers(newUser);
  const { page } = ann;
  const photo = withMetadata(await jpeg(page, "holiday.jpg", 1600, 1000));
  expect(photo.buffer.includes("Exif")).toBe(true);
  await choose(page, photo);
  await transfer(page, ".scroller", "drop", [{ name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("hello") }]);
  await transfer(page, "textarea", "paste", [await jpeg(page, "image.png", 60, 40)]);
  await expect(tray(page).getByRole("listitem")).toHaveCount(3);
  await expect(page.getByText("Drop files")).toHaveCount(0);
  await expect(tray(page).locator("img")).toHaveCount(2);
  await tray(page).getByRole("button", { name: "Remove image.png" }).click();
  await page.getByRole("button", { name: "Describe holiday.jpg" }).click();
  await page.getByLabel("Description of holiday.jpg").fill("An orange sky");
  await expectAccessible(page, "tray");
  await ann.send("Look at this");

  await ben.open(ann.name);
  const picture = ben.message("Look at this").getByRole("button", { name: "Open picture: An orange sky" });
  await expect(picture).toBeVisible();
  await expect(ben.message("Look at this").getByRole("link", { name: "notes.txt" })).toBeVisible();
  await expect(ben.row(ann.name)).toContainText("Look at this");
  await expectAccessible(ben.page, "message");
  const [sent, text] = await attachmentsOf(ben, ann);
  expect(sent).toMatchObject({ kind: "image", width: 1000, height: 1600, alt: "An orange sky", file_name: "holiday.jpg" });
  expect(sent?.thumbhash).toBeTruthy();
  for (const url of [sent?.url, sent?.preview_url]) expect((await bytes(url ?? "")).includes("Exif")).toBe(false);
  expect((await bytes(text?.url ?? "")).toString()).toBe("hello");

  // As a file, it keeps everything.
  await choose(page, photo);
  await page.getByLabel("Send as file").check();
  await expect(tray(page).getByText("Preparing")).toHaveCount(0);
  await sendButton(page).click();
  await expect.poll(async () => (await attachmentsOf(ben, ann)).length).toBe(3);
  const original = (await attachmentsOf(ben, ann)).at(-1);
  expect((await bytes(original?.url ?? "")).equals(photo.buffer)).toBe(true);
  expect((await bytes(original?.preview_url ?? "")).includes("Exif")).toBe(false);
  // It stands upright nevertheless.
  const box = await ben.page.locator(".tile").last().boundingBox();
  expect((box?.height ?? 0) / (box?.width ?? 1)).toBeGreaterThan(1.3);
});

test("an upload shows its progress, can be cancelled, and waits while offline", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  const { page } = ann;
  const noise = (name: string, size: number) => ({ name, mimeType: "application/zip", buffer: Buffer.alloc(size, "noise") });
  const devtools = await page.context().newCDPSession(page);
  const throttle = (uploadThroughput: number) =>
    devtools.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput });
  await throttle(100_000);
  await choose(page, noise("large.zip", 600_000));
  await sendButton(page).click();
  const bar = page.getByRole("progressbar", { name: "Upload of large.zip" });
  const value = async () => Number(await bar.getAttribute("aria-valuenow"));
  await expect.poll(value).toBeGreaterThan(10);
  expect(await value()).toBeLessThan(100);
  await page.getByRole("button", { name: "Cancel sending" }).click();
  await expect(page.locator("article.message")).toHaveCount(0);
  await throttle(-1);

  // Without the API, a picture is shown and stored; it survives a reload, and is sent once.
  await page.route("**/api/attachments", (route) => route.abort());
  await choose(page, [await jpeg(page, "later.jpg", 800, 600), noise("later.zip", 1_000)]);
  await ann.send("Later");
  const shown = ann.message("Later").locator(".picture img");
  await expect.poll(() => shown.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(0);
  await expect(ann.message("Later").getByLabel("Sending", { exact: true })).toBeVisible();
  const isStored = () =>
    page.evaluate(async () => {
      const name = (await indexedDB.databases()).find(({ name }) => name?.startsWith("tidings http"))?.name ?? "";
      const open = indexedDB.open(name);
      await new Promise((resolve) => (open.onsuccess = resolve));
      const request = open.result.transaction("files").objectStore("files").getAll();
      await new Promise((resolve) => (request.onsuccess = resolve));
      open.result.close();
      return (request.result as { files: unknown[] }[]).map(({ files }) => files.length);
    });
  await expect.poll(isStored).toEqual([2]);
  await page.reload();
  await expect.poll(() => shown.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(0);
  await page.unroute("**/api/attachments");
  await expect(ann.message("Later").getByLabel("Sent")).toBeVisible({ timeout: 40_000 });
  expect(await ben.texts(ann)).toEqual(["Later"]);
  expect((await attachmentsOf(ben, ann)).map(({ file_name }) => file_name)).toEqual(["later.jpg", "later.zip"]);
  expect(await isStored()).toEqual([]);
});

test("a voice message is recorded, paused, sent and played", async ({ newUser }) => {
  const [ann, ben] = await twoUsers(newUser);
  const { page } = ann;
  const record = page.getByRole("button", { name: "Record a voice message" });
  const time = page.getByRole("timer");
  await record.click();
  await expect(time).toHaveText("0:01");
  await page.getByRole("button", { name: "Discard recording" }).click();
  await expect(ann.field).toBeVisible();
  await expect(page.locator("article.message")).toHaveCount(0);

  await record.click();
  await expect(time).toHaveText("0:01");
  await page.getByRole("button", { name: "Pause recording" }).click();
  await expectAccessible(page, "recorder");
  await page.waitForTimeout(1_500);
  await expect(time).toHaveText("0:01");
  await page.getByRole("button", { name: "Resume recording" }).click();
  await expect(time).toHaveText("0:02");
  await page.getByRole("button", { name: "Send voice message" }).click();

  await expect(ben.row(ann.name)).toContainText("Voice message");
  await ben.open(ann.name);
  const play = ben.page.getByRole("button", { name: "Play voice message" });
  await expect(play).toBeVisible();
  const [voice] = await attachmentsOf(ben, ann);
  expect(voice).toMatchObject({ kind: "voice", width: null });
  // The waveform is that of the beeps.
  const heights = () => ben.page.locator(".bars i").evaluateAll((bars) => new Set(bars.map((bar) => (bar as HTMLElement).style.blockSize)).size);
  await expect.poll(heights).toBeGreaterThan(2);
  await ben.page.getByRole("button", { name: "Speed 1" }).click();
  await expect(ben.page.getByRole("button", { name: "Speed 1.5" })).toBeVisible();
  await play.click();
  await expect(ben.page.getByRole("button", { name: "Pause voice message" })).toBeVisible();
  const position = () => ben.page.locator("audio").evaluate((audio: HTMLAudioElement) => [audio.currentTime > 0.3, audio.playbackRate]);
  await expect.poll(position).toEqual([true, 1.5]);
  await expectAccessible(ben.page, "voice message");
  const downloading = ben.page.waitForEvent("download");
  await ben.page.locator(".bubble").hover();
  await ben.page.getByRole("button", { name: "Message actions" }).click();
  await ben.page.getByRole("menuitem", { name: "Download" }).click();
  expect((await downloading).suggestedFilename()).toMatch(/^voice-message\./);
});

test("the viewer works with the keyboard, and pictures come in without a shift", async ({ newUser }) => {
  const [ann, ben] = await twoUsers(newUser);
  const { page } = ann;
  const shapes = [[900, 600], [600, 900], [800, 800]] as const;
  await choose(page, await Promise.all(shapes.map(([width, height], at) => jpeg(page, `photo-${at + 1}.jpg`, width, height))));
  await expect(tray(page).locator("img")).toHaveCount(3);
  await ann.send("Three");
  await expect(ann.message("Three").getByLabel("Sent")).toBeVisible();
  await choose(page, await jpeg(page, "wide.jpg", 1_500, 500));
  await ann.send("One");
  await expect(ann.message("One").getByLabel("Sent")).toBeVisible();

  // Pictures load late, and move nothing.
  let release = () => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  await ben.page.route(/\/api\/attachments\/.+/, async (route) => {
    await released;
    await route.continue();
  });
  await ben.open(ann.name);
  const tiles = ben.page.locator(".tile");
  await expect(tiles).toHaveCount(4);
  const boxes = async () => Promise.all((await ben.page.locator("article.message, .tile").all()).map((each) => each.boundingBox()));
  await ben.page.waitForTimeout(300);
  const before = await boxes();
  const background = await ben.page.locator(".picture").first().evaluate((picture) => getComputedStyle(picture).backgroundImage);
  expect(background).toContain("data:image/png");
  await ben.page.evaluate(() => {
    Object.assign(window, { shift: 0 });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) (window as unknown as { shift: number }).shift += (entry as unknown as { value: number }).value;
    }).observe({ type: "layout-shift", buffered: false });
  });
  release();
  for (const image of await ben.page.locator(".picture img").all()) {
    await expect.poll(() => image.evaluate((element: HTMLImageElement) => element.naturalWidth)).toBeGreaterThan(0);
  }
  expect(await boxes()).toEqual(before);
  expect(await ben.page.evaluate(() => (window as unknown as { shift: number }).shift)).toBe(0);

  const { keyboard } = ben.page;
  await ben.page.getByRole("button", { name: "Open picture: photo-1.jpg" }).focus();
  await keyboard.press("Enter");
  const viewer = ben.page.getByRole("dialog", { name: "Pictures" });
  const count = viewer.getByRole("status").first();
  await expect(count).toHaveText("1 of 4");
  await expectAccessible(ben.page, "viewer");
  await keyboard.press("ArrowRight");
  await expect(count).toHaveText("2 of 4");
  await expect(viewer.getByRole("img", { name: "photo-2.jpg" })).toBeVisible();
  await keyboard.press("+");
  const scale = () => viewer.getByRole("img").evaluate((image) => new DOMMatrix(getComputedStyle(image).transform).a);
  await expect.poll(scale).toBeCloseTo(1.5);
  await keyboard.press("0");
  await expect.poll(scale).toBe(1);
  await keyboard.press("End");
  await expect(count).toHaveText("4 of 4");
  const downloading = ben.page.waitForEvent("download");
  await keyboard.press("d");
  expect((await downloading).suggestedFilename()).toBe("wide.jpg");
  await keyboard.press("Escape");
  await expect(viewer).toHaveCount(0);
  await expect(ben.page.getByRole("button", { name: "Open picture: photo-1.jpg" })).toBeFocused();
});

test("a video shows its poster, plays in place, and is not mistaken for a picture", async ({ newUser }) => {
  const [ann, ben] = await twoUsers(newUser);
  const { page } = ann;
  await choose(page, await video(page, "square.webm"));
  await expect(tray(page).getByText("Sent as it is")).toBeVisible();
  await expect(tray(page).locator("img")).toBeVisible();
  await ann.send("Watch");
  await ben.open(ann.name);
  const player = ben.message("Watch").locator("video");
  await expect(player).toHaveAttribute("poster", /^http/);
  const [film] = await attachmentsOf(ben, ann);
  expect(film).toMatchObject({ kind: "video", width: 320, height: 180 });
  expect((await bytes(film?.preview_url ?? "")).subarray(0, 2)).toEqual(Buffer.from([0xff, 0xd8]));
  const box = await player.boundingBox();
  expect((box?.width ?? 0) / (box?.height ?? 1)).toBeCloseTo(320 / 180, 1);
  await player.evaluate((element: HTMLVideoElement) => element.play());
  await expect.poll(() => player.evaluate((element: HTMLVideoElement) => element.currentTime)).toBeGreaterThan(0.2);
});

test("on a narrow page from right to left, everything fits, and the viewer is mirrored", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"), { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true });
  await startDirectChat(ann, await newAccount(uniqueName("Ben")));
  const { page } = ann;
  await page.evaluate(() => (document.documentElement.dir = "rtl"));
  await choose(page, await Promise.all([1, 2].map((n) => jpeg(page, `a-rather-long-name-of-a-file-${n}.jpg`, 700, 500))));
  await choose(page, { name: `${"long".repeat(30)}.txt`, mimeType: "text/plain", buffer: Buffer.from("text") });
  await expect(tray(page).locator("img")).toHaveCount(2);
  await expectAccessible(page, "tray, narrow");
  await sendButton(page).click();
  await expect(page.locator("article").getByLabel("Sent")).toBeVisible();
  await expectAccessible(page, "message, narrow");
  await page.locator(".open-picture").first().click();
  const count = page.getByRole("dialog", { name: "Pictures" }).getByRole("status").first();
  await expect(count).toHaveText("1 of 2");
  await page.keyboard.press("ArrowLeft");
  await expect(count).toHaveText("2 of 2");
  await expectAccessible(page, "viewer, narrow");
  // A finger that moves to the left turns back, as the text goes to the left.
  const devtools = await page.context().newCDPSession(page);
  const touch = (type: "touchStart" | "touchMove" | "touchEnd", x?: number) =>
    devtools.send("Input.dispatchTouchEvent", { type, touchPoints: x === undefined ? [] : [{ x, y: 320 }] });
  await touch("touchStart", 250);
  for (const x of [200, 150, 100]) await touch("touchMove", x);
  await touch("touchEnd");
  await expect(count).toHaveText("1 of 2");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Record a voice message" }).click();
  await expect(page.getByRole("timer")).toHaveText("0:01");
  await expectAccessible(page, "recorder, narrow");
});

test("people and groups have pictures, and the details list what was sent", async ({ newUser }) => {
  const [ann, ben] = await twoUsers(newUser);
  const { page } = ann;
  const photo = await jpeg(page, "me.jpg", 1_200, 800);
  await page.getByRole("button", { name: "Profile and settings" }).click();
  await page.locator("dialog input[type=file]").setInputFiles(photo);
  const crop = page.getByRole("dialog", { name: "Choose the part to show" });
  await crop.getByLabel("Zoom").fill("2");
  await crop.locator("canvas").press("ArrowRight");
  await expectAccessible(page, "crop");
  await crop.getByRole("button", { name: "Use picture" }).click();
  await expect(crop).toHaveCount(0);
  await expect(page.locator(".inbox .me img")).toBeVisible();
  const { avatar_url } = await ben.call<{ avatar_url: string }>("GET", `/users/${ann.id}`);
  const picture = await bytes(avatar_url);
  expect(picture.length).toBeLessThan(1_048_576);
  await page.keyboard.press("Escape");

  const group = uniqueName("Painters");
  await ann.createGroup(group, ben);
  await ann.open(group);
  await page.getByRole("button", { name: "Details", exact: true }).click();
  await page.locator("dialog input[type=file]").setInputFiles(photo);
  await page.getByRole("button", { name: "Use picture" }).click();
  await expect(ben.row(group).locator(".avatar img")).toBeVisible();
  await page.keyboard.press("Escape");

  await choose(page, [photo, { name: "plan.pdf", mimeType: "application/pdf", buffer: Buffer.from("%PDF-1.4\n") }]);
  await sendButton(page).click();
  await expect(page.locator("article").getByLabel("Sent")).toBeVisible();
  await page.getByRole("button", { name: "Details", exact: true }).click();
  await page.getByRole("tab", { name: "Media and files" }).click();
  await expect(page.getByRole("list", { name: "Pictures and videos" }).getByRole("link", { name: "me.jpg" })).toBeVisible();
  await expect(page.getByRole("list", { name: "Files", exact: true }).getByRole("link", { name: "plan.pdf" })).toBeVisible();
  await expectAccessible(page, "media");
});
