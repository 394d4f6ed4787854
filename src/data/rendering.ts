/**
 * How a file's bands become what the networks take: which bands, and as bytes between black and white, or as the values that were
 * measured.
 */

import { fault } from "../errors.ts";
import type { BandTable } from "../formats/tiff-bands.ts";
import { photometric, type TileLayout } from "../formats/tiff-layout.ts";
import { decodeTile, type Samples } from "../formats/tiff-tiles.ts";
import { pacer } from "../utils/pacer.ts";
import { newPixels, type PixelArray, type PixelType } from "../utils/pixel-array.ts";
import { scaleDiffers } from "../utils/scale-differs.ts";

/** A band by its number, counted from 1, or by its name in the file. */
export type BandChoice = number | string;

export interface RenderingOptions {
  /** Of three numbers, the first is red, the second green, the third blue. */
  readonly bands?: readonly BandChoice[] | undefined;
  /** The values that become 0 and 255. */
  readonly scale?: readonly [number, number] | undefined;
}

/** A measured value is scale × stored + offset. */
interface Linear {
  readonly scale: number;
  readonly offset: number;
}

export type Rendering = {
  /** Counted from 0. */
  readonly bands: readonly number[];
} & (
  | { readonly type: "uint8"; readonly scale: readonly [black: number, white: number] }
  | {
      readonly type: "float32";
      /** Of each of the bands. */
      readonly measured: readonly Linear[];
      /** What is stored where nothing was measured. */
      readonly nodata: number | undefined;
    }
);

/** The colours of photographs. */
export const rgb: readonly string[] = ["red", "green", "blue"];

/** Whether anything is chosen: without a choice, the decoder of pictures says what the colours are. */
export function isChosen({ bands, scale }: RenderingOptions): boolean {
  return bands !== undefined || scale !== undefined;
}

/** What the chosen bands are called. */
export function namesOf({ bands }: RenderingOptions): readonly string[] {
  if (bands === undefined || (bands.length === rgb.length && bands.every((band) => typeof band === "number")))
    return rgb;
  return bands.map((band) => (typeof band === "number" ? `band ${band}` : band));
}

/** The choices of the first, and of the second where the first has none. */
export function overRendering(first: RenderingOptions, second: RenderingOptions = {}): RenderingOptions {
  return { bands: first.bands ?? second.bands, scale: first.scale ?? second.scale };
}

/** A fault for each choice that is made where none can be. @param rule what must hold of the flags */
export function refuseRendering({ bands, scale }: RenderingOptions, rule: string, next?: string): void {
  const faults = Object.entries({ bands, scale })
    .filter(([, values]) => values !== undefined)
    .map(([flag, values]) => ({ where: `--${flag}`, rule, got: values, next }));
  if (faults.length > 0) throw fault("usage", faults);
}

/** A file, as its header describes it. */
export interface Described {
  readonly layout: TileLayout;
  readonly table: BandTable;
}

/**
 * @param type what the pixels are to be; as the file and the choice have it when absent
 * @throws usage: bands or values that need a choice, or a choice that does not fit the file
 */
export function chooseRendering(
  { layout, table }: Described,
  options: RenderingOptions,
  where: string,
  type: PixelType = usualType(layout, options),
): Rendering {
  const bands = bandsOf(layout, table, options.bands, where);
  if (type === "uint8") return { bands, type, scale: scaleOf(layout, options.scale, where) };
  if (options.scale !== undefined) {
    const rule = `must be left out for ${where}, whose values are taken as they were measured`;
    throw fault("usage", { where: "--scale", rule, got: options.scale.join(",") });
  }
  return { bands, type, measured: bands.map((band) => table.bands[band]), nodata: table.nodata };
}

/** Bytes stay bytes; other values, of bands that are named, are taken as they were measured, unless it is said what is black and white. */
function usualType({ type }: TileLayout, { bands, scale }: RenderingOptions): PixelType {
  return type === "uint8" || scale !== undefined || bands === undefined ? "uint8" : "float32";
}

const inColours: readonly number[] = [photometric.rgb, photometric.ycbcr, photometric.colourTable];

/** What --bands may well be for so many bands that are not said to be colours: of more than three most sensors have blue first. */
export function exampleBands(samples: number): string {
  if (samples < 3) return "1,1,1";
  return samples === 3 ? "1,2,3" : "3,2,1";
}

function bandsOf(
  { samples, photometric: colours }: TileLayout,
  table: BandTable,
  asked: RenderingOptions["bands"],
  where: string,
): readonly number[] {
  if (asked === undefined) {
    const inColour = inColours.includes(colours);
    // The fourth band of a colour image is its transparency, or near infrared.
    if (inColour && (samples === 3 || samples === 4)) return [0, 1, 2];
    const example = exampleBands(samples);
    throw fault("usage", {
      where: "--bands",
      rule: `must say which three of the bands of ${where} are red, green and blue`,
      got: `none for ${samples} band${samples === 1 ? "" : "s"}`,
      next: samples < 3 ? `give --bands ${example} for a grey image` : `give for example --bands ${example}`,
    });
  }
  if (colours === photometric.colourTable) {
    const rule = `must be left out for ${where}, whose one band has a colour table: its colours are taken`;
    throw fault("usage", { where: "--bands", rule, got: asked.join(",") });
  }
  return asked.map((band) => {
    if (typeof band === "string") return bandNamed(band, table, where);
    // A program may give what the commands' schemas would refuse.
    if (Number.isInteger(band) && band >= 1 && band <= samples) return band - 1;
    throw fault("usage", {
      where: "--bands",
      rule: `must be from 1 to ${samples} for ${where}`,
      got: asked.join(","),
    });
  });
}

function bandNamed(name: string, { bands }: BandTable, where: string): number {
  const isIt = (one: string) => one.toLowerCase() === name.toLowerCase();
  const own = bands.flatMap((band, at) => (isIt(band.name) ? [at] : []));
  const found = own.length > 0 ? own : bands.flatMap(({ aliases }, at) => (aliases?.some(isIt) ? [at] : []));
  if (found.length === 1) return found[0];
  const named = bands.flatMap((band) => [band.name, ...(band.aliases ?? [])]).filter((one) => one !== "");
  throw fault("usage", {
    where: "--bands",
    rule: `must name one band of ${where}`,
    got: name,
    next: named.length === 0 ? "give its number, since the file names none" : `it has ${named.join(", ")}`,
  });
}

function scaleOf(
  { type, photometric: colours }: TileLayout,
  asked: RenderingOptions["scale"],
  where: string,
): readonly [number, number] {
  if (asked !== undefined) {
    const [differs, rule] = scaleDiffers;
    // A program may give what the commands' schemas would refuse.
    if (!differs(asked) || !asked.every(Number.isFinite)) {
      throw fault("usage", { where: "--scale", rule, got: asked.join(",") });
    }
    // A scale that a run has from pictures of more bits would make one of bytes black, or nearly, without a word.
    if (type === "uint8" && asked.some((value) => value < 0 || value > 255)) {
      const rule = `must lie within 0 … 255 for ${where}, whose samples are bytes`;
      throw fault("usage", { where: "--scale", rule, got: asked.join(","), next: "give --scale 0,255 for it" });
    }
    return asked;
  }
  if (type === "uint8") return colours === photometric.whiteIsZero ? [255, 0] : [0, 255];
  throw fault("usage", {
    where: "--scale",
    rule: `must say which values of ${where} are black and white, since its samples are not bytes`,
    got: `none for ${type}`,
    next: `give for example ${scaleExample(type)}`,
  });
}

/** Only who made the values knows which are black and white: floats are mostly shares, and whole numbers seldom use all their bits. */
export function scaleExample(type: string): string {
  if (/^(float|double)/.test(type)) return "--scale 0,1";
  return /^u(int16|short)$/.test(type) ? "--scale 0,3000 (0,65535 for the whole range)" : "--scale 0,3000";
}

/** Where a tile lies in its file: once, or once for each of the bands. */
export function placesOf(layout: TileLayout, { bands }: Rendering, tile: number): { start: number; end: number }[] {
  const { columns, rows, separate, offsets, byteCounts } = layout;
  const places = separate ? bands.map((band) => band * columns * rows + tile) : [tile];
  return places.map((place) => ({ start: offsets[place], end: offsets[place] + byteCounts[place] }));
}

/**
 * The pixels [tileHeight, tileWidth, bands] of a tile; measured values that are missing are NaN.
 * @param packed what lies in its places
 * @throws an Error whose message is the reason
 */
export async function renderTile(
  packed: readonly Uint8Array[],
  layout: TileLayout,
  rendering: Rendering,
): Promise<PixelArray> {
  const parts = await Promise.all(packed.map((bytes) => decodeTile(bytes, layout)));
  const planes = rendering.bands.map((band, i) =>
    layout.separate
      ? { samples: parts[i], stride: 1, offset: 0 }
      : { samples: parts[0], stride: layout.samples, offset: band },
  );
  return render(planes, layout.tileWidth * layout.tileHeight, rendering);
}

/** Some milliseconds of work. */
const pixelsBetweenTurns = 2 ** 18;

/**
 * The pixels [pixels, bands] of a tile's samples.
 * @param planes for each of the bands: its samples, how many samples a pixel has there, and which of them it is
 */
export async function render(
  planes: readonly { samples: Samples; stride: number; offset: number }[],
  pixels: number,
  rendering: Rendering,
): Promise<PixelArray> {
  const bands = planes.length;
  const out = newPixels(rendering.type, bands * pixels);
  const turn = pacer();
  for (const [band, { samples, stride, offset }] of planes.entries()) {
    const pixelOf = pixelsOf(rendering, band, samples);
    for (let start = 0; start < pixels; start += pixelsBetweenTurns) {
      await turn();
      const end = Math.min(start + pixelsBetweenTurns, pixels);
      if (pixelOf === undefined) {
        for (let i = start; i < end; i++) out[bands * i + band] = samples[i * stride + offset];
      } else {
        for (let i = start; i < end; i++) out[bands * i + band] = pixelOf(samples[i * stride + offset]);
      }
    }
  }
  return out;
}

/** What a band's samples become; undefined where they stay what they are. */
function pixelsOf(rendering: Rendering, band: number, samples: Samples): ((sample: number) => number) | undefined {
  if (rendering.type === "uint8") {
    const [black, white] = rendering.scale;
    if (samples instanceof Uint8Array && black === 0 && white === 255) return undefined;
    const factor = 255 / (white - black);
    return (sample) => {
      const value = Math.round((sample - black) * factor);
      // What is not a number is black, like a missing value.
      return value > 0 ? Math.min(value, 255) : 0;
    };
  }
  const { scale, offset } = rendering.measured[band];
  const { nodata: said = Number.NaN } = rendering;
  // As the samples have it, which may be of fewer digits than the file's text.
  const nodata = samples instanceof Float32Array ? Math.fround(said) : said;
  return (sample) => (sample === nodata || !Number.isFinite(sample) ? Number.NaN : scale * sample + offset);
}
