import { describe } from "vitest";

/** Tests that need something; where it is missing they are skipped, and their name says why. */
export function describeUnless(missing: string | undefined, what: string, tests: () => void): void {
  if (missing === undefined) describe(what, tests);
  else describe.skip(`${what} (skipped: ${missing})`, tests);
}
