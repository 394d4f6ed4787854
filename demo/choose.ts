/** Which patches are read. */

/** Left to itself the policy takes the patches that it rather wants than not. */
export function isWanted(probability: number): boolean {
  return probability >= 0.5;
}

/**
 * The mask [P] of the policy's own choice, or, with a budget, of so many patches that it wants most; of two that it wants
 * as much, the first.
 * @param probabilities the policy's, [P]
 */
export function choose(probabilities: Float32Array, budget?: number): Uint8Array {
  if (budget === undefined) return Uint8Array.from(probabilities, (p) => (isWanted(p) ? 1 : 0));
  const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  const mask = new Uint8Array(probabilities.length);
  for (const k of order.slice(0, budget)) mask[k] = 1;
  return mask;
}
