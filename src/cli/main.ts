/** The program `patchdrop`: what it does with a command line, and how it ends. */
import { watchProcessors } from "../utils/threads.ts";
import { understood } from "./arguments.ts";
import { finish } from "./exit.ts";
import { commandFlags } from "./flags.ts";
import { patchdropProgram } from "./program.ts";
import { keepStandardOutput } from "./standard-output.ts";

watchProcessors();
keepStandardOutput();
// A terminal that was closed must not keep a run from saving.
process.stderr.on("error", () => undefined);

try {
  const program = patchdropProgram(await commandFlags());
  await program.parseAsync(understood(program, process.argv.slice(2)), { from: "user" });
} catch (error) {
  finish(error);
}
