import { defineConfig } from "vitest/config";

// No test measures time. The timeouts only end tests that hang, and are generous for busy machines.
export default defineConfig({ test: { testTimeout: 120_000, hookTimeout: 120_000 } });
