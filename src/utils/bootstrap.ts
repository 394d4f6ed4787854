/** Intervals by the bootstrap: how far a mean would move with other images of the same kind (Efron, 1979). */
import { pacer } from "./pacer.ts";
import { Random } from "./random.ts";

export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

const resamples = 1000;

/**
 * The mean of N values with its interval of 95 %, by percentiles. Differences of two ways to treat the same images make
 * a paired interval.
 * @param values one an image, [N]
 */
export async function bootstrapMean(values: ArrayLike<number>, seed = 1): Promise<Interval> {
  return (await bootstrapMeans([values], seed))[0];
}

/** The same of several numbers of the same images, which are drawn together: each [N]. */
export async function bootstrapMeans(all: readonly ArrayLike<number>[], seed = 1): Promise<Interval[]> {
  const [{ length }] = all;
  const random = new Random(seed, "bootstrap", length);
  const means = all.map(() => new Float64Array(resamples));
  const drawn = new Uint32Array(length);
  const turn = pacer();
  for (let n = 0; n < resamples; n++) {
    await turn();
    for (let i = 0; i < length; i++) drawn[i] = random.integer(length);
    for (const [v, values] of all.entries()) {
      let total = 0;
      for (let i = 0; i < length; i++) total += values[drawn[i]];
      means[v][n] = total / length;
    }
  }
  return all.map((values, v) => {
    const own = means[v].sort();
    const at = (share: number) => own[Math.round(share * (resamples - 1))];
    let total = 0;
    for (let i = 0; i < length; i++) total += values[i];
    return { mean: total / length, low: at(0.025), high: at(0.975) };
  });
}
