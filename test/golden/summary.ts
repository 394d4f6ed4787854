/** How golden files shorten a tensor, and how far a tensor is from its summary: the twin of `scripts/golden/summary.py`. */
import { hashUniform, salts } from "./formula.ts";

/**
 * [n, sum, norm, dot, …first]: the number of elements x_i, Σ x_i, the L2 norm, Σ x_i · (hashUniform(i, 40) − 0.5), and
 * the first elements (4 or fewer; none in the changes that an optimizer made).
 */
export type Summary = readonly [n: number, sum: number, norm: number, dot: number, ...first: number[]];

/** The summary of a tensor's elements, row-major in PyTorch's shape (a convolution's weight [O, I, H, W]). */
export function summarize(elements: ArrayLike<number>, first = 4): Summary {
  let [sum, squares, dot] = [0, 0, 0];
  for (let i = 0; i < elements.length; i++) {
    const x = elements[i]!;
    sum += x;
    squares += x * x;
    dot += x * (hashUniform(i, salts.checksum) - 0.5);
  }
  return [elements.length, sum, Math.sqrt(squares), dot, ...Array.from(elements).slice(0, first)];
}

/**
 * The largest difference between a tensor and a golden summary: sum, norm and dot in units of the norm, first elements
 * in units of the root mean square. Infinite if the tensor has another number of elements or holds NaN.
 */
export function distance(elements: ArrayLike<number>, golden: Summary): number {
  const [n, , norm] = golden;
  if (elements.length !== n) return Number.POSITIVE_INFINITY;
  const rms = norm / Math.sqrt(n);
  const found = summarize(elements, golden.length - 4);
  const apart = found.slice(1).map((x, k) => Math.abs(x - golden[k + 1]!) / Math.max(k < 3 ? norm : rms, 1e-30));
  return apart.some(Number.isNaN) ? Number.POSITIVE_INFINITY : Math.max(...apart);
}
