/**
 * Decoded images of a folder, kept for the next run: a minute of decoding becomes a second of reading. The name says
 * what the bytes were made of (paths, sizes, times of change, decoder, and what the values mean), so a changed folder finds nothing; a checksum
 * reveals a damaged file. A cache that can't be read or written is ignored.
 */

import { type FileHandle, open, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { temporaryName } from "../files/atomic.ts";
import { makeMissing } from "../utils/make-missing.ts";
import { bytesIn, newPixels, type PixelArray, type PixelType } from "../utils/pixel-array.ts";
import { sha256 } from "../utils/sha256.ts";
import type { DecodeTarget } from "./decode.ts";
import type { ListedFile, ListedImage } from "./image-list.ts";
import { isChosen } from "./rendering.ts";

/** Raised whenever decoding or resizing gives other bytes, or refuses what it took. */
const decoderVersion = 3;
const checksumBytes = 32;
/** A read takes less than 2 GiB. */
const mostAtOnce = 1 << 30;

export function cacheKey(
  images: readonly ListedImage[],
  size: number,
  { rendering = {}, pixelType }: DecodeTarget,
): string {
  const { sharp: sharpVersion, vips } = sharp.versions;
  const about = ({ path, size: bytes, modifiedMs }: ListedFile) => [path, bytes, modifiedMs];
  const list = images.map((image) => JSON.stringify([...about(image), ...(image.low ? about(image.low) : [])]));
  const { bands, scale } = rendering;
  const type = pixelType === "float32" ? { pixelType } : {};
  const chosen = isChosen(rendering) ? [{ bands, scale, ...type }] : [];
  return sha256(JSON.stringify([decoderVersion, sharpVersion, vips, size, ...chosen]), ...list);
}

/** The `length` numbers kept under a key, if they are as many and their checksum is right. */
export async function readCached(
  folder: string,
  key: string,
  length: number,
  type: PixelType = "uint8",
): Promise<PixelArray | undefined> {
  try {
    const file = await open(join(folder, `${key}.images`));
    try {
      const images = newPixels(type, length);
      if ((await file.stat()).size !== images.byteLength + checksumBytes) return undefined;
      await fill(file, bytesIn(images));
      const checksum = new Uint8Array(checksumBytes);
      await fill(file, checksum);
      return sha256(bytesIn(images)) === Buffer.from(checksum).toString("hex") ? images : undefined;
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}

/** The next bytes of a file; those beyond its end stay as they are. */
async function fill(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, at, Math.min(bytes.length - at, mostAtOnce));
    if (bytesRead === 0) break;
    at += bytesRead;
  }
}

export async function writeCached(folder: string, key: string, pixels: PixelArray): Promise<void> {
  const images = bytesIn(pixels);
  const temporary = temporaryName(join(folder, `${key}.images`));
  try {
    makeMissing(folder);
    await writeFile(temporary, [images, Buffer.from(sha256(images), "hex")]);
    await rename(temporary, join(folder, `${key}.images`));
  } catch {
    await rm(temporary, { force: true }).catch(() => undefined);
  }
}
