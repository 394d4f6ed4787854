/**
 * Leaving early: an image of which the classifier is sure enough takes no further patch. How sure it is says its calibrated confidence,
 * the largest of the probabilities softmax(logits / T). No tensors and nothing of Node: a browser page shares it.
 * Source of T: Guo et al., "On Calibration of Modern Neural Networks", arXiv 1706.04599, section 4.2.
 *
 * Shapes: N images, K classes.
 */
import { softmax } from "./planes.ts";
import { confidences } from "./rounds.ts";

/** When an image takes no further patch. */
export interface Exit {
  /** From this calibrated confidence on, 0 … 1. */
  readonly confidence: number;
  /** T, by which logits are divided. */
  readonly temperature: number;
}

/** The calibrated confidence in the likeliest class, [N], of logits [N, K]. */
export function calibratedConfidences(logits: Float32Array, classes: number, temperature: number): Float32Array {
  return confidences(
    softmax(
      logits.map((logit) => logit / temperature),
      classes,
    ),
    classes,
  );
}

/** 1 for an image that takes no further patch, [N], of logits [N, K]. */
export function leaves(logits: Float32Array, classes: number, { confidence, temperature }: Exit): Uint8Array {
  return Uint8Array.from(calibratedConfidences(logits, classes, temperature), (sure) => Number(sure >= confidence));
}

/** T is looked for between these, in steps of the golden section of its logarithm. */
const range = { from: Math.log(0.05), to: Math.log(20), steps: 40 } as const;
const golden = (Math.sqrt(5) - 1) / 2;

/** Whether a T that was fitted lies at an end of where it is looked for, as of answers that are all right. */
export function isAtBound(temperature: number): boolean {
  const log = Math.log(temperature);
  return Math.min(log - range.from, range.to - log) < 1e-3;
}

/** The T under which the labels are likeliest, that is, whose mean cross-entropy is least: it has one minimum in 1 / T. */
export function fitTemperature(logits: Float32Array, labels: ArrayLike<number>, classes: number): number {
  const loss = (log: number) => crossEntropy(logits, labels, classes, Math.exp(log));
  let [low, high]: number[] = [range.from, range.to];
  let [a, b] = [high - golden * (high - low), low + golden * (high - low)];
  let [lossA, lossB] = [loss(a), loss(b)];
  for (let step = 0; step < range.steps; step++) {
    if (lossA <= lossB) {
      [high, b, lossB] = [b, a, lossA];
      a = high - golden * (high - low);
      lossA = loss(a);
    } else {
      [low, a, lossA] = [a, b, lossB];
      b = low + golden * (high - low);
      lossB = loss(b);
    }
  }
  return Number(Math.exp((low + high) / 2).toPrecision(6));
}

/** The mean of −log softmax(logits / T) at the labels. */
function crossEntropy(logits: Float32Array, labels: ArrayLike<number>, classes: number, temperature: number): number {
  let total = 0;
  for (let image = 0; image < labels.length; image++) {
    const own = logits.subarray(image * classes, (image + 1) * classes);
    const largest = Math.max(...own);
    const sum = own.reduce((all, logit) => all + Math.exp((logit - largest) / temperature), 0);
    total += Math.log(sum) - (own[labels[image]] - largest) / temperature;
  }
  return total / labels.length;
}
