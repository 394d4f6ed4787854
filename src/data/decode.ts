/**
 * Decodes an image file to 8-bit sRGB: EXIF orientation applied, grey, palette, CMYK and a PNG's 16 bits converted by libvips
 * (through an embedded colour profile, where there is one), transparency dropped. Whatever else a file may hold is refused
 * (byte-pictures.ts). Resizing is our own (resize.ts).
 */

import { stat } from "node:fs/promises";
import sharp from "sharp";
import { reasonToRefuse } from "./byte-pictures.ts";
import { type Pixels, resizeAndCrop } from "./resize.ts";

/** Checked in the header, before anything is decoded: 100 million pixels are 300 MB. */
const mostPixels = 100_000_000;

// Several images are decoded at the same time, each once: more threads for each, and a cache, would only cost.
sharp.concurrency(1);
sharp.cache(false);

/** @throws an Error whose message is the reason in one line: not an image, cut off, too large, not bytes of RGB or grey */
export async function decodePixels(path: string): Promise<Pixels> {
  try {
    // A pipe may never end, and a device never does. What is not there, sharp says better.
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile() === false) throw new Error("not a file, but a folder, a pipe or a device");
    if (found?.size === 0) throw new Error("an empty file");
    const image = sharp(path, { limitInputPixels: mostPixels, failOn: "error" });
    const refused = reasonToRefuse(await image.metadata());
    if (refused !== undefined) throw new Error(refused);
    const { data, info } = await image
      .autoOrient()
      .toColourspace("srgb")
      .removeAlpha()
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new Error(`${info.channels} channels instead of 3`);
    return { bytes: data, width: info.width, height: info.height };
  } catch (error) {
    throw new Error(reasonOf(error as Error), { cause: error });
  }
}

/**
 * The middle of an image, its shorter side resized.
 * @returns bytes [size, size, 3]
 * @throws as {@link decodePixels}
 */
export async function decodeImage(path: string, size: number): Promise<Uint8Array> {
  const pixels = await decodePixels(path);
  return resizeAndCrop(pixels.bytes, pixels, size);
}

function reasonOf({ message }: Error): string {
  if (message.includes("exceeds pixel limit")) return `more than ${mostPixels} pixels`;
  return message.split("\n")[0];
}
