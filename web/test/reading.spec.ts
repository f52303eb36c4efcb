// Reading: history, unread messages, search, attachments and hostile content.

import { Actor, expect, startDirectChat, test, uniqueName, WITH_MOTION } from "./stack.js";

test.use(WITH_MOTION);

test("a search result opens among the messages around it", async ({ demoUser }) => {
  const alice = await demoUser("Alice Sommer");
  await alice.page.getByRole("searchbox", { name: "Search conversations" }).fill("coffee machine");
  const hit = alice.page.locator(".hit", { hasText: "It had the coffee machine in it" });
  await expect(hit.locator("mark").first()).toHaveText("coffee");
  await hit.click();
  await expect(alice.page.getByRole("heading", { level: 2, name: "Bob Okafor" })).toBeVisible();
  await expect(alice.message("It had the coffee machine in it")).toBeInViewport();
  // Search within the conversation.
  await alice.page.getByRole("button", { name: "Clear search" }).click();
  await alice.page.getByRole("button", { name: "Search in this conversation" }).click();
  await alice.page.getByRole("searchbox").fill("the");
  await expect(alice.page.locator(".hit").first()).toBeVisible();
  const titles = await alice.page.locator(".hit .row-name").allInnerTexts();
  expect(new Set(titles)).toEqual(new Set(["Bob Okafor"]));
});

test("the history scrolls up over several pages without skipping messages", async ({ demoUser }) => {
  const bob = await demoUser("Bob Okafor");
  await bob.open("Café Babel");
  await expect(bob.page.locator("article.message").first()).toBeVisible();
  const list = bob.page.getByTestId("messages");
  // Starts at the newest message, wherever the unread ones begin.
  const toLatest = bob.page.getByRole("button", { name: "Jump to latest" });
  if (await toLatest.isVisible()) await toLatest.click();
  const atEnd = () => list.evaluate((e) => e.scrollHeight - e.scrollTop - e.clientHeight < 4);
  await expect.poll(atEnd).toBe(true);

  const seen = new Set<string>();
  const record = async () => {
    const ids = await bob.page.locator("article.message").evaluateAll((all) => all.map((e) => (e as HTMLElement).dataset["message"] ?? ""));
    ids.forEach((id) => seen.add(id));
    return seen.size;
  };
  await record();
  await list.hover();
  // Scrolls in small steps, so that every message is rendered once.
  await expect
    .poll(
      async () => {
        await bob.page.mouse.wheel(0, -600);
        await bob.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
        return record();
      },
      { timeout: 40_000, intervals: [30] },
    )
    .toBeGreaterThanOrEqual(115);
  expect(await bob.page.locator("article.message").count()).toBeLessThan(80);
  await expect(toLatest).toBeVisible();
  await toLatest.click();
  await expect.poll(atEnd).toBe(true);
});

test("a reopened conversation shows its newest or first unread message from the first frame", async ({ newUser, newAccount }) => {
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  const cem = await newAccount(uniqueName("Cem"));
  await cem.write(ben, "elsewhere");
  for (let at = 1; at <= 25; at += 1) await ann.write(ben, `line ${at}, which is long enough to take more than one line of a narrow page`);
  await ben.open(ann.name);
  await expect(ben.page.getByTestId("unread-divider")).toBeInViewport();
  await ben.page.getByRole("button", { name: "Jump to latest" }).click();
  await expect(ben.row(ann.name).locator(".badge")).toHaveCount(0);
  /** Reopens the conversation. Returns the distances to its end and to its first unread message in the first frame. */
  const reopen = async () => {
    await ben.open(cem.name);
    const hash = await ben.row(ann.name).getAttribute("href");
    return ben.page.evaluate(async (hash) => {
      location.hash = hash;
      for (;;) {
        await new Promise((done) => requestAnimationFrame(done));
        const list = document.querySelector("[data-testid=messages]") as HTMLElement;
        if (!list.textContent?.includes("line 25")) continue;
        const divider = list.querySelector("[data-testid=unread-divider]");
        const below = (divider?.getBoundingClientRect().top ?? NaN) - list.getBoundingClientRect().top;
        return { fromEnd: list.scrollHeight - list.scrollTop - list.clientHeight, below };
      }
    }, hash ?? "");
  };
  expect((await reopen()).fromEnd).toBeLessThan(2);
  await ben.open(cem.name);
  for (let at = 1; at <= 25; at += 1) await ann.write(ben, `new ${at}`);
  await expect(ben.row(ann.name).locator(".badge")).toContainText("25");
  const { fromEnd, below } = await reopen();
  expect(fromEnd).toBeGreaterThan(200);
  expect(below).toBeGreaterThan(0);
  expect(below).toBeLessThan(200);
});

test("new messages do not move the viewport while reading older ones", async ({ newUser, newAccount }) => {
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  for (let at = 1; at <= 30; at += 1) await ann.write(ben, `line ${at} of thirty`);
  await ben.open(ann.name);
  await expect(ben.page.getByTestId("unread-divider")).toBeInViewport();
  await ben.page.getByTestId("messages").hover();
  await ben.page.mouse.wheel(0, -3000);
  await expect(ben.message("line 1 of thirty")).toBeInViewport();
  const top = () => ben.message("line 2 of thirty").evaluate((e) => e.getBoundingClientRect().top);
  const before = await top();
  await ann.write(ben, "and one more");
  await expect(ben.page.getByRole("button", { name: "Jump to latest" })).toBeVisible();
  await expect(ben.row(ann.name).locator(".preview")).toContainText("and one more");
  expect(Math.abs((await top()) - before)).toBeLessThan(2);
  await ben.page.getByRole("button", { name: "Jump to latest" }).click();
  await expect(ben.message("and one more")).toBeInViewport();
});

test("a reply shows the quoted message, however old, and links to it", async ({ newUser, newAccount }) => {
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  const first = await ann.write(ben, "the very first words");
  const second = await ann.write(ben, "soon hidden");
  for (let at = 0; at < 100; at += 1) await ann.write(ben, `line ${at}`);
  await ann.write(ben, "about the beginning", { reply_to: first.id });
  await ann.write(ben, "about the hidden one", { reply_to: second.id });
  // Nothing was read yet, so the conversation opens at its start.
  await ben.open(ann.name);
  await expect(ben.page.getByTestId("unread-divider")).toBeInViewport();
  await expect(ben.message("the very first words")).toBeInViewport();
  await expect(ben.row(ann.name).locator(".badge")).toContainText("unread");
  await ben.page.getByRole("button", { name: "Jump to latest" }).click();
  await expect(ben.row(ann.name).locator(".badge")).toHaveCount(0);
  const quote = ben.message("about the beginning").locator(".quote");
  await expect(quote).toContainText("the very first words");
  await expect(quote).toContainText(ann.name);
  // Ben hides the message for himself.
  await ben.call("DELETE", `/messages/${encodeURIComponent(second.id)}?scope=me`);
  await ben.page.reload();
  await expect(ben.message("about the hidden one").locator(".quote")).toHaveText("Message not available");
  await quote.click();
  await expect(ben.message("the very first words")).toBeInViewport();
  await expect(ben.message("the very first words")).toHaveClass(/highlighted/);
});

test("a conversation with many unread messages opens at the first one", async ({ newUser, newAccount }) => {
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  for (let at = 1; at <= 60; at += 1) await ann.write(ben, `old ${at}`);
  const { id } = await ann.write(ben, "read up to here");
  await ben.call("PUT", `/messages/mark-as-read/${encodeURIComponent(id)}`);
  for (let at = 1; at <= 120; at += 1) await ann.write(ben, `new ${at}.`);
  await expect(ben.row(ann.name).locator(".badge")).toContainText("99+");
  await ben.open(ann.name);
  await expect(ben.page.getByTestId("unread-divider")).toBeInViewport();
  await expect(ben.message("read up to here")).toBeInViewport();
  await expect(ben.message("new 1.")).toBeInViewport();
  await expect(ben.row(ann.name).locator(".badge")).toContainText("99+");
  await ben.page.getByTestId("messages").hover();
  await expect
    .poll(async () => {
      await ben.page.mouse.wheel(0, 2_000);
      return ben.page.getByTestId("messages").evaluate((e) => e.scrollHeight - e.scrollTop - e.clientHeight < 4);
    })
    .toBe(true);
  await expect(ben.message("new 120.")).toBeInViewport();
  await expect(ben.row(ann.name).locator(".badge")).toHaveCount(0);
});

test("a message that is sent far from the end leads to the end", async ({ newUser, newAccount }) => {
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  const { id } = await ann.write(ben, "read up to here");
  await ben.call("PUT", `/messages/mark-as-read/${encodeURIComponent(id)}`);
  for (let at = 1; at <= 90; at += 1) await ann.write(ben, `new ${at}.`);
  await expect(ben.row(ann.name).locator(".badge")).toContainText("90");
  await ben.open(ann.name);
  await expect(ben.page.getByTestId("unread-divider")).toBeInViewport();
  const toLatest = ben.page.getByRole("button", { name: "Jump to latest" });
  await expect(toLatest).toBeVisible();
  await ben.send("an answer");
  await expect(ben.message("an answer")).toBeInViewport();
  await expect(ben.message("new 90.")).toBeInViewport();
  await expect(toLatest).toHaveCount(0);
  await expect(ben.message("an answer").getByLabel(/^(Sent|Read)$/)).toBeVisible();
});

test("hostile texts are harmless", async ({ newUser }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newUser(uniqueName("<b>Ben</b>"));
  await startDirectChat(ann, ben);
  const word = "W".repeat(10_000);
  const override = "\u202Egnp.exe\u202C and on";
  const script = `<img src=x onerror="document.title='harmed'"><script>document.title='harmed'</script>`;
  const link = "javascript:alert(1) https://example.org/a?b=<i> and data:text/html,x";
  for (const text of [script, override, link, word]) await ann.send(text);
  await ben.open(ann.name);
  await expect(ben.message(word.slice(0, 50))).toBeVisible();
  for (const actor of [ann, ben]) await expectHarmless(actor, script, override.replace("\u202E", "\uFFFD"));
  // Only web URLs become links.
  const links = await ben.page.locator("article a").evaluateAll((all) => all.map((a) => [(a as HTMLAnchorElement).protocol, (a as HTMLAnchorElement).rel]));
  expect(links).toEqual([["https:", "noopener noreferrer"]]);
  await ben.screenshot("hostile");
});

async function expectHarmless(actor: Actor, script: string, override: string): Promise<void> {
  const { page } = actor;
  // Scrolls to each text, because only visible messages are rendered.
  for (const text of [script, override]) {
    await expect
      .poll(async () => {
        await page.getByTestId("messages").hover();
        await page.mouse.wheel(0, -1500);
        return (await page.locator("article .text").allTextContents()).includes(text);
      })
      .toBe(true);
  }
  await expect(page.locator("article img, article script, .row b")).toHaveCount(0);
  expect(await page.title()).not.toContain("harmed");
  // The direction override does not affect the rest of the page.
  expect(await page.locator("article .text").first().evaluate((e) => getComputedStyle(e).unicodeBidi)).toBe("plaintext");
  const overflow = await page.getByTestId("messages").evaluate((e) => e.scrollWidth - e.clientWidth);
  expect(overflow).toBeLessThanOrEqual(0);
}

test("links that were attached show as images or as links", async ({ newUser, newAccount, stack }) => {
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  const attach = (attachment_url: string) => ann.write(ben, "", { attachment_url });
  await attach("https://files.example/report.pdf");
  await ben.open(ann.name);
  await expect(ben.page.locator("article").getByRole("link", { name: "report.pdf" })).toHaveAttribute("rel", "noopener noreferrer");
  const picture = `${stack.url}/assets/${await icon(stack.url)}`;
  await ben.page.route("https://files.example/dog.png", (route) => route.abort());
  await ben.page.route("https://files.example/cat.png", async (route) => route.fulfill({ response: await route.fetch({ url: picture }) }));
  await attach("https://files.example/cat.png");
  const image = ben.page.locator("article img");
  await expect(image).toHaveAttribute("referrerpolicy", "no-referrer");
  await expect.poll(() => image.evaluate((e) => (e as HTMLImageElement).naturalWidth)).toBeGreaterThan(0);
  // An image that fails to load becomes a link.
  await attach("https://files.example/dog.png");
  await expect(ben.page.locator(".file-name", { hasText: "dog.png" })).toBeVisible();
});

test("a preview distinguishes deleted messages from attachments, even after a reload", async ({ newUser, newAccount }) => {
  const ann = await newAccount(uniqueName("Ann"));
  const ben = await newUser(uniqueName("Ben"));
  const preview = ben.row(ann.name).locator(".preview");
  const { id } = await ann.write(ben, "", { attachment_url: "https://files.example/plan.pdf" });
  const isFile = async () => {
    await expect(preview).toHaveText("plan.pdf");
    await expect(preview.getByLabel("File")).toBeVisible();
  };
  await isFile();
  await ben.page.reload();
  await isFile();
  await ann.call("DELETE", `/messages/${encodeURIComponent(id)}`);
  await expect(preview).toHaveText("Message deleted");
  await ben.page.reload();
  await expect(preview).toHaveText("Message deleted");
});

async function icon(url: string): Promise<string> {
  const page = await (await fetch(url)).text();
  return /assets\/(icon-[^"]+\.svg)/.exec(page)?.[1] ?? "";
}

test("an emoji is inserted at the cursor", async ({ newUser, newAccount }) => {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  await ann.field.fill("Hi !");
  await ann.field.evaluate((field) => (field as HTMLTextAreaElement).setSelectionRange(3, 3));
  await ann.page.getByRole("button", { name: "Emoji" }).click();
  await ann.page.getByRole("searchbox", { name: "Search emoji" }).fill("rocket");
  await ann.page.getByRole("button", { name: "rocket", exact: true }).click();
  await expect(ann.field).toHaveValue("Hi 🚀!");
});
