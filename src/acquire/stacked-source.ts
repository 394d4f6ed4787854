/** A scene whose bands are files of their own, all of one grid, as a source of patches that have them all. */

import { inOrder } from "../data/in-order.ts";
import { fault } from "../errors.ts";
import { newPixels, type PixelArray, pixelTypeOf } from "../utils/pixel-array.ts";
import type { Georeference } from "./georeference.ts";
import type { FetchedPatches, PatchSource, SceneTiles, Window } from "./patch-source.ts";

/** Files that are read at a time: each has several requests under way. */
export const filesAtOnce = 4;

export class StackedSource implements PatchSource {
  readonly where: string;
  readonly files: readonly string[];
  readonly #bands: readonly PatchSource[];

  /**
   * @param bands a file for each band, in the order of the pixels' bands; at least one
   * @throws input: files of different grids
   */
  constructor(bands: readonly PatchSource[]) {
    for (const band of bands) mustLieAs(bands[0], band);
    this.files = bands.map(({ where }) => where);
    this.where = this.files.join(", ");
    this.#bands = bands;
  }

  get width(): number {
    return this.#bands[0].width;
  }

  get height(): number {
    return this.#bands[0].height;
  }

  get georeference(): Georeference | undefined {
    return this.#bands[0].georeference;
  }

  get taken(): Date | undefined {
    return this.#bands[0].taken;
  }

  get wholeBytes(): number {
    return this.#bands.reduce((sum, { wholeBytes }) => sum + wholeBytes, 0);
  }

  get lowBytes(): number {
    return this.#bands.reduce((sum, { lowBytes }) => sum + lowBytes, 0);
  }

  get tiles(): SceneTiles | undefined {
    const tiles = this.#bands.flatMap((band) => band.tiles ?? []);
    return tiles.length === this.#bands.length ? new StackedTiles(tiles) : undefined;
  }

  get lowFrom(): string {
    return [...new Set(this.#bands.map(({ lowFrom }) => lowFrom))].join("; ");
  }

  async fetchLow(windows: readonly Window[]): Promise<void> {
    for (const band of this.#bands) await band.fetchLow(windows);
  }

  async readLow(windows: readonly Window[]): Promise<PixelArray> {
    return interleaved(await inTurns(this.#bands, (band) => band.readLow(windows)));
  }

  isFree(box: Window): boolean {
    return this.#bands.every((band) => band.isFree(box));
  }

  fetchPatches(boxes: readonly Window[]): FetchedPatches {
    const fetched = this.#bands.map((band) => band.fetchPatches(boxes));
    const sum = (key: "requests" | "bytes") => fetched.reduce((all, one) => all + one[key], 0);
    const read = async () => {
      const ofEach = await inTurns(fetched, (one) => one.read());
      return boxes.map((_, i) => interleaved(ofEach.map((patches) => patches[i])));
    };
    const pay = () => {
      const ofEach = fetched.map((one) => one.pay());
      return boxes.map((_, i) => ofEach.reduce((all, costs) => all + costs[i], 0));
    };
    return { requests: sum("requests"), bytes: sum("bytes"), read, pay };
  }

  async close(): Promise<void> {
    await Promise.all(this.#bands.map((band) => band.close()));
  }
}

/** Some of the files at a time. */
async function inTurns<T, R>(files: readonly T[], read: (file: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for await (const result of inOrder(files, filesAtOnce, read)) results.push(result);
  return results;
}

/** The tiles of all files: those of the second are numbered on behind those of the first. */
class StackedTiles implements SceneTiles {
  readonly #files: readonly SceneTiles[];
  /** The number of the first tile of each file. */
  readonly #starts: readonly number[];

  constructor(files: readonly SceneTiles[]) {
    this.#files = files;
    let start = 0;
    this.#starts = files.map(({ count }) => {
      start += count;
      return start - count;
    });
  }

  get count(): number {
    return this.#files.reduce((sum, { count }) => sum + count, 0);
  }

  get needed(): number {
    return this.#files.reduce((sum, { needed }) => sum + needed, 0);
  }

  of(box: Window): number[] {
    return this.#files.flatMap((file, n) => file.of(box).map((tile) => this.#starts[n] + tile));
  }

  bytesOf(tile: number): number {
    const { file, own } = this.#placeOf(tile);
    return file.bytesOf(own);
  }

  mostBytesOf(tile: number): number {
    const { file, own } = this.#placeOf(tile);
    return file.mostBytesOf(own);
  }

  #placeOf(tile: number): { readonly file: SceneTiles; readonly own: number } {
    const n = this.#starts.findLastIndex((start) => start <= tile);
    return { file: this.#files[n], own: tile - this.#starts[n] };
  }
}

/** @param planes [pixels] each. @returns [pixels, planes] */
function interleaved(planes: readonly PixelArray[]): PixelArray {
  const [{ length }] = planes;
  const out = newPixels(pixelTypeOf(planes[0]), planes.length * length);
  for (const [band, plane] of planes.entries()) {
    for (let i = 0; i < length; i++) out[i * planes.length + band] = plane[i];
  }
  return out;
}

/** @throws input: another grid, so that pixels of the same number show different places */
function mustLieAs(first: PatchSource, other: PatchSource): void {
  const [expected, got] = [first, other].map(gridOf);
  const differing = expected.findIndex((text, i) => text !== got[i]);
  if (differing === -1) return;
  const rule = `must have the grid of ${first.where}, whose bands it is read with: ${expected[differing]}`;
  const next = "give assets of one resolution, or bring them to one with `gdalwarp -of COG -tr`";
  throw fault("input", { where: other.where, rule, got: got[differing], next });
}

/** Size, system and place, in words. */
function gridOf({ width, height, georeference }: PatchSource): readonly string[] {
  const { epsg, affine } = georeference ?? {};
  return [`${width} × ${height} pixels`, `EPSG:${epsg}`, `transform ${affine?.join(" ")}`];
}
