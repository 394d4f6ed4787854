import { describe, expect, it } from "vitest";
import type { Dataset } from "../../src/data/dataset.ts";
import { MemoryDataset, type MemoryImages } from "../../src/data/memory-dataset.ts";
import { datasetConformance } from "../conformance/dataset.ts";

const size = 12;

/** Four images whose bytes all differ from their neighbours', labelled 0, 1, 0, 1. */
function given(bands: readonly string[], first = 0): MemoryImages {
  const length = 4;
  return {
    name: "made",
    classes: ["cat", "dog"],
    imageSize: size,
    bands,
    labels: Int32Array.from({ length }, (_, n) => n % 2),
    images: Uint8Array.from({ length: length * size ** 2 * bands.length }, (_, at) => first + at * 31 + (at >> 4)),
    normalization: { mean: bands.map(() => 0.5), std: bands.map(() => 0.25) },
  };
}

const rgb = ["red", "green", "blue"];
const infrared = [...rgb, "near infrared"];

/** Given by a user of the library as nothing but an object. */
function plainObject(first = 0): Dataset {
  const { images, ...said } = given(rgb, first);
  const bytes = size ** 2 * rgb.length;
  return {
    ...said,
    length: said.labels.length,
    bands: rgb,
    transform: "cifar",
    fingerprint: first.toString(16).padStart(64, "0"),
    read: (indices, out) => {
      for (const [slot, index] of indices.entries()) {
        if (index >= said.labels.length) throw new Error(`index must be below 4, got ${index}`);
        out.set(images.subarray(index * bytes, (index + 1) * bytes), slot * bytes);
      }
      return indices;
    },
  };
}

describe("MemoryDataset", () => {
  it("is of red, green and blue unless other bands are named", () => {
    const { bands: _, ...unnamed } = given(rgb);
    const { bands, transform } = new MemoryDataset(unnamed);
    expect({ bands, transform }).toEqual({ bands: rgb, transform: "cifar" });
    expect(new MemoryDataset({ ...given(infrared), transform: "imagenet" })).toMatchObject({
      bands: infrared,
      transform: "imagenet",
    });
  });

  it("moves all bands of a pixel together", () => {
    // A pixel's bands are its number, and the same plus 1, 2, 3: so they stay, wherever the pixel goes.
    const images = Uint8Array.from({ length: size ** 2 * 4 }, (_, at) => (at >> 2) + (at % 4));
    const dataset = new MemoryDataset({ ...given(infrared), labels: Int32Array.of(0), images });
    const out = new Uint8Array(images.length);
    const seen = new Set<string>();
    for (let epoch = 0; epoch < 20; epoch++) {
      dataset.read(Uint32Array.of(0), out, { seed: 1, epoch, firstPosition: 0 });
      seen.add(out.join());
      for (let at = 0; at < out.length; at += 4) {
        const black = [0, 0, 0, 0].join();
        const pixel = out.subarray(at, at + 4).join();
        expect([black, [0, 1, 2, 3].map((band) => out[at] + band).join()]).toContain(pixel);
      }
    }
    expect(seen.size).toBeGreaterThan(10);
  });

  it("refuses bytes of another number of images", () => {
    const images = new Uint8Array(3 * size ** 2 * 3);
    expect(() => new MemoryDataset({ ...given(rgb), images })).toThrow(
      "data set made: images: must be a Uint8Array or a Float32Array of 1728 numbers (4 × 12 × 12 × 3), got 1296",
    );
  });

  it("refuses what no data set may say, before it looks at bytes", () => {
    const wrong = { labels: Int32Array.of(0, 1, 2, 0), normalization: { mean: [125, 123, 114], std: [63, 62, 67] } };
    const made = () => new MemoryDataset({ ...given(rgb), ...wrong, images: new Uint8Array(1) });
    expect(made).toThrow(/^data set made: labels\[2\]: must be in 0\.\.1, got 2\ndata set made: normalization\.mean: /);
  });
});

datasetConformance(
  "images in memory",
  async () => new MemoryDataset(given(rgb)),
  async () => new MemoryDataset(given(rgb, 1)),
);
datasetConformance(
  "images of four bands",
  async () => new MemoryDataset(given(infrared)),
  async () => new MemoryDataset({ ...given(infrared), labels: Int32Array.of(0, 1, 1, 1) }),
);
datasetConformance(
  "a plain object",
  async () => plainObject(),
  async () => plainObject(1),
);
