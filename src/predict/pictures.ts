/** PNG files of what was predicted: an image with its dropped patches darkened, and what the classifier saw. */

import { lstatSync } from "node:fs";
import { dirname, join, normalize, resolve } from "node:path";
import sharp from "sharp";
import { fault } from "../errors.ts";
import { assertNameFits, makeFolder, systemFault, writeFileAtomic } from "../files/atomic.ts";
import { readBeginning } from "../files/read.ts";
import { type Grid, patchAt } from "../method/grid.ts";
import type { PredictOptions } from "../options/predict-options.ts";
import type { RawImage } from "../report/gallery.ts";
import { realPlace } from "../utils/make-missing.ts";
import { breathe, type Reporter } from "../utils/reporter.ts";

/** Smaller images are enlarged by a whole factor, so that the lines do not cover them. */
const smallestSide = 256;
const darkened = 0.3;

/**
 * The image with dropped patches darkened, and a line between patches: dark beside light, to show on any picture.
 * @param image bytes [S, S, 3]
 * @param mask [P], 0 for a dropped patch
 */
export function overlay(image: Uint8Array, mask: Uint8Array, grid: Grid): RawImage {
  const { imageSize, patchWidth, patchHeight } = grid;
  const factor = Math.ceil(smallestSide / imageSize);
  const size = imageSize * factor;
  const pixels = new Uint8Array(size * size * 3);
  const lineAt = (at: number, side: number): number | undefined => {
    if (at % side === 0 && at > 0) return 255;
    return at % side === side - 1 && at < size - 1 ? 0 : undefined;
  };
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const line = lineAt(y, patchHeight * factor) ?? lineAt(x, patchWidth * factor);
      const [left, top] = [Math.floor(x / factor), Math.floor(y / factor)];
      const light = mask[patchAt(grid, left, top)] === 1 ? 1 : darkened;
      const from = 3 * (top * imageSize + left);
      for (let c = 0; c < 3; c++) pixels[3 * (y * size + x) + c] = line ?? Math.round(light * image[from + c]);
    }
  }
  return { size, pixels };
}

const separate = "give other folders, or these images to two commands";

/** Some tens of milliseconds of work. */
const namesBetweenTurns = 1000;

/**
 * No picture is to replace another one of the command, such as where images lie above the working folder and in it, nor an image, nor the
 * lines, nor a file that is no picture of an earlier command.
 * @throws usage; system: a picture of too long a name, or a file that cannot be read; Stopped
 */
export async function checkPictures(
  paths: readonly string[],
  { overlay, masked, out }: Pick<PredictOptions, "overlay" | "masked" | "out">,
  reporter: Reporter,
): Promise<void> {
  const folders = Object.entries({ overlay, masked }).filter((one): one is [string, string] => one[1] !== undefined);
  if (folders.length === 0) return;
  const whose = new Map<string, string>();
  if (out !== undefined) whose.set(realPlace(out), `the lines of --out ${out}`);
  for (const [n, path] of paths.entries()) {
    if (n % namesBetweenTurns === 0) await breathe(reporter);
    whose.set(realPlace(path), `the image ${path}`);
  }
  for (const [flag, folder] of folders) {
    for (const [n, path] of paths.entries()) {
      if (n % namesBetweenTurns === 0) await breathe(reporter);
      const file = pictureFile(folder, path);
      assertNameFits(file, "give its image a shorter name");
      if (isForeign(file)) {
        const rule = "must not be there, or be a picture that predict wrote";
        throw fault("usage", { where: file, rule, next: `move it away, or give another --${flag}` });
      }
      const place = realPlace(file);
      const owner = `--${flag} of ${resolve(path)}`; // however the image is spelt
      const other = whose.get(place) ?? owner;
      if (other !== owner) {
        throw fault("usage", {
          where: file,
          rule: "must be one picture alone",
          got: `${other} and ${owner}`,
          next: separate,
        });
      }
      whose.set(place, owner);
    }
  }
  for (const [n, [place, owner]] of [...whose].entries()) {
    if (n % namesBetweenTurns === 0) await breathe(reporter);
    const other = placesAbove(place).find((above) => whose.has(above));
    if (other === undefined) continue;
    const rule = "would have to be a file and a folder at once";
    throw fault("usage", { where: other, rule, got: `${whose.get(other)} and ${owner}`, next: separate });
  }
}

/** The folders that a place lies in. */
function placesAbove(place: string): string[] {
  const above = dirname(place);
  return above === place ? [] : [above, ...placesAbove(above)];
}

/** What each PNG begins with, in bytes: its signature and the size of the picture. */
const headerLength = 33;
/** Behind it, by which our pictures are known again: the text "Software: patchdrop", as the length, type, content and CRC-32 of a chunk. */
const mark = Buffer.concat([
  Buffer.from([0, 0, 0, 18]),
  Buffer.from("tEXtSoftware\0patchdrop"),
  Buffer.from([0xa5, 0x93, 0x9f, 0x88]),
]);

/** Whether something is there that is no picture of ours. */
function isForeign(file: string): boolean {
  try {
    const found = lstatSync(file, { throwIfNoEntry: false });
    return found !== undefined && !(found.isFile() && hasMark(file));
  } catch (error) {
    throw systemFault("could not be read", file, 0, error);
  }
}

function hasMark(file: string): boolean {
  return readBeginning(file, headerLength + mark.length)
    .subarray(headerLength)
    .equals(mark);
}

/** Writes the picture of the image `path`. @throws system */
export async function writePicture(folder: string, path: string, { size, pixels }: RawImage): Promise<void> {
  const file = pictureFile(folder, path);
  const png = await sharp(pixels, { raw: { width: size, height: size, channels: 3 } })
    .png()
    .toBuffer();
  makeFolder(dirname(file));
  writeFileAtomic(file, Buffer.concat([png.subarray(0, headerLength), mark, png.subarray(headerLength)]));
}

/** Named after the image's path, without what leads out of the folder. */
function pictureFile(folder: string, path: string): string {
  return join(folder, `${normalize(path).replace(/^(\.\.\/|\/)+/, "")}.png`);
}
