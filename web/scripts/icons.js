#!/usr/bin/env node
// Draws the icons of the installed page and of notifications from src/icon.svg, into src/icons. Run it again when that
// picture changes.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { chromium } from "@playwright/test";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const svg = readFileSync(here("../src/icon.svg"), "utf8");
/** Without its rounded corners, and smaller: what remains if the system cuts a circle or rounds the corners itself. */
const full = svg
  .replace(/<rect [^>]*\/>/, '<rect width="32" height="32" fill="#3b5bdb" />')
  .replace(/(<path[^]*)(<\/svg>)/, '<g transform="translate(16 16) scale(0.82) translate(-16 -16)">$1</g>$2');
/** White on nothing: systems show only the outline of it. The lines are cut out. */
const outline = svg
  .replace(/<rect [^>]*\/>/, "")
  .replace("<path", '<mask id="m"><path fill="#fff" d="M0 0h32v32H0z" /><path d="M10.5 13.5h11M10.5 17.5h7" stroke="#000" stroke-width="2" stroke-linecap="round" /></mask><path mask="url(#m)"')
  .replace(/<path d="M10\.5[^>]*stroke="#3b5bdb"[^>]*\/>/, "")
  .replace('viewBox="0 0 32 32"', 'viewBox="4 4 24 24"');

const ICONS = [
  ["icon-192", 192, svg],
  ["icon-512", 512, svg],
  ["icon-maskable-512", 512, full],
  ["apple-touch-icon", 180, full],
  ["badge-96", 96, outline],
];

mkdirSync(here("../src/icons"), { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
for (const [name, side, picture] of ICONS) {
  const page = await browser.newPage({ viewport: { width: side, height: side } });
  await page.setContent(`<style>body{margin:0}svg{display:block;width:${side}px;height:${side}px}</style>${picture}`);
  writeFileSync(here(`../src/icons/${name}.png`), await page.screenshot({ omitBackground: true }));
  await page.close();
}
await browser.close();
