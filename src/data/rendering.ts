/** How a file's bands become the three bytes per pixel that the networks take: which bands, and which values are 0 and 255. */

import { fault } from "../errors.ts";
import { photometric, type TileLayout } from "../formats/tiff-layout.ts";
import { decodeTile, type Samples } from "../formats/tiff-tiles.ts";
import { pacer } from "../utils/pacer.ts";
import { scaleDiffers } from "../utils/scale-differs.ts";

export interface RenderingOptions {
  /** Three bands, counted from 1, in the order red, green, blue. */
  readonly bands?: readonly [number, number, number] | undefined;
  /** The values that become 0 and 255. */
  readonly scale?: readonly [number, number] | undefined;
}

export interface Rendering {
  /** Counted from 0. */
  readonly bands: readonly [number, number, number];
  readonly scale: readonly [number, number];
}

/** Whether anything is chosen: without a choice, the decoder of pictures says what the colours are. */
export function isChosen({ bands, scale }: RenderingOptions): boolean {
  return bands !== undefined || scale !== undefined;
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

/** @throws usage: bands or values that need a choice, or a choice that does not fit the file */
export function chooseRendering(layout: TileLayout, options: RenderingOptions, where: string): Rendering {
  return { bands: bandsOf(layout, options.bands, where), scale: scaleOf(layout, options.scale, where) };
}

const inColours: readonly number[] = [photometric.rgb, photometric.ycbcr, photometric.colourTable];

function bandsOf({ samples, photometric: colours }: TileLayout, asked: RenderingOptions["bands"], where: string) {
  if (asked === undefined) {
    const inColour = inColours.includes(colours);
    // The fourth band of a colour image is its transparency, or near infrared.
    if (inColour && (samples === 3 || samples === 4)) return [0, 1, 2] as const;
    throw fault("usage", {
      where: "--bands",
      rule: `must say which three of the bands of ${where} are red, green and blue`,
      got: `none for ${samples} band${samples === 1 ? "" : "s"}`,
      next: samples < 3 ? "give --bands 1,1,1 for a grey image" : "give for example --bands 3,2,1",
    });
  }
  if (colours === photometric.colourTable) {
    const rule = `must be left out for ${where}, whose one band has a colour table: its colours are taken`;
    throw fault("usage", { where: "--bands", rule, got: asked.join(",") });
  }
  // A program may give what the commands' schemas would refuse.
  if (asked.some((band) => !Number.isInteger(band) || band < 1 || band > samples)) {
    throw fault("usage", { where: "--bands", rule: `must be from 1 to ${samples} for ${where}`, got: asked.join(",") });
  }
  return [asked[0] - 1, asked[1] - 1, asked[2] - 1] as const;
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

/** Where a tile lies in its file: once, or once for each of the three bands. */
export function placesOf(layout: TileLayout, { bands }: Rendering, tile: number): { start: number; end: number }[] {
  const { columns, rows, separate, offsets, byteCounts } = layout;
  const places = separate ? bands.map((band) => band * columns * rows + tile) : [tile];
  return places.map((place) => ({ start: offsets[place], end: offsets[place] + byteCounts[place] }));
}

/**
 * Bytes [tileHeight, tileWidth, 3] of a tile.
 * @param packed what lies in its places
 * @throws an Error whose message is the reason
 */
export async function renderTile(
  packed: readonly Uint8Array[],
  layout: TileLayout,
  { bands, scale }: Rendering,
): Promise<Uint8Array> {
  const parts = await Promise.all(packed.map((bytes) => decodeTile(bytes, layout)));
  const planes = bands.map((band, i) =>
    layout.separate
      ? { samples: parts[i], stride: 1, offset: 0 }
      : { samples: parts[0], stride: layout.samples, offset: band },
  );
  return render(planes, layout.tileWidth * layout.tileHeight, scale);
}

/** Some milliseconds of work. */
const pixelsBetweenTurns = 2 ** 18;

/**
 * Bytes [pixels, 3] of a tile's samples.
 * @param planes for each of red, green, blue: its samples, how many samples a pixel has there, and which of them it is
 */
async function render(
  planes: readonly { samples: Samples; stride: number; offset: number }[],
  pixels: number,
  [black, white]: Rendering["scale"],
): Promise<Uint8Array> {
  const out = new Uint8Array(3 * pixels);
  const factor = 255 / (white - black);
  const turn = pacer();
  for (const [channel, { samples, stride, offset }] of planes.entries()) {
    for (let i = 0; i < pixels; i++) {
      if (i % pixelsBetweenTurns === 0) await turn();
      const value = Math.round((samples[i * stride + offset] - black) * factor);
      // What is not a number is black, like a missing value.
      out[3 * i + channel] = value > 0 ? Math.min(value, 255) : 0;
    }
  }
  return out;
}
