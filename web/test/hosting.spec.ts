// A page that is hosted elsewhere than the API.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname } from "node:path";

import { Actor, PASSWORD, Stack, expect, register, test, uniqueName } from "./stack.js";

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

test("config.json beside the page names the API and its sockets", async ({ browser, newUser }) => {
  const config = { url: "", socketUrl: "" };
  const { url, close } = await host(() => config);
  const stack = await new Stack(["--in-memory", "--cors-origins", new URL(url).origin]).start();
  config.url = stack.url;
  config.socketUrl = `${stack.url.replace("http", "ws")}/ws`;
  const ben = await newUser(uniqueName("Ben"), { stack });
  const name = uniqueName("Ann");
  const username = await register(stack.url, name);
  const page = await (await browser.newContext()).newPage();
  const sockets: string[] = [];
  page.on("websocket", (socket) => sockets.push(socket.url()));
  await page.goto(url);
  await page.getByLabel("Username or e-mail address").fill(username);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  const ann = new Actor(page, name);
  const group = uniqueName("Far away");
  await ann.createGroup(group, ben.name);
  await ann.send("hello from elsewhere");
  await ben.open(group);
  await expect(ben.message("hello from elsewhere")).toBeVisible();
  await ben.send("and back");
  await expect(ann.message("and back")).toBeVisible();
  await expect.poll(() => sockets.some((socket) => socket.startsWith(config.socketUrl))).toBe(true);
  close();
  await stack.kill();
});
