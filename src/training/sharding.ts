/**
 * How a batch is divided, and how the parts' gradients come together. A batch is V shards, each with batch-norm statistics of its
 * own; a rank has consecutive ones. Without `--shards` each rank has one, and what is learned is what PyTorch's
 * DistributedDataParallel learns: gradients are added by the library's all-reduce. With `--shards V`, they are added in one fixed
 * tree over the shards, wherever these are computed, so that the number of ranks does not bear on the result.
 */
import type { ProcessGroup } from "../distributed/process-group.ts";
import { fault } from "../errors.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import { empty, type Tensor } from "../tensor/tensor.ts";
import { unprofiled } from "../utils/profile.ts";
import type { StageProfile } from "./stage-profile.ts";

/** Some consecutive images of a batch. */
export interface Part {
  readonly first: number;
  readonly count: number;
}

export interface Shard extends Part {
  /** The first of all counts in the running statistics of batch norm, as rank 0 of DistributedDataParallel does. */
  readonly isFirst: boolean;
}

/** Batch norm cannot train on one image. */
const fewestImages = 2;

export class Sharding {
  readonly group: ProcessGroup;
  /** V */
  readonly shards: number;
  readonly #isFixed: boolean;

  /**
   * @param shards V of `--shards`; as many as ranks when absent
   * @param batchSize of all ranks; all training images where these are fewer
   * @throws usage: V that the ranks do not divide, or with too few images in each
   */
  constructor(group: ProcessGroup, shards: number | undefined, batchSize: number) {
    this.group = group;
    this.shards = shards ?? group.size;
    this.#isFixed = shards !== undefined;
    if (this.shards % group.size !== 0) {
      const rule = `must be divided by the ${group.size} ranks, which must be a power of two`;
      throw fault("usage", {
        where: "--shards",
        rule,
        got: shards,
        next: "start another number of ranks, or leave it out",
      });
    }
    const most = Math.floor(batchSize / fewestImages);
    if (this.shards > Math.max(1, most)) {
      const few = `need a batch of ${fewestImages * this.shards} images or more`;
      const many = `must be at most ${most}, for ${fewestImages} images each of a batch of ${batchSize}`;
      const rule = most < 2 ? few : many;
      const next = "start fewer ranks with fewer shards, or give a larger --batch_size and as many training images";
      throw fault("usage", {
        where: shards === undefined ? "ranks" : "--shards",
        rule,
        got: most < 2 ? `${batchSize} for ${this.shards}` : this.shards,
        next,
      });
    }
  }

  /** Shards of each rank. */
  get #each(): number {
    return this.shards / this.group.size;
  }

  /** This rank's shards of a batch, at least two images in each: of a small last batch there are fewer, and maybe none. */
  own(images: number): Shard[] {
    const used = Math.max(1, Math.min(this.shards, Math.floor(images / fewestImages)));
    const begin = (shard: number) => Math.floor((Math.min(shard, used) * images) / used);
    const from = this.group.rank * this.#each;
    return Array.from({ length: this.#each }, (_, n) => {
      const first = begin(from + n);
      return { first, count: begin(from + n + 1) - first, isFirst: from + n === 0 };
    });
  }

  /** The images of a batch that this rank has. */
  share(images: number): Part {
    const own = this.own(images);
    return { first: own[0].first, count: own.reduce((sum, { count }) => sum + count, 0) };
  }

  /**
   * Adds up, over the shards of all ranks, what `fill` leaves in `sums` for each of this rank's that has images: by its share of
   * the batch. `sums`, float32 [N] each, then hold the same on all ranks.
   */
  addUp(
    images: number,
    sums: readonly Tensor[],
    fill: (shard: Shard) => void,
    profile: StageProfile = unprofiled,
  ): void {
    const fillPart = (shard: Shard) => {
      if (shard.count > 0) fill(shard);
      for (const sum of sums) weigh(sum, shard.count / images);
    };
    addTree(this.own(images), sums, fillPart);
    if (this.group.size === 1) return;
    profile.of("exchange", () => {
      for (const sum of sums) {
        if (this.#isFixed) addRanks(this.group, sum);
        else this.group.allReduce(sum);
      }
    });
  }
}

function weigh(sum: Tensor, weight: number): void {
  if (weight === 0) ops.zeroInPlace(sum);
  else if (weight < 1) scope(() => ops.copyInto(sum, ops.scale(sum, weight)));
}

/** Fills `sums` with the total over `shards`, a power of two: halves before the whole, left before right. */
function addTree(shards: readonly Shard[], sums: readonly Tensor[], fill: (shard: Shard) => void): void {
  const half = shards.length / 2;
  if (half < 1) {
    fill(shards[0]);
    return;
  }
  scope(() => {
    addTree(shards.slice(0, half), sums, fill);
    const left = sums.map((sum) => ops.cast(sum, "float32"));
    addTree(shards.slice(half), sums, fill);
    for (const [n, sum] of sums.entries()) ops.copyInto(sum, ops.add(left[n], sum));
  });
}

/** Elements that all ranks gather at a time, so that many ranks take little memory. */
const gathered = 2 ** 20;

/** The same tree, on over the ranks. */
function addRanks(group: ProcessGroup, sum: Tensor): void {
  const [count] = sum.shape;
  for (let from = 0; from < count; from += gathered) {
    scope(() => {
      const own = ops.slice(sum, 0, from, Math.min(from + gathered, count));
      const all = empty([group.size, own.shape[0]], "float32", sum.device);
      group.allGather(own, all);
      let parts = Array.from({ length: group.size }, (_, rank) => ops.select(all, 0, rank));
      while (parts.length > 1) {
        parts = Array.from({ length: parts.length / 2 }, (_, n) => ops.add(parts[2 * n], parts[2 * n + 1]));
      }
      ops.copyInto(own, parts[0]);
    });
  }
}
