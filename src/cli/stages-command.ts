/** The four trainings as subcommands: flags from the schema, then one call. */
import { Command } from "commander";
import type { StageName } from "../options/stage-options.ts";
import { addExamples } from "./command-examples.ts";
import { addFlags, type CommandFlags, type Flags } from "./flags.ts";

const descriptions: Record<StageName, string> = {
  classifier_training: "Train a classifier on high-resolution images, or on low-resolution ones with --stream_id LR.",
  pretrain: "Train the policy, by REINFORCE or by values of patches, judged by the frozen high-resolution classifier.",
  finetune: "Train the policy and the high-resolution classifier together.",
  finetune2stream:
    "Train policy and high-resolution classifier together, with the logits of the frozen low-resolution classifier added.",
};

/** In the order of use. */
export const stageCommandNames = Object.keys(descriptions) as readonly StageName[];

const examples: Record<StageName, readonly [string, string]> = {
  classifier_training: [
    "--data_dir data/cifar10 --cv_dir runs/hr",
    "--data_dir data/cifar10 --stream_id LR --cv_dir runs/lr",
  ],
  pretrain: [
    "--data_dir data/cifar10 --ckpt_hr_cl runs/hr --cv_dir runs/pretrain",
    "--data_dir data/cifar10 --ckpt_hr_cl runs/hr --estimator values --reward priced --rounds 4 --cv_dir runs/rounds",
  ],
  finetune: [
    "--data_dir data/cifar10 --load runs/pretrain --ckpt_hr_cl runs/hr --cv_dir runs/finetune",
    "--data_dir data/cifar10 --load runs/pretrain --ckpt_hr_cl runs/hr --penalty -2 --cv_dir runs/cheap",
  ],
  finetune2stream: [
    "--data_dir data/cifar10 --load runs/finetune --ckpt_lr_cl runs/lr --cv_dir runs/two",
    "--data_dir data/cifar10 --load runs/finetune --ckpt_lr_cl runs/lr --two_stream_mix share --cv_dir runs/two2019",
  ],
};

export function stageCommands(flags: CommandFlags): Command[] {
  return stageCommandNames.map((stage) => {
    const command = new Command(stage).description(descriptions[stage]);
    addFlags(command, flags[stage]).option("--quiet", "print only errors");
    const whole = examples[stage].map((words) => `patchdrop ${stage} ${words}`);
    return addExamples(command, whole).action(({ quiet = false, ...given }: Flags) => runStage(stage, given, quiet));
  });
}

async function runStage(stage: StageName, given: Record<string, unknown>, quiet: boolean): Promise<void> {
  const [{ parseOptions }, { train }, { terminalReporter }, { onAllRanks }, { startRanks }, report] = await Promise.all(
    [
      import("../options/stage-options.ts"),
      import("../training/train.ts"),
      import("./terminal-reporter.ts"),
      import("./on-all-ranks.ts"),
      import("./start-ranks.ts"),
      import("../report/time-table.ts"),
    ],
  );
  await startRanks(() => [given], quiet);
  await onAllRanks(stage, { quiet }, async (group) => {
    const options = parseOptions(stage, given);
    const reporter = terminalReporter({ quiet: quiet || group.rank > 0 });
    const result = await train(stage, options, { reporter, group });
    if (group.rank > 0) return result.stopped;
    const { run: name, profile: times } = result;
    if (times !== undefined && !quiet) process.stderr.write(report.timeText({ name, times }));
    if (result.stopped !== undefined) {
      process.stderr.write(`stopped by ${result.stopped}; everything is saved; continue with --resume\n`);
    } else if (!quiet) process.stdout.write(`${result.run}\n`);
    return result.stopped;
  });
}
