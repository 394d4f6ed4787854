/** Intervals by the bootstrap: how far a mean would move with other images of the same kind (Efron, 1979). */
import { Random } from "./random.ts";

export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

const resamples = 2000;

/**
 * The mean of N values with its interval of 95 %, by percentiles. Differences of two ways to treat the same images make
 * a paired interval.
 * @param values one an image, [N]
 */
export function bootstrapMean(values: ArrayLike<number>, seed = 1): Interval {
  const { length } = values;
  const random = new Random(seed, "bootstrap", length);
  const means = new Float64Array(resamples);
  for (let n = 0; n < resamples; n++) {
    let total = 0;
    for (let i = 0; i < length; i++) total += values[random.integer(length)];
    means[n] = total / length;
  }
  means.sort();
  const at = (share: number) => means[Math.round(share * (resamples - 1))];
  const mean = Array.prototype.reduce.call(values, (sum, value) => (sum as number) + (value as number), 0) as number;
  return { mean: mean / length, low: at(0.025), high: at(0.975) };
}
