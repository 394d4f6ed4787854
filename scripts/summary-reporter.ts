/**
 * A vitest reporter that ends the output with plain lines, for people and scripts: what failed, each with the first line of its reason,
 * and "N passed, N failed, N skipped".
 */
import type { SerializedError } from "vitest";
import type { Reporter, TestModule } from "vitest/node";

type Failed = Pick<SerializedError, "message">;

export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };
    const failures: string[] = [];
    const note = (where: string, [error]: readonly Failed[]) => {
      failures.push(`failed: ${where}: ${error.message.trim().split("\n")[0]}`);
    };
    for (const error of unhandledErrors) note("outside of any test", [error]);
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state, errors = [] } = test.result();
        if (state === "failed") note(`${module.relativeModuleId} > ${test.fullName}`, errors);
        else counts[state] += 1;
      }
      // A file that does not load, or a hook that throws, has failed without a test that has.
      for (const group of [module, ...module.children.allSuites()]) {
        if (group.errors().length > 0) note(module.relativeModuleId, group.errors());
      }
    }
    const skipped = counts.skipped + counts.pending;
    const line = `${counts.passed} passed, ${failures.length} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
    // At exit, since the other reporters and vitest itself may still print after this hook.
    process.once("exit", () => process.stdout.write(`${[...failures, line].join("\n")}\n`));
  }
}
