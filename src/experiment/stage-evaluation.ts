/** How a stage of an experiment is evaluated, and what names the evaluation: the same name, the same numbers. */

import { weightsHash } from "../checkpoints/beside-weights.ts";
import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import { openCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { checkpointOptionNames, freeOptions, type SavedConfig } from "../checkpoints/run-config.ts";
import { readRunConfig } from "../checkpoints/saved-checkpoints.ts";
import { toJson } from "../files/json.ts";
import { type EvalOptions, evalSchema } from "../options/eval-options.ts";
import { sha256 } from "../utils/sha256.ts";
import { version } from "../utils/version.ts";
import type { Experiment, ExperimentStage } from "./experiment-file.ts";

/**
 * On the test set of the data that the experiment names; a policy beside a low-resolution classifier of the file if there is
 * one, and the stage that is shown with a sweep. All stages must have run folders.
 */
export function evalOptions({ name, stage, options }: ExperimentStage, { stages, gallery }: Experiment): EvalOptions {
  const { data_dir, skip_bad, num_workers, max_image_bytes, device, precision, threads, torch } = options;
  const own = readRunConfig(options.cv_dir);
  const isBeside = (other: ExperimentStage) => isLowBeside(readRunConfig(other.options.cv_dir), own);
  const low = stage === "classifier_training" ? undefined : stages.find(isBeside);
  const asTrained = { data_dir, skip_bad, num_workers, max_image_bytes, device, precision, threads, torch };
  const beside = { ckpt_lr_cl: low?.options.cv_dir, sweep: name === gallery };
  return evalSchema.parse(toJson({ load: options.cv_dir, ...asTrained, ...beside }));
}

/** Whether a run is of a low-resolution classifier that sees what another run sees: its classes, in its sizes. */
export function isLowBeside(one: SavedConfig, other: SavedConfig): boolean {
  const keys = ["model", "variant", "img_size", "lr_size"];
  const isAlike = keys.every((key) => one.options[key] === other.options[key]);
  const classes = ({ dataset }: SavedConfig) => JSON.stringify(dataset.classes);
  return one.options.stream_id === "LR" && isAlike && classes(one) === classes(other);
}

/**
 * SHA-256 over all that an evaluation's numbers come from: the weights, the data and the options of the run, how it is
 * evaluated, and the program's version.
 */
export function evaluationKey({ path, config }: Checkpoint, options: EvalOptions): string {
  const { load: _, ckpt_lr_cl: low, torch: __, threads: ___, ...chosen } = options;
  const unimportant = [...freeOptions, ...checkpointOptionNames];
  const ofRun = Object.entries(config.options).filter(([key]) => !unimportant.includes(key));
  const madeFrom = {
    program: version(),
    weights: weightsHash(path),
    low: low === undefined ? undefined : weightsHash(openCheckpoint(low).path),
    stage: config.stage,
    description: config.description,
    dataset: config.dataset,
    options: sorted(ofRun),
    chosen: sorted(Object.entries(chosen)),
  };
  return sha256(JSON.stringify(madeFrom));
}

function sorted(entries: readonly (readonly [string, unknown])[]) {
  return entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
}
