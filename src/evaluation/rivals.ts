/**
 * What a policy must beat at the same mean number of patches: ways that need no policy. One mask for every image, and a
 * cascade: how many patches of that mask's order, decided once from how sure the classifier is without any.
 *
 * Shapes: B batch, P patches, K classes.
 */
import { maskOf } from "../method/grid.ts";
import { softmax } from "../method/planes.ts";
import { confidences } from "../method/rounds.ts";
import { Random } from "../utils/random.ts";
import { choosingImages } from "./calibrate.ts";
import { imageByImage, type MasksOf } from "./evaluate-masks.ts";
import type { EvaluatedRun } from "./evaluated-run.ts";
import { scoreMasks } from "./score-masks.ts";
import { atBudget, atOnceShares, countsOf, decideAtOnce, filledUp, type MixedPlan, type Stage } from "./staged.ts";

export const rivalNames = ["one fixed mask", "how many, by confidence"] as const;

/** Suffix of their names. */
export const sameMean = ", same mean";

export class Rivals {
  readonly #run: EvaluatedRun;
  readonly #order: readonly number[];
  /** Of the images to choose on. */
  #stages: Promise<Stage[]> | undefined;

  /** @param fixedOrder all patches: the first k are the best fixed mask of k patches */
  constructor(run: EvaluatedRun, fixedOrder: readonly number[]) {
    this.#run = run;
    this.#order = fixedOrder;
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
    return imageByImage((i) => this.#mask(fewest + (this.#chance("fixed mask", i) < patches - fewest ? 1 : 0)));
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
      return imageByImage((i) => this.#mask(counts[stageOf(i)]))(batch);
    };
  }

  #chance(what: string, i: number): number {
    return new Random(this.#run.seed, what, i).uniforms(new Float32Array(1))[0];
  }

  async #scored(): Promise<Stage[]> {
    const counts = this.#counts();
    const masks = counts.map((count) => this.#mask(count));
    const scores = await scoreMasks(choosingImages(this.#run), this.#run, masks, "cascade");
    return scores.map((score, n) => ({ patches: counts[n], ...score }));
  }

  #counts(): number[] {
    return countsOf(atOnceShares, this.#order.length);
  }

  #mask(count: number): Uint8Array {
    return maskOf(this.#order.slice(0, count), this.#order.length);
  }
}
