/**
 * The C functions that only `--device cuda` needs: the CUDA runtime's for streams, events and captured graphs, and those of
 * libtorch_cuda that make a stream from its pool the current one. `tensor/cuda.ts` uses them.
 *
 * The runtime is the one that libtorch_cuda is linked with: its functions are looked up through libtorch_cuda's own handle,
 * so that no second copy of it, with streams of its own, is loaded.
 *
 * Sources: NVIDIA's cuda_runtime_api.h (12 and 13, in both of which these functions have these arguments), and
 * torch/csrc/stable/c/shim.h, torch/csrc/inductor/aoti_torch/c/shim.h.
 */
import { fault, type PatchDropError } from "../errors.ts";
import type { Symbols } from "./symbols.ts";

/** A stream, event or graph of the CUDA runtime: an address that only it reads. */
export type CudaHandle = bigint;

/** The functions that are called, as TypeScript sees them. Those that can fail return non-zero: a cudaError_t, or libtorch's. */
export interface CudaSymbols {
  cudaStreamSynchronize(stream: CudaHandle): number;
  cudaStreamWaitEvent(stream: CudaHandle, event: CudaHandle, flags: number): number;
  cudaStreamBeginCapture(stream: CudaHandle, mode: number): number;
  cudaStreamEndCapture(stream: CudaHandle, graph: BigUint64Array): number;
  cudaGraphInstantiateWithFlags(executable: BigUint64Array, graph: CudaHandle, flags: bigint): number;
  cudaGraphLaunch(executable: CudaHandle, stream: CudaHandle): number;
  cudaGraphDestroy(graph: CudaHandle): number;
  cudaGraphExecDestroy(executable: CudaHandle): number;
  cudaEventCreateWithFlags(event: BigUint64Array, flags: number): number;
  cudaEventRecord(event: CudaHandle, stream: CudaHandle): number;
  cudaEventSynchronize(event: CudaHandle): number;
  cudaEventDestroy(event: CudaHandle): number;
  cudaMemcpyAsync(to: bigint, from: bigint, bytes: number, kind: number, stream: CudaHandle): number;
  cudaGetErrorString(code: number): string;
  torch_get_cuda_stream_from_pool(highPriority: boolean, deviceIndex: number, stream: BigUint64Array): number;
  aoti_torch_create_cuda_stream_guard(stream: CudaHandle, deviceIndex: number, guard: BigUint64Array): number;
  aoti_torch_empty_strided_pinned: Symbols["aoti_torch_empty_strided"];
}

/** C prototypes. Streams, events and graphs travel as 64-bit integers, as tensors do. */
export const cudaPrototypes: { [Name in keyof CudaSymbols]: string } = {
  cudaStreamSynchronize: "int f(uint64_t)",
  cudaStreamWaitEvent: "int f(uint64_t, uint64_t, unsigned int)",
  cudaStreamBeginCapture: "int f(uint64_t, int)",
  cudaStreamEndCapture: "int f(uint64_t, void *)",
  cudaGraphInstantiateWithFlags: "int f(void *, uint64_t, uint64_t)",
  cudaGraphLaunch: "int f(uint64_t, uint64_t)",
  cudaGraphDestroy: "int f(uint64_t)",
  cudaGraphExecDestroy: "int f(uint64_t)",
  cudaEventCreateWithFlags: "int f(void *, unsigned int)",
  cudaEventRecord: "int f(uint64_t, uint64_t)",
  cudaEventSynchronize: "int f(uint64_t)",
  cudaEventDestroy: "int f(uint64_t)",
  cudaMemcpyAsync: "int f(uint64_t, uint64_t, size_t, int, uint64_t)",
  cudaGetErrorString: "const char *f(int)",
  torch_get_cuda_stream_from_pool: "int32_t f(bool, int32_t, void *)",
  aoti_torch_create_cuda_stream_guard: "int32_t f(uint64_t, int32_t, void *)",
  aoti_torch_empty_strided_pinned: "int32_t f(int64_t, void *, void *, int32_t, int32_t, int32_t, void *)",
};

/** What libtorch_cuda or a library that it is linked with must export, for `patchdrop doctor`. */
export const requiredCudaSymbols: readonly string[] = Object.keys(cudaPrototypes);

/** cudaErrorMemoryAllocation */
const outOfMemory = 2;

/** Throws what the CUDA runtime says about `status`, unless it is success. @throws kinds "resource" and "system" */
export function checkCuda(symbols: CudaSymbols, status: number, operation: string): void {
  if (status === 0) return;
  const got = `CUDA error ${status}: ${symbols.cudaGetErrorString(status)}`;
  if (status === outOfMemory) throw outOfGpuMemory(operation, got);
  throw fault("system", { where: operation, rule: "must succeed on the GPU", got });
}

/** What does not fit is nearly always the activations of a batch. */
export function outOfGpuMemory(operation: string, got: string): PatchDropError {
  const next = "lower --batch_size, use --precision bf16, or stop other processes on the GPU";
  return fault("resource", { where: operation, rule: "must fit into the GPU's memory", got, next });
}
