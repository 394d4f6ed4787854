/**
 * Mutation tests: whether the tests notice when the code is changed. A tool for development, not part of CI:
 * `npm run mutate -- --mutate 'src/method/**'` (CONTRIBUTING.md says how to read what it prints).
 * @type {import("@stryker-mutator/api/core").PartialStrykerOptions}
 */
export default {
  plugins: ["@stryker-mutator/vitest-runner"],
  testRunner: "vitest",
  vitest: { configFile: "vitest.mutation.config.ts" },
  mutate: ["src/method/**/*.ts"],
  concurrency: 1,
  // A mutant is given up after 3 × the time of its tests + 10 s, so that a busy machine kills none.
  timeoutFactor: 3,
  timeoutMS: 10_000,
  dryRunTimeoutMinutes: 15,
  // Results are kept, and only what a change to code or tests can alter is run again; `--force` runs everything.
  incremental: true,
  incrementalFile: "reports/mutation/incremental.json",
  htmlReporter: { fileName: "reports/mutation/index.html" },
  jsonReporter: { fileName: "reports/mutation/report.json" },
  reporters: ["progress-append-only", "clear-text", "html", "json"],
  clearTextReporter: { reportTests: false, allowEmojis: false },
  // Vitest does not check types, and the tests need nothing of these.
  disableTypeChecks: false,
  // There is no such file: for a project's own, it calls an interface of the compiler that TypeScript 7 does not have.
  tsconfigFile: "none",
  ignorePatterns: ["bench", "configs", "demo", "dist", "docs", "examples", "runs", "reports"],
};
