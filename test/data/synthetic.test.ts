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
    for (let index = 0; index < 20; index++) {
      const expected = lowResolution(draw(index, 0)).join();
      for (let label = 1; label < 10; label++) expect(lowResolution(draw(index, label)).join()).toBe(expected);
    }
  });

  it("depends on the class only within the patches of the best policy, and in each of them", async () => {
    const { train } = await makeSynthetic(small);
    for (let index = 0; index < 20; index++) {
      const best = new Set([...train.bestPolicy(index)].flatMap((taken, patch) => (taken === 1 ? [patch] : [])));
      const differing = new Set<number>();
      for (let label = 1; label < 10; label++) {
        for (const patch of differingPatches(draw(index, 0), draw(index, label))) differing.add(patch);
      }
      expect(differing).toEqual(best);
    }
  });

  it("can't be told by fewer patches: without one, at least two classes look alike", async () => {
    const { train } = await makeSynthetic(small);
    for (let index = 0; index < 20; index++) {
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
    const apart: boolean[] = [];
    for (let index = 0; index < 300; index++) {
      const { target, others } = makeScene(new Random(0, "synthetic", "train", index));
      for (const other of others) {
        const right = other.column > target.column + 2 || target.column > other.column + other.size;
        const below = other.row > target.row + 2 || target.row > other.row + other.size;
        apart.push(right || below);
      }
    }
    expect(apart.length).toBeGreaterThan(1000);
    expect(apart.every((one) => one)).toBe(true);
  });
});

describe("makeSynthetic", () => {
  it("lets signals in while it is made", async () => {
    let turns = 0;
    const clock = setInterval(() => turns++, 1);
    await makeSynthetic(); // half a second and more, by turns of a twentieth
    clearInterval(clock);
    expect(turns).toBeGreaterThan(3);
  });

  it("needs 10/7 patches on average: one at 16 of 28 places, two side by side at 12", async () => {
    const { train } = await makeSynthetic({ ...small, trainLength: 2000 });
    const counts = [0, 0, 0];
    for (let index = 0; index < train.length; index++) {
      counts[train.bestPolicy(index).reduce((sum, one) => sum + one, 0)]++;
    }
    expect(counts.length).toBe(3); // never more than two
    expect(counts[0]).toBe(0);
    expect(Math.abs(counts[1] / 2000 - 16 / 28)).toBeLessThan(0.045); // four standard errors
    expect(train.bestMeanPatches).toBe((counts[1] + 2 * counts[2]) / 2000);
  });

  it("puts the target everywhere: no fixed patch holds it in more than a tenth of the scenes", async () => {
    const { train } = await makeSynthetic({ ...small, trainLength: 1500 });
    const use = new Float64Array(patches);
    for (let index = 0; index < train.length; index++) {
      train.bestPolicy(index).forEach((taken, patch) => {
        use[patch] += taken / train.length;
      });
    }
    // Of the 7 places along a row of patches, 2 reach into its first or last patch and 3 into an inner one.
    expect(Math.max(...use)).toBeLessThan(3 / 28 + 0.033); // four standard errors
    expect(Math.min(...use)).toBeGreaterThan(2 / 28 - 0.027);
  });

  it("must not be mirrored or shifted in training", async () => {
    expect((await makeSynthetic(small)).train.augmented).toBe(false);
  });

  it("has every class equally often, and other scenes in each split", async () => {
    const { train, test } = await makeSynthetic(small);
    expect([...train.labels.subarray(0, 12)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    const [a, b] = [new Uint8Array(bytesPerImage), new Uint8Array(bytesPerImage)];
    train.read(Uint32Array.of(0), a);
    test.read(Uint32Array.of(0), b);
    expect(a).not.toEqual(b);
  });

  it("keeps its bytes from version to version, since results are compared over them", async () => {
    const { train, test } = await makeSynthetic(small);
    expect(train.fingerprint).toBe("bde74db564b8149725dc822b663cd2db90e595b1044516e509f934062ede31ae");
    expect(test.fingerprint).toBe("5dd94bc5b2aba6006229b05b3e3f9a7f3baebe721505e987faf1df7b6037f3b7");
  });

  it("is normalized to about mean 0 and deviation 1", async () => {
    const { train } = await makeSynthetic(small);
    const images = new Uint8Array(train.length * bytesPerImage);
    const all = Uint32Array.from({ length: train.length }, (_, index) => index);
    train.read(all, images);
    for (let channel = 0; channel < 3; channel++) {
      let sum = 0;
      let squares = 0;
      for (let at = channel; at < images.length; at += 3) {
        const value = (images[at] / 255 - train.normalization.mean[channel]) / train.normalization.std[channel];
        sum += value;
        squares += value * value;
      }
      const count = images.length / 3;
      expect(Math.abs(sum / count)).toBeLessThan(0.1);
      expect(Math.abs(Math.sqrt(squares / count) - 1)).toBeLessThan(0.2);
    }
  });

  it.each([0, -1, 1.5, 1e7])("refuses %s images as a usage error", async (length) => {
    await expect(SyntheticDataset.make(0, "train", length)).rejects.toEqual(
      expect.objectContaining({
        message: `synthetic train length: must be an integer in 1..1000000, got ${length}`,
        exitCode: 2,
      }),
    );
  });
});

datasetConformance(
  "synthetic",
  async () => (await makeSynthetic(small)).train,
  async () => (await makeSynthetic({ ...small, seed: 1 })).train,
);
