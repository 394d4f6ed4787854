import { PatchDropError } from "../src/errors.ts";

/** What `action` is refused with; any other error, or none, fails the test. */
export function refusal(action: () => unknown): PatchDropError {
  try {
    action();
  } catch (error) {
    if (error instanceof PatchDropError) return error;
    throw error;
  }
  throw new Error("was not refused");
}
