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
  if (format === "png" && !isProgressive) return 0;
  const whole = channels * (depthBytes[depth] ?? 4);
  return format === "png" || format === "tiff" ? whole : whole + codecBytes;
}

/** What is shared between threads. */
const fields = { nextTicket: 0, served: 1, usedKib: 2 } as const;
const pollMs = 5;

/** That of this process; threads are given it, since each would have its own. */
let ofProcess = new SharedArrayBuffer(4 * 3);

/** After the end of a thread that may have held some of it. */
export function forgetHeldMemory(): void {
  ofProcess = new SharedArrayBuffer(4 * 3);
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
   * @param bytes at most {@link maxImageBytes}
   * @returns gives them back
   */
  async take(bytes: number): Promise<() => void> {
    const kib = Math.ceil(bytes / 1024);
    const ticket = Atomics.add(this.#state, fields.nextTicket, 1);
    while (Atomics.load(this.#state, fields.served) !== ticket || !this.#has(kib)) await sleep(pollMs);
    Atomics.add(this.#state, fields.usedKib, kib);
    Atomics.add(this.#state, fields.served, 1);
    return () => void Atomics.sub(this.#state, fields.usedKib, kib);
  }

  #has(kib: number): boolean {
    const used = Atomics.load(this.#state, fields.usedKib);
    return used === 0 || (used + kib) * 1024 <= this.maxImageBytes;
  }
}
