/**
 * NCCL through its C interface: what ranks add tensors up by that lie on GPUs. It comes with PyTorch's CUDA wheels, and libtorch_cuda is
 * linked with it: its functions are looked up through libtorch_cuda's own handle, so that no second copy is loaded. A process that is
 * alone looks nothing up.
 *
 * Source: NVIDIA's nccl.h (2.21 to 2.30, in all of which these functions have these arguments).
 */
import path from "node:path";
import { fault } from "../errors.ts";
import type { CudaHandle } from "./cuda-symbols.ts";
import type { LibtorchFolder } from "./inspect.ts";
import { koffi, type Shared } from "./koffi.ts";

/** A communicator: an address that only NCCL reads. */
export type NcclHandle = bigint;

/** NCCL_UNIQUE_ID_BYTES */
export const uniqueIdBytes = 128;
/** ncclFloat32 */
export const ncclFloat = 7;
/** ncclSum */
export const ncclSum = 0;

/** The functions that are called; those that return a number return a ncclResult_t, 0 for success. */
export interface NcclSymbols {
  ncclGetVersion(version: Int32Array): number;
  ncclGetUniqueId(id: Uint8Array): number;
  ncclCommInitRank(communicator: BigUint64Array, size: number, id: { internal: Uint8Array }, rank: number): number;
  ncclAllReduce(
    from: bigint,
    to: bigint,
    count: number,
    type: number,
    operation: number,
    over: NcclHandle,
    stream: CudaHandle,
  ): number;
  ncclAllGather(from: bigint, to: bigint, count: number, type: number, over: NcclHandle, stream: CudaHandle): number;
  ncclBroadcast(
    from: bigint,
    to: bigint,
    count: number,
    type: number,
    root: number,
    over: NcclHandle,
    stream: CudaHandle,
  ): number;
  ncclCommDestroy(communicator: NcclHandle): number;
  ncclCommAbort(communicator: NcclHandle): number;
  ncclGetErrorString(result: number): string;
  ncclGetLastError(communicator: NcclHandle): string;
}

const prototypes: { readonly [Name in Exclude<keyof NcclSymbols, "ncclCommInitRank">]: string } = {
  ncclGetVersion: "int ncclGetVersion(void *)",
  ncclGetUniqueId: "int ncclGetUniqueId(void *)",
  ncclAllReduce: "int ncclAllReduce(uint64_t, uint64_t, size_t, int, int, uint64_t, uint64_t)",
  ncclAllGather: "int ncclAllGather(uint64_t, uint64_t, size_t, int, uint64_t, uint64_t)",
  ncclBroadcast: "int ncclBroadcast(uint64_t, uint64_t, size_t, int, int, uint64_t, uint64_t)",
  ncclCommDestroy: "int ncclCommDestroy(uint64_t)",
  ncclCommAbort: "int ncclCommAbort(uint64_t)",
  ncclGetErrorString: "const char *ncclGetErrorString(int)",
  ncclGetLastError: "const char *ncclGetLastError(uint64_t)",
};

/** @throws input: a libtorch_cuda without NCCL */
export function openNccl({ libDir }: Pick<LibtorchFolder, "libDir">): NcclSymbols {
  const file = path.join(libDir, "libtorch_cuda.so");
  try {
    const shared = koffi().load(file, { global: true, lazy: true });
    const bound = Object.entries(prototypes).map(([name, prototype]) => [name, shared.func(prototype)]);
    return { ...Object.fromEntries(bound), ncclCommInitRank: initRank(shared) } as NcclSymbols;
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    const rule = "must come with NCCL, for a job of several GPUs";
    const next = "run `patchdrop setup --cuda`, or give a PyTorch with CUDA with --torch";
    throw fault("input", { where: file, rule, got, next }, cause);
  }
}

/** The identity is passed by value. */
function initRank(shared: Shared): unknown {
  const { struct, array } = koffi();
  const identity = struct({ internal: array("uint8_t", uniqueIdBytes) });
  return shared.func("ncclCommInitRank", "int", ["void *", "int", identity, "int"]);
}

/** Such as "2.30.7"; undefined where there is no NCCL. Never throws. */
export function ncclVersion(folder: Pick<LibtorchFolder, "libDir">): string | undefined {
  const number = new Int32Array(1);
  try {
    openNccl(folder).ncclGetVersion(number);
  } catch {
    return undefined;
  }
  const [version] = number;
  return `${Math.floor(version / 10_000)}.${Math.floor(version / 100) % 100}.${version % 100}`;
}

/** Throws what NCCL says about `result`, unless it is success. @throws system */
export function checkNccl(symbols: NcclSymbols, result: number, operation: string): void {
  if (result === 0) return;
  const last = symbols.ncclGetLastError(0n);
  const got = `NCCL error ${result}: ${symbols.ncclGetErrorString(result)}${last === "" ? "" : `: ${last}`}`;
  const next = "start again with NCCL_DEBUG=INFO, which says why";
  throw fault("system", { where: operation, rule: "must succeed among the GPUs of all ranks", got, next });
}
