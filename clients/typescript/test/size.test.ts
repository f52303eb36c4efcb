// The package as it is built: small, and fit for what it promises.

import { readFileSync, readdirSync } from "node:fs";
import { gzipSync } from "node:zlib";

import { expect, test } from "vitest";

const dist = new URL("../dist/", import.meta.url);

/** What a file of the package imports. */
function imports(file: string): string[] {
  const code = readFileSync(new URL(file, dist), "utf8");
  return [...code.matchAll(/(?:from|import)\s*["']([^"']+)["']/g)].map(([, name]) => name ?? "");
}

test("without the hooks it is below 15 kB, gzipped", () => {
  const files = ["index.js", ...imports("index.js").map((name) => name.replace("./", ""))];
  const bytes = files.map((file) => gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length);
  expect(bytes.reduce((sum, size) => sum + size, 0)).toBeLessThan(15_000);
});

test("it needs no other package, and nothing of Node but in its own entry", () => {
  const foreign = readdirSync(dist)
    .filter((file) => file.endsWith(".js"))
    .flatMap((file) => imports(file).filter((name) => !name.startsWith("./")).map((name) => [file, name]));
  expect(foreign).toEqual([
    ["node.js", "node:fs/promises"],
    ["react.js", "react"],
  ]);
});
