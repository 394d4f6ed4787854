/** One update of what a stage learns: a pass over each shard of the batch, the gradients of all added up, the optimizer. */
import type { Optimizer, Rate } from "../nn/optimizer.ts";
import { kept } from "../tensor/captured.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import { empty, type Tensor, zeros } from "../tensor/tensor.ts";
import { defined } from "../utils/defined.ts";
import { unprofiled } from "../utils/profile.ts";
import type { Batch, Learning, StepNumbers } from "./learning.ts";
import type { Part, Shard, Sharding } from "./sharding.ts";
import type { StageProfile } from "./stage-profile.ts";

/** What of a stage a step needs. */
export type Stepping = Pick<Learning, "pass" | "networks" | "price" | "decided"> & {
  readonly optimizer: Pick<Optimizer, "gradients" | "update">;
};

export interface ShardedBatch {
  /** Over all ranks. */
  readonly images: number;
  readonly epoch: number;
  /** This rank's share; none of one without images. */
  readonly own: Batch | undefined;
}

/**
 * Takes a step, on all ranks the same.
 * @returns the numbers of this rank's shards, one behind the other: the losses, [shards with images], and the others, [images, …]
 */
export function takeStep(
  { pass, networks, optimizer, price, decided }: Stepping,
  sharding: Sharding,
  { images, epoch, own }: ShardedBatch,
  lr: Rate,
  profile: StageProfile = unprofiled,
): StepNumbers {
  const parts: StepNumbers[] = [];
  const { first } = sharding.share(images);
  const share = price && empty([1], "float32", price.price.device);
  const sums = share === undefined ? optimizer.gradients : [...optimizer.gradients, share];
  const learnShard = (shard: Shard) => {
    for (const { parameters } of networks.values()) parameters.tracks = shard.isFirst;
    const part = { first: shard.first - first, count: shard.count };
    const numbers = kept(scope(() => pass(partOf(own!, part), profile)));
    parts.push(numbers);
    if (share !== undefined) ops.copyInto(share, numbers.share!);
  };
  sharding.addUp(images, sums, learnShard, profile);
  profile.of("optimizer", () => optimizer.update(lr));
  if (share !== undefined) price?.follow(share, decided?.(epoch));
  return joined(parts);
}

/** Some of a batch's images. */
function partOf(batch: Batch, { first, count }: Part): Batch {
  if (count === batch.labels.shape[0]) return batch;
  const part = (tensor: Tensor) => ops.slice(tensor, 0, first, first + count);
  const { images, labels, uniforms, first: before } = batch;
  const position = before === undefined ? undefined : before + first;
  return { ...batch, images: part(images), labels: part(labels), uniforms: part(uniforms), first: position };
}

/** Frees the parts, unless there is one alone. */
function joined(parts: readonly StepNumbers[]): StepNumbers {
  const [first, ...others] = parts;
  if (first === undefined) return { loss: zeros([0]), correct: zeros([0]) };
  if (others.length === 0) return first;
  const all = (name: keyof StepNumbers) => {
    const tensors = parts.flatMap((part) => part[name] ?? []);
    return tensors.length === 0 ? undefined : ops.concat(tensors, 0);
  };
  const loss = ops.concat(
    parts.map((part) => ops.view(part.loss, [1])),
    0,
  );
  const rest = defined({ reward: all("reward"), baselineReward: all("baselineReward"), mask: all("mask") });
  const joint = { loss, correct: all("correct")!, ...rest };
  for (const tensor of parts.flatMap((part) => Object.values(part) as (Tensor | undefined)[])) tensor?.free();
  return joint;
}
