/**
 * Where to look, told from similar images: of a library of masks each image gets the one that served its neighbours best,
 * images whose low resolution the classifier takes for the same classes.
 *
 * Shapes: N images judged, M images known, K classes, L masks.
 */

import { pacer } from "../utils/pacer.ts";
import { row } from "../utils/rows.ts";

/** Neighbours that are asked. */
const neighbours = 32;

export interface Library {
  /** Of each mask, what it was worth to the known images, [L] of [M]. */
  readonly worth: readonly ArrayLike<number>[];
  /** Probabilities of the classes of the known images, from their low resolution, [M, K]. */
  readonly known: Float32Array;
  readonly classes: number;
}

/** The mask of each image, as its number in the library, [N]. @param low as {@link Library.known}, of the images [N, K] */
export async function bestOfNeighbours({ worth, known, classes }: Library, low: Float32Array): Promise<Uint16Array> {
  const best = new Uint16Array(low.length / classes);
  const turn = pacer();
  for (let i = 0; i < best.length; i++) {
    await turn();
    const near = nearest(row(low, i, classes), known, classes);
    const values = worth.map((ofMask) => near.reduce((sum, m) => sum + ofMask[m], 0));
    best[i] = values.indexOf(Math.max(...values));
  }
  return best;
}

/** By the Hellinger distance of the two distributions. */
function nearest(own: Float32Array, known: Float32Array, classes: number): number[] {
  const alike = Float64Array.from({ length: known.length / classes }, (_, m) => {
    let overlap = 0;
    for (let k = 0; k < classes; k++) overlap += Math.sqrt(own[k] * known[m * classes + k]);
    return overlap;
  });
  return Array.from(alike.keys())
    .sort((a, b) => alike[b] - alike[a])
    .slice(0, neighbours);
}
