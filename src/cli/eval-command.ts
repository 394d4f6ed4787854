/** `patchdrop eval`: a run beside its baselines, as a table or as JSON; with --sweep at every budget too, as a chart. */
import { Command } from "commander";
import type { RunEvaluation, splitWords as SplitWords } from "../evaluation/evaluation.ts";
import { addExamples } from "./command-examples.ts";
import { addFlags, type CommandFlags, type Flags } from "./flags.ts";

const summary =
  "Print a run's accuracy, patches, distinct masks and reward, beside baselines with the same number of patches.";

const about = [
  summary,
  "",
  [
    "By default patches are chosen as in the run's own tests. --policy and --budget choose otherwise; a --target_… calibrates",
    "a threshold on validation images, or training images where there are none, evaluates it, and stores it with the checkpoint (then: --policy calibrated).",
    "Most of the time goes to the baselines: the best fixed mask is looked for among some hundred, on 512 images of another split.",
  ].join(" "),
].join("\n");

const examples = [
  "patchdrop eval --load runs/finetune --ckpt_lr_cl runs/lr",
  "patchdrop eval --load runs/hr --json",
  "patchdrop eval --load runs/finetune --policy topk --budget 4",
  "patchdrop eval --load runs/finetune --target_patches 6",
  "patchdrop eval --load runs/finetune --exit 0.95",
  "patchdrop eval --load runs/finetune --sweep --chart sweep.svg",
];

export function evalCommand(flags: CommandFlags): Command {
  const command = new Command("eval").summary(summary).description(about);
  addFlags(command, flags.eval);
  return addExamples(command.option("--json", "print JSON"), examples).action(
    async ({ json = false, ...given }: Flags) => {
      const [{ parseEvalOptions }, { evaluateRun }, { assertWritable }, { terminalReporter }, { onAllRanks }] =
        await Promise.all([
          import("../options/eval-options.ts"),
          import("../evaluation/evaluate-run.ts"),
          import("../files/atomic.ts"),
          import("./terminal-reporter.ts"),
          import("./on-all-ranks.ts"),
        ]);
      await onAllRanks("eval", { quiet: false }, async (group) => {
        const options = parseEvalOptions(given);
        if (options.chart !== undefined) assertWritable(options.chart);
        const evaluation = await evaluateRun(options, terminalReporter({ quiet: group.rank > 0 }), { group });
        if (group.rank > 0) return undefined;
        process.stdout.write(json ? `${JSON.stringify(evaluation, null, 2)}\n` : await text(evaluation));
        if (options.chart !== undefined) await writeChart(options.chart, evaluation);
        return undefined;
      });
    },
  );
}

async function text(evaluation: RunEvaluation): Promise<string> {
  const [{ textTable }, { sweepText }, { splitWords }, { isAtBound }] = await Promise.all([
    import("../report/table.ts"),
    import("../report/sweep-table.ts"),
    import("../evaluation/evaluation.ts"),
    import("../method/leave-early.ts"),
  ]);
  const { checkpoint, dataset, split, images, tta, sweep } = evaluation;
  const head = `${checkpoint}\n${dataset}, ${split}, ${images} images${tta ? ", each in six views" : ""}\n${choiceText(evaluation, splitWords)}${exitText(evaluation, splitWords, isAtBound)}`;
  return `${head}\n${textTable(evaluation)}\n${sweep === undefined ? "" : sweepText(sweep)}`;
}

/** What was calibrated, and the result on the images that it was calibrated on. */
function choiceText({ choice, exits }: RunEvaluation, splitWords: typeof SplitWords): string {
  if (choice?.calibrated === undefined || choice.target === undefined) return "";
  const { file, unstored, rule } = choice;
  const { split, images, accuracy, patches } = choice.calibrated;
  const aim =
    "patches" in choice.target ? `${choice.target.patches} patches` : `${100 * choice.target.accuracy} % accuracy`;
  const gave = `${(100 * accuracy).toFixed(1)} % with ${patches.toFixed(2)} patches there`;
  // With a confidence that is not stored either, it would go with another one.
  const isAlone = rule.policy === "threshold" && exits === undefined;
  const again = isAlone ? `: --threshold ${rule.threshold} is the same choice` : "";
  const kept = file === undefined ? `not stored, since ${unstored}${again}` : `stored in ${file}`;
  return `calibrated for ${aim} on ${images} ${splitWords[split]} images: ${gave}; ${kept}\n`;
}

/** What confidence was calibrated, and how many images left. */
function exitText(
  { exits, images }: RunEvaluation,
  splitWords: typeof SplitWords,
  isAtBound: (temperature: number) => boolean,
): string {
  if (exits === undefined) return "";
  const { confidence, temperature, calibrated, imagesByPatches, accuracy, file, unstored } = exits;
  const percent = (part: number) => `${(100 * part).toFixed(1)} %`;
  const share = (count: number) => percent(count / images);
  const [atOnce, ...later] = imagesByPatches;
  const after = later.reduce((sum, count) => sum + count, 0);
  const { said, confidence: sure, accuracy: known } = calibrated;
  const from = `${calibrated.images} ${splitWords[calibrated.split]} images`;
  const right = accuracy === undefined ? "" : `; ${percent(accuracy)} of these are right`;
  const kept = file === undefined ? `not stored, since ${unstored}` : `stored in ${file}`;
  return [
    `confidence, on ${from}: mean ${percent(said)}, calibrated ${percent(sure)}, ${percent(known)} were right; ${kept}`,
    `temperature ${temperature}${isAtBound(temperature) ? ", the end of its range: believe it little" : ""}`,
    `exit at ${confidence}: ${share(atOnce)} of the images without a patch${after > 0 ? `, ${share(after)} after some` : ""}${right}`,
    "",
  ].join("\n");
}

async function writeChart(file: string, { dataset, split, stage, rows, sweep }: RunEvaluation): Promise<void> {
  if (sweep === undefined) return;
  const [{ sweepChart }, { tradeoffFile }, { writeFileAtomic }] = await Promise.all([
    import("../report/sweep-table.ts"),
    import("../report/tradeoff.ts"),
    import("../files/atomic.ts"),
  ]);
  const title = `Accuracy against patches: ${stage} on ${dataset}, ${split}`;
  writeFileAtomic(file, Buffer.from(await tradeoffFile(title, sweepChart(sweep, rows))));
}
