import { fileURLToPath } from "node:url";

import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const client = (file: string) => fileURLToPath(new URL(`../clients/typescript/src/${file}`, import.meta.url));

export default defineConfig({
  plugins: [react()],
  resolve: {
    // From its sources, so that there is one thing to build.
    alias: [
      { find: /^@tidings\/client$/, replacement: client("index.ts") },
      { find: /^@tidings\/client\/react$/, replacement: client("react.ts") },
    ],
    dedupe: ["react", "react-dom"],
  },
  build: {
    target: "es2024",
    // The policy that the page is sent with allows no data: scripts, and nothing is gained by inlining others.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: true,
  },
  server: { proxy: { "/api": "http://127.0.0.1:3000", "/_local": "http://127.0.0.1:3000", "/ws": { target: "ws://127.0.0.1:3000", ws: true } } },
});
