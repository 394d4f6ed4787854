/** `patchdrop run`: the stages of an experiment file, in order, resumable; with one seed or with several. */
import { basename, extname, join } from "node:path";
import { Command } from "commander";
import type { RunOptions } from "../options/run-options.ts";
import { addExamples } from "./command-examples.ts";
import { endBy } from "./exit.ts";
import { addFlags, type CommandFlags, type Flags } from "./flags.ts";

const examples = [
  "patchdrop run configs/cifar10-cpu.yaml --data_dir data/cifar10",
  "patchdrop run configs/quickstart.yaml --out runs/try --seed 2",
  "patchdrop run configs/quickstart.yaml --seeds 1,2,3",
];

export function runCommand(flags: CommandFlags): Command {
  const command = new Command("run")
    .description(
      "Run the stages of an experiment file in order, then evaluate them; stages that are already done are skipped.",
    )
    .argument("<config>", "experiment file (YAML), see configs/");
  addFlags(command, flags.run).option("--quiet", "print only errors and the table");
  return addExamples(command, examples).action(async (config: string, { quiet = false, ...given }: Flags) => {
    const [{ parseWith }, { runSchema }] = await Promise.all([
      import("../options/parse.ts"),
      import("../options/run-options.ts"),
    ]);
    await runExperimentFile(config, parseWith(runSchema, given, "run"), quiet);
  });
}

/** Runs the file, prints the table and the page's path. */
export async function runExperimentFile(
  config: string,
  { out, seeds, ...overrides }: RunOptions,
  quiet: boolean,
): Promise<void> {
  const [{ readExperiment }, { runExperiment }, { readSeeds, runSeeds }, { textTable }, terminal] = await Promise.all([
    import("../experiment/experiment-file.ts"),
    import("../experiment/run-experiment.ts"),
    import("../experiment/run-seeds.ts"),
    import("../report/table.ts"),
    import("./terminal-reporter.ts"),
  ]);
  const folder = out ?? join("runs", basename(config, extname(config)));
  const command = ["patchdrop", ...process.argv.slice(2)].join(" ");
  const reporter = terminal.terminalReporter({ quiet });
  const result =
    seeds === undefined
      ? await runExperiment(readExperiment(config, folder, overrides), folder, command, reporter)
      : await runSeeds(readSeeds(config, folder, seeds, overrides), folder, command, reporter);
  const { page, stopped } = result;
  if (stopped !== undefined) {
    process.stderr.write(`stopped by ${stopped}; everything is saved; continue with the same command\n`);
    endBy(stopped);
  }
  process.stdout.write(`${textTable(result)}\n\n${page}\n`);
}
