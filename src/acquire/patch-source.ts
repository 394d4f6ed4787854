/**
 * Where images are acquired from: a look at the low resolution, and single patches. What is not asked for is not read, as
 * far as the format allows.
 */

import type { PatchBox } from "../method/grid.ts";
import { newPixels, type PixelArray, pixelTypeOf } from "../utils/pixel-array.ts";
import type { Georeference } from "./georeference.ts";

/** A rectangle of the full resolution, in pixels; it may reach over the right and the lower edge. */
export type Window = PatchBox;

/** What is read of the full resolution at least, and together. */
export interface SceneTiles {
  readonly count: number;
  /** How many were needed so far. */
  readonly needed: number;
  /** The tiles that a box touches, by number. */
  of(box: Window): number[];
  /** Of a tile; 0 of one that is held. */
  bytesOf(tile: number): number;
  /** Bytes that reading it takes at most, with what may lie before the next one. */
  mostBytesOf(tile: number): number;
}

/** Patches that are being fetched. */
export interface FetchedPatches {
  /** That were made for them, and what these bring; of an answer that is repeated, the first. */
  readonly requests: number;
  readonly bytes: number;
  /**
   * Their pixels, once they are there: of each [height, width, C]; beyond the edge of the image, the edge's pixels are repeated.
   * @throws input, system
   */
  read(): Promise<PixelArray[]>;
  /** What each of them costs: bytes of the tiles for which nobody has paid. */
  pay(): number[];
}

export interface PatchSource {
  /** Path or address, without what may be secret in it. */
  readonly where: string;
  /** Those of its files, where it is made of several. */
  readonly files?: readonly string[] | undefined;
  /** Of the full resolution, in pixels. */
  readonly width: number;
  readonly height: number;
  /** Undefined if the format has no place for it. */
  readonly georeference: Georeference | undefined;
  /** When the image was taken, according to the file. */
  readonly taken: Date | undefined;
  /** What reading the full resolution alone would cost. */
  readonly wholeBytes: number;
  /** What looking at all windows takes that is not held. */
  readonly lowBytes: number;
  /** Undefined where all is there already. */
  readonly tiles: SceneTiles | undefined;
  /** What the low resolution is made of, in words. */
  readonly lowFrom: string;
  /** Begins to fetch what windows show at low resolution, for whoever reads it later. */
  fetchLow(windows: readonly Window[]): Promise<void>;
  /**
   * The low resolution of windows: the top left pixel of each block, unless there is an overview of that size.
   * @returns [windows, lowSize, lowSize, C]
   * @throws input, system
   */
  readLow(windows: readonly Window[]): Promise<PixelArray>;
  /** Path or address of the other image that is looked at, where there is one. */
  readonly lowWhere?: string | undefined;
  /** Whether the other image had nothing to show of a window when the low resolution was last read. */
  isUnseen?(window: Window): boolean;
  /** Whether there is only the grid of an image that does not exist yet: cells can be chosen, and not be read. */
  readonly isPlanned?: boolean | undefined;
  /** Whether a patch takes nothing to read that was not read for others. */
  isFree(box: Window): boolean;
  /** Begins to fetch patches. What is free from now on follows from the order of the calls alone. */
  fetchPatches(boxes: readonly Window[]): FetchedPatches;
  close(): Promise<void>;
}

/** What there is of an image when another one is looked at. */
export type SharpSource = Omit<PatchSource, "fetchLow" | "readLow" | "lowBytes" | "lowFrom" | "lowWhere" | "isUnseen">;

/** What is asked of a source, whichever it is. */
export interface LowResolution {
  /** Sides of a model's image and of its low resolution, in pixels. */
  readonly imageSize: number;
  readonly lowSize: number;
}

/** An image in memory or a part of one: [height, width, C]. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly pixels: PixelArray;
}

/**
 * Picks a pixel for each block of a window, the top left one. `raster` begins at the window's own top left pixel and has
 * one pixel for `factor` of the full resolution; beyond its edge, the last blocks are repeated.
 * @param out [lowSize, lowSize, C]
 */
export function pickLow(raster: Raster, factor: number, sizes: LowResolution, out: PixelArray): void {
  const channels = channelsOf(raster);
  const rows = positions(raster.height, factor, sizes);
  const columns = positions(raster.width, factor, sizes);
  let to = 0;
  for (const row of rows) {
    for (const column of columns) {
      const from = channels * (row * raster.width + column);
      for (let c = 0; c < channels; c++) out[to++] = raster.pixels[from + c];
    }
  }
}

/** Which pixel of `length` each block takes: as PyTorch's nearest neighbour, block i that at floor(i · image / low). */
function positions(length: number, factor: number, { imageSize, lowSize }: LowResolution): number[] {
  const found: number[] = [];
  for (let i = 0; i < lowSize; i++) {
    const at = Math.floor(Math.floor((i * imageSize) / lowSize) / factor);
    found.push(at < length ? at : found[i - 1]);
  }
  return found;
}

function channelsOf({ width, height, pixels }: Raster): number {
  return pixels.length / (width * height);
}

/** The part of a window that lies within the image. */
export function within({ x, y, width, height }: Window, image: { width: number; height: number }): Window {
  return { x, y, width: Math.min(width, image.width - x), height: Math.min(height, image.height - y) };
}

/** Widens a part of an image to the size of its whole box, by repeating its last column and row. */
export function widened(raster: Raster, box: Window): PixelArray {
  const { width, height, pixels } = raster;
  if (width === box.width && height === box.height) return pixels;
  const channels = channelsOf(raster);
  const out = newPixels(pixelTypeOf(pixels), channels * box.width * box.height);
  for (let y = 0; y < box.height; y++) {
    const row = Math.min(y, height - 1) * width;
    for (let x = 0; x < box.width; x++) {
      const from = channels * (row + Math.min(x, width - 1));
      const to = channels * (y * box.width + x);
      for (let c = 0; c < channels; c++) out[to + c] = pixels[from + c];
    }
  }
  return out;
}
