import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    environment: "node",
    // libtorch's state is global: each file has a process of its own.
    pool: "forks",
    isolate: true,
    maxWorkers: 2,
    // Read by libtorch's thread pool when it is loaded; with two workers more threads would only wait for each other.
    env: { OMP_NUM_THREADS: "1" },
    // What hangs is to end; no promise about time, which a slow and busy machine could not keep.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    reporters: ["default", "./scripts/summary-reporter.ts"],
  },
});
