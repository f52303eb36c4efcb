// Compresses the built files, and fails if the first load is too large.

import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

/** Maximum gzipped bytes of all files that load before the page renders. */
const MAX_FIRST_LOAD = 150_000;
const dist = new URL("../dist/", import.meta.url);

for (const name of readdirSync(new URL("assets/", dist))) {
  if (!/\.(js|css|svg|json)$/.test(name)) continue;
  const file = new URL(`assets/${name}`, dist);
  writeFileSync(`${file.pathname}.gz`, gzipSync(readFileSync(file), { level: 9 }));
}

const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", dist), "utf8"));
const first = new Set(["index.html"]);
const add = (name) => {
  const { file, css = [], imports = [] } = manifest[name];
  for (const each of [file, ...css]) first.add(each);
  imports.forEach(add);
};
add("index.html");
const size = (name) => gzipSync(readFileSync(new URL(name, dist)), { level: 9 }).length;
const total = [...first].reduce((sum, name) => sum + size(name), 0);
console.log(`first load: ${(total / 1000).toFixed(1)} kB gzipped, limit ${MAX_FIRST_LOAD / 1000} kB`);
if (total > MAX_FIRST_LOAD) process.exit(1);
