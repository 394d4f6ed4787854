/**
 * Open MPI through its C interface: what `mpirun` and `srun --mpi=pmix` start, and what processes that train together on CPUs
 * exchange numbers by. Nothing of it is loaded by a process that is alone.
 *
 * Sources: MPI 3.1, chapters 5 and 8; Open MPI's mpi.h, whose predefined handles are addresses of its global variables.
 */
import { fault } from "../errors.ts";
import { koffi, type Shared } from "./koffi.ts";

/** A communicator, datatype or operation: an address that only MPI reads. */
export type MpiHandle = bigint;

/** The functions that are called; each returns 0, since by default MPI ends the job where one fails. Buffers are addresses or arrays. */
export interface MpiSymbols {
  MPI_Init_thread(argc: null, argv: null, required: number, provided: Int32Array): number;
  MPI_Comm_rank(communicator: MpiHandle, rank: Int32Array): number;
  MPI_Comm_size(communicator: MpiHandle, size: Int32Array): number;
  MPI_Allreduce(
    from: bigint,
    to: bigint,
    count: number,
    type: MpiHandle,
    operation: MpiHandle,
    over: MpiHandle,
  ): number;
  MPI_Allgather(
    from: bigint,
    sent: number,
    sentType: MpiHandle,
    to: bigint,
    received: number,
    receivedType: MpiHandle,
    over: MpiHandle,
  ): number;
  MPI_Bcast(buffer: bigint, count: number, type: MpiHandle, root: number, over: MpiHandle): number;
  MPI_Allgatherv(
    from: ArrayBufferView,
    sent: number,
    sentType: MpiHandle,
    to: ArrayBufferView,
    received: Int32Array,
    offsets: Int32Array,
    receivedType: MpiHandle,
    over: MpiHandle,
  ): number;
  MPI_Abort(communicator: MpiHandle, code: number): number;
  MPI_Finalize(): number;
}

const prototypes: { readonly [Name in keyof MpiSymbols]: string } = {
  MPI_Init_thread: "int MPI_Init_thread(void *, void *, int, void *)",
  MPI_Comm_rank: "int MPI_Comm_rank(uint64_t, void *)",
  MPI_Comm_size: "int MPI_Comm_size(uint64_t, void *)",
  MPI_Allreduce: "int MPI_Allreduce(uint64_t, uint64_t, int, uint64_t, uint64_t, uint64_t)",
  MPI_Allgather: "int MPI_Allgather(uint64_t, int, uint64_t, uint64_t, int, uint64_t, uint64_t)",
  MPI_Bcast: "int MPI_Bcast(uint64_t, int, uint64_t, int, uint64_t)",
  MPI_Allgatherv: "int MPI_Allgatherv(void *, int, uint64_t, void *, void *, void *, uint64_t, uint64_t)",
  MPI_Abort: "int MPI_Abort(uint64_t, int)",
  MPI_Finalize: "int MPI_Finalize(void)",
};

/** The opened library with its predefined handles. */
export interface Mpi {
  readonly symbols: MpiSymbols;
  readonly world: MpiHandle;
  readonly float: MpiHandle;
  readonly byte: MpiHandle;
  readonly int: MpiHandle;
  readonly sum: MpiHandle;
}

/** MPI_IN_PLACE of Open MPI. */
export const inPlace = 1n;

/** Open MPI 4 and 5 have this name, and the same binary interface for what is called here. */
const libraryName = "libmpi.so.40";
const installIt = "install Open MPI (Debian: `apt-get install openmpi-bin`) and start with its mpirun";

/** @throws input: no Open MPI */
export function openMpi(): Mpi {
  const shared = load();
  const bound = Object.entries(prototypes).map(([name, prototype]) => [name, shared.func(prototype)]);
  const handle = (name: string) => koffi().address(shared.symbol(name, "void *"));
  return {
    symbols: Object.fromEntries(bound) as unknown as MpiSymbols,
    world: handle("ompi_mpi_comm_world"),
    float: handle("ompi_mpi_float"),
    byte: handle("ompi_mpi_byte"),
    int: handle("ompi_mpi_int"),
    sum: handle("ompi_mpi_op_sum"),
  };
}

/** Such as "4.1.4"; undefined where there is no Open MPI. Never throws. */
export function openMpiVersion(): string | undefined {
  const text = new Uint8Array(longestVersion);
  const length = new Int32Array(1);
  try {
    load().func("int MPI_Get_library_version(void *, void *)")(text, length);
  } catch {
    return undefined;
  }
  const said = Buffer.from(text.subarray(0, length[0])).toString("latin1");
  return /^Open MPI v(\S+?),/.exec(said)?.[1];
}

/** MPI_MAX_LIBRARY_VERSION_STRING */
const longestVersion = 256;

/** @throws input: no Open MPI */
function load(): Shared {
  try {
    // Its plugins look for its symbols among the global ones.
    return koffi().load(libraryName, { global: true, lazy: true });
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    const rule = "must load, for a job of several processes";
    throw fault("input", { where: libraryName, rule, got, next: installIt }, cause);
  }
}
