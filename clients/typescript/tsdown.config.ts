import { defineConfig } from "tsdown";

export default defineConfig({
  entry: ["src/index.ts", "src/react.ts", "src/push.ts", "src/node.ts", "src/picture-worker.ts"],
  platform: "neutral",
  dts: true,
  minify: true,
  inputOptions: {
    // Otherwise, neutral builds find no packages without `exports`.
    resolve: { mainFields: ["module", "main"] },
    // The code that is loaded later imports from the index. Otherwise, what both need is a third file.
    preserveEntrySignatures: "allow-extension",
  },
  deps: { neverBundle: [/^node:/] },
});
