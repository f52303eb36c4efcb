// Generates src/generated from docs/openapi.json. With --check, fails if the generated types are out of date.

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

/** Generates the types of the schemas only: the calls are written by hand in src/api.ts. */
const generate = (path) =>
  createClient({
    input,
    output: { path, entryFile: false },
    logs: { level: "error" },
    parser: { filters: { operations: { exclude: ["/.*/"] }, orphans: true } },
    plugins: ["@hey-api/typescript"],
  });

if (!existsSync(input)) {
  console.log(`types: not checked, ${input} does not exist`);
} else if (isCheck) {
  const folder = await mkdtemp(join(tmpdir(), "tidings-types-"));
  try {
    await generate(folder);
    const [fresh, current] = await Promise.all([folder, target].map((path) => readFile(join(path, "types.gen.ts"), "utf8")));
    if (fresh !== current) {
      console.error("types: src/generated does not match docs/openapi.json. Run: npm run types");
      process.exitCode = 1;
    }
  } finally {
    await rm(folder, { recursive: true });
  }
} else {
  await generate(target);
}
