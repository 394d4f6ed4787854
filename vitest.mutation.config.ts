/** The tests that the mutation tester picks from: those of units, without the few that take long. */
import { defineConfig, type Plugin } from "vitest/config";
import base from "./vitest.config.ts";

const slow = [
  "test/run/crash.test.ts",
  "test/golden/networks.test.ts",
  "test/golden/resnets.test.ts",
  "test/training/last-batch.test.ts",
  "test/training/leak.test.ts",
  "test/training/pretrained.test.ts",
  "test/training/step-runner.test.ts",
  "test/training/stop.test.ts",
];

/** The mutation tester asks for threads, and they would share one libtorch. */
const forks: Plugin = {
  name: "forks",
  configureVitest({ project }) {
    project.config.pool = "forks";
  },
};

export default defineConfig({
  ...base,
  plugins: [forks],
  test: {
    ...base.test,
    include: ["test/{checkpoints,evaluation,files,golden,method,nn,options,run,training,utils}/**/*.test.ts"],
    exclude: slow,
    setupFiles: ["scripts/mutation-setup.ts"],
  },
});
