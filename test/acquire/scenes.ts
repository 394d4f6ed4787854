/** Small scenes with known pixels, and a policy that takes what is bright, for the tests of acquiring. */

import type { PatchPolicy } from "../../src/acquire/patch-policy.ts";
import type { PatchSource, Window } from "../../src/acquire/patch-source.ts";
import { RasterFile, type RasterOptions } from "../../src/acquire/raster-file.ts";
import { encodeHeader } from "../../src/formats/tiff-writer.ts";
import { makeGrid, patchAt } from "../../src/method/grid.ts";
import { Random } from "../../src/utils/random.ts";

/** UTM zone 33 north, half a metre a pixel. */
export const utm33 = { epsg: 32_633, affine: [0.5, 0, 380_000, 0, -0.5, 5_820_000], geographic: false };

/** What limits an acquisition, so far away that no scene of a test comes near. */
export const limits = {
  allow_full_file: false,
  free_patches: false,
  whole_if_cheaper: false,
  max_pixels: 1e9,
  max_output_bytes: 1e9,
  max_file_bytes: 1e9,
};

/** Bytes [height, width, 3]. */
export interface Scene {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

/** Dark noise with bright blocks, a quarter of all, of 8 × 8 pixels: the patches of {@link brightPolicy}. */
export function blockScene(width: number, height: number, share = 0.25): Scene {
  const random = new Random(5, "blocks", width, height);
  const columns = Math.ceil(width / 8);
  const bright = Array.from({ length: columns * Math.ceil(height / 8) }, () => random.uniform() < share);
  const pixels = Uint8Array.from({ length: width * height * 3 }, (_, at) => {
    const [x, y] = [Math.floor(at / 3) % width, Math.floor(at / 3 / width)];
    return random.integer(60) + (bright[Math.floor(y / 8) * columns + Math.floor(x / 8)] ? 190 : 10);
  });
  return { width, height, pixels };
}

/** A scene without any data, and its overview of 1:4: a header, however large the scene. */
export function sparseScene(width: number, height: number, tileSize: number): Uint8Array {
  const levels = [1, 4].map((factor) => {
    const size = { width: Math.ceil(width / factor), height: Math.ceil(height / factor) };
    const tiles = Math.ceil(size.width / tileSize) * Math.ceil(size.height / tileSize);
    return { ...size, byteCounts: Array<number>(tiles).fill(0) };
  });
  return encodeHeader({ levels, tileSize, georeference: utm33 });
}

export async function writeScene(path: string, scene: Scene, options: Partial<RasterOptions> = {}): Promise<void> {
  const { width, height } = scene;
  const raster = new RasterFile(path, { width, height, georeference: utm33, tileSize: 16, overviews: 2, ...options });
  // Some rows at a time, of a number that fits nothing.
  for (let at = 0; at < scene.pixels.length; at += 7 * width * 3) {
    await raster.write(scene.pixels.subarray(at, at + 7 * width * 3));
  }
  await raster.finish();
}

/** The pixels of a box; beyond the edge, those of the edge. */
export function boxOf(scene: Scene, box: { x: number; y: number; width: number; height: number }): Uint8Array {
  return Uint8Array.from({ length: box.width * box.height * 3 }, (_, at) => {
    const x = Math.min(box.x + (Math.floor(at / 3) % box.width), scene.width - 1);
    const y = Math.min(box.y + Math.floor(at / 3 / box.width), scene.height - 1);
    return scene.pixels[3 * (y * scene.width + x) + (at % 3)];
  });
}

/**
 * Takes a patch where its low resolution is bright on average; images of 32 pixels, 8 low, patches of 8. The class says
 * whether more than half of the image is bright, of which dropped patches are not.
 */
export const brightPolicy: PatchPolicy = {
  model: { imageSize: 32, lowSize: 8, grid: makeGrid(32, 8) },
  classes: ["bright", "dark"],
  checkpoint: "0123456789ab",
  rounds: 1,
  decide(low) {
    const count = low.length / (8 * 8 * 3);
    const patches = Float32Array.from({ length: count * 16 }, (_, at) => {
      const [image, patch] = [Math.floor(at / 16), at % 16];
      const [left, top] = [2 * (patch % 4), 2 * Math.floor(patch / 4)];
      let sum = 0;
      for (const [x, y] of [
        [0, 0],
        [1, 0],
        [0, 1],
        [1, 1],
      ]) {
        for (let c = 0; c < 3; c++) sum += low[3 * (image * 64 + (top + y) * 8 + left + x) + c];
      }
      return sum / 12 / 255;
    });
    return { patches, mask: Uint8Array.from(patches, (p) => (p >= 0.5 ? 1 : 0)) };
  },
  classify(images, mask) {
    const count = mask.length / 16;
    return Float32Array.from({ length: count * 2 }, (_, at) => {
      const i = Math.floor(at / 2);
      const taken = (byte: number) =>
        mask[16 * i + patchAt(brightPolicy.model.grid, Math.floor(byte / 3) % 32, Math.floor(byte / 96))];
      const image = images.subarray(i * 3072, (i + 1) * 3072);
      const share = image.filter((value, byte) => value > 127 && taken(byte) === 1).length / 3072;
      return at % 2 === 0 ? share : 1 - share;
    });
  },
};

/** Patches' pixels, and what they cost. */
export async function readPatches(source: PatchSource, boxes: readonly Window[]) {
  const fetched = source.fetchPatches(boxes);
  const [pixels, costs] = [await fetched.read(), fetched.pay()];
  return boxes.map((_, i) => ({ pixels: pixels[i], bytes: costs[i] }));
}
