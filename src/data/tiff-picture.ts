/**
 * A TIFF picture whose values are no colours, read as they lie in the file, tile by tile: what they mean, the user says
 * (rendering.ts), with the same result as in `acquire`. The decoder of pictures (libvips) would not do: it converts what it takes
 * for colours, takes bands beyond the colours for transparency, and reads five at most.
 */

import { type FileHandle, open } from "node:fs/promises";
import { fault } from "../errors.ts";
import { beginsAsTiff, type RandomAccess, Tiff } from "../formats/tiff.ts";
import { readBands } from "../formats/tiff-bands.ts";
import { layoutOf, readLayout, type TileLayout } from "../formats/tiff-layout.ts";
import { pacer } from "../utils/pacer.ts";
import { newPixels, type PixelType } from "../utils/pixel-array.ts";
import { assertFile } from "./open-picture.ts";
import {
  chooseRendering,
  placesOf,
  type Rendering,
  type RenderingOptions,
  refuseRendering,
  renderTile,
} from "./rendering.ts";
import type { Pixels } from "./resize.ts";

/** A picture whose header has been read. */
export interface OpenedPicture {
  /** In pixels. */
  readonly width: number;
  readonly height: number;
  readonly format: string;
  /** What decoding takes at its peak. */
  readonly bytes: number;
  /** @throws an Error whose message is the reason */
  decode(): Promise<Pixels>;
  close(): Promise<void>;
}

/** What errors call the file: its path stands before their text. */
const thisFile = "this TIFF";

/**
 * @param pixelType what the pixels are to be; as the file and the options have it when absent
 * @throws input, usage: not a TIFF that is read here, bands or values that need a choice or do not fit
 */
export async function openTiff(
  path: string,
  options: RenderingOptions,
  pixelType?: PixelType,
): Promise<OpenedPicture & { readonly pixelType: PixelType }> {
  assertFile(path);
  const file = await open(path, "r");
  try {
    const access = accessTo(file, (await file.stat()).size);
    const first = access.size < 4 ? new Uint8Array() : await access.read(0, 4);
    if (!beginsAsTiff(first)) {
      const rule = "must be left out for this picture, which is no TIFF";
      refuseRendering(options, rule, "or convert it with `gdal_translate IN OUT.tif`");
    }
    const tiff = await Tiff.open(access);
    const [directory] = tiff.directories;
    const layout = await readLayout(tiff, directory);
    const turned = (await tiff.number(directory, "Orientation")) ?? 1;
    if (turned !== 1) {
      const next = "convert it with `gdal_translate IN.tif OUT.tif` if it is not to be turned";
      throw fault("input", {
        where: "Orientation",
        rule: "must be 1 for values, which are not turned",
        got: turned,
        next,
      });
    }
    const described = { layout, table: await readBands(tiff, directory, layout) };
    const rendering = chooseRendering(described, options, thisFile, pixelType);
    const decode = () => decodeAll(access, layout, rendering);
    const { width, height } = layout;
    return {
      width,
      height,
      format: "tiff",
      pixelType: rendering.type,
      bytes: bytesToRender(layout, rendering),
      decode,
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function accessTo(file: FileHandle, size: number): RandomAccess {
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const { bytesRead } = await file.read(bytes, at, length - at, offset + at);
      if (bytesRead === 0) throw new Error(`it ends at byte ${offset + at}`);
      at += bytesRead;
    }
    return bytes;
  };
  return { where: thisFile, size, read };
}

/** The picture and one tile under way: packed, unpacked, a copy in which differences are added up, and as pixels. */
function bytesToRender(layout: TileLayout, rendering: Rendering): number {
  const { width, height, tileWidth, tileHeight, samples, separate, byteCounts, coding } = layout;
  const bands = rendering.bands.length;
  const planes = separate ? bands : 1;
  const pixelBytes = bands * newPixels(rendering.type, 0).BYTES_PER_ELEMENT;
  const unpacked = tileWidth * tileHeight * (separate ? 1 : samples) * coding.sample.from.BYTES_PER_ELEMENT;
  const packed = byteCounts.reduce((most, count) => Math.max(most, count), 0);
  return pixelBytes * (width * height + tileWidth * tileHeight) + planes * (packed + 2 * unpacked);
}

async function decodeAll(file: RandomAccess, layout: TileLayout, rendering: Rendering): Promise<Pixels> {
  const { width, height, tileWidth, tileHeight, columns, rows } = layout;
  const bands = rendering.bands.length;
  const whole = newPixels(rendering.type, bands * width * height);
  const turn = pacer();
  for (let tile = 0; tile < columns * rows; tile++) {
    await turn();
    const packed: Uint8Array[] = [];
    for (const { start, end } of placesOf(layout, rendering, tile)) packed.push(await file.read(start, end - start));
    const own = layoutOf(layout, tile);
    const pixels = await renderTile(packed, own, rendering);
    const [left, top] = [(tile % columns) * tileWidth, Math.floor(tile / columns) * tileHeight];
    const length = bands * Math.min(tileWidth, width - left);
    for (let y = 0; y < own.tileHeight && top + y < height; y++) {
      const start = bands * y * tileWidth;
      whole.set(pixels.subarray(start, start + length), bands * ((top + y) * width + left));
    }
  }
  return { pixels: whole, width, height };
}
