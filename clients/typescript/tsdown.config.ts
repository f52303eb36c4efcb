import { defineConfig } from "tsdown";

export default defineConfig({
  entry: ["src/index.ts", "src/react.ts", "src/node.ts"],
  platform: "neutral",
  dts: true,
  minify: true,
  deps: { neverBundle: [/^node:/] },
});
