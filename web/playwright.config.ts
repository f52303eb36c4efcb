import { existsSync } from "node:fs";

import { defineConfig } from "@playwright/test";

const chromium = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
/** Chromium without what only a window needs: it takes half of the time, but shows no notifications. */
const shell = "/usr/bin/chromium-headless-shell";

const args = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  // A microphone that beeps, for voice messages.
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
];
const NOTIFICATIONS = "push.spec.ts";

export default defineConfig({
  testDir: "test",
  outputDir: "test-results",
  timeout: 60_000,
  expect: { timeout: 15_000 },
  // With two, a third of two cores is idle.
  workers: 3,
  fullyParallel: true,
  forbidOnly: true,
  // A test that passes only the second time is reported as flaky.
  retries: 1,
  reporter: "list",
  use: {
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
    viewport: { width: 1440, height: 900 },
    // An eighth of the time would go into frames of animations. Tests of scrolling and of the common tasks have them.
    contextOptions: { reducedMotion: "reduce" },
    permissions: ["clipboard-read", "clipboard-write"],
    trace: "off",
    // Tests intercept requests, which a service worker would answer. Those of notifications allow it.
    serviceWorkers: "block",
    launchOptions: { executablePath: chromium, args },
  },
  projects: [
    { name: "notifications", testMatch: NOTIFICATIONS },
    {
      name: "page",
      testIgnore: NOTIFICATIONS,
      use: { launchOptions: { executablePath: existsSync(shell) ? shell : chromium, args } },
    },
  ],
});
