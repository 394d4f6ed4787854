/** What an evaluation says about a run: a table's rows, and more about a policy. Accuracies and shares are within 0..1. */

import type { Measured, StoredChoice } from "../checkpoints/stored-choice.ts";
import type { StoredConfidence } from "../checkpoints/stored-confidence.ts";
import type { DataSplits } from "../data/dataset.ts";
import type { Choice } from "../method/budget.ts";
import type { ClassResult, Confusion } from "../method/class-metrics.ts";
import type { Interval } from "../utils/bootstrap.ts";
import type { Examples } from "./examples.ts";
import type { SweepSeries } from "./sweep.ts";

/** What the images of a split are for. */
export const splitWords = { train: "training", val: "validation", test: "test" } as const;

/** One way of choosing patches and what came of it. */
export interface EvaluationRow {
  name: string;
  kind: "policy" | "baseline";
  accuracy: number;
  /** S: mean number of patches per image. */
  patches: number;
  /** V: its standard deviation over the images. */
  patchesStd?: number | undefined;
  /** Number of distinct masks. */
  distinctMasks?: number | undefined;
  reward?: number | undefined;
  /** Which one that is, see `rewardName`. */
  rewardName?: string | undefined;
  /** Of a baseline: the policy's accuracy above it, with its paired interval of 95 %. */
  gain?: Interval | undefined;
}

/** All that an evaluation says, as `patchdrop eval --json` prints it. */
export interface RunEvaluation {
  checkpoint: string;
  stage: string;
  model: string;
  dataset: string;
  split: keyof DataSplits;
  images: number;
  /** Whether the classifiers' answers are means over six views of each image. */
  tta?: true | undefined;
  rows: EvaluationRow[];
  /** Share of images for which the policy took each patch, [P]; none for a classifier. */
  patchUse?: number[] | undefined;
  /** How many patches lie side by side in the image; none for a classifier. */
  columns?: number | undefined;
  /** How the policy's patches were chosen, where a flag said it. */
  choice?: EvaluatedChoice | undefined;
  /** Of a policy whose curriculum was not over: how many of the patches it had learned to decide. */
  decided?: number | undefined;
  /** Of a policy of which images leave early. */
  exits?: Exits | undefined;
  sweep?: PolicySweep | undefined;
  /** Of a policy. */
  details?: PolicyDetails | undefined;
  /** The same of a classifier, as far as it has such. */
  classifierDetails?: ClassDetails | undefined;
}

/** Images that took no further patch, since the classifier was sure enough. */
export interface Exits {
  /** From this calibrated confidence on. */
  confidence: number;
  /** By which logits are divided. */
  temperature: number;
  /** What that was fitted to. */
  calibrated: StoredConfidence["calibrated"];
  /** How many images left with 0, 1, … P patches, [P + 1]. */
  imagesByPatches: number[];
  /** Share of them that is right; none where none left. */
  accuracy?: number | undefined;
  /** Where the temperature is stored, or why it is not. */
  file?: string | undefined;
  unstored?: string | undefined;
}

export interface EvaluatedChoice {
  rule: Choice;
  target?: StoredChoice["target"] | undefined;
  /** What the threshold gave on the training images that it was calibrated on. */
  calibrated?: Measured | undefined;
  /** Where the choice is stored, or why it is not: a classifier that is not the checkpoint's, weights that come with the program. */
  file?: string | undefined;
  unstored?: string | undefined;
}

/** Accuracy against the number of patches, of the policy and of all baselines. */
export interface PolicySweep {
  rule: "threshold" | "topk";
  /** Names, [K]. */
  classes: readonly string[];
  series: SweepSeries[];
}

/** What there is to say about any run, class by class. */
export interface ClassDetails {
  /** By label, [K]. */
  classes: readonly (Pick<ClassResult, "images" | "accuracy" | "patches"> & { name: string })[];
  /** Which classes are taken for which; unknown to evaluations of before. */
  confusions?: readonly Confusion[];
}

/** What there is to say about a policy beyond the rows of a table. */
export interface PolicyDetails extends ClassDetails {
  /** By label, [K]. */
  classes: readonly (ClassResult & { name: string })[];
  health: PolicyHealth;
  examples: Examples;
}

/** Whether the policy looks at its images, or treats all alike. */
export interface PolicyHealth {
  /** Mean entropy of an image's mask in bits, 0 … P. */
  entropyBits: number;
  /** Distinct masks. */
  distinctMasks: number;
  /** Share of images with the most frequent mask. */
  commonestMask: number;
  /** How many images had 0, 1, … P patches taken, [P + 1]. */
  imagesByPatches: number[];
}
