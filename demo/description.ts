/** What `demo/models/NAME/model.json` says about models; scripts/make-demo-models.ts writes it, the page reads it. */

import type { Arch } from "../src/method/arch.ts";
import type { PatchSize } from "../src/method/grid.ts";

export interface SetDescription {
  readonly title: string;
  /** What the pictures show and what the classes mean, in a sentence or two. */
  readonly about: string;
  /** Name and variant. */
  readonly model: string;
  /** The classifier, where it is not the model's own. */
  readonly arch?: Arch | undefined;
  /** Begins a hash of the networks, as in the lines of `patchdrop predict`. */
  readonly checkpoint: string;
  /** Sides of the image, of a patch, and of the low resolution, in pixels. */
  readonly imageSize: number;
  readonly patchSize: PatchSize;
  readonly lowSize: number;
  /** Of src/data/transforms.ts. */
  readonly transform: "cifar" | "imagenet" | "fmow";
  /** In units of 0..1, RGB. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly fill: "zero" | "lr";
  /** In how many rounds the policy decides, at most; once when absent. */
  readonly rounds?: number | undefined;
  /** T of the classifier's calibrated confidence; pictures do not leave early when absent. */
  readonly temperature?: number | undefined;
  readonly classes: readonly string[];
  /** Test images, picked at random: none for how it looks or for what the networks say. None at all where none may be handed out. */
  readonly samples: readonly Sample[];
  /** Absent where the run was not evaluated. */
  readonly evaluation?: Evaluation | undefined;
}

export interface Sample {
  /** Beside model.json. */
  readonly file: string;
  /** Its true class. */
  readonly label: string;
}

/** Over a whole split. */
export interface Evaluation {
  readonly dataset: string;
  readonly split: string;
  readonly images: number;
  readonly rows: readonly EvaluationRow[];
}

export interface EvaluationRow {
  readonly name: string;
  /** Share of the images that are classified correctly, 0 … 1. */
  readonly accuracy: number;
  /** Mean number of patches per image. */
  readonly patches: number;
}
