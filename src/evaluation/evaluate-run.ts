/**
 * Evaluates a trained run on one split: a policy against the baselines of the method (evaluate-policy.ts), or a
 * classifier by itself.
 */
import { openCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { networksIn } from "../inference/open-run.ts";
import { confusionsOf } from "../method/class-metrics.ts";
import { refuseChoice } from "../options/choice-options.ts";
import type { EvalOptions } from "../options/eval-options.ts";
import { refuseUnknown } from "../utils/refuse-unknown.ts";
import { loose, type Reporter, silentReporter } from "../utils/reporter.ts";
import { evaluateMasks, everyPatch } from "./evaluate-masks.ts";
import { evaluatePolicy } from "./evaluate-policy.ts";
import { type EvaluatedRun, type EvaluationContext, withEvaluatedRun } from "./evaluated-run.ts";
import type { ClassDetails, EvaluationRow, RunEvaluation } from "./evaluation.ts";

/** Options that change nothing of a classifier by itself, beside those that say how to choose. */
const ofPolicies = ["target_patches", "target_accuracy", "sweep", "ckpt_lr_cl", "ckpt_hr_cl"] as const;

/**
 * Evaluates the checkpoint of `options.load`.
 * @param details whether to return those, too
 * @param data images to evaluate on, in place of the data set that the options name
 * @throws kinds "input" and "usage"
 */
export function evaluateRun(
  options: EvalOptions,
  given: Reporter = silentReporter,
  context: { details?: boolean } & Pick<EvaluationContext, "data" | "group"> = {},
): Promise<RunEvaluation> {
  refuseUnknown(context, ["details", "data", "group"], "evaluateRun");
  const { details = options.sweep, data, group } = context;
  const reporter = loose(given);
  const checkpoint = openCheckpoint(options.load, reporter.note);
  if (!networksIn(checkpoint).includes("agent")) refuseChoice(options, checkpoint.path, ofPolicies);
  return withEvaluatedRun(checkpoint, options, { reporter, data, group }, async (evaluated) => {
    const described = describe(evaluated, options);
    if (!evaluated.run.hasPolicy) {
      const { row, details: found } = await evaluateClassifier(evaluated);
      return { ...described, rows: [row], classifierDetails: details ? found : undefined };
    }
    const { details: found, ...rest } = await evaluatePolicy(evaluated, options);
    return { ...described, ...rest, details: details ? found : undefined };
  });
}

function describe({ checkpoint, run, split: { name, length } }: EvaluatedRun, { split, tta }: EvalOptions) {
  const { stage } = checkpoint.config;
  const { model } = run.description;
  return { checkpoint: checkpoint.path, stage, model, dataset: name, split, images: length, ...(tta && { tta }) };
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
