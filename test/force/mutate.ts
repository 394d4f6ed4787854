/** Damages bytes in the ways that readers fall over: single bytes, numbers at their limits, pieces lost, doubled, mixed. */
import type { Random } from "../../src/utils/random.ts";

type Change = (bytes: Buffer, random: Random, other: Uint8Array) => Buffer;

const limits = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];
/** Words that stand in for a number or a word of a text. */
const words = ["-1", "1e308", "NaN", "null", "{}", "[]", '""', "__proto__", "18446744073709551616", "\u0000", "é", ""];

const at = (bytes: Buffer, random: Random) => random.integer(Math.max(1, bytes.length));

function piece(bytes: Buffer, random: Random): [number, number] {
  const start = at(bytes, random);
  return [start, Math.min(bytes.length, start + 1 + random.integer(32))];
}

const changes: readonly Change[] = [
  (bytes, random) => {
    const result = Buffer.from(bytes);
    if (result.length > 0) result[at(bytes, random)] = random.integer(256);
    return result;
  },
  (bytes, random) => {
    const result = Buffer.from(bytes);
    if (result.length > 0) result[at(bytes, random)] ^= 1 << random.integer(8);
    return result;
  },
  (bytes, random) => {
    const result = Buffer.from(bytes);
    const [width, limit] = [1 + random.integer(4), limits[random.integer(limits.length)]];
    const place = Math.max(0, at(bytes, random) - width);
    for (let i = 0; i < Math.min(width, result.length); i++) {
      // Little-endian or big-endian
      const shift = random.integer(2) === 0 ? 8 * i : 8 * (width - 1 - i);
      result[place + i] = (limit >>> shift) & 255;
    }
    return result;
  },
  (bytes, random) => bytes.subarray(0, at(bytes, random)),
  (bytes, random) => {
    const [start, end] = piece(bytes, random);
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
  },
  (bytes, random) => {
    const [start, end] = piece(bytes, random);
    return Buffer.concat([bytes.subarray(0, end), bytes.subarray(start)]);
  },
  (bytes, random) => {
    const start = at(bytes, random);
    const noise = Buffer.from(Uint8Array.from({ length: 1 + random.integer(4) }, () => random.integer(256)));
    return Buffer.concat([bytes.subarray(0, start), noise, bytes.subarray(start)]);
  },
  (bytes, random, other) => {
    const [start, cut] = [at(bytes, random), random.integer(Math.max(1, other.length))];
    return Buffer.concat([bytes.subarray(0, start), other.subarray(cut)]);
  },
  (bytes, random) => {
    const text = bytes.toString("latin1");
    const found = [...text.slice(0, 20_000).matchAll(/-?\d+(?:\.\d+)?|[a-z_]+/gi)];
    if (found.length === 0) return bytes;
    const { index, 0: word } = found[random.integer(found.length)];
    const put = words[random.integer(words.length)];
    return Buffer.from(text.slice(0, index) + put + text.slice(index + word.length), "latin1");
  },
];

/** One of `seeds` after one to four changes. */
export function mutated(seeds: readonly Uint8Array[], random: Random): Buffer {
  const seed = () => seeds[random.integer(seeds.length)];
  let bytes: Buffer = Buffer.from(seed());
  for (let n = random.integer(4); n >= 0; n--) bytes = changes[random.integer(changes.length)](bytes, random, seed());
  return bytes;
}
