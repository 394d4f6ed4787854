/**
 * Run before each test file where the code is mutated. A mutant outside of functions is made when its module is loaded, but
 * with `--testFiles` the tester activates mutants only when the tests begin, and none of those would ever be noticed.
 */
import { inject } from "vitest";

declare module "vitest" {
  /** What the tester gives to each test file. */
  interface ProvidedContext {
    mode: "dry-run" | "mutant";
    globalNamespace: string;
    activeMutant: string;
  }
}

if (inject("mode") === "mutant") {
  const switchboard: object = Reflect.get(globalThis, inject("globalNamespace"));
  Object.assign(switchboard, { activeMutant: inject("activeMutant") });
}
