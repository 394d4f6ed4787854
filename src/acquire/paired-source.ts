/**
 * A sharp image whose low resolution is another image: of another sensor, another day, on another grid. What lies where, their
 * georeferences alone say.
 */

import { fault } from "../errors.ts";
import { pacer } from "../utils/pacer.ts";
import { newPixels, type PixelArray, type PixelType } from "../utils/pixel-array.ts";
import { row } from "../utils/rows.ts";
import { wayBetween } from "./between-grids.ts";
import { bilinear, type FloatRaster } from "./bilinear.ts";
import type { CoarseImage, CoarseLevel } from "./coarse-image.ts";
import type { Georeference } from "./georeference.ts";
import type { FetchedPatches, LowResolution, PatchSource, SceneTiles, SharpSource, Window } from "./patch-source.ts";

/** Pixels of a coarse image along a block; with more of them, looking would cost as much as it is meant to save. */
const mostPixelsInBlock = 16;
/** Of the part that shows a window, which where grids differ much is larger than in the middle of the scene. */
const mostPixelsInPart = 2 ** 24;
/** Points along a side of a scene that say whether it meets the coarse image. */
const tried = 17;

type Vector = readonly [x: number, y: number];

/** A block's sides, and the number of points along each of them whose mean is its value. */
interface Sampling {
  readonly level: CoarseLevel;
  /** Pixels of the level for a pixel of the coarse image. */
  readonly scale: Vector;
  /** The sides of a block in the middle of the scene, in pixels of the level. */
  readonly sides: Vector;
  readonly points: Vector;
}

/** Where a window's blocks lie in the level. */
interface Laid {
  /** The middles of blocks, [lowSize, lowSize, 2]. */
  readonly middles: Float64Array;
  /** From a middle to each point that is sampled. */
  readonly offsets: readonly Vector[];
  /** What is read of the level; undefined where nothing of it shows the window. */
  readonly part: Window | undefined;
}

export interface SeenForm {
  readonly type: PixelType;
  /** What stands for a block that shows nothing, of each band. */
  readonly fill: readonly number[];
}

export class PairedSource implements PatchSource {
  readonly width: number;
  readonly height: number;
  readonly georeference: Georeference;
  readonly #sharp: SharpSource;
  readonly #coarse: CoarseImage;
  readonly #sizes: LowResolution;
  readonly #form: SeenForm;
  readonly #sampling: Sampling;
  readonly #signal: AbortSignal | undefined;
  readonly #turn = pacer();
  /** Of windows that are fetched, by their corners. */
  readonly #laid = new Map<string, Laid>();
  /** Corners of windows. */
  #unseen = new Set<string>();

  private constructor(
    { sharp, coarse, place }: { sharp: SharpSource; coarse: CoarseImage; place: Georeference },
    about: { sizes: LowResolution; form: SeenForm; sampling: Sampling; signal: AbortSignal | undefined },
  ) {
    this.width = sharp.width;
    this.height = sharp.height;
    this.georeference = place;
    this.#sharp = sharp;
    this.#coarse = coarse;
    this.#sizes = about.sizes;
    this.#form = about.form;
    this.#sampling = about.sampling;
    this.#signal = about.signal;
  }

  /** @throws input: a sharp image that lies nowhere; images that do not overlap; a coarse one that is as fine as the sharp one */
  static async over(
    sharp: SharpSource,
    coarse: CoarseImage,
    { sizes, form, signal }: { sizes: LowResolution; form: SeenForm; signal?: AbortSignal | undefined },
  ): Promise<PairedSource> {
    const { georeference: place } = sharp;
    if (place === undefined) {
      const rule = "must say where on the Earth it lies, as --low is laid under it by that alone";
      throw fault("input", { where: sharp.where, rule, got: "a picture", next: "give a GeoTIFF" });
    }
    mustOverlap({ ...sizeOf(sharp), place, where: sharp.where }, coarse);
    const sampling = await samplingOf({ ...sizeOf(sharp), place }, coarse, sizes);
    return new PairedSource({ sharp, coarse, place }, { sizes, form, sampling, signal });
  }

  get where(): string {
    return this.#sharp.where;
  }

  get files(): readonly string[] | undefined {
    return this.#sharp.files;
  }

  get taken(): Date | undefined {
    return this.#sharp.taken;
  }

  get wholeBytes(): number {
    return this.#sharp.wholeBytes;
  }

  /** Of the other image, which may show far more than the scene, only looking tells. */
  get lowBytes(): number {
    return 0;
  }

  get tiles(): SceneTiles | undefined {
    return this.#sharp.tiles;
  }

  get isPlanned(): boolean {
    return this.#sharp.isPlanned ?? false;
  }

  get lowWhere(): string {
    return this.#coarse.where;
  }

  get lowFrom(): string {
    const { level, sides, points } = this.#sampling;
    const copy = level.factor === 1 ? "" : `, its overview 1:${level.factor}`;
    const shown = ([across, down]: Vector) => `${round(across)} × ${round(down)}`;
    const [across, down] = points;
    const how = across * down === 1 ? "bilinear" : `the mean of ${across} × ${down} bilinear points`;
    const { georeference, taken } = this.#coarse;
    const date = taken === undefined ? "" : `, ${taken.toISOString().slice(0, 10)}`;
    const grid = `EPSG:${georeference.epsg}${date}, ${shown(sides)} of its pixels a block`;
    return `${this.#coarse.where}${copy} (${grid}): ${how}`;
  }

  async fetchLow(windows: readonly Window[]): Promise<void> {
    await this.#fetch(windows);
  }

  async #fetch(
    windows: readonly Window[],
  ): Promise<{ readonly laid: readonly Laid[]; readonly arrived: Promise<void> }> {
    const laid: Laid[] = [];
    for (const window of windows) {
      await this.#goOn();
      const one = this.#laid.get(keyOf(window)) ?? this.#layOut(window);
      this.#laid.set(keyOf(window), one);
      laid.push(one);
    }
    const { arrived } = this.#sampling.level.prefetch(laid.flatMap(({ part }) => part ?? []));
    return { laid, arrived };
  }

  async readLow(windows: readonly Window[]): Promise<PixelArray> {
    const { level } = this.#sampling;
    const { type, fill } = this.#form;
    const { laid, arrived } = await this.#fetch(windows);
    for (const window of windows) this.#laid.delete(keyOf(window));
    await arrived;
    const one = this.#sizes.lowSize ** 2 * fill.length;
    const low = newPixels(type, windows.length * one);
    this.#unseen = new Set();
    for (const [i, window] of windows.entries()) {
      await this.#goOn();
      const { part } = laid[i];
      const raster = part && { part, pixels: await level.read(part) };
      if (!this.#resample(raster, laid[i], row(low, i, one))) this.#unseen.add(keyOf(window));
    }
    return low;
  }

  isUnseen(window: Window): boolean {
    return this.#unseen.has(keyOf(window));
  }

  isFree(box: Window): boolean {
    return this.#sharp.isFree(box);
  }

  fetchPatches(boxes: readonly Window[]): FetchedPatches {
    return this.#sharp.fetchPatches(boxes);
  }

  async close(): Promise<void> {
    await Promise.all([this.#sharp.close(), this.#coarse.close()]);
  }

  async #goOn(): Promise<void> {
    await this.#turn();
    this.#signal?.throwIfAborted();
  }

  /** @throws resource: where the two grids differ far more than in the middle of the scene */
  #layOut(window: Window): Laid {
    const { level, scale, points } = this.#sampling;
    const { imageSize, lowSize } = this.#sizes;
    const block = imageSize / lowSize;
    const way = wayTo(this.georeference, this.#coarse, scale);
    const [columns, rows] = [
      middlesOf(window.x, this.width, block, lowSize),
      middlesOf(window.y, this.height, block, lowSize),
    ];
    const middles = Float64Array.from(rows.flatMap((y) => columns.flatMap((x) => way(x, y))));
    const [right, down] = sidesAt(way, window.x + imageSize / 2, window.y + imageSize / 2, block);
    const offsets = offsetsOf(right, down, points);
    const part = partOf(middles, offsets, level);
    if (part !== undefined && part.width * part.height > mostPixelsInPart) {
      const rule = `must show a window in at most ${mostPixelsInPart} pixels`;
      const next = "cut the scene into smaller ones";
      throw fault("resource", { where: this.#coarse.where, rule, got: `${part.width} × ${part.height}`, next });
    }
    return { middles, offsets, part };
  }

  /** @returns whether anything was there */
  #resample(
    raster: { readonly part: Window; readonly pixels: FloatRaster } | undefined,
    { middles, offsets }: Laid,
    out: PixelArray,
  ): boolean {
    const { fill, type } = this.#form;
    let isSeen = false;
    for (let at = 0; at < out.length; at++) {
      const [block, band] = [Math.floor(at / fill.length), at % fill.length];
      let [sum, count] = [0, 0];
      for (const [dx, dy] of raster === undefined ? [] : offsets) {
        const { part, pixels } = raster!;
        const value = bilinear(pixels, middles[2 * block] + dx - part.x, middles[2 * block + 1] + dy - part.y, band);
        if (Number.isNaN(value)) continue;
        sum += value;
        count++;
      }
      isSeen ||= count > 0;
      const value = count > 0 ? sum / count : fill[band];
      out[at] = type === "uint8" ? Math.round(value) : value;
    }
    return isSeen;
  }
}

const sizeOf = ({ width, height }: SharpSource) => ({ width, height });
const keyOf = ({ x, y }: Window) => `${x},${y}`;
const round = (value: number) => Number(value.toPrecision(3));

/** From pixels of the sharp image to those of a level of the coarse one. */
function wayTo(from: Georeference, { georeference: place, width, height }: CoarseImage, [across, down]: Vector) {
  const way = wayBetween(from, { place, width, height });
  return (x: number, y: number): Vector => {
    const [column, row] = way(x, y);
    return [column * across, row * down];
  };
}

/**
 * The middles of a window's blocks along a side, in pixels of the scene: of one that the edge cuts, the middle of what is left,
 * and beyond the edge that of the last block again.
 */
function middlesOf(start: number, length: number, block: number, count: number): number[] {
  const found: number[] = [];
  for (let i = 0; i < count; i++) {
    const [from, to] = [start + i * block, Math.min(start + (i + 1) * block, length)];
    found.push(from < length ? (from + to) / 2 : found[i - 1]);
  }
  return found;
}

/** A block's two sides, as they lie in the other raster. */
function sidesAt(way: (x: number, y: number) => Vector, x: number, y: number, block: number): [Vector, Vector] {
  const between = ([ax, ay]: Vector, [bx, by]: Vector): Vector => [bx - ax, by - ay];
  const half = block / 2;
  return [between(way(x - half, y), way(x + half, y)), between(way(x, y - half), way(x, y + half))];
}

/** Points that are spread evenly over a block, from its middle. */
function offsetsOf([rx, ry]: Vector, [dx, dy]: Vector, [across, down]: Vector): Vector[] {
  return Array.from({ length: across * down }, (_, n): Vector => {
    const [u, v] = [((n % across) + 0.5) / across - 0.5, (Math.floor(n / across) + 0.5) / down - 0.5];
    return [u * rx + v * dx, u * ry + v * dy];
  });
}

/** The pixels that points lie between the middles of. */
function partOf(middles: Float64Array, offsets: readonly Vector[], level: CoarseLevel): Window | undefined {
  const [columns, rows] = [0, 1].map((axis) => {
    let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let at = axis; at < middles.length; at += 2) {
      if (middles[at] < least) least = middles[at];
      if (middles[at] > most) most = middles[at];
    }
    const reach = Math.max(...offsets.map((offset) => Math.abs(offset[axis]))) + 1;
    const length = axis === 0 ? level.width : level.height;
    return { from: Math.max(0, Math.floor(least - reach)), to: Math.min(length, Math.ceil(most + reach)) };
  });
  if (!(columns.from < columns.to && rows.from < rows.to)) return undefined;
  return { x: columns.from, y: rows.from, width: columns.to - columns.from, height: rows.to - rows.from };
}

type Placed = { readonly width: number; readonly height: number; readonly place: Georeference };

/** By the sides of a block in the middle of the scene. @throws input: too many pixels a block */
async function samplingOf(
  { width, height, place }: Placed,
  coarse: CoarseImage,
  { imageSize, lowSize }: LowResolution,
): Promise<Sampling> {
  const lengths = (scale: Vector) => {
    const sides = sidesAt(wayTo(place, coarse, scale), width / 2, height / 2, imageSize / lowSize);
    return sides.map(([x, y]) => Math.hypot(x, y)) as unknown as Vector;
  };
  const level = await coarse.levelFor(Math.min(...lengths([1, 1])));
  const scale: Vector = [level.width / coarse.width, level.height / coarse.height];
  const sides = lengths(scale);
  if (!(Math.max(...sides) <= mostPixelsInBlock)) {
    const rule = `must have at most ${mostPixelsInBlock} × ${mostPixelsInBlock} pixels, or those of an overview, for one of the low resolution`;
    const next = "add overviews with `gdal_translate -of COG IN.tif OUT.tif`";
    throw fault("input", { where: coarse.where, rule, got: sides.map(round).join(" × "), next });
  }
  const points = sides.map((side) => Math.max(1, Math.floor(side + 1e-6))) as unknown as Vector;
  return { level, scale, sides, points };
}

/** @throws input: boxes in pixels that are apart. What these say is not the last word: windows that show nothing are found later. */
function mustOverlap({ width, height, place, where }: Placed & { readonly where: string }, coarse: CoarseImage): void {
  const way = wayTo(place, coarse, [1, 1]);
  const points = Array.from({ length: tried ** 2 }, (_, n) =>
    way(((n % tried) * width) / (tried - 1), (Math.floor(n / tried) * height) / (tried - 1)),
  ).filter((point) => point.every(Number.isFinite));
  const meets = (axis: 0 | 1, length: number) => {
    const along = points.map((point) => point[axis]);
    const [least, most] = [Math.min(...along), Math.max(...along)];
    // An edge is bent between the points.
    const more = (most - least) / tried;
    return most + more > 0 && least - more < length;
  };
  if (points.length > 0 && meets(0, coarse.width) && meets(1, coarse.height)) return;
  const middle = (one: Georeference, size: { width: number; height: number }) =>
    one
      .toWgs84(size.width / 2, size.height / 2)
      .map((degrees) => degrees.toFixed(3))
      .join(" ");
  throw fault("input", {
    where: coarse.where,
    rule: `must show some of ${where}`,
    got: `its middle at ${middle(coarse.georeference, coarse)}, the scene's at ${middle(place, { width, height })} (longitude, latitude)`,
    next: "give an image of the same place",
  });
}
