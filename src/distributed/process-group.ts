/**
 * The processes that train as one. Each is a rank, and all of them call the same functions of their group in the same order, as
 * with torch.distributed. A process that is alone has a group too, {@link alone}, so that nothing else asks whether there are others.
 */
import { fault } from "../errors.ts";
import type { Device } from "../tensor/device.ts";
import { copyInto } from "../tensor/ops.ts";
import { addressOf, type Tensor } from "../tensor/tensor.ts";

/** What ranks do together with tensors of a device. */
export interface Collectives {
  /** Adds a float32 tensor [N] up over all ranks, in place. In which order, the library decides. */
  allReduce(tensor: Tensor): void;
  /** The tensors [N] of all ranks in their order, [size × N], into `all`. */
  allGather(own: Tensor, all: Tensor): void;
  /** Overwrites a float32 tensor [N] with that of rank 0. */
  broadcast(tensor: Tensor): void;
}

export interface ProcessGroup extends Collectives {
  /** 0 writes the run folder, and speaks. */
  readonly rank: number;
  readonly size: number;
  /** The values of all ranks, in their order: whatever can be cloned. */
  exchange<T>(value: T): T[];
  /** The device of this rank, of the one that all were told. @throws usage: one that they cannot share; input: too few GPUs */
  deviceFor(told: Device): Device;
}

/** Where the elements of a tensor of collectives lie. */
export function floatsOn(device: Device, tensor: Tensor): bigint {
  if (tensor.device === device && tensor.dtype === "float32") return addressOf(tensor);
  const got = `${tensor.dtype} on ${tensor.device}`;
  throw fault("internal", { where: "exchange among ranks", rule: `needs float32 on ${device}`, got });
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
  deviceFor: (told) => told,
};
