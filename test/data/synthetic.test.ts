import { describe, expect, it } from "vitest";
import { drawScene, makeScene, makeSynthetic, SyntheticDataset } from "../../src/data/synthetic.ts";
import { Random } from "../../src/utils/random.ts";
import { datasetConformance } from "../conformance/dataset.ts";

const bytesPerImage = 32 * 32 * 3;
const patches = 16;
const small = { seed: 0, trainLength: 300, testLength: 100 };

function draw(index: number, label: number): Uint8ClampedArray {
  const out = new Uint8ClampedArray(bytesPerImage);
  drawScene(makeScene(new Random(0, "synthetic", "train", index)), label, out);
  return out;
}

/** Patches (row by row) in which two images of 32 × 32 differ. */
function differingPatches(a: ArrayLike<number>, b: ArrayLike<number>): Set<number> {
  const found = new Set<number>();
  for (let at = 0; at < bytesPerImage; at++) {
    const pixel = Math.floor(at / 3);
    if (a[at] !== b[at]) found.add(4 * (pixel >> 8) + ((pixel % 32) >> 3));
  }
  return found;
}

/** The pixels of the low-resolution image: the top-left one of each 4 × 4 block. */
function lowResolution(image: ArrayLike<number>): number[] {
  const out: number[] = [];
  for (let y = 0; y < 32; y += 4) {
    for (let x = 0; x < 32; x += 4) out.push(...[0, 1, 2].map((channel) => image[3 * (32 * y + x) + channel]));
  }
  return out;
}

describe("a synthetic scene", () => {
  it("looks the same in low resolution, bit for bit, whatever its class", () => {
    for (let index = 0; index < 50; index++) {
      const expected = lowResolution(draw(index, 0));
      for (let label = 1; label < 10; label++) expect(lowResolution(draw(index, label))).toEqual(expected);
    }
  });

  it("depends on the class only within the patches of the best policy, and in each of them", () => {
    const { train } = makeSynthetic(small);
    for (let index = 0; index < 50; index++) {
      const best = new Set([...train.bestPolicy(index)].flatMap((taken, patch) => (taken === 1 ? [patch] : [])));
      const differing = new Set<number>();
      for (let label = 1; label < 10; label++) {
        for (const patch of differingPatches(draw(index, 0), draw(index, label))) differing.add(patch);
      }
      expect(differing).toEqual(best);
    }
  });

  it("can't be told by fewer patches: without one, at least two classes look alike", () => {
    const { train } = makeSynthetic(small);
    for (let index = 0; index < 30; index++) {
      const images = Array.from({ length: 10 }, (_, label) => draw(index, label));
      const best = train.bestPolicy(index);
      for (let dropped = 0; dropped < patches; dropped++) {
        if (best[dropped] === 0) continue;
        const alike = images.some((a, i) =>
          images.slice(i + 1).some((b) => [...differingPatches(a, b)].every((patch) => patch === dropped)),
        );
        expect(alike).toBe(true);
      }
    }
  });

  it("keeps a cell between the target and everything else, so that only one warm square of 2 × 2 is seen", () => {
    for (let index = 0; index < 300; index++) {
      const { target, others } = makeScene(new Random(0, "synthetic", "train", index));
      for (const other of others) {
        const right = other.column > target.column + 2 || target.column > other.column + other.size;
        const below = other.row > target.row + 2 || target.row > other.row + other.size;
        expect(right || below).toBe(true);
      }
    }
  });
});

describe("makeSynthetic", () => {
  it("needs 100/49 patches on average: 1, 2 or 4 at 16, 24 and 9 of 49 places", () => {
    const { train } = makeSynthetic({ ...small, trainLength: 6000 });
    const counts = new Map([
      [1, 0],
      [2, 0],
      [4, 0],
    ]);
    for (let index = 0; index < train.length; index++) {
      const taken = train.bestPolicy(index).reduce((sum, one) => sum + one, 0);
      counts.set(taken, (counts.get(taken) ?? 0) + 1);
    }
    expect([...counts.keys()]).toEqual([1, 2, 4]);
    expect(Math.abs((counts.get(1) ?? 0) / 6000 - 16 / 49)).toBeLessThan(0.025); // four standard errors
    expect(Math.abs((counts.get(2) ?? 0) / 6000 - 24 / 49)).toBeLessThan(0.026);
    expect(Math.abs(train.bestMeanPatches - 100 / 49)).toBeLessThan(0.053);
  });

  it("puts the target everywhere: no fixed patch holds it in more than a fifth of the scenes", () => {
    const { train } = makeSynthetic({ ...small, trainLength: 3000 });
    const use = new Float64Array(patches);
    for (let index = 0; index < train.length; index++) {
      train.bestPolicy(index).forEach((taken, patch) => {
        use[patch] += taken / train.length;
      });
    }
    // A patch in the middle holds it at 3 × 3 of 49 places, one in a corner at 2 × 2.
    expect(Math.max(...use)).toBeLessThan(9 / 49 + 0.03);
    expect(Math.min(...use)).toBeGreaterThan(4 / 49 - 0.03);
  });

  it("must not be mirrored or shifted in training", () => {
    expect(makeSynthetic(small).train.augmented).toBe(false);
  });

  it("has every class equally often, and other scenes in each split", () => {
    const { train, test } = makeSynthetic(small);
    expect([...train.labels.subarray(0, 12)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    const [a, b] = [new Uint8Array(bytesPerImage), new Uint8Array(bytesPerImage)];
    train.read(Uint32Array.of(0), a);
    test.read(Uint32Array.of(0), b);
    expect(a).not.toEqual(b);
  });

  it("keeps its bytes from version to version, since results are compared over them", () => {
    const { train, test } = makeSynthetic();
    expect([train.length, test.length]).toEqual([8000, 2000]);
    expect(train.fingerprint).toBe("8d29759a4b98c39f16588c6a50808afcb22ac013afe11c708bfcc75c3b09fc8b");
    expect(test.fingerprint).toBe("19c20830f565d9df648214ab79c4f19541d150b2b834db6513df7d244361351c");
  });

  it("is normalized by what was measured", () => {
    const { train } = makeSynthetic();
    const images = new Uint8Array(1000 * bytesPerImage);
    train.read(
      Uint32Array.from({ length: 1000 }, (_, index) => index),
      images,
    );
    for (let channel = 0; channel < 3; channel++) {
      const values = images.filter((_, at) => at % 3 === channel);
      const mean = values.reduce((sum, value) => sum + value / 255, 0) / values.length;
      const square = values.reduce((sum, value) => sum + (value / 255) ** 2, 0) / values.length;
      expect(Math.abs(mean - train.normalization.mean[channel])).toBeLessThan(0.01);
      expect(Math.abs(Math.sqrt(square - mean ** 2) - train.normalization.std[channel])).toBeLessThan(0.01);
    }
  });

  it.each([0, -1, 1.5, 1e7])("refuses %s images as a usage error", (length) => {
    expect(() => new SyntheticDataset(0, "train", length)).toThrow(
      expect.objectContaining({
        message: `synthetic train length: must be an integer in 1..1000000, got ${length}`,
        exitCode: 2,
      }),
    );
  });
});

datasetConformance(
  "synthetic",
  async () => makeSynthetic(small).train,
  async () => makeSynthetic({ ...small, seed: 1 }).train,
);
