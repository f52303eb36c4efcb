import { fileURLToPath } from "node:url";

import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";
import type { Plugin } from "vite";

import { installable } from "./scripts/installable.js";

const client = (file: string) => fileURLToPath(new URL(`../clients/typescript/src/${file}`, import.meta.url));

/**
 * Gives the client a copy of thumbhash of its own. The client encodes, which is loaded later, and the page decodes; with
 * a common copy both would be in the first load.
 */
const ownThumbhash: Plugin = {
  name: "own-thumbhash",
  enforce: "pre",
  resolveId: (source, importer) =>
    source === "thumbhash" && importer?.includes("/clients/typescript/")
      ? `${fileURLToPath(new URL("node_modules/thumbhash/thumbhash.js", import.meta.url))}?client`
      : null,
};

export default defineConfig({
  plugins: [react(), ownThumbhash, installable()],
  resolve: {
    // Uses the client's sources, so that it needs no build of its own.
    alias: [
      { find: /^@tidings\/client$/, replacement: client("index.ts") },
      { find: /^@tidings\/client\/react$/, replacement: client("react.ts") },
      { find: /^@tidings\/client\/push$/, replacement: client("push.ts") },
    ],
    dedupe: ["react", "react-dom"],
  },
  worker: { plugins: () => [ownThumbhash] },
  build: {
    target: "es2024",
    // The page's Content Security Policy forbids inlined scripts (data: URLs), so nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: true,
  },
  server: {
    proxy: {
      "/api": "http://127.0.0.1:3000",
      "/_local": "http://127.0.0.1:3000",
      "/ws": { target: "ws://127.0.0.1:3000", ws: true },
    },
  },
});
