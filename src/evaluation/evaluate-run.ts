/**
 * Evaluates a trained run on one split: a policy against the baselines of the method (evaluate-policy.ts), or a
 * classifier by itself.
 */

import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import { networkOf, openCheckpoint, savedNetwork } from "../checkpoints/open-checkpoint.ts";
import type { Dataset } from "../data/dataset.ts";
import { fault } from "../errors.ts";
import { asTrained, withOpenedRun } from "../inference/opened-run.ts";
import { prepare, type Setting } from "../inference/setting.ts";
import { loadNetwork } from "../models/networks.ts";
import { FrozenNetwork } from "../nn/frozen.ts";
import type { EvalOptions } from "../options/eval-options.ts";
import { type Reporter, silentReporter } from "../utils/reporter.ts";
import { evaluateClassifier } from "./evaluate.ts";
import { evaluatePolicy } from "./evaluate-policy.ts";
import type { EvaluationRow, RunEvaluation } from "./evaluation.ts";

/**
 * Evaluates the checkpoint of `options.load`.
 * @param details whether to return those, too
 * @throws kinds "input" and "usage"
 */
export async function evaluateRun(
  options: EvalOptions,
  reporter: Reporter = silentReporter,
  { details = options.sweep } = {},
): Promise<RunEvaluation> {
  const checkpoint = openCheckpoint(options.load);
  if (!checkpoint.networks.has("agent")) return evaluateAlone(checkpoint, options, reporter);
  return withOpenedRun(checkpoint, options, reporter, async (run) => {
    const { details: found, ...rest } = await evaluatePolicy(run, options);
    return { ...described(checkpoint, run.setting, options), ...rest, ...(details && { details: found }) };
  });
}

function described(checkpoint: Checkpoint, { model, data }: Setting, { split }: EvalOptions) {
  const { name, length } = data[split];
  const { stage } = checkpoint.config;
  return { checkpoint: checkpoint.path, stage, model: model.name, dataset: name, split, images: length };
}

/** A run of one classifier. */
async function evaluateAlone(checkpoint: Checkpoint, options: EvalOptions, reporter: Reporter): Promise<RunEvaluation> {
  const flags = ["policy", "budget", "threshold", "target_patches", "target_accuracy", "sweep"] as const;
  const given = flags.find((flag) => options[flag] !== undefined && options[flag] !== false);
  if (given !== undefined) {
    const rule = "must be left out for a run without a policy";
    throw fault("usage", { where: `--${given}`, rule, got: checkpoint.path });
  }
  const setting = await prepare(asTrained(checkpoint, options), reporter);
  const row = await classifierRow(checkpoint, setting.data[options.split], setting);
  return { ...described(checkpoint, setting, options), rows: [row] };
}

async function classifierRow(checkpoint: Checkpoint, split: Dataset, setting: Setting): Promise<EvaluationRow> {
  // A file that does not say what its network is for holds a high-resolution classifier.
  const name = checkpoint.networks.has("resnet_lr") ? "resnet_lr" : "resnet_hr";
  if (networkOf(checkpoint, name) === undefined) {
    throw fault("input", {
      where: checkpoint.path,
      rule: "must hold a classifier or a policy",
      got: [...checkpoint.networks.keys()].join(", "),
    });
  }
  const { network, parameters } = loadNetwork(setting, name, savedNetwork(checkpoint, name));
  const frozen = new FrozenNetwork(network, parameters, setting.precision);
  const stream = name === "resnet_lr" ? "LR" : "HR";
  const { accuracy } = (await evaluateClassifier(split, setting, frozen, stream)).metrics();
  frozen.free();
  parameters.free();
  const label = stream === "LR" ? "LR classifier, no patches" : "HR classifier, all patches";
  return { name: label, kind: "baseline", accuracy, patches: stream === "LR" ? 0 : setting.model.grid.patches };
}
