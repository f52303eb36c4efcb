// Phones, dialogs, and reduced motion.

import { expect, startDirectChat, test, uniqueName } from "./stack.js";

const PHONE = { viewport: { width: 390, height: 844 } };

test("on a phone, searching in a conversation shows the results and comes back", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"), PHONE);
  const ben = await newAccount(uniqueName("Ben"));
  const { page } = ann;
  await startDirectChat(ann, ben);
  await ann.send("the needle");
  await ann.send("the haystack");
  const search = page.getByRole("button", { name: "Search in this conversation" });
  const field = page.getByRole("searchbox", { name: "Search in this conversation" });
  await search.click();
  await expect(field).toBeFocused();
  // Closing the search shows the conversation again.
  await field.press("Escape");
  await expect(ann.message("the needle")).toBeInViewport();
  await search.click();
  await field.fill("needle");
  await page.locator(".hit").click();
  await expect(ann.message("the needle")).toBeInViewport();
  await expect(field).toBeHidden();
  await page.getByRole("button", { name: "Back to inbox" }).click();
  await expect(ann.row(ben.name)).toBeVisible();
  await expect(page.getByRole("searchbox", { name: "Search conversations and messages" })).toHaveValue("");
});

test("offline, a phone says so in the inbox, and nobody seems to be online", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"), PHONE);
  const ben = await newAccount(uniqueName("Ben"));
  await ben.write(ann, "hello");
  await ben.call("PUT", "/presence", { status: "online" });
  await ann.open(ben.name);
  await ann.send("hello");
  await expect(ann.page.getByTestId("presence")).toContainText("online", { timeout: 50_000 });
  await ann.page.context().setOffline(true);
  await expect(ann.page.getByText("You are offline.")).toBeVisible();
  await expect(ann.page.getByTestId("presence")).toHaveText("waiting for the network");
  await ann.page.getByRole("button", { name: "Back to inbox" }).click();
  await expect(ann.row(ben.name)).toBeVisible();
  await expect(ann.page.getByText("You are offline.")).toBeVisible();
  await expect(ann.page.locator(".avatar .dot")).toHaveCount(0);
});

test("forms show their errors, and toasts can be reached above a dialog", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  const { page } = ann;
  const group = uniqueName("Book club");
  await ann.createGroup(group, ben);
  await ann.open(group);
  await page.getByRole("button", { name: "Details", exact: true }).click();
  const edit = page.getByRole("button", { name: "Edit name and description" });
  await edit.click();
  await page.getByLabel("Description").fill("Every other Monday");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.locator("dialog").getByRole("status").getByText("Saved.")).toBeVisible();
  await page.route(/\/api\/conversations\/[^/]*$/, (route) =>
    route.request().method() === "PATCH"
      ? route.fulfill({ status: 403, json: { code: "not_an_admin", detail: "Only admins can do that.", success: false } })
      : route.continue(),
  );
  await edit.click();
  await page.getByLabel("Description").fill("Never");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.locator("dialog").getByRole("alert")).toHaveText("Only admins can do that.");
  await page.getByRole("button", { name: "Close" }).click();

  await page.getByRole("button", { name: "Profile and settings" }).click();
  await page.getByLabel("Status").selectOption("away");
  const toast = page.locator(".toast", { hasText: "Status updated." });
  await toast.getByRole("button", { name: "Dismiss" }).click();
  await expect(toast).toHaveCount(0);
  await page.getByRole("button", { name: "Change password" }).click();
  await page.getByLabel("Current password").fill("not this one");
  await page.getByLabel("New password").fill("a new password");
  await page.getByRole("button", { name: "Change password", exact: true }).click();
  await expect(page.locator("dialog").getByRole("alert")).toHaveText("The password is wrong.");
});

test("with reduced motion, jumps and scrolling show messages", async ({ demoUser }) => {
  const alice = await demoUser("Alice Sommer");
  const { page } = alice;
  await page.getByRole("searchbox", { name: "Search conversations" }).fill("the");
  const hits = page.locator(".hit");
  await expect(hits.nth(5)).toBeVisible();
  for (let n = 0; n < 6; n += 1) {
    const target = decodeURIComponent((await hits.nth(n).getAttribute("href"))?.split("/").at(-1) ?? "");
    await hits.nth(n).click();
    await expect(page.locator(`[data-message="${target}"]`)).toBeInViewport();
  }
  const transition = await page.locator(".virtual").evaluate((list) => getComputedStyle(list).transitionProperty);
  expect(transition).toBe("none");
});

test("the details list and find all members, some at a time", async ({ newUser, stack }) => {
  const ann = await newUser(uniqueName("Ann"));
  const room = uniqueName("Stadium");
  const { conversation_id: id } = await ann.call<{ conversation_id: string }>("POST", "/rooms", { name: room });
  const answers: { user_id: string; name: string }[] = Array.from({ length: 250 }, (_, n) => ({ user_id: `u${n}`, name: `Fan ${n}` }));
  const participants = answers.map((fan) => ({ ...fan, photo_url: null, is_admin: false, joined_at: "", last_read_message_id: null, last_read_at: null }));
  await ann.page.route(`${stack.url}/api/conversations/${encodeURIComponent(id)}**`, async (route) => {
    const url = new URL(route.request().url());
    if (!url.pathname.endsWith(encodeURIComponent(id))) return route.continue();
    const from = Number(url.searchParams.get("cursor") ?? 0);
    const response = await route.fetch({ url: `${url.origin}${url.pathname}` });
    const body = (await response.json()) as { data: object };
    const next = from + 100 < participants.length ? String(from + 100) : null;
    const data = { ...body.data, participant_count: participants.length, participants: participants.slice(from, from + 100) };
    await route.fulfill({ response, json: { ...body, data, next_cursor: next } });
  });
  await ann.open(room);
  await ann.page.getByRole("button", { name: "Details", exact: true }).click();
  const people = ann.page.getByRole("list", { name: "People" }).getByRole("listitem");
  await expect(people).toHaveCount(50);
  const more = ann.page.getByRole("button", { name: "Show more" });
  for (const count of [100, 150, 200, 250]) {
    await more.click();
    await expect(people).toHaveCount(count);
  }
  await expect(more).toHaveCount(0);
  // The search finds those who are not shown.
  await ann.page.getByRole("searchbox", { name: "Find members" }).fill("fan 24");
  await expect(people).toHaveText(["Fan 24", ...Array.from({ length: 10 }, (_, n) => `Fan ${240 + n}`)]);
});
