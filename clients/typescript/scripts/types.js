// Writes src/generated from docs/openapi.json; with --check, fails where what is there would change.

import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { createClient } from "@hey-api/openapi-ts";

const here = fileURLToPath(new URL("..", import.meta.url));
const input = process.env.OPENAPI ?? join(here, "../../docs/openapi.json");
const target = join(here, "src/generated");
const isCheck = process.argv.includes("--check");

/** Types of the schemas alone: what calls there are, src/api.ts says in fewer words. */
const generate = (path) =>
  createClient({
    input,
    output: { path, entryFile: false },
    logs: { level: "error" },
    parser: { filters: { operations: { exclude: ["/.*/"] }, orphans: true } },
    plugins: ["@hey-api/typescript"],
  });

if (!existsSync(input)) {
  console.log(`types: not checked, for there is no ${input}`);
} else if (isCheck) {
  const folder = await mkdtemp(join(tmpdir(), "tidings-types-"));
  try {
    await generate(folder);
    const [fresh, kept] = await Promise.all([folder, target].map((path) => readFile(join(path, "types.gen.ts"), "utf8")));
    if (fresh !== kept) {
      console.error("types: src/generated is not what docs/openapi.json says. Run: npm run types");
      process.exitCode = 1;
    }
  } finally {
    await rm(folder, { recursive: true });
  }
} else {
  await generate(target);
}
