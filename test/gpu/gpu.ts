/** The GPU of the tests that need one: whether there is one, and why not. */
import { findLibtorch } from "../../src/native/find.ts";
import { listGpus } from "../../src/native/gpus.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { type CudaDevice, openCuda } from "../../src/tensor/cuda.ts";
import { describeUnless } from "../describe-unless.ts";

const { gpus, why = "" } = listGpus();
const found = findLibtorch();

/** Why nothing is tested on a GPU here; undefined where it is. */
export const noGpu: string | undefined =
  gpus.length === 0 ? why : found.cuda ? undefined : "this libtorch has no CUDA: patchdrop setup --cuda";

/** Why nothing is tested on two GPUs here; undefined where it is. */
export const noTwoGpus: string | undefined = noGpu ?? (gpus.length < 2 ? "there is one GPU here" : undefined);

/**
 * Opens libtorch, with CUDA where a GPU can be used. There float32 is computed as such (PyTorch's convolutions are in TF32
 * otherwise, of 10 bits), so that values can be compared with the CPU's.
 */
export function openForTests(): void {
  process.env.NVIDIA_TF32_OVERRIDE = "0";
  openLibtorch(found, { threads: 1, cuda: noGpu === undefined });
}

/** The first GPU. */
export function testGpu(): CudaDevice {
  openForTests();
  return openCuda("cuda");
}

/** Tests that need a GPU; where there is none they are skipped, and their name says why. */
export function describeOnGpu(what: string, tests: () => void): void {
  describeUnless(noGpu, noGpu === undefined ? `${what}, on ${gpus[0].name}` : what, tests);
}
