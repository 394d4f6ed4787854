/** `patchdrop report`: runs as one page that needs nothing else. */
import { Command } from "commander";
import { addExamples } from "./command-examples.ts";
import { addFlags, type CommandFlags, type Flags } from "./flags.ts";

const summary = "Write one HTML page about runs: curves, tables, budgets, where patches lie, images.";

const about = [
  summary,
  "",
  [
    "RUN is a run folder, a checkpoint, patchdrop:NAME, or the folder of a `patchdrop run`, for all its runs. The page is one file:",
    "it loads nothing, needs no script, and can be printed. Several runs stand side by side.",
  ].join(" "),
].join("\n");

const examples = [
  "patchdrop report runs/finetune --ckpt_lr_cl runs/lr",
  'patchdrop report runs/hr runs/lr runs/finetune runs/cheap --out comparison.html --title "Two penalties"',
  "patchdrop report runs/quickstart --no_sweep --json",
];

export function reportCommand(flags: CommandFlags): Command {
  const command = new Command("report").summary(summary).description(about).argument("<run...>", "see above");
  addFlags(command, flags.report);
  return addExamples(command, examples)
    .option("--json", "print what the page shows, except images, as JSON")
    .option("--quiet", "print only errors and the page's name, or the JSON")
    .action(async (runs: string[], { json = false, quiet = false, ...given }: Flags) => {
      const [{ parseWith }, { reportSchema }, { reportRuns }, { terminalReporter }] = await Promise.all([
        import("../options/parse.ts"),
        import("../options/report-options.ts"),
        import("../experiment/report-runs.ts"),
        import("./terminal-reporter.ts"),
      ]);
      const options = parseWith(reportSchema, given, "report");
      const words = ["patchdrop", ...process.argv.slice(2)].join(" ");
      const report = await reportRuns(runs, options, words, terminalReporter({ quiet }));
      process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : `${report.page}\n`);
    });
}
