/**
 * Numbers of each image that depend on its mask alone, computed once for each mask that it had: rounds, and thresholds that
 * are tried one after the other, ask for the same masks again and again, and an image that has stopped keeps its own.
 *
 * Shapes: B batch, P patches, N numbers an image.
 */
import { row } from "../utils/rows.ts";

/** The numbers [R, N] of some images of the batch, under the masks [B, P]. @param rows which images, [R]; all when absent */
export type Compute = (rows: Uint32Array | undefined) => Float32Array;

/** oneDNN makes new code for every number of images that it has not seen, so only a few sizes are used. */
const granule = 64;

export class ByMask {
  /** Of each image, its numbers by its mask. */
  readonly #known: Map<string, Float32Array>[] = [];

  /** The numbers [B, N] of all images under the masks [B, P]. */
  of(masks: Uint8Array, patches: number, compute: Compute): Float32Array {
    const keys = Array.from({ length: masks.length / patches }, (_, b) =>
      Buffer.from(row(masks, b, patches)).toString("latin1"),
    );
    while (this.#known.length < keys.length) this.#known.push(new Map());
    const missing = keys.flatMap((key, b) => (this.#known[b].has(key) ? [] : [b]));
    if (missing.length > 0) {
      const rows = filledUp(missing, keys.length);
      const found = compute(rows.length === keys.length ? undefined : rows);
      const length = found.length / rows.length;
      for (const [r, b] of rows.entries()) this.#known[b].set(keys[b], row(found, r, length));
    }
    const all = keys.map((key, b) => this.#known[b].get(key)!);
    const numbers = new Float32Array(all.length * all[0].length);
    for (const [b, own] of all.entries()) numbers.set(own, b * own.length);
    return numbers;
  }
}

/** Some of `count` rows, filled up with others to a multiple of {@link granule}; all, in order, where there are no more. */
export function filledUp(some: readonly number[], count: number): Uint32Array {
  const all = Uint32Array.from({ length: count }, (_, row) => row);
  const wanted = Math.ceil(some.length / granule) * granule;
  if (wanted >= count) return all;
  const isThere = new Set(some);
  const others = all.filter((row) => !isThere.has(row));
  return Uint32Array.from([...some, ...others.slice(0, wanted - some.length)]);
}
