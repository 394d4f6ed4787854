/**
 * Evaluates a trained run on one split: a policy against the baselines of the method (evaluate-policy.ts), or a
 * classifier by itself.
 */
import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import { openCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { fault } from "../errors.ts";
import { networksIn } from "../inference/open-run.ts";
import { confusionsOf } from "../method/class-metrics.ts";
import type { EvalOptions } from "../options/eval-options.ts";
import { type Reporter, silentReporter } from "../utils/reporter.ts";
import { evaluateMasks, everyPatch } from "./evaluate-masks.ts";
import { evaluatePolicy } from "./evaluate-policy.ts";
import { type EvaluatedRun, type EvaluationContext, withEvaluatedRun } from "./evaluated-run.ts";
import type { ClassDetails, EvaluationRow, RunEvaluation } from "./evaluation.ts";

/**
 * Evaluates the checkpoint of `options.load`.
 * @param details whether to return those, too
 * @param data images to evaluate on, in place of the data set that the options name
 * @throws kinds "input" and "usage"
 */
export function evaluateRun(
  options: EvalOptions,
  reporter: Reporter = silentReporter,
  { details = options.sweep, data }: { details?: boolean } & Pick<EvaluationContext, "data"> = {},
): Promise<RunEvaluation> {
  const checkpoint = openCheckpoint(options.load, reporter.note);
  if (!networksIn(checkpoint).includes("agent")) refuseChoice(checkpoint, options);
  return withEvaluatedRun(checkpoint, options, { reporter, data }, async (evaluated) => {
    const described = describe(evaluated, options);
    if (!evaluated.run.hasPolicy) {
      const { row, details: found } = await evaluateClassifier(evaluated);
      return { ...described, rows: [row], classifierDetails: details ? found : undefined };
    }
    const { details: found, ...rest } = await evaluatePolicy(evaluated, options);
    return { ...described, ...rest, details: details ? found : undefined };
  });
}

/** A run of one classifier chooses nothing. @throws usage: a flag that says how to choose */
function refuseChoice({ path }: Checkpoint, options: EvalOptions): void {
  const flags = ["policy", "budget", "threshold", "target_patches", "target_accuracy", "sweep"] as const;
  const given = flags.find((flag) => options[flag] !== undefined && options[flag] !== false);
  if (given === undefined) return;
  throw fault("usage", { where: `--${given}`, rule: "needs a run with a policy", got: path });
}

function describe({ checkpoint, run, split: { name, length } }: EvaluatedRun, { split }: EvalOptions) {
  const { stage } = checkpoint.config;
  const { model } = run.description;
  return { checkpoint: checkpoint.path, stage, model, dataset: name, split, images: length };
}

/** A run of one classifier. */
async function evaluateClassifier(evaluated: EvaluatedRun): Promise<{ row: EvaluationRow; details: ClassDetails }> {
  const { run, split } = evaluated;
  const [{ metrics, classes, predictions }] = await evaluateMasks(split, evaluated, [everyPatch]);
  const { accuracy } = metrics.metrics();
  const [name, patches] = run.seesHigh
    ? ["HR classifier, all patches", run.model.grid.patches]
    : ["LR classifier, no patches", 0];
  const byClass = classes.results().map((result, label) => {
    return { name: split.classes[label], images: result.images, accuracy: result.accuracy, patches };
  });
  return {
    row: { name, kind: "baseline", accuracy, patches },
    details: { classes: byClass, confusions: confusionsOf(split.labels, predictions) },
  };
}
