// Messages with formatting, code and long texts.

import type { Account, Actor, Fixtures } from "./stack.js";
import { expect, startDirectChat, test, uniqueName } from "./stack.js";

/** Two who chat. */
async function pair({ newUser, newAccount }: Pick<Fixtures, "newUser" | "newAccount">): Promise<[Actor, Account]> {
  const ann = await newUser(uniqueName("Ann"));
  const ben = await newAccount(uniqueName("Ben"));
  await startDirectChat(ann, ben);
  return [ann, ben];
}

/** The drawn text of the message that was sent last. */
const last = (actor: Actor) => actor.page.locator("article").last().locator(".text");

test("formatting is drawn as people type it, and nothing else is", async ({ newUser, newAccount }) => {
  const [ann, ben] = await pair({ newUser, newAccount });
  const send = async (text: string) => {
    const before = await ann.page.locator("article").count();
    await ann.write(ben, text);
    await expect(ann.page.locator("article")).toHaveCount(before + 1);
    return last(ann).evaluate((element) => element.innerHTML.replace(/ dir="auto"/g, ""));
  };
  expect(await send("*bold*, **bold**, _italic_ and ~struck~ or ~~struck~~")).toBe(
    "<strong>bold</strong>, <strong>bold</strong>, <em>italic</em> and <s>struck</s> or <s>struck</s>",
  );
  expect(await send("_very *much* so_, `a *b* c`")).toBe("<em>very <strong>much</strong> so</em>, <code>a *b* c</code>");
  expect(await send("run ```a `b` c``` or ``x``")).toBe("run <code>a `b` c</code> or <code>x</code>");
  // Names, sums and stars are not formatting.
  for (const text of ["snake_case_name", "2 * 3 * 4", "a*b*c", "*", "**", "5 > 3", "~ 10 ~", "it's `", "*not\nbold*", "_ no _"]) {
    expect(await send(text).then((html) => html.replace("&gt;", ">")), text).toBe(text.trim());
  }
  // Markup is text.
  expect(await send("*<img src=x onerror=alert(1)>* <b>x</b>")).toBe(
    "<strong>&lt;img src=x onerror=alert(1)&gt;</strong> &lt;b&gt;x&lt;/b&gt;",
  );
  // Links keep their underscores and stars.
  await send("see *https://example.com/a_b_c* and https://example.com/_x_/*y*");
  expect(await last(ann).locator("a").evaluateAll((all) => all.map((a) => (a as HTMLAnchorElement).href))).toEqual([
    "https://example.com/a_b_c",
    "https://example.com/_x_/*y*",
  ]);
  await expect(last(ann).locator("strong")).toHaveText("https://example.com/a_b_c");
});

test("quotes, lists and code are blocks, and code gets its colours when it is shown", async ({ newUser, newAccount }) => {
  const [ann] = await pair({ newUser, newAccount });
  const chunks: string[] = [];
  ann.page.on("request", (request) => chunks.push(request.url()));
  await ann.send("> to be\n> or not\nthat is it\n- one\n- *two*\n3. three\n4. four");
  await expect(last(ann).locator("blockquote")).toHaveText("to be\nor not");
  await expect(last(ann).locator("ul li")).toHaveText(["one", "two"]);
  await expect(last(ann).locator("ol li")).toHaveText(["three", "four"]);
  expect(await last(ann).locator("ol li").first().getAttribute("value")).toBe("3");
  await ann.send("```ts\nconst name = \"*x*\"; // why\n```");
  await expect(last(ann).locator("pre")).toHaveText("const name = \"*x*\"; // why");
  await expect(last(ann).locator(".code-keyword")).toHaveText("const");
  await expect(last(ann).locator(".code-string")).toHaveText("\"*x*\"");
  await expect(last(ann).locator(".code-comment")).toHaveText("// why");
  await expect(ann.page.locator("a.row .preview")).toContainText("const name = \"*x*\"; // why");
  // A fence that is not closed is text.
  await ann.send("```\nnever *closed*");
  await expect(last(ann)).toHaveText("```\nnever closed");
  await ann.screenshot("formatting");
});

test("long messages unfold on demand, and stay unfolded", async ({ newUser, newAccount }) => {
  const [ann] = await pair({ newUser, newAccount });
  await ann.send(Array.from({ length: 25 }, (_, n) => `line ${n + 1}`).join("\n"));
  await expect(last(ann)).toContainText("line 25");
  await expect(ann.page.getByRole("button", { name: "Read more" })).toHaveCount(0);
  await ann.send("words ".repeat(1_600));
  const more = ann.page.getByRole("button", { name: "Read more" });
  await expect(more).toBeVisible();
  const height = async () => (await last(ann).boundingBox())?.height ?? 0;
  const folded = await height();
  expect(folded).toBeLessThan(25 * 23);
  await more.click();
  await expect(more).toHaveCount(0);
  expect(await height()).toBeGreaterThan(folded * 1.5);
  await ann.send("after");
  await expect(ann.message("after")).toBeInViewport();
});

test("a message of every formatting at its longest is drawn", async ({ newUser, newAccount }) => {
  const [ann, ben] = await pair({ newUser, newAccount });
  for (const text of ["*_~`".repeat(2_500), "*a ".repeat(3_300), "```\n".repeat(2_500), "- *x* _y_\n".repeat(990), "> ".repeat(5_000)]) {
    const before = await ann.page.locator("article").count();
    await ben.write(ann, text.slice(0, 10_000).trim());
    await expect(ann.page.locator("article")).toHaveCount(before + 1);
    await expect(ann.page.locator("article").last()).toBeInViewport();
    // Of 10,000 characters, fewer than half become elements.
    expect(await ann.page.locator("article").last().locator("*").count(), text.slice(0, 8)).toBeLessThan(5_000);
  }
});
