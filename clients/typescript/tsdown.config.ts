import { defineConfig } from "tsdown";

export default defineConfig({
  entry: ["src/index.ts", "src/react.ts", "src/node.ts", "src/picture-worker.ts"],
  platform: "neutral",
  dts: true,
  minify: true,
  // Otherwise, neutral builds find no packages without `exports`.
  inputOptions: { resolve: { mainFields: ["module", "main"] } },
  deps: { neverBundle: [/^node:/] },
});
