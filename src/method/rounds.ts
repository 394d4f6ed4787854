/**
 * Deciding in rounds: the policy looks, some patches are acquired, the classifier reads what is there, and the policy looks
 * again at all of it, until it asks for nothing more or the rounds are over. Not in the paper, whose policy decides once. No
 * tensors and nothing of Node: a browser page shares it.
 *
 * Shapes: N images, P patches, K classes.
 */
import { row } from "../utils/rows.ts";

/** Channels of what the policy sees in a round: the image's, which patches are there, and how unsure the classifier is. */
export function roundChannels(channels: number): number {
  return channels + 2;
}

/** The most patches that one of `rounds` rounds may ask for: in all of them together, every patch. */
export function mostInRound(patches: number, rounds: number): number {
  return Math.ceil(patches / rounds);
}

/** The largest of the classes' probabilities [N × K], [N]: how sure a classifier is of each image. */
export function confidences(probabilities: Float32Array, classes: number): Float32Array {
  const count = probabilities.length / classes;
  return Float32Array.from({ length: count }, (_, i) => Math.max(...row(probabilities, i, classes)));
}

/** 1 minus that, [N]: 0 for a classifier that is sure. */
export function doubts(probabilities: Float32Array, classes: number): Float32Array {
  return confidences(probabilities, classes).map((sure) => 1 - sure);
}
