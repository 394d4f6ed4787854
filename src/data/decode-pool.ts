/**
 * Threads that decode and transform images (decode-worker.ts), for data sets that do not fit into memory. A batch is handed
 * to all of them at once, so they keep working while the caller computes. Idle threads do not keep the process alive, and end
 * after a while. sharp decodes on Node's own threads: four for all of these, unless UV_THREADPOOL_SIZE says otherwise.
 */

import { availableParallelism } from "node:os";
import type { Worker } from "node:worker_threads";
import { fault } from "../errors.ts";
import type { PixelArray, PixelType } from "../utils/pixel-array.ts";
import { startThread } from "../utils/start-thread.ts";
import { refuseMoreThreads } from "../utils/threads.ts";
import { DecodeMemory, forgetHeldMemory } from "./decode-memory.ts";
import type { DecodeReply, DecodeSetup, DecodeTask, UnreadableImage } from "./decode-worker.ts";
import { namesOf, type RenderingOptions } from "./rendering.ts";
import type { Augmentation, TransformName } from "./transforms.ts";

const idleMs = 30_000;

export interface DecodePoolOptions {
  imageSize: number;
  transform: TransformName;
  /** All processors when absent. */
  threads?: number | undefined;
  /** Most bytes that decoding one image may take, and all under way together. */
  maxImageBytes?: number | undefined;
  /** What the values of the files mean; as the files say when absent. */
  rendering?: RenderingOptions | undefined;
  /** Bytes when absent. */
  pixelType?: PixelType | undefined;
  /** Images come with low pictures. */
  isPaired?: boolean;
  /** What stands for a missing value of each band, of pairs those of the low picture behind them. */
  missing?: readonly number[];
}

/** Images of a batch. */
export interface BatchImages {
  readonly paths: readonly string[];
  /** The low picture of each. */
  readonly lows?: readonly string[] | undefined;
  /** The position of each in the batch. */
  readonly slots: Uint32Array;
  readonly augmentation: Augmentation | undefined;
}

/** A batch under way. */
interface Decoding {
  readonly task: DecodeTask;
  readonly unreadable: UnreadableImage[];
  /** Threads that have not replied. */
  left: number;
  readonly resolve: (unreadable: readonly UnreadableImage[]) => void;
  readonly reject: (error: Error) => void;
}

export class DecodePool {
  readonly #options: Omit<DecodePoolOptions, "threads" | "maxImageBytes"> & { readonly threads: number };
  readonly #maxImageBytes: number | undefined;
  readonly #underway = new Map<number, Decoding>();
  #workers: Worker[] = [];
  #idle: NodeJS.Timeout | undefined;
  #tasks = 0;

  constructor({ threads = availableParallelism(), maxImageBytes, ...options }: DecodePoolOptions) {
    refuseMoreThreads(threads, "threads that decode");
    this.#options = { ...options, threads: Math.max(threads, 1) };
    this.#maxImageBytes = maxImageBytes;
  }

  /**
   * Writes images into their slots of `out`, which lies in shared memory.
   * @returns those that can't be read, by slot; what their slots then hold is undefined
   * @throws system: a thread that crashes
   */
  decode(images: BatchImages, out: PixelArray): Promise<readonly UnreadableImage[]> {
    clearTimeout(this.#idle);
    const { threads } = this.#options;
    if (this.#workers.length === 0) {
      const memory = new DecodeMemory(this.#maxImageBytes);
      this.#workers = Array.from({ length: threads }, (_, thread) => this.#start(thread, memory));
    }
    const taken = new Int32Array(new SharedArrayBuffer(4 * (1 + threads)));
    const task: DecodeTask = { id: this.#tasks++, ...images, out, taken };
    return new Promise((resolve, reject) => {
      this.#underway.set(task.id, { task, unreadable: [], left: threads, resolve, reject });
      for (const worker of this.#workers) {
        worker.ref();
        worker.postMessage(task);
      }
    });
  }

  #start(thread: number, { maxImageBytes, shared }: DecodeMemory): Worker {
    const { imageSize, transform, rendering = {}, pixelType = "uint8", isPaired, missing = [] } = this.#options;
    const target = { rendering, pixelType };
    const channels = namesOf(rendering).length * (isPaired ? 2 : 1);
    const images = { imageSize, transform, target, channels, missing };
    const workerData: DecodeSetup = { thread, ...images, maxImageBytes, sharedMemory: shared };
    const worker = startThread("decode-worker", import.meta.url, workerData);
    worker.on("message", (reply: DecodeReply) => this.#finish(reply));
    worker.on("error", (error) => this.#fail(thread, error.message));
    worker.on("exit", (code) => {
      if (this.#workers[thread] === worker) this.#fail(thread, `exit code ${code}`);
    });
    return worker;
  }

  #finish({ id, unreadable }: DecodeReply): void {
    const decoding = this.#underway.get(id);
    if (decoding === undefined) return;
    decoding.unreadable.push(...unreadable);
    decoding.left--;
    if (decoding.left > 0) return;
    this.#underway.delete(id);
    decoding.resolve(decoding.unreadable.toSorted((a, b) => a.slot - b.slot));
    if (this.#underway.size > 0) return;
    for (const worker of this.#workers) worker.unref();
    this.#idle = setTimeout(() => this.#end(), idleMs).unref();
  }

  /** Ends all threads when one has ended, and every batch under way with an error that names the image it was decoding. */
  #fail(thread: number, got: string): void {
    const decodings = [...this.#underway.values()];
    const at = decodings.map(({ task: { paths, taken } }) => paths[taken[1 + thread] - 1]).findLast(Boolean);
    const where = at ?? `decoding thread ${thread}`;
    const rule = "crashed the thread that decodes it";
    const error = fault("system", { where, rule, got, next: "check the file" });
    this.#underway.clear();
    forgetHeldMemory();
    for (const { reject } of decodings) reject(error);
    this.#end();
  }

  #end(): void {
    const workers = this.#workers;
    this.#workers = [];
    for (const worker of workers) void worker.terminate();
  }
}
