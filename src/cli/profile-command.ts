/** `patchdrop profile`: what a run's networks cost on this machine, by the number of patches. */
import { Command } from "commander";
import { addExamples } from "./command-examples.ts";
import { addFlags, type CommandFlags, type Flags } from "./flags.ts";

const summary = "Measure what a run's networks cost on this machine, by the number of patches.";

const about = [
  summary,
  "",
  [
    "Multiply-adds, milliseconds and, where the machine tells it, joules an image: of the classifier with none, an eighth, a",
    "quarter, half, three quarters and all of the patches, of the policy and of the low-resolution classifier. Beside a",
    "classifier of --arch patches, the model's own, which computes on the whole image whatever is there. Needs no data. What a",
    "training's time went to is another question: the trainings' own --profile.",
  ].join(" "),
].join("\n");

const examples = [
  "patchdrop profile --load runs/finetune",
  "patchdrop profile --load patchdrop:cifar10 --batch_size 1 --threads 1 --precision fp32",
];

export function profileCommand(flags: CommandFlags): Command {
  const command = new Command("profile").summary(summary).description(about);
  addFlags(command, flags.profile);
  return addExamples(command.option("--json", "print JSON"), examples).action(
    async ({ json = false, ...given }: Flags) => {
      const [
        { parseProfileOptions },
        { measureCompute },
        { pathOfCheckpoint },
        { isPackaged },
        { computeFile, writeCompute },
        { assertWritable },
        { terminalReporter },
        { computeText },
      ] = await Promise.all([
        import("../options/profile-options.ts"),
        import("../compute/measure-compute.ts"),
        import("../checkpoints/open-checkpoint.ts"),
        import("../checkpoints/packaged.ts"),
        import("../compute/stored-compute.ts"),
        import("../files/atomic.ts"),
        import("./terminal-reporter.ts"),
        import("../report/compute-table.ts"),
      ]);
      const options = parseProfileOptions(given);
      const isStored = !isPackaged(options.load);
      if (isStored) assertWritable(computeFile(pathOfCheckpoint(options.load)));
      const reporter = terminalReporter({ quiet: false });
      const found = await measureCompute(options, reporter);
      process.stdout.write(json ? `${JSON.stringify(found, null, 2)}\n` : computeText(found));
      if (isStored) reporter.note(`stored in ${writeCompute(found)}, for reports of this run`);
    },
  );
}
