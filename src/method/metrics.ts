/**
 * The numbers of an epoch: accuracy, mean reward, S and V (mean and standard deviation of the number of patches over the
 * images), and how many distinct masks there were. `sparsity`, for S, is the authors' name.
 */

/** What one batch adds, as plain arrays: per image, except the loss. */
export interface BatchResult {
  /** Mean loss of the batch. */
  loss?: number;
  /** 1 where right, [B]. */
  correct: Float32Array;
  /** [B] */
  reward?: Float32Array;
  /** What the reward is compared with, [B]: in the paper's estimator, the greedy mask's. */
  baselineReward?: Float32Array;
  /** [B × P], 0 and 1. */
  mask?: Float32Array;
}

/** Means over all images so far. `sparsity` is S, as the authors' code names it. */
export interface Metrics {
  accuracy: number;
  loss?: number;
  reward?: number;
  baseline_reward?: number;
  sparsity?: number;
  /** V: standard deviation of the number of patches over the images. */
  patches_std?: number;
  distinct_masks?: number;
  /** Share of images with the most frequent mask; 1 means that the policy ignores the image. */
  commonest_mask?: number;
}

/** Sums, from which a run that is resumed inside an epoch goes on. */
export interface MetricState {
  images: number;
  sums: Record<string, number>;
  masks: [bits: string, count: number][];
}

export class MetricAccumulator {
  #images = 0;
  #sums = new Map<string, number>();
  #masks = new Map<string, number>();

  constructor(state?: MetricState) {
    if (state === undefined) return;
    this.#images = state.images;
    this.#sums = new Map(Object.entries(state.sums));
    this.#masks = new Map(state.masks);
  }

  add({ loss, correct, reward, baselineReward, mask }: BatchResult): void {
    const count = correct.length;
    this.#images += count;
    this.#add("accuracy", total(correct));
    if (loss !== undefined) this.#add("loss", loss * count);
    if (reward !== undefined) this.#add("reward", total(reward));
    if (baselineReward !== undefined) this.#add("baseline_reward", total(baselineReward));
    if (mask !== undefined) this.#addMasks(mask, mask.length / count);
  }

  get images(): number {
    return this.#images;
  }

  metrics(): Metrics {
    const n = Math.max(this.#images, 1);
    const means = Object.fromEntries([...this.#sums].map(([name, sum]) => [name, sum / n])) as unknown as Metrics;
    if (this.#masks.size === 0) return means;
    const patches = [...this.#masks].map(([bits, count]) => [patchesOf(bits), count] as const);
    const mean = patches.reduce((sum, [taken, count]) => sum + taken * count, 0) / n;
    const squares = patches.reduce((sum, [taken, count]) => sum + (taken - mean) ** 2 * count, 0);
    return {
      ...means,
      sparsity: mean,
      patches_std: Math.sqrt(squares / Math.max(n - 1, 1)),
      distinct_masks: this.#masks.size,
      commonest_mask: Math.max(...this.#masks.values()) / n,
    };
  }

  state(): MetricState {
    return { images: this.#images, sums: Object.fromEntries(this.#sums), masks: [...this.#masks] };
  }

  /** Share of images that took each patch, [P]. */
  patchUse(): number[] {
    const [first] = this.#masks.keys();
    const use = new Array<number>(first?.length ?? 0).fill(0);
    for (const [bits, count] of this.#masks) {
      for (let k = 0; k < use.length; k++) if (bits[k] === "1") use[k] += count / this.#images;
    }
    return use;
  }

  #add(name: string, value: number): void {
    this.#sums.set(name, (this.#sums.get(name) ?? 0) + value);
  }

  #addMasks(masks: Float32Array, patches: number): void {
    for (let start = 0; start < masks.length; start += patches) {
      let bits = "";
      for (let k = 0; k < patches; k++) bits += masks[start + k] === 1 ? "1" : "0";
      this.#masks.set(bits, (this.#masks.get(bits) ?? 0) + 1);
    }
  }
}

function total(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function patchesOf(bits: string): number {
  let taken = 0;
  for (const bit of bits) if (bit === "1") taken += 1;
  return taken;
}
