// Vite plugin: makes the page installable. Adds the manifest and its icons to the page, and the service worker, in one
// file (`sw.js`, a name without a hash) that knows the files of the build.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { build } from "vite";
import type { Plugin } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The icons, by the name that the page uses. */
const ICONS = ["icon-192", "icon-512", "icon-maskable-512", "apple-touch-icon", "badge-96"] as const;

const digest = (content: string | Uint8Array) => createHash("sha256").update(content).digest("base64url").slice(0, 8);

/** Describes the installed page to the browser. `id` stays the same, whatever else changes. */
function manifest(icon: (name: (typeof ICONS)[number]) => string): string {
  const png = (name: (typeof ICONS)[number], side: number, purpose: string) => ({
    src: icon(name),
    sizes: `${side}x${side}`,
    type: "image/png",
    purpose,
  });
  return JSON.stringify({
    id: "/",
    name: "Tidings",
    short_name: "Tidings",
    description: "Chat with people, groups and rooms",
    start_url: "/",
    scope: "/",
    display: "standalone",
    background_color: "#f6f5f2",
    theme_color: "#3b5bdb",
    icons: [png("icon-192", 192, "any"), png("icon-512", 512, "any"), png("icon-maskable-512", 512, "maskable")],
  });
}

/** Builds the service worker. Returns its code. */
async function buildWorker(BUILD: object): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: "warn",
    define: { BUILD: JSON.stringify(BUILD) },
    build: {
      write: false,
      target: "es2022",
      modulePreload: false,
      // In one file that is no module: not all browsers run modules as service workers.
      rollupOptions: { input: here("../worker/sw.ts"), output: { format: "iife", entryFileNames: "sw.js" } },
    },
  });
  const [output] = [built].flat();
  if (!output || !("output" in output)) throw new Error("The service worker was not built.");
  return output.output[0].code;
}

/** Returns the plugin. */
export function installable(): Plugin {
  const addresses = new Map<string, string>();
  return {
    name: "installable",
    apply: "build",
    buildStart() {
      for (const name of ICONS) {
        const source = readFileSync(here(`../src/icons/${name}.png`));
        const fileName = `assets/${name}-${digest(source)}.png`;
        this.emitFile({ type: "asset", fileName, source });
        addresses.set(name, `/${fileName}`);
      }
      const source = manifest((name) => addresses.get(name) ?? "");
      const fileName = `assets/tidings-${digest(source)}.webmanifest`;
      this.emitFile({ type: "asset", fileName, source });
      addresses.set("manifest", `/${fileName}`);
    },
    transformIndexHtml: () => [
      { tag: "link", attrs: { rel: "manifest", href: addresses.get("manifest") }, injectTo: "head" },
      { tag: "link", attrs: { rel: "apple-touch-icon", href: addresses.get("apple-touch-icon") }, injectTo: "head" },
    ],
    generateBundle: {
      // After the page itself is in the bundle.
      order: "post",
      async handler(_, bundle) {
        const page = bundle["index.html"];
        if (page?.type !== "asset") throw new Error("The bundle has no page.");
        const files = Object.keys(bundle).filter((name) => name.startsWith("assets/"));
        const paths = files.map((name) => `/${name}`).sort();
        const pictures = { icon: addresses.get("icon-192"), badge: addresses.get("badge-96") };
        const source = await buildWorker({ files: paths, digest: digest(paths.join("\n") + String(page.source)), pictures });
        this.emitFile({ type: "asset", fileName: "sw.js", source });
      },
    },
  };
}
