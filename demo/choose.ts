/** Which patches are read. */
import { asTested, choosePatches } from "../src/method/budget.ts";

/** Left to itself the policy takes the patches that it rather wants than not. */
export function isWanted(probability: number): boolean {
  return probability >= asTested.threshold;
}

/**
 * The mask [P] of the policy's own choice, or, with a budget, of so many patches that it wants most; of two that it wants
 * as much, the first.
 * @param probabilities the policy's, [P]
 */
export function choose(probabilities: Float32Array, budget?: number): Uint8Array {
  return choosePatches(probabilities, budget === undefined ? asTested : { policy: "topk", budget });
}
