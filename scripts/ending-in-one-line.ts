/** How a script ends that fails for what it was given: as a command does, with a line for each fault and the exit code of its kind. */
import { PatchDropError, sentences } from "../src/errors.ts";

/** Does a script's work. Any other error is a bug, and ends it with its stack. */
export async function endingInOneLine(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof PatchDropError)) throw error;
    for (const line of sentences(error)) process.stderr.write(`error: ${line}\n`);
    process.exitCode = error.exitCode;
  }
}
