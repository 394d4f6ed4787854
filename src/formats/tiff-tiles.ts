/**
 * A tile's bytes as samples. A tile unpacks to its declared size or is refused. A colour table is applied here, so that its image
 * is one of three bands to all others. Source: TIFF 6.0, sections 13 (LZW) and 14 (predictor); its Technical Notes 2 (JPEG) and
 * 3 (floating-point predictor).
 */

import zlib from "node:zlib";
import sharp from "sharp";
import { decodeLzw } from "./lzw.ts";
import { firstLineOf, pictureFormatOf } from "./picture-format.ts";
import { type Coding, photometric, type TileLayout } from "./tiff-layout.ts";

export type Samples = Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array | Float32Array;

/** Node has it from 22.15 on; without it, no layout is of it. */
const { zstdDecompressSync } = zlib as unknown as { zstdDecompressSync?: typeof zlib.inflateSync };

/**
 * The samples of a tile: [tileHeight, tileWidth, samples], or of one band where bands are separate; of a colour table its
 * colours.
 * @param packed the tile's bytes; none for a tile that is left out
 * @param layout the tile's own (layoutOf)
 * @throws an Error whose message is the reason
 */
export async function decodeTile(packed: Uint8Array, layout: TileLayout): Promise<Samples> {
  const { tileWidth, tileHeight, samples, separate, coding } = layout;
  const bands = separate || coding.colourTable !== undefined ? 1 : samples;
  const { from: Type } = coding.sample;
  const count = tileWidth * tileHeight * bands;
  if (packed.length === 0) return coloured(new Type(count).fill(coding.missing), coding);
  const bytes = await unpacked(packed, count * Type.BYTES_PER_ELEMENT, layout);
  if (bytes.length !== count * Type.BYTES_PER_ELEMENT) {
    throw new Error(`a tile unpacks to ${bytes.length} bytes instead of ${count * Type.BYTES_PER_ELEMENT}`);
  }
  if (coding.predictor === 3) joinFloats(bytes, tileWidth * bands, bands);
  else if (!coding.littleEndian) swapBytes(bytes, Type.BYTES_PER_ELEMENT);
  // A copy, which is aligned.
  const values = new Type(new Uint8Array(bytes).buffer);
  // Of floats it is the bits, taken as whole numbers, that differ: libtiff's way, which GDAL writes.
  const stored = values instanceof Float32Array ? new Uint32Array(values.buffer) : values;
  if (coding.predictor === 2) addUp(stored, tileWidth * bands, bands);
  if (coding.alpha !== undefined) divide(values, bands, coding.alpha);
  return coloured(values, coding);
}

/** Colours that have been multiplied by transparency, as they were; where there is nothing to be seen of one, it is black. */
function divide(values: Samples, bands: number, alpha: number): void {
  const most = 2 ** (8 * values.BYTES_PER_ELEMENT) - 1;
  for (let at = 0; at < values.length; at += bands) {
    const share = values[at + alpha] / most;
    for (let i = at; i < at + alpha; i++) values[i] = share === 0 ? 0 : Math.min(most, Math.round(values[i] / share));
  }
}

function coloured(values: Samples, { colourTable }: Coding): Samples {
  if (colourTable === undefined) return values;
  const out = new Uint8Array(3 * values.length);
  for (let at = 0; at < out.length; at++) out[at] = colourTable[3 * values[Math.floor(at / 3)] + (at % 3)];
  return out;
}

/** Of a last strip that was written as high as the others, its own rows. */
async function unpacked(packed: Uint8Array, size: number, layout: TileLayout): Promise<Uint8Array> {
  const { tileHeight, stripHeight = tileHeight, coding } = layout;
  const isPicture = coding.compression === "jpeg" || coding.compression === "webp";
  const longest = isPicture ? size : (size / tileHeight) * stripHeight;
  const bytes = await unpack(packed, longest, layout);
  return bytes.length === longest ? bytes.subarray(0, size) : bytes;
}

async function unpack(packed: Uint8Array, size: number, layout: TileLayout): Promise<Uint8Array> {
  const { compression } = layout.coding;
  switch (compression) {
    case "none":
      // A copy, since it is changed below. Never Buffer's `slice`, which would not copy.
      return new Uint8Array(packed);
    case "deflate":
      return zlib.inflateSync(packed, { maxOutputLength: size });
    case "lzw":
      return decodeLzw(packed, size);
    case "zstd":
      return zstdDecompressSync!(packed, { maxOutputLength: size });
    case "jpeg":
      return decodePicture(wholeJpeg(packed, layout), size, layout);
    default:
      return decodePicture(packed, size, layout);
  }
}

/**
 * A tile that is a picture by itself: JPEG or WebP.
 * @param size of its pixels in bytes: grey is to stay one of a pixel, and a fourth, which WebP leaves out where it is opaque, is to come back
 */
async function decodePicture(
  picture: Uint8Array,
  size: number,
  { tileWidth, tileHeight, coding: { compression } }: TileLayout,
): Promise<Uint8Array> {
  if (pictureFormatOf(picture) !== compression) throw new Error(`a tile is no ${compression}`);
  const pixels = tileWidth * tileHeight;
  const image = sharp(picture, { limitInputPixels: pixels }).toColourspace(size === pixels ? "b-w" : "srgb");
  const { data, info } = await (size === 4 * pixels ? image.ensureAlpha() : image)
    .raw()
    .toBuffer({ resolveWithObject: true })
    .catch((error: Error) => {
      throw firstLineOf(error);
    });
  if (info.width === tileWidth && info.height === tileHeight) return data;
  throw new Error(`a tile has ${info.width} × ${info.height} pixels instead of ${tileWidth} × ${tileHeight}`);
}

/** Bytes of the markers at a JPEG stream's beginning and end. */
const markerBytes = 2;

/**
 * A tile's JPEG stream with the tables that its directory holds, and with Adobe's marker, which says whether the colours are
 * YCbCr: readers would have to guess it.
 */
function wholeJpeg(tile: Uint8Array, { coding: { jpegTables }, photometric: colours }: TileLayout): Uint8Array {
  const transform = colours === photometric.ycbcr ? 1 : 0;
  const adobe = Uint8Array.of(0xff, 0xee, 0, 14, ...new TextEncoder().encode("Adobe"), 0, 100, 0, 0, 0, 0, transform);
  const tables = jpegTables?.subarray(markerBytes, -markerBytes) ?? new Uint8Array();
  return Buffer.concat([tile.subarray(0, markerBytes), adobe, tables, tile.subarray(markerBytes)]);
}

function swapBytes(bytes: Uint8Array, size: number): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (size === 2) buffer.swap16();
  if (size === 4) buffer.swap32();
}

/** Horizontal differencing undone: each sample is stored less the one to its left. */
function addUp(values: Samples, row: number, stride: number): void {
  for (let start = 0; start < values.length; start += row) {
    for (let i = start + stride; i < start + row; i++) values[i] += values[i - stride];
  }
}

/** The floating-point predictor undone: a row's bytes differ, and lie by significance, the most significant first. */
function joinFloats(bytes: Uint8Array, row: number, stride: number): void {
  const size = Float32Array.BYTES_PER_ELEMENT;
  for (let start = 0; start < bytes.length; start += row * size) {
    const line = bytes.subarray(start, start + row * size);
    for (let i = stride; i < line.length; i++) line[i] += line[i - stride];
    const apart = new Uint8Array(line);
    for (let i = 0; i < row; i++) {
      for (let b = 0; b < size; b++) line[i * size + b] = apart[(size - 1 - b) * row + i];
    }
  }
}
