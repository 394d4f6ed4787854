/**
 * One GPU as this program uses it: a stream on which everything is computed, a second one for uploads, events between
 * the two, and work captured as a graph. Tensors and operators know nothing about it: libtorch puts their work on the
 * current stream, and from {@link openCuda} on that is the first of the two.
 *
 * The stream comes from libtorch's pool, since work on the default stream cannot be captured.
 *
 * Source: CUDA C++ Programming Guide, "CUDA Graphs"; what PyTorch does around a capture is in docs/cuda.md.
 */
import { fault, PatchDropError, within } from "../errors.ts";
import { check } from "../native/call.ts";
import { type CudaHandle, type CudaSymbols, checkCuda } from "../native/cuda-symbols.ts";
import { isDriverTooOld, listGpus } from "../native/gpus.ts";
import { library } from "../native/library.ts";
import { type Device, deviceCodes } from "./device.ts";

/** cudaEventDisableTiming: an event that only orders. */
const withoutTiming = 2;
/**
 * cudaStreamCaptureMode: in which threads calls that could break a capture fail instead of being left out of it. All is PyTorch's own
 * default; where other threads than this program's call CUDA meanwhile, as NCCL's do, it must be the one that captures.
 */
const captureModes = { "all threads": 0, "this thread": 1 } as const;
/** cudaMemcpyKind */
const copyKinds = { "host to device": 1, "device to device": 3 } as const;

export type CaptureMode = keyof typeof captureModes;
export type CopyKind = keyof typeof copyKinds;

/** A point in a stream's work. */
export class CudaEvent {
  readonly handle: CudaHandle;
  readonly #symbols: CudaSymbols;

  constructor(symbols: CudaSymbols) {
    this.#symbols = symbols;
    this.handle = made((out) =>
      checkCuda(symbols, symbols.cudaEventCreateWithFlags(out, withoutTiming), "cudaEventCreate"),
    );
  }

  /** Waits, on the processor, until the work before the point is done; not at all if it was never recorded. */
  synchronize(): void {
    checkCuda(this.#symbols, this.#symbols.cudaEventSynchronize(this.handle), "cudaEventSynchronize");
  }

  free(): void {
    this.#symbols.cudaEventDestroy(this.handle);
  }
}

/** Captured work, ready to be launched again and again. */
export interface Graph {
  launch(): void;
  free(): void;
}

/** A stream that can capture: what `captured.ts` needs of a GPU. */
export interface CapturingStream {
  /** Runs `body`, whose work is recorded and not done. @throws kind "system" if the work cannot be captured */
  capture(body: () => void): Graph;
}

export class CudaStream implements CapturingStream {
  readonly handle: CudaHandle;
  readonly #symbols: CudaSymbols;

  constructor(symbols: CudaSymbols, handle: CudaHandle) {
    this.#symbols = symbols;
    this.handle = handle;
  }

  /** Waits, on the processor, until all its work is done. */
  synchronize(): void {
    this.#check(this.#symbols.cudaStreamSynchronize(this.handle), "cudaStreamSynchronize");
  }

  /** Waits as {@link synchronize} does, but ignores errors: before memory is freed that the work uses. */
  settle(): void {
    this.#symbols.cudaStreamSynchronize(this.handle);
  }

  /** Marks the point that the stream's work has reached. */
  record(event: CudaEvent): void {
    this.#check(this.#symbols.cudaEventRecord(event.handle, this.handle), "cudaEventRecord");
  }

  /** Later work of this stream waits until the point is reached; the processor does not. */
  waitFor(event: CudaEvent): void {
    this.#check(this.#symbols.cudaStreamWaitEvent(this.handle, event.handle, 0), "cudaStreamWaitEvent");
  }

  /** Copies bytes between addresses. Host memory must be pinned for the processor not to wait. */
  copy(to: bigint, from: bigint, bytes: number, kind: CopyKind): void {
    const status = this.#symbols.cudaMemcpyAsync(to, from, bytes, copyKinds[kind], this.handle);
    this.#check(status, `copying ${bytes} bytes, ${kind}`);
  }

  capture(body: () => void, mode: CaptureMode = "all threads"): Graph {
    const symbols = this.#symbols;
    let graph: CudaHandle;
    try {
      this.#check(symbols.cudaStreamBeginCapture(this.handle, captureModes[mode]), "cudaStreamBeginCapture");
      body();
      graph = made((out) => this.#check(symbols.cudaStreamEndCapture(this.handle, out), "cudaStreamEndCapture"));
    } catch (error) {
      // A stream left capturing would refuse all that follows; what it recorded is not wanted any more.
      const abandoned = new BigUint64Array(1);
      symbols.cudaStreamEndCapture(this.handle, abandoned);
      if (abandoned[0] !== 0n) symbols.cudaGraphDestroy(abandoned[0]);
      throw captureFailed(error);
    }
    return this.#instantiate(graph);
  }

  #instantiate(graph: CudaHandle): Graph {
    const symbols = this.#symbols;
    try {
      const executable = made((out) =>
        this.#check(symbols.cudaGraphInstantiateWithFlags(out, graph, 0n), "cudaGraphInstantiate"),
      );
      return {
        launch: () => this.#check(symbols.cudaGraphLaunch(executable, this.handle), "cudaGraphLaunch"),
        free: () => {
          // It may still be running.
          this.settle();
          symbols.cudaGraphExecDestroy(executable);
        },
      };
    } catch (error) {
      throw captureFailed(error);
    } finally {
      symbols.cudaGraphDestroy(graph);
    }
  }

  #check(status: number, operation: string): void {
    checkCuda(this.#symbols, status, operation);
  }
}

/** Memory that ran out has its own remedy; for anything else the remedy is to do without the graph. */
function captureFailed(error: unknown): unknown {
  const outer = { where: "CUDA graph", rule: "the step must be captured", next: "use --no_cuda_graph" };
  if (error instanceof PatchDropError) return error.kind === "resource" ? error : within(outer, error, "system");
  return fault("system", { ...outer, got: error instanceof Error ? error.message : String(error) }, error);
}

function made(call: (out: BigUint64Array) => void): CudaHandle {
  const out = new BigUint64Array(1);
  call(out);
  return out[0];
}

/** The streams of one GPU. */
export interface CudaDevice {
  readonly symbols: CudaSymbols;
  /** The current stream of this thread: all operators run on it. */
  readonly compute: CudaStream;
  /** For uploads beside the computation. */
  readonly uploads: CudaStream;
}

const opened = new Map<number, CudaDevice>();

/**
 * Makes a GPU the current one and a stream of its own the current stream, for the rest of the process.
 * @throws kind "input" if the machine has no such GPU, or its driver is too old for libtorch
 */
export function openCuda(device: Exclude<Device, "cpu">): CudaDevice {
  const { index } = deviceCodes(device);
  const before = opened.get(index);
  if (before !== undefined) return before;
  mustExist(device, index);
  const symbols = library().cuda!;
  const stream = () =>
    new CudaStream(
      symbols,
      made((out) => check(symbols.torch_get_cuda_stream_from_pool(false, index, out), "getStreamFromPool")),
    );
  const gpu = { symbols, compute: stream(), uploads: stream() };
  // The guard is never released: from here on everything runs on this stream.
  made((guard) =>
    check(symbols.aoti_torch_create_cuda_stream_guard(gpu.compute.handle, index, guard), "CUDAStreamGuard"),
  );
  opened.set(index, gpu);
  return gpu;
}

function mustExist(device: Device, index: number): void {
  const list = listGpus();
  const { gpus, driver, why } = list;
  const { version } = library().found;
  const [where, next] = [`--device ${device}`, "see `patchdrop doctor`, or use --device cpu"];
  if (index >= gpus.length) {
    const got = why ?? `${gpus.length} GPU${gpus.length === 1 ? "" : "s"}: ${gpus.map(({ name }) => name).join(", ")}`;
    throw fault("input", { where, rule: "needs that GPU", got, next });
  }
  if (isDriverTooOld(version, list)) {
    const rule = `needs an NVIDIA driver that supports the CUDA version of libtorch ${version}`;
    throw fault("input", { where, rule, got: `CUDA ${driver}`, next: "update it, or use --device cpu" });
  }
}
