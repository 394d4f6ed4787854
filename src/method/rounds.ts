/**
 * Deciding in rounds: the policy looks, some patches are acquired, the classifier reads what is there, and the policy looks
 * again at all of it, until it asks for nothing more or the rounds are over. Not in the paper, whose policy decides once. No
 * tensors and nothing of Node: a browser page shares it.
 *
 * Shapes: N images, P patches, K classes.
 */

/** What the policy sees in a round: the three colours, which patches are there, and how unsure the classifier is. */
export const roundChannels = 5;

/** The most patches that one of `rounds` rounds may ask for: in all of them together, every patch. */
export function mostInRound(patches: number, rounds: number): number {
  return Math.ceil(patches / rounds);
}

/** 1 minus the largest of the classes' probabilities [N × K], [N]: 0 for a classifier that is sure. */
export function doubts(probabilities: Float32Array, classes: number): Float32Array {
  return Float32Array.from({ length: probabilities.length / classes }, (_, i) => {
    return 1 - Math.max(...probabilities.subarray(i * classes, (i + 1) * classes));
  });
}
