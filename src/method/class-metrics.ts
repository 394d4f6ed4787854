/** The numbers of a mask, class by class: which classes are classified correctly, and where they are looked at. */

export interface ClassResult {
  readonly images: number;
  /** Share of the class's images that are classified correctly; NaN of a class without images. */
  readonly accuracy: number;
  /** S: mean number of patches of its images. */
  readonly patches: number;
  /** Share of its images for which each patch was taken, [P]. */
  readonly patchUse: readonly number[];
}

/** How often images of one class were taken for another. */
export interface Confusion {
  readonly label: number;
  readonly prediction: number;
  readonly images: number;
}

/** Every pair of thirty classes: more are not listed. */
const mostConfusions = 30 * 29;

/** Those that there were, the commonest first. Both arguments are [N]. */
export function confusionsOf(labels: ArrayLike<number>, predictions: ArrayLike<number>): Confusion[] {
  const counts = new Map<string, Confusion>();
  for (let i = 0; i < labels.length; i++) {
    const [label, prediction] = [labels[i], predictions[i]];
    if (label === prediction) continue;
    const key = `${label} ${prediction}`;
    counts.set(key, { label, prediction, images: (counts.get(key)?.images ?? 0) + 1 });
  }
  const order = (a: Confusion, b: Confusion) => b.images - a.images || a.label - b.label || a.prediction - b.prediction;
  return [...counts.values()].sort(order).slice(0, mostConfusions);
}

export class ClassAccumulator {
  readonly #images: Float64Array;
  readonly #right: Float64Array;
  /** [K × P] */
  readonly #taken: Float64Array;
  readonly #patches: number;

  constructor(classes: number, patches: number) {
    this.#images = new Float64Array(classes);
    this.#right = new Float64Array(classes);
    this.#taken = new Float64Array(classes * patches);
    this.#patches = patches;
  }

  /** @param correct [B], 1 where right; `mask` is [B × P] */
  add(labels: ArrayLike<number>, correct: ArrayLike<number>, mask: ArrayLike<number>): void {
    for (let b = 0; b < correct.length; b++) {
      this.#images[labels[b]] += 1;
      this.#right[labels[b]] += correct[b];
      for (let k = 0; k < this.#patches; k++) {
        this.#taken[labels[b] * this.#patches + k] += mask[b * this.#patches + k];
      }
    }
  }

  /** By label, [K]. */
  results(): ClassResult[] {
    return Array.from(this.#images, (images, label) => {
      const taken = this.#taken.subarray(label * this.#patches, (label + 1) * this.#patches);
      const patchUse = Array.from(taken, (count) => count / images);
      return {
        images,
        accuracy: this.#right[label] / images,
        patches: patchUse.reduce((sum, share) => sum + share, 0),
        patchUse,
      };
    });
  }
}
