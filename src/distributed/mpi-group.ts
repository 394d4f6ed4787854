/** How ranks meet over MPI, and exchange tensors on CPUs. Its calls wait for the others, and let nothing else run meanwhile. */
import { deserialize, serialize } from "node:v8";
import { inPlace, type Mpi, type MpiHandle, openMpi } from "../native/mpi.ts";
import { elementCount, type Tensor } from "../tensor/tensor.ts";
import type { Meeting } from "./meeting.ts";
import { type Collectives, floatsOn } from "./process-group.ts";

/** MPI_THREAD_FUNNELED: libtorch has threads, of which one calls MPI. */
const funneled = 1;

/** What joins the processes that `mpirun` or `srun --mpi=pmix` has started. One per process, since MPI starts once. */
export class MpiGroup implements Meeting, Collectives {
  readonly rank: number;
  readonly size: number;
  readonly #mpi: Mpi;

  /** @throws input: no Open MPI */
  constructor(mpi = openMpi()) {
    const { symbols, world } = mpi;
    const number = new Int32Array(1);
    symbols.MPI_Init_thread(null, null, funneled, number);
    symbols.MPI_Comm_rank(world, number);
    this.rank = number[0];
    symbols.MPI_Comm_size(world, number);
    this.size = number[0];
    this.#mpi = mpi;
  }

  allReduce(tensor: Tensor): void {
    const { symbols, float, sum, world } = this.#mpi;
    symbols.MPI_Allreduce(inPlace, floatsOn("cpu", tensor), elementCount(tensor.shape), float, sum, world);
  }

  allGather(own: Tensor, all: Tensor): void {
    const { symbols, float, world } = this.#mpi;
    const count = elementCount(own.shape);
    symbols.MPI_Allgather(floatsOn("cpu", own), count, float, floatsOn("cpu", all), count, float, world);
  }

  broadcast(tensor: Tensor): void {
    const { symbols, float, world } = this.#mpi;
    symbols.MPI_Bcast(floatsOn("cpu", tensor), elementCount(tensor.shape), float, 0, world);
  }

  exchange<T>(value: T): T[] {
    const { byte, int } = this.#mpi;
    const own = serialize(value);
    const sizes = new Int32Array(this.size);
    this.#gather(Int32Array.of(own.length), int, sizes, new Int32Array(this.size).fill(1));
    const all = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
    const offsets = this.#gather(own, byte, all, sizes);
    return Array.from(sizes, (size, rank) => deserialize(all.subarray(offsets[rank], offsets[rank] + size)) as T);
  }

  /** The elements of all ranks into `all`, `counts[rank]` of each. @returns where each rank's begin */
  #gather(own: Uint8Array | Int32Array, type: MpiHandle, all: ArrayBufferView, counts: Int32Array): Int32Array {
    const { symbols, world } = this.#mpi;
    const offsets = new Int32Array(this.size);
    for (let rank = 1; rank < this.size; rank++) offsets[rank] = offsets[rank - 1] + counts[rank - 1];
    symbols.MPI_Allgatherv(own, own.length, type, all, counts, offsets, type, world);
    return offsets;
  }

  leave(): void {
    this.#mpi.symbols.MPI_Finalize();
  }

  abort(code: number): void {
    this.#mpi.symbols.MPI_Abort(this.#mpi.world, code);
  }
}
