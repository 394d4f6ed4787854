/**
 * The threshold that gives a mean number of patches or an accuracy, found on validation images, or on training images where
 * none were held out, as the networks see test images, without augmentation. The split that is evaluated is never looked at for it.
 */

import type { StoredChoice } from "../checkpoints/stored-choice.ts";
import {
  type Looked,
  type Threshold,
  type ThresholdChoice,
  thresholdForAccuracy,
  thresholdForPatches,
} from "../method/budget.ts";
import { Random } from "../utils/random.ts";
import { evaluateMasks, lookAt } from "./evaluate-masks.ts";
import type { EvaluatedRun } from "./evaluated-run.ts";
import { maskBy } from "./masks.ts";

/** At most this many images, drawn by the seed: the mean of S over them errs by a hundredth of a patch or two. */
const calibrationImages = 2000;

export interface CalibrationSet {
  /** Which images of the split that choices are made on. */
  readonly images: Uint32Array;
  readonly looked: Looked;
}

export async function lookForCalibration(run: EvaluatedRun): Promise<CalibrationSet> {
  const { split } = choosingSplit(run);
  const all = Uint32Array.from({ length: split.length }, (_, i) => i);
  const images = new Random(run.seed, "calibration").shuffle(all).slice(0, calibrationImages).sort();
  return { images, looked: await lookAt(split, run, { images, label: "calibration: policy" }) };
}

/** What was held out; where nothing was, training images. */
export function choosingSplit({ data: { train, val } }: EvaluatedRun) {
  return val === undefined ? ({ name: "train", split: train } as const) : ({ name: "val", split: val } as const);
}

export type Target = StoredChoice["target"];

export interface Calibrated {
  readonly choice: ThresholdChoice;
  readonly calibrated: StoredChoice["calibrated"];
}

/** @throws usage: a target beyond the budget, or an accuracy that no threshold reaches */
export async function calibrate(
  run: EvaluatedRun,
  { images, looked }: CalibrationSet,
  target: Target,
  budget: number | undefined,
): Promise<Calibrated> {
  const { name, split } = choosingSplit(run);
  const accuraciesAt = async (thresholds: readonly number[]): Promise<number[]> => {
    const masks = thresholds.map((threshold) => maskBy({ policy: "threshold", threshold, budget }, run.seed));
    const { verdicts } = await evaluateMasks(split, run, masks, { images, label: "calibration" });
    return verdicts.map(({ metrics }) => metrics.metrics().accuracy);
  };
  const found =
    "patches" in target
      ? await measured(thresholdForPatches(looked, target.patches, budget), accuraciesAt)
      : await thresholdForAccuracy(looked, target.accuracy, accuraciesAt, budget);
  const { threshold, patches, accuracy } = found;
  return {
    choice: { policy: "threshold", threshold, budget },
    calibrated: { split: name, images: images.length, accuracy, patches },
  };
}

async function measured(level: Threshold, accuraciesAt: (thresholds: readonly number[]) => Promise<number[]>) {
  const [accuracy] = await accuraciesAt([level.threshold]);
  return { ...level, accuracy };
}
