/** Images that know their number, so that a test sees which of them a split holds. */
import type { Dataset } from "../../src/data/dataset.ts";
import { MemoryDataset } from "../../src/data/memory-dataset.ts";

export const imageBytes = 2 * 2 * 3;

/** Images of 2 × 2 whose bytes are the image's number, with these labels. */
export function numberedImages(labels: readonly number[], classes: readonly string[]): MemoryDataset {
  return new MemoryDataset({
    name: "numbered",
    classes,
    imageSize: 2,
    labels: Int32Array.from(labels),
    images: Uint8Array.from({ length: labels.length * imageBytes }, (_, at) => Math.floor(at / imageBytes)),
    normalization: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  });
}

/** The numbers of a split's images, read from their bytes. */
export async function imagesOf(split: Dataset): Promise<number[]> {
  const out = new Uint8Array(split.length * imageBytes);
  await split.read(
    Uint32Array.from({ length: split.length }, (_, i) => i),
    out,
  );
  return Array.from({ length: split.length }, (_, i) => out[i * imageBytes]);
}
