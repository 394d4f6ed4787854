/** Intervals from a handful of values, such as one a seed: Student's t ("The probable error of a mean", 1908). */
import type { Interval } from "./bootstrap.ts";

/** The mean of n values with its interval of 95 %, by their standard deviation and n − 1 degrees of freedom; n is 2 or more. */
export function studentMean(values: readonly number[]): Interval {
  const { length } = values;
  const mean = sum(values) / length;
  const variance = sum(values.map((value) => (value - mean) ** 2)) / (length - 1);
  const half = studentQuantile(length - 1) * Math.sqrt(variance / length);
  return { mean, low: mean - half, high: mean + half };
}

/** The t between whose −t and t a share of 95 % lies. @param freedom degrees of freedom, 1 or more */
export function studentQuantile(freedom: number): number {
  let [low, high] = [0, Math.PI / 2];
  // Halved until the doubles between them are used up.
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (shareWithin(middle, freedom) < 0.95) low = middle;
    else high = middle;
  }
  return Math.sqrt(freedom) * Math.tan(low);
}

/**
 * The share of Student's distribution between −t and t, at θ = arctan(t / √ν): Abramowitz and Stegun, Handbook of
 * Mathematical Functions, 26.7.3 for odd ν and 26.7.4 for even ν.
 */
function shareWithin(theta: number, freedom: number): number {
  const isOdd = freedom % 2 === 1;
  const cosine = Math.cos(theta);
  // Odd: cos θ + 2/3 cos³ θ + 2·4/(3·5) cos⁵ θ + …; even: 1 + 1/2 cos² θ + 1·3/(2·4) cos⁴ θ + …; up to cos^(ν − 2) θ.
  let term = isOdd ? cosine : 1;
  let series = 0;
  for (let power = isOdd ? 1 : 0; power <= freedom - 2; power += 2) {
    series += term;
    term *= (cosine ** 2 * (power + 1)) / (power + 2);
  }
  return isOdd ? (2 / Math.PI) * (theta + Math.sin(theta) * series) : Math.sin(theta) * series;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
