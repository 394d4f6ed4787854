/**
 * A counter-based random generator: Philox4x32-10 of Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as
 * 1, 2, 3", SC'11. The n-th number of a stream is a function of the stream's name and n alone, so a run that resumes
 * names its epoch and step again and needs no saved generator state. Not for cryptography.
 */

import { fault } from "../errors.ts";

const roundCount = 10;
const multiplierA = 0xd2511f53;
const multiplierB = 0xcd9e8d57;
const weylA = 0x9e3779b9; // golden ratio
const weylB = 0xbb67ae85; // sqrt(3) - 1
const twoTo32 = 2 ** 32;

/** Upper 32 bits of a 64-bit product. The double product errs by less than 2^11 of 2^64, so rounding finds the integer. */
function highWord(a: number, b: number): number {
  return Math.round((a * b - (Math.imul(a, b) >>> 0)) / twoTo32) >>> 0;
}

/**
 * One block of Philox4x32-10: encrypts a counter of four 32-bit words under a key of two, and writes four words.
 * `counter` and `out` may be the same array.
 */
export function philox(counter: Uint32Array, key0: number, key1: number, out: Uint32Array): void {
  let c0 = counter[0];
  let c1 = counter[1];
  let c2 = counter[2];
  let c3 = counter[3];
  let k0 = key0;
  let k1 = key1;
  for (let round = 0; round < roundCount; round++) {
    const high0 = highWord(multiplierA, c0);
    const low0 = Math.imul(multiplierA, c0);
    const high1 = highWord(multiplierB, c2);
    const low1 = Math.imul(multiplierB, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1 >>> 0;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0 >>> 0;
    k0 = (k0 + weylA) | 0;
    k1 = (k1 + weylB) | 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** The 128-bit name of a stream: its text chained through Philox, block by block (CBC with the text's length as key). */
function streamName(text: string): Uint32Array {
  const bytes = new TextEncoder().encode(text);
  const name = new Uint32Array(4);
  for (let start = 0; start < bytes.length; start += 16) {
    for (let i = 0; i < 16; i++) name[i >> 2] ^= (bytes[start + i] ?? 0) << (8 * (i & 3));
    philox(name, bytes.length, 0, name);
  }
  return name;
}

/** A stream of random numbers, named by a seed and any number of parts: `new Random(seed, "order", epoch)`. */
export class Random {
  readonly #key0: number;
  readonly #key1: number;
  /** Words 0 and 1 count the blocks of this stream; words 2 and 3 belong to its name. */
  readonly #counter = new Uint32Array(4);
  readonly #block = new Uint32Array(4);
  /** Words of the block that are used up; 4 asks for the next block. */
  #used = 4;

  /**
   * @param seed an integer of at most 53 bits
   * @param stream what the numbers are for; strings and numbers are told apart (1 is not "1")
   */
  constructor(seed: number, ...stream: (string | number)[]) {
    if (!Number.isSafeInteger(seed)) {
      throw fault("usage", { where: "seed", rule: "must be an integer of at most 53 bits", got: seed });
    }
    const unnamed = stream.find((part) => typeof part === "number" && !Number.isFinite(part));
    if (unnamed !== undefined) {
      throw fault("internal", { where: "Random", rule: "a stream's parts must be finite", got: unnamed });
    }
    const name = streamName(JSON.stringify([seed, ...stream]));
    this.#key0 = name[0];
    this.#key1 = name[1];
    this.#counter[2] = name[2];
    this.#counter[3] = name[3];
  }

  /** Moves to a block of four words (0 is the stream's start), so that item n of a list can own block n. */
  seek(block: number): this {
    if (!Number.isSafeInteger(block) || block < 0) {
      throw fault("internal", { where: "Random.seek", rule: "block must be an integer of at least 0", got: block });
    }
    this.#counter[0] = block % twoTo32;
    this.#counter[1] = Math.floor(block / twoTo32);
    this.#used = 4;
    return this;
  }

  /** The next 32 random bits, as an integer in [0, 2^32). */
  word(): number {
    if (this.#used === 4) this.#nextBlock();
    return this.#block[this.#used++];
  }

  /** Uniform in [0, 1): a multiple of 2^-24, so exact as float32 too. */
  uniform(): number {
    return (this.word() >>> 8) / 0x1000000;
  }

  /** Fills `out` with uniforms, the same as `out.length` calls of {@link uniform}, and returns it. */
  uniforms(out: Float32Array): Float32Array {
    for (let i = 0; i < out.length; i++) out[i] = this.uniform();
    return out;
  }

  /** Fills `out` with standard normals (Box–Muller, two words for two values) and returns it. */
  normals(out: Float32Array): Float32Array {
    for (let i = 0; i < out.length; i += 2) {
      const radius = Math.sqrt(-2 * Math.log((this.word() + 1) / twoTo32)); // of (0, 1]: the logarithm is finite
      const angle = (2 * Math.PI * this.word()) / twoTo32;
      out[i] = radius * Math.cos(angle);
      if (i + 1 < out.length) out[i + 1] = radius * Math.sin(angle);
    }
    return out;
  }

  /** Uniform integer in [0, bound), without bias: words beyond the last multiple of `bound` are drawn again. */
  integer(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > twoTo32) {
      throw fault("internal", { where: "Random.integer", rule: "bound must be an integer in 1..2^32", got: bound });
    }
    const fair = twoTo32 - (twoTo32 % bound);
    let word = this.word();
    while (word >= fair) word = this.word();
    return word % bound;
  }

  /** Permutes `list` in place, every order equally likely (Fisher–Yates), and returns it. */
  shuffle(list: Uint32Array): Uint32Array {
    for (let last = list.length - 1; last > 0; last--) {
      const chosen = this.integer(last + 1);
      const swapped = list[last];
      list[last] = list[chosen];
      list[chosen] = swapped;
    }
    return list;
  }

  #nextBlock(): void {
    philox(this.#counter, this.#key0, this.#key1, this.#block);
    this.#used = 0;
    this.#counter[0] = (this.#counter[0] + 1) >>> 0;
    if (this.#counter[0] === 0) this.#counter[1] = (this.#counter[1] + 1) >>> 0;
  }
}
