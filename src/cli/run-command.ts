/** `patchdrop run`: the stages of an experiment file, in order, resumable; with one seed or with several. */
import { basename, extname, join } from "node:path";
import { Command } from "commander";
import type { RunOptions } from "../options/run-options.ts";
import { addExamples } from "./command-examples.ts";
import { addFlags, type CommandFlags, type Flags } from "./flags.ts";

const about = [
  "Run the stages of an experiment file in order, then evaluate them; stages that are already done are skipped.",
  "",
  [
    "Any option of a stage that names no checkpoint (patchdrop pretrain --help) can be given, too, such as --lr or",
    "--max_epochs. It goes over the file's, in every stage that has it; --data_dir, --seed, --threads and --torch go over",
    "the file's common options, and not over what a stage has of its own.",
  ].join(" "),
].join("\n");

const examples = [
  "patchdrop run configs/cifar10-cpu.yaml --data_dir data/cifar10",
  "patchdrop run configs/quickstart.yaml --out runs/try --seed 2",
  "patchdrop run configs/quickstart.yaml --seeds 1,2,3",
  "patchdrop run configs/quickstart.yaml --out runs/short --max_epochs 1",
  "patchdrop run configs/cifar10-cpu.yaml --data_dir data/cifar10 --dry_run",
];

export function runCommand(flags: CommandFlags): Command {
  const command = new Command("run")
    .summary("Run the stages of an experiment file in order, then evaluate them.")
    .description(about)
    .argument("<config>", "experiment file (YAML), see configs/");
  addFlags(command, flags.run).option("--quiet", "print only errors and the table");
  addFlags(command, flags["run overrides"], true);
  return addExamples(command, examples).action(async (config: string, { quiet = false, ...given }: Flags) => {
    const { parseRunOptions } = await import("../options/run-options.ts");
    const { own, overrides } = parseRunOptions(given);
    const { dry_run: isDry, ...options } = own;
    const asked = { ...options, ...overrides };
    await (isDry ? planExperimentFile(config, asked, quiet) : runExperimentFile(config, asked, quiet));
  });
}

/** Where the results go, the seeds if there are several, and what goes over the file's options. */
type RunRequest = Pick<RunOptions, "out" | "seeds"> & Readonly<Record<string, unknown>>;

function folderOf(config: string, out: string | undefined): string {
  return out ?? join("runs", basename(config, extname(config)));
}

/** Prints what {@link runExperimentFile} would do. */
async function planExperimentFile(config: string, { out, seeds, ...overrides }: RunRequest, quiet: boolean) {
  const [{ readExperiment }, { readSeeds }, { planRuns, planText }, { terminalReporter }] = await Promise.all([
    import("../experiment/experiment-file.ts"),
    import("../experiment/run-seeds.ts"),
    import("../experiment/dry-run.ts"),
    import("./terminal-reporter.ts"),
  ]);
  const folder = folderOf(config, out);
  const one = () => [{ experiment: readExperiment(config, folder, overrides), folder }];
  const runs = seeds === undefined ? one() : readSeeds(config, folder, seeds, overrides);
  process.stdout.write(`${planText(await planRuns(runs, terminalReporter({ quiet })), folder)}\n`);
}

/** Runs the file, prints the table and the page's path. */
export async function runExperimentFile(
  config: string,
  { out, seeds, ...overrides }: RunRequest,
  quiet: boolean,
): Promise<void> {
  const [
    { readExperiment },
    { runExperiment },
    { readSeeds, runSeeds },
    { textTable },
    terminal,
    ranks,
    start,
    agreement,
    { flatTexts },
  ] = await Promise.all([
    import("../experiment/experiment-file.ts"),
    import("../experiment/run-experiment.ts"),
    import("../experiment/run-seeds.ts"),
    import("../report/table.ts"),
    import("./terminal-reporter.ts"),
    import("./on-all-ranks.ts"),
    import("./start-ranks.ts"),
    import("../distributed/agreement.ts"),
    import("../files/json.ts"),
  ]);
  const folder = folderOf(config, out);
  const optionsOfAll = () => readExperiment(config, folder, overrides).stages.map(({ options }) => options);
  await start.startRanks(optionsOfAll, quiet);
  const command = ["patchdrop", ...process.argv.slice(2)].join(" ");
  await ranks.onAllRanks("run", { quiet }, async (group) => {
    agreement.mustAgree(group, "experiment", flatTexts({ stages: { ...optionsOfAll() }, folder, seeds, overrides }));
    const context = { reporter: terminal.terminalReporter({ quiet: quiet || group.rank > 0 }), group };
    const result =
      seeds === undefined
        ? await runExperiment(readExperiment(config, folder, overrides), folder, command, context)
        : await runSeeds(readSeeds(config, folder, seeds, overrides), folder, command, context);
    const { page, stopped } = result;
    if (group.rank > 0) return stopped;
    if (stopped === undefined) process.stdout.write(`${textTable(result)}\n\n${page}\n`);
    else process.stderr.write(`stopped by ${stopped}; everything is saved; continue with the same command\n`);
    return stopped;
  });
}
