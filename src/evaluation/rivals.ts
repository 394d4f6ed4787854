/**
 * What a policy must beat at the same mean number of patches: ways that need no policy. One mask for every image, and a
 * cascade: how many patches, as that mask has for each number, decided once from how sure the classifier is without any.
 *
 * Shapes: B batch, P patches, K classes.
 */
import { softmax } from "../method/planes.ts";
import { confidences } from "../method/rounds.ts";
import { Random } from "../utils/random.ts";
import { choosingImages } from "./calibrate.ts";
import { imageByImage, type MasksOf } from "./evaluate-masks.ts";
import type { EvaluatedRun } from "./evaluated-run.ts";
import { scoreMasks } from "./score-masks.ts";
import { atBudget, atOnceShares, countsOf, decideAtOnce, filledUp, type MixedPlan, type Stage } from "./staged.ts";

/** Its images are classified without a patch first. */
export const cascade = "how many, by confidence";
export const rivalNames = ["one fixed mask", cascade] as const;

/** Suffix of their names. */
export const sameMean = ", same mean";

export class Rivals {
  readonly #run: EvaluatedRun;
  readonly #masks: readonly Uint8Array[];
  /** Of the images to choose on. */
  #stages: Promise<Stage[]> | undefined;

  /** @param fixedMasks the best of each number of patches, none first, [P + 1] */
  constructor(run: EvaluatedRun, fixedMasks: readonly Uint8Array[]) {
    this.#run = run;
    this.#masks = fixedMasks;
  }

  /** Their masks with this mean number of patches, in the order of {@link rivalNames}. */
  async at(patches: number): Promise<MasksOf[]> {
    this.#stages ??= this.#scored();
    const stages = await this.#stages;
    const plans = filledUp(atBudget(decideAtOnce, stages, patches), stages, patches);
    return [this.#fixed(patches), this.#cascade(plans)];
  }

  /** Between two whole numbers, some images get one patch more. */
  #fixed(patches: number): MasksOf {
    const fewest = Math.floor(patches);
    return imageByImage((i) => this.#masks[fewest + (this.#chance("fixed mask", i) < patches - fewest ? 1 : 0)]);
  }

  #cascade({ few, many, share }: MixedPlan): MasksOf {
    const counts = this.#counts();
    return async (batch) => {
      const { length } = this.#run.run.classes;
      const none = new Uint8Array(batch.count * batch.patches);
      const confidence = confidences(softmax(await batch.held.logits(none), length), length);
      const first = { patches: 0, confidence, right: none };
      const [less, more] = [few, many].map((plan) => plan([first]));
      const stageOf = (i: number) => (this.#chance("cascade", i) < share ? more : less)[i - batch.first];
      return imageByImage((i) => this.#masks[counts[stageOf(i)]])(batch);
    };
  }

  #chance(what: string, i: number): number {
    return new Random(this.#run.seed, what, i).uniforms(new Float32Array(1))[0];
  }

  async #scored(): Promise<Stage[]> {
    const counts = this.#counts();
    const masks = counts.map((count) => this.#masks[count]);
    const scores = await scoreMasks(choosingImages(this.#run), this.#run, masks, "cascade");
    return scores.map((score, n) => ({ patches: counts[n], ...score }));
  }

  #counts(): number[] {
    return countsOf(atOnceShares, this.#masks.length - 1);
  }
}
