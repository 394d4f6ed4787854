/**
 * The processes that train as one. Each is a rank, and all of them call the same functions of their group in the same order, as
 * with torch.distributed. A process that is alone has a group too, {@link alone}, so that nothing else asks whether there are others.
 */
import { copyInto } from "../tensor/ops.ts";
import type { Tensor } from "../tensor/tensor.ts";

export interface ProcessGroup {
  /** 0 writes the run folder, and speaks. */
  readonly rank: number;
  readonly size: number;
  /** Adds a float32 tensor [N] up over all ranks, in place. In which order, the library decides. */
  allReduce(tensor: Tensor): void;
  /** The tensors [N] of all ranks in their order, [size × N], into `all`. */
  allGather(own: Tensor, all: Tensor): void;
  /** Overwrites a float32 tensor [N] with that of rank 0. */
  broadcast(tensor: Tensor): void;
  /** The values of all ranks, in their order: whatever can be cloned. */
  exchange<T>(value: T): T[];
}

/** What the first rank finds, on all of them: for what is looked up where only that one writes. The others wait. */
export async function ofFirst<T>(group: ProcessGroup, find: () => T | Promise<T>): Promise<T> {
  const [found] = group.exchange(group.rank === 0 ? await find() : undefined);
  return found as T;
}

/** One process, which has no one to wait for. */
export const alone: ProcessGroup = {
  rank: 0,
  size: 1,
  allReduce: () => undefined,
  allGather: (own, all) => copyInto(all, own),
  broadcast: () => undefined,
  exchange: (value) => [value],
};
