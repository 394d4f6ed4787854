/** Pairs of pictures of which the coarse one alone tells where to look. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { makeFolder } from "../../src/files/atomic.ts";
import { Random } from "../../src/utils/random.ts";

/** Of the sharp picture, of a patch of it, and of the coarse picture, in pixels. */
export const size = 32;
export const patch = 8;
export const coarse = 8;
const block = size / coarse;

export interface Pair {
  readonly label: number;
  /** The patch that the class is to be seen in. */
  readonly target: number;
  /** [size, size, 3] */
  readonly image: Uint8Array;
  /** [coarse, coarse, 3] */
  readonly low: Uint8Array;
}

/**
 * The target patch has spots, red or green, that lie between the pixels of the image's own low resolution. The coarse picture is bright at
 * the target, whatever its class.
 */
export function pairOf(label: number, random: Random): Pair {
  const across = size / patch;
  const target = random.integer(across * across);
  const isIn = (x: number, y: number, side: number) => Math.floor(y / side) * across + Math.floor(x / side) === target;
  const image = Uint8Array.from({ length: size * size * 3 }, (_, at) => {
    const [x, y, channel] = [Math.floor(at / 3) % size, Math.floor(at / 3 / size), at % 3];
    const isSpot = x % block >= 1 && y % block >= 1;
    const noise = 100 + random.integer(30);
    return isSpot && isIn(x, y, patch) && channel === label ? 250 : noise;
  });
  const low = Uint8Array.from({ length: coarse * coarse * 3 }, (_, at) => {
    const [x, y] = [Math.floor(at / 3) % coarse, Math.floor(at / 3 / coarse)];
    return 40 + random.integer(20) + (isIn(x, y, patch / block) ? 80 : 0);
  });
  return { label, target, image, low };
}

export async function writePng(path: string, pixels: Uint8Array, side: number): Promise<void> {
  await sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
    .png()
    .toFile(path);
}

/** Lists of so many pairs of each class, with the column low or without. */
export async function writePairs(folder: string, counts: Readonly<Record<string, number>>, isPaired = true) {
  makeFolder(join(folder, "sharp"));
  makeFolder(join(folder, "coarse"));
  for (const [split, count] of Object.entries(counts)) {
    const lines = [isPaired ? "label,location,low" : "label,location"];
    for (let n = 0; n < 2 * count; n++) {
      const { label, image, low } = pairOf(n % 2, new Random(1, "pairs", split, n));
      const [own, pair] = [join("sharp", `${split}${n}.png`), join("coarse", `${split}${n}.png`)];
      await writePng(join(folder, own), image, size);
      await writePng(join(folder, pair), low, coarse);
      lines.push(isPaired ? `${label},${own},${pair}` : `${label},${own}`);
    }
    writeFileSync(join(folder, `${split}.csv`), `${lines.join("\n")}\n`);
  }
}
