import { describe, expect, it } from "vitest";
import { PatchDropError } from "../../src/errors.ts";
import { philox, Random } from "../../src/utils/random.ts";

describe("philox", () => {
  // Known-answer vectors of Random123 (tests/kat_vectors, "philox4x32 10"): counter, key, result.
  const vectors: [number[], [number, number], number[]][] = [
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ];
  it.each(vectors)("encrypts %o under %o as Random123 does", (counter, [key0, key1], expected) => {
    const out = new Uint32Array(4);
    philox(Uint32Array.from(counter), key0, key1, out);
    expect([...out]).toEqual(expected);
  });

  it("agrees with exact 64-bit arithmetic", () => {
    const exact = (counter: Uint32Array, key0: number, key1: number): number[] => {
      let [c0, c1, c2, c3] = [...counter].map(BigInt) as [bigint, bigint, bigint, bigint];
      let [k0, k1] = [BigInt(key0), BigInt(key1)];
      for (let round = 0; round < 10; round++) {
        const [a, b] = [0xd2511f53n * c0, 0xcd9e8d57n * c2];
        [c0, c1, c2, c3] = [(b >> 32n) ^ c1 ^ k0, b & 0xffffffffn, (a >> 32n) ^ c3 ^ k1, a & 0xffffffffn];
        [k0, k1] = [(k0 + 0x9e3779b9n) & 0xffffffffn, (k1 + 0xbb67ae85n) & 0xffffffffn];
      }
      return [c0, c1, c2, c3].map(Number);
    };
    const state = Uint32Array.of(1, 2, 3, 4);
    for (let i = 0; i < 100; i++) {
      const expected = exact(state, state[3]!, i);
      philox(state, state[3]!, i, state);
      expect([...state]).toEqual(expected);
    }
  });
});

describe("Random", () => {
  it("is a function of seed and stream alone", () => {
    const draw = (random: Random): number[] => Array.from({ length: 6 }, () => random.word());
    expect(draw(new Random(7, "order", 3))).toEqual(draw(new Random(7, "order", 3)));
    const others = [
      new Random(8, "order", 3),
      new Random(7, "order", 4),
      new Random(7, "order", "3"),
      new Random(7, "orde", "r", 3),
      new Random(7, "order"),
      new Random(-7, "order", 3),
    ];
    const first = new Set([new Random(7, "order", 3), ...others].map((random) => random.word()));
    expect(first.size).toBe(others.length + 1);
  });

  it("keeps its numbers from version to version", () => {
    const random = new Random(1, "pinned");
    expect([random.word(), random.word(), random.word(), random.word(), random.word()]).toEqual([
      3340626427, 1858913477, 4111140516, 481902704, 307114779,
    ]);
  });

  it("seeks to the block that reading on would reach", () => {
    const read = new Random(5, "seek");
    for (let i = 0; i < 40; i++) read.word();
    expect(new Random(5, "seek").seek(10).word()).toBe(read.word());
    expect(() => new Random(5).seek(-1)).toThrow("Random.seek: block must be an integer of at least 0, got -1");
  });

  it("carries the counter into its second word", () => {
    const read = new Random(5, "carry").seek(2 ** 32 - 1);
    for (let i = 0; i < 4; i++) read.word();
    expect(read.word()).toBe(new Random(5, "carry").seek(2 ** 32).word());
  });

  it("draws uniforms that float32 holds exactly, with the moments of U[0, 1)", () => {
    const values = new Random(11, "uniforms").uniforms(new Float32Array(20_000));
    const one = new Random(11, "uniforms");
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const square = values.reduce((sum, value) => sum + value * value, 0) / values.length;
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
    expect([values[0], values[1], values[2]]).toEqual([one.uniform(), one.uniform(), one.uniform()]);
    expect(values.every((value) => Number.isInteger(value * 2 ** 24))).toBe(true);
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.0082); // four standard errors
    expect(Math.abs(square - 1 / 3)).toBeLessThan(0.0085);
  });

  it("draws normals with mean 0, variance 1, kurtosis 3, in odd lengths too", () => {
    const values = new Random(11, "normals").normals(new Float32Array(20_001));
    const moment = (power: number): number => values.reduce((sum, value) => sum + value ** power, 0) / values.length;
    expect(Math.abs(moment(1))).toBeLessThan(0.029); // four standard errors
    expect(Math.abs(moment(2) - 1)).toBeLessThan(0.04);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.28);
    expect(values.every(Number.isFinite)).toBe(true);
  });

  it("draws integers evenly", () => {
    const random = new Random(3, "integers");
    const counts = new Uint32Array(7);
    for (let i = 0; i < 14_000; i++) counts[random.integer(7)]!++;
    const chiSquare = counts.reduce((sum, count) => sum + (count - 2_000) ** 2 / 2_000, 0);
    expect(chiSquare).toBeLessThan(22.5); // 6 degrees of freedom, p = 0.001
  });

  it("draws again above the last multiple of the bound", () => {
    // With a bound of 3·2^30 a quarter of all words is refused, so that fewer integers than words are drawn.
    const bound = 3 * 2 ** 30;
    const random = new Random(3, "rejection");
    const words = new Random(3, "rejection");
    const expected = Array.from({ length: 40 }, () => words.word()).filter((word) => word < bound);
    expect(expected.length).toBeLessThan(40);
    expect(expected.map(() => random.integer(bound))).toEqual(expected);
  });

  it("shuffles into a permutation, each element at each place equally often", () => {
    const places = new Uint32Array(16);
    for (let i = 0; i < 8_000; i++) {
      const order = new Random(i, "shuffle").shuffle(Uint32Array.of(0, 1, 2, 3));
      order.forEach((element, place) => {
        places[4 * element + place]!++;
      });
    }
    for (let element = 0; element < 4; element++) {
      expect(places.subarray(4 * element, 4 * element + 4).reduce((sum, count) => sum + count, 0)).toBe(8_000);
    }
    const chiSquare = places.reduce((sum, count) => sum + (count - 2_000) ** 2 / 2_000, 0);
    expect(chiSquare).toBeLessThan(27.9); // 9 degrees of freedom, p = 0.001
  });

  it.each([0, -1, 1.5, 2 ** 32 + 1, Number.NaN])("refuses the bound %s", (bound) => {
    expect(() => new Random(1).integer(bound)).toThrow("Random.integer: bound must be an integer in 1..2^32");
  });

  it("refuses a seed that is not an integer, as a usage error", () => {
    const make = (): Random => new Random(0.5);
    expect(make).toThrow("seed: must be an integer of at most 53 bits, got 0.5");
    expect(make).toThrow(PatchDropError);
    expect(() => new Random(1, Number.NaN)).toThrow("Random: a stream's parts must be finite, got NaN");
  });
});
