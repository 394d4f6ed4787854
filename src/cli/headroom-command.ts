/** `patchdrop headroom`: whether a policy that looks can beat a fixed mask on some data, and by how much. */
import { Command } from "commander";
import { addExamples } from "./command-examples.ts";
import { addFlags, type CommandFlags, type Flags } from "./flags.ts";

const summary = "Say whether looking can pay on some data: what is there beyond the best fixed mask.";

const about = [
  summary,
  "",
  [
    "For each number of patches: the best mask that is the same for every image, and what could be had beyond it, by deciding",
    "how many patches an image needs, by deciding in rounds until the classifier is sure, and by deciding where from similar",
    "images. On held-out images, of which some choose and the others judge; gains have intervals of 95 %. Needs a classifier",
    "that knows masks: classifier_training --random_masks 0.5 --val_fraction 0.1.",
  ].join(" "),
].join("\n");

const examples = [
  "patchdrop headroom --load runs/hr",
  "patchdrop headroom --load runs/hr --budgets 2,4,8 --chart headroom.svg",
  "patchdrop headroom --load runs/hr --judge runs/hr2",
];

export function headroomCommand(flags: CommandFlags): Command {
  const command = new Command("headroom").summary(summary).description(about);
  addFlags(command, flags.headroom);
  return addExamples(command.option("--json", "print JSON"), examples).action(
    async ({ json = false, ...given }: Flags) => {
      const [
        { parseHeadroomOptions },
        { measureHeadroom },
        { pathOfCheckpoint },
        { isPackaged },
        { headroomFile, writeHeadroom },
        { assertWritable, writeFileAtomic },
        { terminalReporter },
        report,
      ] = await Promise.all([
        import("../options/headroom-options.ts"),
        import("../headroom/headroom.ts"),
        import("../checkpoints/open-checkpoint.ts"),
        import("../checkpoints/packaged.ts"),
        import("../headroom/stored-headroom.ts"),
        import("../files/atomic.ts"),
        import("./terminal-reporter.ts"),
        import("../report/headroom-table.ts"),
      ]);
      const options = parseHeadroomOptions(given);
      if (options.chart !== undefined) assertWritable(options.chart);
      const isStored = !isPackaged(options.load);
      if (isStored) assertWritable(headroomFile(pathOfCheckpoint(options.load)));
      const reporter = terminalReporter({ quiet: false });
      const found = await measureHeadroom(options, reporter);
      process.stdout.write(json ? `${JSON.stringify(found, null, 2)}\n` : report.headroomText(found));
      if (options.chart !== undefined) writeFileAtomic(options.chart, Buffer.from(await report.headroomChart(found)));
      if (isStored) reporter.note(`stored in ${writeHeadroom(found)}, for reports of this run`);
    },
  );
}
