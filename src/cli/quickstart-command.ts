/** `patchdrop quickstart`: the four trainings on the embedded data set, in minutes. */
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { parseWith } from "../options/parse.ts";
import { quickstartSchema } from "../options/run-options.ts";
import { addFlags, type Flags } from "./flags.ts";
import { runExperimentFile } from "./run-command.ts";

const config = fileURLToPath(new URL("../../configs/quickstart.yaml", import.meta.url));

export function quickstartCommand(): Command {
  const command = new Command("quickstart").description(
    "Train all four stages on the embedded data set in minutes, and write a table and a page to look at.",
  );
  return addFlags(command, quickstartSchema)
    .option("--quiet", "print nothing but errors and the table")
    .addHelpText("after", "\nExamples:\n  patchdrop quickstart\n  patchdrop quickstart --seed 2 --out runs/second")
    .action(({ quiet = false, ...given }: Flags) =>
      runExperimentFile(config, parseWith(quickstartSchema, given, "quickstart"), quiet),
    );
}
