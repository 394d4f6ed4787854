/**
 * The CUDA runtime's streams, events, copies and graphs, simulated on the processor: each stream is a queue whose head runs
 * when the scheduler picks it, so that an order which nothing enforces will sooner or later not be kept. "Device" memory is
 * ordinary memory. For the tests of what only a GPU would otherwise show.
 */
import type { CudaHandle, CudaSymbols } from "../../src/native/cuda-symbols.ts";
import { library } from "../../src/native/library.ts";
import { type CudaDevice, CudaStream } from "../../src/tensor/cuda.ts";

interface Event {
  /** How often it was recorded, and up to which record the streams have come. */
  recorded: number;
  reached: number;
}

type Work = () => boolean;

export interface SimulationOptions {
  /** Which of `count` streams that have work goes on next; random numbers make the order so. */
  pick(count: number): number;
  /** Steps of work done after each call, besides those that are waited for. */
  eagerness(): number;
  /** Functions that fail, with the error that they give. */
  failing?: Readonly<Record<string, number>>;
}

export class SimulatedCuda {
  /** Names of the functions called, in order. */
  readonly calls: string[] = [];
  readonly device: CudaDevice;
  readonly #queues = new Map<CudaHandle, Work[]>();
  readonly #events = new Map<CudaHandle, Event>();
  readonly #graphs = new Map<CudaHandle, () => void>();
  readonly #options: SimulationOptions;
  #next = 100n;

  constructor(options: SimulationOptions) {
    this.#options = options;
    const symbols = this.#symbols();
    const stream = () => {
      const handle = this.#next++;
      this.#queues.set(handle, []);
      return new CudaStream(symbols, handle);
    };
    this.device = { symbols, compute: stream(), uploads: stream() };
  }

  /** A kernel: work for the computing stream. */
  launch(kernel: () => void): void {
    const graph = this.#next++;
    this.#graphs.set(graph, kernel);
    this.device.symbols.cudaGraphLaunch(graph, this.device.compute.handle);
  }

  #push(stream: CudaHandle, work: Work): void {
    this.#queues.get(stream)!.push(work);
  }

  /** Lets one stream that is not waiting go on. Gives false when none can. */
  #advance(): boolean {
    const busy = [...this.#queues.values()].filter((queue) => queue.length > 0);
    while (busy.length > 0) {
      const [queue] = busy.splice(this.#options.pick(busy.length), 1);
      if (!queue[0]()) continue;
      queue.shift();
      return true;
    }
    return false;
  }

  #until(done: () => boolean): void {
    while (!done()) if (!this.#advance()) throw new Error("the streams wait for each other");
  }

  #symbols(): CudaSymbols {
    const functions: CudaSymbols = {
      cudaStreamSynchronize: (stream) => this.#done(() => this.#until(() => this.#queues.get(stream)!.length === 0)),
      cudaStreamWaitEvent: (stream, handle) => {
        const event = this.#events.get(handle)!;
        const wanted = event.recorded;
        return this.#done(() => this.#push(stream, () => event.reached >= wanted));
      },
      cudaEventCreateWithFlags: (out) => {
        this.#events.set(this.#next, { recorded: 0, reached: 0 });
        return this.#give(out);
      },
      cudaEventRecord: (handle, stream) => {
        const event = this.#events.get(handle)!;
        const version = ++event.recorded;
        return this.#done(() =>
          this.#push(stream, () => {
            event.reached = Math.max(event.reached, version);
            return true;
          }),
        );
      },
      cudaEventSynchronize: (handle) => {
        const event = this.#events.get(handle)!;
        return this.#done(() => this.#until(() => event.reached >= event.recorded));
      },
      cudaEventDestroy: (handle) => this.#done(() => this.#events.delete(handle)),
      cudaMemcpyAsync: (to, from, bytes, _kind, stream) =>
        this.#done(() =>
          this.#push(stream, () => {
            const { memory } = library();
            const between = new Uint8Array(bytes);
            memory.copyOut(between, from, bytes);
            memory.copyIn(to, between, bytes);
            return true;
          }),
        ),
      cudaStreamBeginCapture: () => 0,
      cudaStreamEndCapture: (_stream, out) => this.#give(out),
      cudaGraphInstantiateWithFlags: (out) => this.#give(out),
      cudaGraphLaunch: (graph, stream) => {
        const kernel = this.#graphs.get(graph);
        return this.#done(() =>
          this.#push(stream, () => {
            kernel?.();
            return true;
          }),
        );
      },
      cudaGraphDestroy: () => 0,
      cudaGraphExecDestroy: () => 0,
      cudaGetErrorString: (code) => (code === 2 ? "out of memory" : `error ${code}`),
      torch_get_cuda_stream_from_pool: () => 1,
      aoti_torch_create_cuda_stream_guard: () => 1,
      aoti_torch_empty_strided_pinned: (...tensor) => library().symbols.aoti_torch_empty_strided(...tensor),
    };
    return recording(functions, this.calls, this.#options.failing ?? {});
  }

  #give(out: BigUint64Array): number {
    out[0] = this.#next++;
    return 0;
  }

  #done(act: () => unknown): number {
    act();
    for (let left = this.#options.eagerness(); left > 0 && this.#advance(); left--);
    return 0;
  }
}

function recording(functions: CudaSymbols, calls: string[], failing: Readonly<Record<string, number>>): CudaSymbols {
  const wrapped = Object.entries(functions).map(([name, own]) => {
    const call = (...given: never[]) => {
      if (name !== "cudaGetErrorString") calls.push(name);
      return failing[name] ?? (own as (...given: never[]) => unknown)(...given);
    };
    return [name, call];
  });
  return Object.fromEntries(wrapped) as unknown as CudaSymbols;
}

/** Does everything at once. */
export const prompt: SimulationOptions = { pick: () => 0, eagerness: () => Number.POSITIVE_INFINITY };
