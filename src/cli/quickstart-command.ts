/** `patchdrop quickstart`: the four trainings on the built-in data set, in minutes. */
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { parseWith } from "../options/parse.ts";
import { quickstartSchema } from "../options/run-options.ts";
import { addFlags, type Flags } from "./flags.ts";
import { runExperimentFile } from "./run-command.ts";

const config = fileURLToPath(new URL("../../configs/quickstart.yaml", import.meta.url));

export function quickstartCommand(): Command {
  const command = new Command("quickstart").description(
    "Train all four stages on the built-in data set in minutes, and write a table and a page of the results.",
  );
  return addFlags(command, quickstartSchema)
    .option("--quiet", "print only errors and the table")
    .addHelpText("after", "\nExamples:\n  patchdrop quickstart\n  patchdrop quickstart --seed 2 --out runs/second")
    .action(({ quiet = false, ...given }: Flags) =>
      runExperimentFile(config, parseWith(quickstartSchema, given, "quickstart"), quiet),
    );
}
