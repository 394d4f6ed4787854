/** The group of ranks that a launcher has started: how they meet, and what their tensors go by. */
import { fault } from "../errors.ts";
import { type GpuList, listGpus } from "../native/gpus.ts";
import type { Device } from "../tensor/device.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Launch } from "./launch.ts";
import type { Meeting } from "./meeting.ts";
import { NcclGroup, type NcclParts, ncclParts } from "./nccl-group.ts";
import type { Collectives, ProcessGroup } from "./process-group.ts";

/** What a group of ranks is made of. */
export interface RankParts {
  readonly launch: Launch;
  readonly meeting: Meeting;
  /** None of ranks that torchrun has started. */
  readonly onCpu: Collectives | undefined;
  readonly gpus?: (() => GpuList) | undefined;
  readonly nccl?: ((device: Exclude<Device, "cpu">) => NcclParts) | undefined;
}

export class RankGroup implements ProcessGroup {
  readonly #parts: RankParts;
  #onGpu: NcclGroup | undefined;

  constructor(parts: RankParts) {
    this.#parts = parts;
  }

  get rank(): number {
    return this.#parts.meeting.rank;
  }

  get size(): number {
    return this.#parts.meeting.size;
  }

  exchange<T>(value: T): T[] {
    return this.#parts.meeting.exchange(value);
  }

  deviceFor(told: Device): Device {
    const { launch, onCpu, gpus = listGpus } = this.#parts;
    if (told === "cpu" && onCpu !== undefined) return told;
    if (told === "cpu") {
      const rule = "ranks on CPUs exchange numbers by MPI, which torchrun does not start";
      const next = `give --device cuda, or start with mpirun -n ${launch.size} patchdrop …`;
      throw fault("usage", { where: launch.by, rule, got: `${launch.size} ranks`, next });
    }
    if (told !== "cuda") {
      const rule = "must be cpu or cuda on many ranks, each of which takes the GPU of its own number on its machine";
      throw fault("usage", { where: "--device", rule, got: told, next: "give --device cuda" });
    }
    const { length } = gpus().gpus;
    // That there is none at all is said as to a process that is alone.
    if (length === 0) return told;
    if (launch.localRank >= length) {
      const rule = "needs a GPU for each rank of a machine";
      const got = `${length}, and ${launch.localRank + 1} ranks or more`;
      const next = `start ${length} a machine; under Slurm, let each task see all GPUs of its machine`;
      throw fault("input", { where: "--device cuda", rule, got, next });
    }
    return `cuda:${launch.localRank}`;
  }

  allReduce(tensor: Tensor): void {
    this.#over(tensor).allReduce(tensor);
  }

  allGather(own: Tensor, all: Tensor): void {
    this.#over(own).allGather(own, all);
  }

  broadcast(tensor: Tensor): void {
    this.#over(tensor).broadcast(tensor);
  }

  /** Ends the part of this rank, when all ranks have done theirs. */
  leave(): void {
    this.#onGpu?.leave();
    this.#parts.meeting.leave();
  }

  /** Ends all ranks with an exit code. */
  abort(code: number): void {
    this.#parts.meeting.abort(code);
    this.#onGpu?.abort();
  }

  /** NCCL is opened by the first tensor on a GPU, which is in a step that is called and not captured. */
  #over({ device }: Tensor): Collectives {
    const { meeting, onCpu, nccl = ncclParts } = this.#parts;
    if (device !== "cpu") {
      this.#onGpu ??= new NcclGroup(meeting, nccl(device));
      return this.#onGpu;
    }
    if (onCpu !== undefined) return onCpu;
    throw fault("internal", { where: "exchange among ranks", rule: "needs tensors on a GPU", got: device });
  }
}
