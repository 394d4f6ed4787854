/** `patchdrop quickstart`: the four trainings on the built-in data set, in minutes. */
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { addExamples } from "./command-examples.ts";
import { addFlags, type CommandFlags, type Flags } from "./flags.ts";
import { runExperimentFile } from "./run-command.ts";

const config = fileURLToPath(new URL("../../configs/quickstart.yaml", import.meta.url));

const examples = ["patchdrop quickstart", "patchdrop quickstart --seed 2 --out runs/second"];

export function quickstartCommand(flags: CommandFlags): Command {
  const command = new Command("quickstart").description(
    "Train all four stages on the built-in data set in minutes, and write a table and a page of the results.",
  );
  addFlags(command, flags.quickstart).option("--quiet", "print only errors and the table");
  return addExamples(command, examples).action(async ({ quiet = false, ...given }: Flags) => {
    const [{ parseWith }, { quickstartSchema }] = await Promise.all([
      import("../options/parse.ts"),
      import("../options/run-options.ts"),
    ]);
    await runExperimentFile(config, parseWith(quickstartSchema, given, "quickstart"), quiet);
  });
}
