/**
 * Tensors of many ranks on GPUs, by NCCL. Its work is queued on the stream that everything is computed on: it is in order with the rest,
 * nothing waits for it on the processor, and a step that is captured has it in its graph.
 */
import { library } from "../native/library.ts";
import {
  checkNccl,
  type NcclHandle,
  type NcclSymbols,
  ncclFloat,
  ncclSum,
  openNccl,
  uniqueIdBytes,
} from "../native/nccl.ts";
import { type CudaDevice, openCuda } from "../tensor/cuda.ts";
import type { Device } from "../tensor/device.ts";
import { elementCount, type Tensor } from "../tensor/tensor.ts";
import type { Meeting } from "./meeting.ts";
import { type Collectives, floatsOn } from "./process-group.ts";

/** What a communicator is made of. */
export interface NcclParts {
  readonly symbols: NcclSymbols;
  readonly gpu: Pick<CudaDevice, "compute">;
  /** As tensors name it. */
  readonly device: Device;
}

/** @throws input: no NCCL */
export function ncclParts(device: Exclude<Device, "cpu">): NcclParts {
  return { symbols: openNccl(library().found), gpu: openCuda(device), device };
}

export class NcclGroup implements Collectives {
  readonly #parts: NcclParts;
  readonly #communicator: NcclHandle;

  /** Waits for all ranks. @throws system: GPUs that do not reach one another */
  constructor(meeting: Pick<Meeting, "rank" | "size" | "exchange">, parts: NcclParts) {
    this.#parts = parts;
    const { rank, size } = meeting;
    const own = rank === 0 ? this.#identity() : undefined;
    const [internal] = meeting.exchange(own);
    const out = new BigUint64Array(1);
    this.#check("ncclCommInitRank", parts.symbols.ncclCommInitRank(out, size, { internal: internal! }, rank));
    this.#communicator = out[0];
  }

  allReduce(tensor: Tensor): void {
    const { symbols } = this.#parts;
    const [at, count, stream] = [this.#floats(tensor), elementCount(tensor.shape), this.#stream];
    this.#check("ncclAllReduce", symbols.ncclAllReduce(at, at, count, ncclFloat, ncclSum, this.#communicator, stream));
  }

  allGather(own: Tensor, all: Tensor): void {
    const { symbols } = this.#parts;
    const [from, to, count] = [this.#floats(own), this.#floats(all), elementCount(own.shape)];
    const result = symbols.ncclAllGather(from, to, count, ncclFloat, this.#communicator, this.#stream);
    this.#check("ncclAllGather", result);
  }

  broadcast(tensor: Tensor): void {
    const { symbols } = this.#parts;
    const [at, count, stream] = [this.#floats(tensor), elementCount(tensor.shape), this.#stream];
    this.#check("ncclBroadcast", symbols.ncclBroadcast(at, at, count, ncclFloat, 0, this.#communicator, stream));
  }

  /** Ends it, once all ranks do. */
  leave(): void {
    this.#parts.gpu.compute.synchronize();
    this.#parts.symbols.ncclCommDestroy(this.#communicator);
  }

  /** Ends what waits on this rank's GPU for the others'. */
  abort(): void {
    this.#parts.symbols.ncclCommAbort(this.#communicator);
  }

  #identity(): Uint8Array {
    const id = new Uint8Array(uniqueIdBytes);
    this.#check("ncclGetUniqueId", this.#parts.symbols.ncclGetUniqueId(id));
    return id;
  }

  get #stream(): bigint {
    return this.#parts.gpu.compute.handle;
  }

  #floats(tensor: Tensor): bigint {
    return floatsOn(this.#parts.device, tensor);
  }

  #check(operation: string, result: number): void {
    checkNccl(this.#parts.symbols, result, operation);
  }
}
