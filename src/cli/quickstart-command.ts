/** `patchdrop quickstart`: the four trainings on the embedded data set, in minutes. */
import { fileURLToPath } from "node:url";
import { Command } from "@commander-js/extra-typings";
import { wholeNumber } from "./flags.ts";
import { runExperimentFile } from "./run-command.ts";

export function quickstartCommand(): Command {
  const command = new Command("quickstart")
    .description("Train all four stages on the embedded data set in minutes, and write a table and a page to look at.")
    .option("--out <folder>", "folder of the results", "runs/quickstart")
    .option("--seed <n>", "seed of data and training", wholeNumber(0))
    .option("--threads <n>", "threads of libtorch; all processors when absent", wholeNumber(1))
    .option("--torch <folder>", "folder of the PyTorch to use; searched for when absent")
    .option("--quiet", "print nothing but errors and the table")
    .addHelpText("after", "\nExamples:\n  patchdrop quickstart\n  patchdrop quickstart --seed 2 --out runs/second")
    .action((flags) =>
      runExperimentFile(fileURLToPath(new URL("../../configs/quickstart.yaml", import.meta.url)), flags),
    );
  return command as unknown as Command;
}
