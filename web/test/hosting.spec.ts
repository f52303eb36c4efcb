// A page that is hosted elsewhere than the API.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname } from "node:path";

import { Actor, Stack, conversationOf, expect, signIn, test, uniqueName } from "./stack.js";

const TYPES: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

/** Serves the built page, with a `config.json` beside it. Returns its URL. */
async function host(config: () => object): Promise<{ url: string; close: () => void }> {
  const server = createServer((request, response) => {
    const path = request.url === "/" ? "/index.html" : (request.url ?? "");
    const file = path === "/config.json" ? Promise.resolve(JSON.stringify(config())) : readFile(new URL(`../dist${path}`, import.meta.url));
    file.then(
      (content) => response.setHeader("content-type", TYPES[extname(path)] ?? "application/json").end(content),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, close: () => server.close() };
}

test("config.json beside the page names the API and its sockets", async ({ browser, newAccount }) => {
  const config = { url: "", socketUrl: "" };
  const { url, close } = await host(() => config);
  const stack = await new Stack(["--in-memory", "--cors-origins", new URL(url).origin]).start();
  config.url = stack.url;
  config.socketUrl = `${stack.url.replace("http", "ws")}/ws`;
  const ben = await newAccount(uniqueName("Ben"), stack);
  const page = await (await browser.newContext()).newPage();
  const ann = new Actor(page, await newAccount(uniqueName("Ann"), stack));
  const sockets: string[] = [];
  page.on("websocket", (socket) => sockets.push(socket.url()));
  await page.goto(url);
  await signIn(page, ann);
  const group = uniqueName("Far away");
  await ann.createGroupInDialog(group, ben.name);
  await ann.send("hello from elsewhere");
  const id = conversationOf(page);
  await expect.poll(() => ben.texts(id)).toEqual(["hello from elsewhere"]);
  await ben.write(id, "and back");
  await expect(ann.message("and back")).toBeVisible();
  await expect.poll(() => sockets.some((socket) => socket.startsWith(config.socketUrl))).toBe(true);
  close();
  await stack.kill();
});
