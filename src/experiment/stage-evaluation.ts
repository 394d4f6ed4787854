/** How a stage of an experiment is evaluated, and what names the evaluation: the same name, the same numbers. */
import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import { openCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { freeOptions } from "../checkpoints/run-config.ts";
import { weightsHash } from "../checkpoints/stored-choice.ts";
import { toJson } from "../files/json.ts";
import { type EvalOptions, evalSchema } from "../options/eval-options.ts";
import { sha256 } from "../utils/sha256.ts";
import { version } from "../utils/version.ts";
import type { Experiment, ExperimentStage } from "./experiment-file.ts";
import { checkpointOptions } from "./experiment-schema.ts";

/** On the test set; a policy beside a low-resolution classifier of the file if there is one, and the one shown with a sweep. */
export function evalOptions({ name, stage, options }: ExperimentStage, { stages, gallery }: Experiment): EvalOptions {
  const { device, precision, threads, torch } = options;
  const hasPolicy = stage !== "classifier_training";
  const low = hasPolicy ? stages.find((other) => isLow(other) && isAlike(other.options, options)) : undefined;
  const given = { load: options.cv_dir, device, precision, threads, torch, ckpt_lr_cl: low?.options.cv_dir };
  // What is absent is taken from the run; what is undefined would not be.
  return evalSchema.parse(toJson({ ...given, sweep: name === gallery }));
}

function isLow({ options }: ExperimentStage): boolean {
  return "stream_id" in options && options.stream_id === "LR";
}

/** Whether networks of two stages see images of the same data in the same sizes. */
function isAlike(one: ExperimentStage["options"], other: ExperimentStage["options"]): boolean {
  const keys = ["model", "variant", "img_size", "lr_size", "dataset", "data_dir"] as const;
  return keys.every((key) => one[key] === other[key]);
}

/**
 * SHA-256 over all that an evaluation's numbers come from: the weights, the data and the options of the run, how it is
 * evaluated, and the program's version.
 */
export function evaluationKey({ path, config }: Checkpoint, options: EvalOptions): string {
  const { load: _, ckpt_lr_cl: low, torch: __, threads: ___, ...chosen } = options;
  const unimportant = [...freeOptions, ...checkpointOptions];
  const ofRun = Object.entries(config.options).filter(([key]) => !unimportant.includes(key));
  const madeFrom = {
    program: version(),
    weights: weightsHash(path),
    low: low === undefined ? undefined : weightsHash(openCheckpoint(low).path),
    stage: config.stage,
    dataset: config.dataset,
    options: sorted(ofRun),
    chosen: sorted(Object.entries(chosen)),
  };
  return sha256(JSON.stringify(madeFrom));
}

function sorted(entries: readonly (readonly [string, unknown])[]) {
  return entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
}
