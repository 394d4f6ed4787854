/**
 * The bytes that decoding takes: as the header says, before anything is decoded; a limit for one image; and a share of one
 * budget for all images that are decoded at the same time, on whatever thread.
 */

import { setTimeout as sleep } from "node:timers/promises";
import type { Metadata } from "sharp";

/** Enough for 178 million pixels of a plain JPEG or PNG, and for half as many of a progressive JPEG as cameras make them. */
export const defaultMaxImageBytes = 512 * 2 ** 20;

/** What is kept of a pixel: three bytes. */
const keptBytes = 3;
/** Of a progressive JPEG, whose coefficients come in several passes: 16 bits a channel. */
const coefficientBytes = 2;

/** What WebP's decoder, and those of films, have of their own. */
const codecBytes = 2;

const depthBytes: Readonly<Record<string, number | undefined>> = {
  uchar: 1,
  char: 1,
  ushort: 2,
  short: 2,
  double: 8,
};

/** From a picture's header: the bytes that decoding it takes at its peak. */
export function bytesToDecode(picture: Metadata): number {
  const { width, height, orientation = 1 } = picture;
  // Turning needs all rows before the first can be written.
  const turned = orientation > 1 ? keptBytes : 0;
  return width * height * (keptBytes + turned + beforeKept(picture));
}

/**
 * Bytes of a pixel that the decoder holds beside the ones that are kept: none of a JPEG or PNG that comes row by row.
 * Measured with scripts/decode-memory.ts.
 */
function beforeKept({ format, channels, depth, isProgressive, chromaSubsampling }: Metadata): number {
  if (format === "jpeg") {
    const planes = chromaSubsampling === "4:2:0" ? 1.5 : channels;
    return isProgressive ? coefficientBytes * planes : 0;
  }
  const whole = channels * (depthBytes[depth] ?? 4);
  // Of 16 bits all are decoded, before the upper 8 are kept.
  if (format === "png") return (isProgressive ? whole : 0) + (depth === "ushort" ? 2 * keptBytes : 0);
  return format === "tiff" ? whole : whole + codecBytes;
}

/**
 * What is shared between threads: the number of the count that holds, then the counts. A thread that ends may hold some of a
 * count, or have its turn, for ever: then the next one, of nothing, holds for all.
 */
const fields = { nextTicket: 0, served: 1, usedKib: 2 } as const;
const countLength = Object.keys(fields).length;
/** After as many crashes the first is used again; nobody is still decoding since then. */
const counts = 64;
const pollMs = 5;

/** A budget of which nothing is taken. */
export function newBudget(): SharedArrayBuffer {
  return new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT * (1 + countLength * counts));
}

/** Where the count of that number begins. */
function placeOf(count: number): number {
  return 1 + countLength * (count % counts);
}

/** That of this process; threads are given it, since each would have its own. */
const ofProcess = newBudget();

/** After the end of a thread that may have held some of it. Whoever waits for it, on any thread, then waits no longer. */
export function forgetHeldMemory(budget: SharedArrayBuffer = ofProcess): void {
  const state = new Int32Array(budget);
  const next = 1 + Atomics.load(state, 0);
  state.fill(0, placeOf(next), placeOf(next) + countLength);
  Atomics.store(state, 0, next);
}

/** The limit for one image, and the budget: as many bytes for all images under way together. */
export class DecodeMemory {
  readonly maxImageBytes: number;
  /** For the threads of a pool. */
  readonly shared: SharedArrayBuffer;
  readonly #state: Int32Array;

  constructor(maxImageBytes = defaultMaxImageBytes, shared = ofProcess) {
    this.maxImageBytes = maxImageBytes;
    this.shared = shared;
    this.#state = new Int32Array(shared);
  }

  /**
   * Waits until as many bytes are free, each in turn: a large image is not passed over for ever by small ones.
   * @param bytes of each image at most {@link maxImageBytes}; a pair may take more in all, and then waits until nobody has any
   * @returns gives them back
   */
  async take(bytes: number): Promise<() => void> {
    const kib = Math.ceil(bytes / 1024);
    for (;;) {
      const count = Atomics.load(this.#state, 0);
      const at = placeOf(count);
      const isForgotten = () => Atomics.load(this.#state, 0) !== count;
      const ticket = Atomics.add(this.#state, at + fields.nextTicket, 1);
      const isNext = () => Atomics.load(this.#state, at + fields.served) === ticket;
      while (!isForgotten() && !(isNext() && this.#has(kib, at))) await sleep(pollMs);
      if (isForgotten()) continue;
      Atomics.add(this.#state, at + fields.usedKib, kib);
      Atomics.add(this.#state, at + fields.served, 1);
      return () => void Atomics.sub(this.#state, at + fields.usedKib, kib);
    }
  }

  #has(kib: number, at: number): boolean {
    const used = Atomics.load(this.#state, at + fields.usedKib);
    return used === 0 || (used + kib) * 1024 <= this.maxImageBytes;
  }
}
