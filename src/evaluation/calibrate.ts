/**
 * The threshold that gives a mean number of patches or an accuracy, found on validation images, or on training images where
 * none were held out, as the networks see test images, without augmentation. The split that is evaluated is never looked at for it.
 */

import type { StoredChoice } from "../checkpoints/stored-choice.ts";
import {
  type Level,
  type Looked,
  type Threshold,
  type ThresholdChoice,
  thresholdForAccuracy,
  thresholdForPatches,
} from "../method/budget.ts";
import { nearestTo, searchThreshold, tryThresholds } from "../method/search-threshold.ts";
import { Random } from "../utils/random.ts";
import { evaluateMasks, lookAt } from "./evaluate-masks.ts";
import type { EvaluatedRun } from "./evaluated-run.ts";
import { decidedBy, masksBy } from "./masks.ts";
import type { Images } from "./score-masks.ts";

/** At most this many images, drawn by the seed: the mean of S over them errs by a hundredth of a patch or two. */
const calibrationImages = 2000;

export type Target = StoredChoice["target"];

export interface Calibrated {
  readonly choice: ThresholdChoice;
  readonly calibrated: StoredChoice["calibrated"];
}

/** What was held out; where nothing was, training images. */
export function choosingSplit({ data: { train, val } }: EvaluatedRun) {
  return val === undefined ? ({ name: "train", split: train } as const) : ({ name: "val", split: val } as const);
}

/** Those of them that choices are made on, in the split's order. */
export function choosingImages(run: EvaluatedRun): Images {
  const { split } = choosingSplit(run);
  const all = Uint32Array.from({ length: split.length }, (_, i) => i);
  return { split, indices: new Random(run.seed, "calibration").shuffle(all).slice(0, calibrationImages).sort() };
}

/** Finds thresholds on images that are not evaluated. */
export class Calibration {
  readonly #run: EvaluatedRun;
  readonly #images: Images;
  readonly #budget: number | undefined;
  /** Of a policy that decides once, which looks at the images once for all thresholds. */
  #looked: Promise<Looked> | undefined;
  /** What came of each threshold that was tried: a target and a sweep try the same ones. */
  readonly #tried = new Map<number, Level>();

  /** @param budget patches that an image takes at most */
  constructor(run: EvaluatedRun, budget: number | undefined) {
    this.#run = run;
    this.#images = choosingImages(run);
    this.#budget = budget;
  }

  /** @throws usage: a target beyond the budget, or an accuracy that no threshold reaches */
  async towards(target: Target): Promise<Calibrated> {
    const { threshold, patches, accuracy } = await this.#search(target);
    return {
      choice: { policy: "threshold", threshold, budget: this.#budget },
      calibrated: { split: choosingSplit(this.#run).name, images: this.#images.indices.length, accuracy, patches },
    };
  }

  /** Those with these mean numbers of patches, or nearly, each once. */
  async thresholds(means: readonly number[]): Promise<Threshold[]> {
    const found = await this.#near(means);
    return found.filter((one, n) => found.findIndex(({ threshold }) => threshold === one.threshold) === n);
  }

  async #near(means: readonly number[]): Promise<Threshold[]> {
    if (this.#isInRounds) {
      const levels = await tryThresholds(this.#measure);
      return means.map((mean) => nearestTo(mean, levels));
    }
    const looked = await this.#look();
    return means.map((mean) => thresholdForPatches(looked, mean, this.#budget));
  }

  async #search(target: Target): Promise<Level> {
    const { patches } = this.#run.run.model.grid;
    if (this.#isInRounds) return searchThreshold(target, this.#measure, this.#budget ?? patches);
    const looked = await this.#look();
    const accuracies = async (thresholds: readonly number[]) =>
      (await this.#measure(thresholds)).map(({ accuracy }) => accuracy);
    if ("accuracy" in target) return thresholdForAccuracy(looked, target.accuracy, accuracies, this.#budget);
    const level = thresholdForPatches(looked, target.patches, this.#budget);
    const [accuracy] = await accuracies([level.threshold]);
    return { ...level, accuracy };
  }

  get #isInRounds(): boolean {
    return this.#run.run.description.rounds > 1;
  }

  #look(): Promise<Looked> {
    const { split, indices: images } = this.#images;
    this.#looked ??= lookAt(split, this.#run, { images, label: "calibration: policy" });
    return this.#looked;
  }

  readonly #measure = async (thresholds: readonly number[]): Promise<Level[]> => {
    const untried = thresholds.filter((threshold) => !this.#tried.has(threshold));
    if (untried.length > 0) await this.#try(untried);
    return thresholds.map((threshold) => this.#tried.get(threshold)!);
  };

  async #try(thresholds: readonly number[]): Promise<void> {
    const { run, seed } = this.#run;
    const masks = thresholds.map((threshold) =>
      masksBy(decidedBy(run, { policy: "threshold", threshold, budget: this.#budget }, seed)),
    );
    const { split, indices: images } = this.#images;
    const verdicts = await evaluateMasks(split, this.#run, masks, { images, label: "calibration" });
    for (const [n, { metrics }] of verdicts.entries()) {
      const { accuracy, sparsity: patches = 0 } = metrics.metrics();
      this.#tried.set(thresholds[n], { threshold: thresholds[n], patches, accuracy });
    }
  }
}
