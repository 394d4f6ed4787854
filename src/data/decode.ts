/**
 * Decodes an image file to 8-bit sRGB: EXIF orientation applied, grey, palette, CMYK and a PNG's 16 bits converted by libvips
 * (through an embedded colour profile, where there is one), transparency dropped. Whatever else a file may hold is refused
 * (byte-pictures.ts), unless the user has said which bands are meant and what their values mean (tiff-picture.ts). Resizing is our own
 * (resize.ts).
 */

import type { Sharp } from "sharp";
import { firstLineOf } from "../formats/picture-format.ts";
import { type PixelArray, type PixelType, pixelTypeOf } from "../utils/pixel-array.ts";
import { reasonOfDecoder, reasonToRefuse } from "./byte-pictures.ts";
import { bytesToDecode, DecodeMemory } from "./decode-memory.ts";
import { openPicture } from "./open-picture.ts";
import { isChosen, type RenderingOptions } from "./rendering.ts";
import type { Pixels } from "./resize.ts";
import { type OpenedPicture, openTiff } from "./tiff-picture.ts";
import { middlePart } from "./transforms.ts";

/** Pixels, and the share of the memory that they hold. */
export interface HeldPixels {
  readonly pixels: Pixels;
  /** To be called once, when the pixels have been used. */
  release(): void;
}

/** What files are decoded to. */
export interface DecodeTarget {
  /** What the files' values mean; where it says nothing, the files' own colours are taken. */
  readonly rendering?: RenderingOptions | undefined;
  /** As the file and the rendering have it when absent. */
  readonly pixelType?: PixelType | undefined;
}

/**
 * Decodes a file as soon as there is memory for it.
 * @param low of a pair: the file of the low picture, which is read as the image is
 * @throws an Error whose message is the reason in one line: not an image, cut off, too large, not bytes of RGB or grey
 */
export async function holdPixels(
  path: string,
  memory: DecodeMemory,
  target: DecodeTarget = {},
  low?: string,
): Promise<HeldPixels> {
  const pictures: OpenedPicture[] = [];
  try {
    pictures.push(await openTaken(path, memory, target));
    if (low !== undefined) pictures.push(await openLow(low, memory, target));
    return await held(pictures, memory);
  } catch (error) {
    throw firstLineOf(error as Error);
  } finally {
    for (const picture of pictures) await picture.close();
  }
}

/** The memory of both is taken at once: whoever held one and waited for the other could wait for ever. */
async function held(pictures: readonly OpenedPicture[], memory: DecodeMemory): Promise<HeldPixels> {
  const release = await memory.take(pictures.reduce((sum, { bytes }) => sum + bytes, 0));
  try {
    const [image, low] = [await pictures[0].decode(), await pictures[1]?.decode()];
    if (low !== undefined && pixelTypeOf(low.pixels) !== pixelTypeOf(image.pixels)) {
      throw new Error("one picture of the pair holds bytes and the other measured values; convert one of them");
    }
    return { pixels: low === undefined ? image : { ...image, low }, release };
  } catch (error) {
    release();
    throw error;
  }
}

async function openTaken(
  path: string,
  memory: DecodeMemory,
  { rendering = {}, pixelType }: DecodeTarget,
): Promise<OpenedPicture> {
  const picture = isChosen(rendering) ? await openTiff(path, rendering, pixelType) : await openColours(path);
  try {
    assertTaken(picture, memory);
    return picture;
  } catch (error) {
    await picture.close();
    throw error;
  }
}

/** Errors are said of the pair by the name of its image, so that the reason must name the low picture. */
async function openLow(path: string, memory: DecodeMemory, target: DecodeTarget): Promise<OpenedPicture> {
  const named = (error: Error): never => {
    throw new Error(`its low picture ${path}: ${firstLineOf(error).message}`, { cause: error });
  };
  const picture = await openTaken(path, memory, target).catch(named);
  return { ...picture, decode: () => picture.decode().catch(named) };
}

/** Of images that are decoded alike. */
export interface Decoding extends DecodeTarget {
  readonly memory: DecodeMemory;
}

/** {@link holdPixels} for one image alone, which is not waited for once it is decoded. */
export async function decodePixels(path: string, memory = new DecodeMemory(), target?: DecodeTarget): Promise<Pixels> {
  const { pixels, release } = await holdPixels(path, memory, target);
  release();
  return pixels;
}

/**
 * The middle of an image, its shorter side resized.
 * @param low as {@link holdPixels} takes it
 * @returns [size, size, bands], of a pair [size, size, 2 bands]
 * @throws as {@link holdPixels}
 */
export async function decodeImage(
  path: string,
  size: number,
  { memory, ...target }: Decoding,
  low?: string,
): Promise<PixelArray> {
  const { pixels: image, release } = await holdPixels(path, memory, target, low);
  try {
    return middlePart(image, size);
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
  const image = await openPicture(path, false);
  const header = await image.metadata().catch(explained);
  const refused = reasonToRefuse(header, true);
  if (refused !== undefined) throw new Error(refused);
  const { width, height, format } = header;
  const bytes = bytesToDecode(header);
  const isFine = format === "png" && header.depth === "ushort";
  const decode = () => (isFine ? decodedFine(image) : decoded(image, "uchar"));
  return { width, height, format, bytes, decode, close: async () => {} };
}

function explained(error: Error): never {
  throw new Error(reasonOfDecoder(error.message), { cause: error });
}

async function decoded(image: Sharp, depth: "uchar" | "ushort"): Promise<Pixels & { readonly pixels: Uint8Array }> {
  const { data, info } = await image
    .autoOrient()
    .toColourspace(depth === "uchar" ? "srgb" : "rgb16")
    .removeAlpha()
    .raw({ depth })
    .toBuffer({ resolveWithObject: true })
    .catch(explained);
  if (info.channels !== 3) throw new Error(`${info.channels} channels instead of 3`);
  return { pixels: data, width: info.width, height: info.height };
}

/** Colours of 16 bits end far above what a sensor of 12 bits or fewer counts, of which the high byte alone would be nearly black. */
const darkest = 4096;

/** The high bytes of colours of 16 bits. @throws an Error: values that are no colours */
async function decodedFine(image: Sharp): Promise<Pixels> {
  const { pixels: whole, ...size } = await decoded(image, "ushort");
  const values = new Uint16Array(whole.buffer, whole.byteOffset, whole.length / 2);
  const pixels = new Uint8Array(values.length);
  let largest = 0;
  for (let at = 0; at < values.length; at++) {
    pixels[at] = values[at] >> 8;
    if (values[at] > largest) largest = values[at];
  }
  if (largest === 0 || largest >= darkest) return { pixels, ...size };
  const next = `store the measured values as TIFF, and give for example --scale 0,${largest}`;
  throw new Error(`16 bits of which the largest value is ${largest}, nearly black as colours; ${next}`);
}
