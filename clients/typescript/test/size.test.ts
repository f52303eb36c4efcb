// Checks the built package: its size and its imports.

import { readFileSync, readdirSync } from "node:fs";
import { gzipSync } from "node:zlib";

import { expect, test } from "vitest";

const dist = new URL("../dist/", import.meta.url);

/** Returns the modules that a built file imports. */
function imports(file: string): string[] {
  const code = readFileSync(new URL(file, dist), "utf8");
  return [...code.matchAll(/(?:from|import)\s*["']([^"']+)["']/g)].map(([, name]) => name ?? "");
}

test("the package without the React hooks is below 18 kB gzipped", () => {
  const files = ["index.js", ...imports("index.js").map((name) => name.replace("./", ""))];
  const bytes = files.map((file) => gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length);
  expect(bytes.reduce((sum, size) => sum + size, 0)).toBeLessThan(18_000);
});

test("only the react entry imports React, and only the node entry imports Node modules", () => {
  const external = readdirSync(dist)
    .filter((file) => file.endsWith(".js"))
    .flatMap((file) => imports(file).filter((name) => !name.startsWith("./")).map((name) => [file, name]));
  expect(external).toEqual([
    ["node.js", "node:fs/promises"],
    ["react.js", "react"],
  ]);
});
