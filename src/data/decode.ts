/**
 * Decodes an image file to 8-bit sRGB: EXIF orientation applied, grey, palette, CMYK and a PNG's 16 bits converted by libvips
 * (through an embedded colour profile, where there is one), transparency dropped. Whatever else a file may hold is refused
 * (byte-pictures.ts), unless the user has said what its values mean (tiff-picture.ts). Resizing is our own (resize.ts).
 */

import { stat } from "node:fs/promises";
import sharp, { type Sharp } from "sharp";
import { reasonOfHeader, reasonToRefuse } from "./byte-pictures.ts";
import { bytesToDecode, DecodeMemory } from "./decode-memory.ts";
import { isChosen, type RenderingOptions } from "./rendering.ts";
import { type Pixels, resizeAndCrop } from "./resize.ts";
import { type OpenedPicture, openTiff } from "./tiff-picture.ts";

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
 * @param rendering what the file's values mean; where it says nothing, the file's own colours are taken
 * @throws an Error whose message is the reason in one line: not an image, cut off, too large, not bytes of RGB or grey
 */
export async function holdPixels(
  path: string,
  memory: DecodeMemory,
  rendering: RenderingOptions = {},
): Promise<HeldPixels> {
  try {
    // A pipe may never end, and a device never does. What is not there, sharp says better.
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile() === false) throw new Error("not a file, but a folder, a pipe or a device");
    if (found?.size === 0) throw new Error("an empty file");
    const picture = isChosen(rendering) ? await openTiff(path, rendering) : await openColours(path);
    try {
      return await held(picture, memory);
    } finally {
      await picture.close();
    }
  } catch (error) {
    throw new Error((error as Error).message.split("\n")[0], { cause: error });
  }
}

async function held(picture: OpenedPicture, memory: DecodeMemory): Promise<HeldPixels> {
  assertTaken(picture, memory);
  const release = await memory.take(picture.bytes);
  try {
    return { pixels: await picture.decode(), release };
  } catch (error) {
    release();
    throw error;
  }
}

/** Of images that are decoded alike. */
export interface Decoding {
  readonly memory: DecodeMemory;
  readonly rendering?: RenderingOptions | undefined;
}

/** {@link holdPixels} for one image alone, which is not waited for once it is decoded. */
export async function decodePixels(
  path: string,
  memory = new DecodeMemory(),
  rendering?: RenderingOptions,
): Promise<Pixels> {
  const { pixels, release } = await holdPixels(path, memory, rendering);
  release();
  return pixels;
}

/**
 * The middle of an image, its shorter side resized.
 * @returns bytes [size, size, 3]
 * @throws as {@link holdPixels}
 */
export async function decodeImage(path: string, size: number, { memory, rendering }: Decoding): Promise<Uint8Array> {
  const { pixels, release } = await holdPixels(path, memory, rendering);
  try {
    return resizeAndCrop(pixels.bytes, pixels, size);
  } finally {
    release();
  }
}

function assertTaken({ width, height, format, bytes }: OpenedPicture, { maxImageBytes }: DecodeMemory): void {
  if (bytes <= maxImageBytes) return;
  const size = `${width} × ${height} pixels of ${format}, which take ${bytes} bytes to decode`;
  throw new Error(`${size} where ${maxImageBytes} are allowed; raise --max_image_bytes if that is right`);
}

async function openColours(path: string): Promise<OpenedPicture> {
  // Bytes are limited, not pixels.
  const image = sharp(path, { limitInputPixels: false, failOn: "error", sequentialRead: true });
  const header = await image.metadata().catch((error: Error) => {
    throw new Error(reasonOfHeader(error.message), { cause: error });
  });
  const refused = reasonToRefuse(header, true);
  if (refused !== undefined) throw new Error(refused);
  const { width, height, format } = header;
  const bytes = bytesToDecode(header);
  const decode = async () => {
    if (format === "png" && header.depth === "ushort") await refuseDark(path, header.hasAlpha);
    return decoded(image);
  };
  return { width, height, format, bytes, decode, close: async () => {} };
}

/** Colours of 16 bits end far above what a sensor of 12 bits or fewer counts, of which the high byte alone would be nearly black. */
const darkest = 4096;

/** @throws an Error: 16 bits whose values are no colours */
async function refuseDark(path: string, hasAlpha: boolean): Promise<void> {
  const { channels } = await sharp(path, { limitInputPixels: false, sequentialRead: true }).stats();
  const largest = Math.max(...channels.slice(0, hasAlpha ? -1 : undefined).map(({ max }) => max));
  if (largest === 0 || largest >= darkest) return;
  const next = `store the measured values as TIFF, and give for example --scale 0,${largest}`;
  throw new Error(`16 bits of which the largest value is ${largest}, nearly black as colours; ${next}`);
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
