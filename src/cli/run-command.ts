/** `patchdrop run`: the stages of an experiment file, in order, resumable. */
import { basename, extname, join } from "node:path";
import { Command } from "@commander-js/extra-typings";
import { signalExitCode } from "./exit.ts";
import { wholeNumber } from "./flags.ts";

interface RunFlags {
  out?: string | undefined;
  data_dir?: string | undefined;
  seed?: number | undefined;
  torch?: string | undefined;
  threads?: number | undefined;
  quiet?: boolean | undefined;
}

export function runCommand(): Command {
  const command = new Command("run")
    .description(
      "Run the stages of an experiment file in order, then evaluate them; what is done already is left as it is.",
    )
    .argument("<config>", "experiment file (YAML), see configs/")
    .option("--out <folder>", "folder of the results (default: runs/<name of the file>)")
    .option("--data_dir <folder>", "folder of the data set, over the file's")
    .option("--seed <n>", "seed, over the file's", wholeNumber(0))
    .option("--threads <n>", "threads of libtorch, over the file's", wholeNumber(1))
    .option("--torch <folder>", "folder of the PyTorch to use, over the file's")
    .option("--quiet", "print nothing but errors and the table")
    .addHelpText(
      "after",
      "\nExamples:\n  patchdrop run configs/cifar10-cpu.yaml --data_dir data/cifar10\n  patchdrop run configs/quickstart.yaml --out runs/try --seed 2",
    )
    .action((config, flags) => runExperimentFile(config, flags));
  return command as unknown as Command;
}

/** Runs the file, prints the table and the page's path. */
export async function runExperimentFile(
  config: string,
  { out, quiet = false, seed, threads, data_dir, torch }: RunFlags,
): Promise<void> {
  const [{ readExperiment }, { runExperiment }, { textTable }, { terminalReporter }] = await Promise.all([
    import("../experiment/experiment-file.ts"),
    import("../experiment/run-experiment.ts"),
    import("../report/table.ts"),
    import("./terminal-reporter.ts"),
  ]);
  const folder = out ?? join("runs", basename(config, extname(config)));
  const given = { data_dir, torch, seed, threads };
  const overrides = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const experiment = readExperiment(config, folder, overrides);
  const words = ["patchdrop", ...process.argv.slice(2)];
  const { rows, page, stopped } = await runExperiment(experiment, folder, words.join(" "), terminalReporter({ quiet }));
  if (stopped !== undefined) {
    process.stderr.write(`stopped by ${stopped}; everything is saved, go on with the same command\n`);
    process.exit(signalExitCode(stopped));
  }
  process.stdout.write(`${textTable({ rows })}\n\n${page}\n`);
}
