/**
 * A thread of decode-pool.ts: takes images of a batch one after the other, until the threads together have taken all, and
 * writes each into its slot of the shared memory.
 */

import { parentPort, workerData } from "node:worker_threads";
import type { PixelArray } from "../utils/pixel-array.ts";
import { type DecodeTarget, type HeldPixels, holdPixels } from "./decode.ts";
import { DecodeMemory } from "./decode-memory.ts";
import { fillMissing } from "./normalizations.ts";
import type { Augmentation } from "./transforms.ts";
import { drawsOf, type TransformName, transforms } from "./transforms.ts";

/** What a thread is started with. */
export interface DecodeSetup {
  /** Its number among the threads. */
  readonly thread: number;
  readonly imageSize: number;
  readonly transform: TransformName;
  readonly target: DecodeTarget;
  /** Numbers a pixel. */
  readonly channels: number;
  /** What stands for a missing value of each. */
  readonly missing: readonly number[];
  readonly maxImageBytes: number;
  /** Of {@link DecodeMemory}. */
  readonly sharedMemory: SharedArrayBuffer;
}

/** Some images of a batch; all threads get the same. */
export interface DecodeTask {
  readonly id: number;
  readonly paths: readonly string[];
  /** The low picture of each, of pairs. */
  readonly lows?: readonly string[] | undefined;
  /** The position of each image in the batch. */
  readonly slots: Uint32Array;
  readonly augmentation: Augmentation | undefined;
  /** The batch, [B, size, size, channels], in shared memory. */
  readonly out: PixelArray;
  /** Shared: how many images are taken, then for each thread one more than the number of the image that it transforms. */
  readonly taken: Int32Array;
}

export interface UnreadableImage {
  readonly slot: number;
  /** libvips has one error text for all threads: when two files fail at the same moment, it may be the other's. */
  readonly reason: string;
}

/** What a thread sends when nothing is left to take: what it could not read. */
export interface DecodeReply {
  readonly id: number;
  readonly unreadable: readonly UnreadableImage[];
}

/** Image n of the task, being decoded. */
interface Taken {
  readonly n: number;
  readonly decoded: Promise<HeldPixels | Error>;
}

const { thread, imageSize, transform, target, channels, missing, maxImageBytes, sharedMemory } =
  workerData as DecodeSetup;
const memory = new DecodeMemory(maxImageBytes, sharedMemory);
const imageLength = imageSize * imageSize * channels;
const port = parentPort!;

let last = Promise.resolve();
port.on("message", (task: DecodeTask) => {
  last = last.then(() => work(task));
});

async function work({ id, paths, lows, slots, augmentation, out, taken }: DecodeTask): Promise<void> {
  const draws = augmentation && drawsOf(augmentation);
  const unreadable: UnreadableImage[] = [];
  const take = (): Taken | undefined => {
    const n = Atomics.add(taken, 0, 1);
    if (n >= paths.length) return undefined;
    return { n, decoded: holdPixels(paths[n], memory, target, lows?.[n]).catch((error: Error) => error) };
  };
  for (let next = take(); next !== undefined; ) {
    const { n, decoded } = next;
    const slot = slots[n];
    const held = await decoded;
    taken[1 + thread] = n + 1;
    next = take(); // sharp decodes it on another thread while this one transforms
    if (held instanceof Error) unreadable.push({ slot, reason: held.message });
    else {
      const place = out.subarray(slot * imageLength, (slot + 1) * imageLength);
      transforms[transform](held.pixels, imageSize, place, draws?.(slot));
      fillMissing(place, missing);
      held.release();
    }
  }
  port.postMessage({ id, unreadable } satisfies DecodeReply);
}
