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
    // Loading libtorch takes half a second, more when two do at once; the end-to-end tests set their own limits.
    testTimeout: 30_000,
    hookTimeout: 60_000,
    reporters: ["default", "./scripts/summary-reporter.ts"],
  },
});
