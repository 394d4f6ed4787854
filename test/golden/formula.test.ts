/** The formula gives here what it gave to PyTorch: all golden values rest on it. */
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { formulaImages, formulaWeights, hashUniform } from "./formula.ts";
import { loadGolden } from "./load.ts";
import { distance, summarize } from "./summary.ts";

const golden = loadGolden("states");

describe("the formula", () => {
  test("hashes by the finalizer of MurmurHash3", () => {
    // fmix32(1) = 0x514e28b7, of which the upper 24 bits count.
    expect(hashUniform(0, 1)).toBe(0x514e28 / 0x1000000);
    expect(hashUniform(0, 0)).toBe(0);
  });

  test.each(Object.entries(golden.uniform))("gives the uniforms of salt %s", (salt, expected) => {
    expect(expected.map((_, i) => hashUniform(i, Number(salt)))).toEqual(expected);
  });

  test("gives the images", () => {
    const images = formulaImages(8);
    expect([...images.subarray(0, 32)]).toEqual(golden.images.first);
    expect(sha256(images)).toBe(golden.images.sha256);
  });

  test.each(Object.entries(golden.networks))(
    "gives the weights of the %s, bit for bit",
    (_, { shapes, base, sha256: expected }) => {
      const tensors = Object.entries(shapes).map(([name, shape], index) => formulaWeights(name, shape, index, base));
      expect(sha256(...tensors)).toBe(expected);
    },
  );
});

/** Of the arrays' bytes one after the other; this machine's, like every machine's that libtorch runs on, little-endian. */
function sha256(...arrays: (Uint8Array | Float32Array)[]): string {
  const hash = createHash("sha256");
  for (const { buffer, byteOffset, byteLength } of arrays) hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest("hex");
}

describe("a summary", () => {
  test("is n, sum, norm, dot and the first elements", () => {
    const [h0, h1] = [hashUniform(0, 40) - 0.5, hashUniform(1, 40) - 0.5];
    expect(summarize([3, -4])).toEqual([2, -1, 5, 3 * h0 - 4 * h1, 3, -4]);
    expect(summarize([3, -4], 0)).toHaveLength(4);
  });

  test("tells permuted, negated and other numbers of elements, and NaN", () => {
    const elements = Array.from({ length: 100 }, (_, i) => hashUniform(i, 7) - 0.5);
    const summary = summarize(elements);
    expect(distance(elements, summary)).toBe(0);
    expect(distance(elements.toReversed(), summary)).toBeGreaterThan(0.01);
    expect(
      distance(
        elements.map((x) => -x),
        summary,
      ),
    ).toBeGreaterThan(0.1);
    expect(distance(elements.slice(1), summary)).toBe(Number.POSITIVE_INFINITY);
    expect(distance([Number.NaN, ...elements.slice(1)], summary)).toBe(Number.POSITIVE_INFINITY);
  });
});
