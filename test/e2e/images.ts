/** Small data sets for the end-to-end tests: class folders of PNGs that a network can learn in a few steps. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { Random } from "../../src/utils/random.ts";

const size = 32;

export interface Counts {
  classes: number;
  /** Images a class. */
  train: number;
  test: number;
  /** No folder of that name where absent. */
  val?: number;
}

/** Writes train/<class>/<n>.png, and the same for test and val: a coloured square that stands elsewhere in each image. */
export async function makeImageFolder(folder: string, { classes, ...splits }: Counts): Promise<string> {
  for (const [split, count] of Object.entries(splits)) {
    for (let label = 0; label < classes; label++) {
      const place = join(folder, split, `class${label}`);
      mkdirSync(place, { recursive: true });
      for (let n = 0; n < count; n++) {
        const pixels = scene(label, new Random(1, split, label, n));
        await sharp(pixels, { raw: { width: size, height: size, channels: 3 } })
          .png()
          .toFile(join(place, `${n}.png`));
      }
    }
  }
  return folder;
}

/** Bytes [size, size, 3]: grey grain, and a square of 8 to 15 pixels whose colour and side tell the class. */
export function scene(label: number, random: Random): Uint8Array {
  const side = 8 + (label % 8);
  const [top, left] = [random.integer(size - side), random.integer(size - side)];
  const colour = [40 + 20 * label, 230 - 20 * label, label % 2 === 0 ? 30 : 220];
  const pixels = new Uint8Array(size * size * 3);
  for (let at = 0; at < pixels.length; at++) {
    const [row, column] = [Math.floor(at / 3 / size), Math.floor(at / 3) % size];
    const inside = row >= top && row < top + side && column >= left && column < left + side;
    pixels[at] = (inside ? colour[at % 3] : 100) + random.integer(20);
  }
  return pixels;
}
