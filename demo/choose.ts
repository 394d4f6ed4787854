/** Which patches are read. */
import { asTested, choosePatches } from "../src/method/budget.ts";

/** Left to itself the policy takes the patches that it wants with a probability of at least one half. */
export function isWanted(probability: number): boolean {
  return probability >= asTested.threshold;
}

/**
 * The mask [P] that the policy makes by itself, or, with a budget, that of the `budget` patches that it wants most; of two
 * that it wants equally, the first.
 * @param probabilities the policy's, [P]
 */
export function choose(probabilities: Float32Array, budget?: number): Uint8Array {
  return choosePatches(probabilities, budget === undefined ? asTested : { policy: "topk", budget });
}
