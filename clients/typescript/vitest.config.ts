import { defineConfig } from "vitest/config";

// Nothing here is timed: a test that takes long is on a busy machine, one that hangs ends.
export default defineConfig({ test: { testTimeout: 120_000, hookTimeout: 120_000 } });
