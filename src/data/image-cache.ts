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
import { sha256 } from "../utils/sha256.ts";
import type { ListedImage } from "./image-list.ts";
import { isChosen, type RenderingOptions } from "./rendering.ts";

/** Raised whenever decoding or resizing gives other bytes, or refuses what it took. */
const decoderVersion = 3;
const checksumBytes = 32;
/** A read takes less than 2 GiB. */
const mostAtOnce = 1 << 30;

export function cacheKey(images: readonly ListedImage[], size: number, rendering: RenderingOptions = {}): string {
  const { sharp: sharpVersion, vips } = sharp.versions;
  const list = images.map(({ path, size: bytes, modifiedMs }) => JSON.stringify([path, bytes, modifiedMs]));
  const { bands, scale } = rendering;
  const chosen = isChosen(rendering) ? [{ bands, scale }] : [];
  return sha256(JSON.stringify([decoderVersion, sharpVersion, vips, size, ...chosen]), ...list);
}

/** The bytes kept under a key, if their number and their checksum are right. */
export async function readCached(folder: string, key: string, expectedBytes: number): Promise<Uint8Array | undefined> {
  try {
    const file = await open(join(folder, `${key}.images`));
    try {
      if ((await file.stat()).size !== expectedBytes + checksumBytes) return undefined;
      const images = await readBytes(file, expectedBytes);
      const checksum = await readBytes(file, checksumBytes);
      return sha256(images) === Buffer.from(checksum).toString("hex") ? images : undefined;
    } finally {
      await file.close();
    }
  } catch {
    return undefined;
  }
}

/** The next `length` bytes of a file; zeros for those beyond its end. */
async function readBytes(file: FileHandle, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(bytes, at, Math.min(length - at, mostAtOnce));
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes;
}

export async function writeCached(folder: string, key: string, images: Uint8Array): Promise<void> {
  const temporary = temporaryName(join(folder, `${key}.images`));
  try {
    makeMissing(folder);
    await writeFile(temporary, [images, Buffer.from(sha256(images), "hex")]);
    await rename(temporary, join(folder, `${key}.images`));
  } catch {
    await rm(temporary, { force: true }).catch(() => undefined);
  }
}
