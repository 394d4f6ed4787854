/**
 * Decodes an image file to 8-bit sRGB: EXIF orientation applied, grey, palette, CMYK and a PNG's 16 bits converted by libvips
 * (through an embedded colour profile, where there is one), transparency dropped. Whatever else a file may hold is refused
 * (byte-pictures.ts). Resizing is our own (resize.ts).
 */

import { stat } from "node:fs/promises";
import sharp, { type Metadata, type Sharp } from "sharp";
import { reasonToRefuse } from "./byte-pictures.ts";
import { bytesToDecode, DecodeMemory } from "./decode-memory.ts";
import { type Pixels, resizeAndCrop } from "./resize.ts";

// Several images are decoded at the same time, each once: more threads for each, and a cache, would only cost.
sharp.concurrency(1);
sharp.cache(false);

/** Pixels, and the share of the memory that they hold. */
export interface HeldPixels {
  readonly pixels: Pixels;
  /** To be called once, when the pixels have been used. */
  release(): void;
}

/**
 * Decodes a file as soon as there is memory for it.
 * @throws an Error whose message is the reason in one line: not an image, cut off, too large, not bytes of RGB or grey
 */
export async function holdPixels(path: string, memory: DecodeMemory): Promise<HeldPixels> {
  try {
    // A pipe may never end, and a device never does. What is not there, sharp says better.
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile() === false) throw new Error("not a file, but a folder, a pipe or a device");
    if (found?.size === 0) throw new Error("an empty file");
    // Bytes are limited, not pixels.
    const image = sharp(path, { limitInputPixels: false, failOn: "error", sequentialRead: true });
    const bytes = assertTaken(await image.metadata(), memory);
    const release = await memory.take(bytes);
    try {
      return { pixels: await decoded(image), release };
    } catch (error) {
      release();
      throw error;
    }
  } catch (error) {
    throw new Error((error as Error).message.split("\n")[0], { cause: error });
  }
}

/** {@link holdPixels} for one image alone, which is not waited for once it is decoded. */
export async function decodePixels(path: string, memory = new DecodeMemory()): Promise<Pixels> {
  const { pixels, release } = await holdPixels(path, memory);
  release();
  return pixels;
}

/**
 * The middle of an image, its shorter side resized.
 * @returns bytes [size, size, 3]
 * @throws as {@link holdPixels}
 */
export async function decodeImage(path: string, size: number, memory: DecodeMemory): Promise<Uint8Array> {
  const { pixels, release } = await holdPixels(path, memory);
  try {
    return resizeAndCrop(pixels.bytes, pixels, size);
  } finally {
    release();
  }
}

/** @returns the bytes that decoding takes */
function assertTaken(picture: Metadata, { maxImageBytes }: DecodeMemory): number {
  const refused = reasonToRefuse(picture);
  if (refused !== undefined) throw new Error(refused);
  const bytes = bytesToDecode(picture);
  if (bytes <= maxImageBytes) return bytes;
  const { width, height, format } = picture;
  const size = `${width} × ${height} pixels of ${format}, which take ${bytes} bytes to decode`;
  throw new Error(`${size} where ${maxImageBytes} are allowed; raise --max_image_bytes if that is right`);
}

async function decoded(image: Sharp): Promise<Pixels> {
  const { data, info } = await image
    .autoOrient()
    .toColourspace("srgb")
    .removeAlpha()
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== 3) throw new Error(`${info.channels} channels instead of 3`);
  return { bytes: data, width: info.width, height: info.height };
}
