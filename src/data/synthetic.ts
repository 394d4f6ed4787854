/**
 * The built-in data set: scenes in which the low-resolution image shows where to look, and only the high-resolution
 * patch shows what is there. Generated from a seed, nothing to download. Our own design; docs/data.md derives what the
 * best policy scores.
 *
 * A scene has 32 × 32 pixels: 4 × 4 patches of 8, or 8 × 8 cells of 4 whose top-left pixels are the low-resolution image.
 * Its target is a warm plate of 2 × 2 cells with one or two of four dark spots: ten patterns, ten classes. The spots lie
 * between the top-left pixels of the cells, so no low-resolution pixel depends on the class. Cool plates carry patterns
 * that mean nothing; single warm cells look like a part of the target from afar.
 */

import { fault } from "../errors.ts";
import { pacer } from "../utils/pacer.ts";
import { Random } from "../utils/random.ts";
import type { Normalization } from "./dataset.ts";
import type { DatasetReader } from "./dataset-reader.ts";
import { MemoryDataset } from "./memory-dataset.ts";

export const imageSize = 32;
const cellSize = 4;
const cellsPerSide = 8;
const patchesPerSide = 4;
const bytesPerImage = imageSize * imageSize * 3;

const longestSplit = 1_000_000;
/** Measured over the default training split. */
export const syntheticNormalization: Normalization = { mean: [0.449, 0.463, 0.463], std: [0.182, 0.152, 0.147] };

/** The spots of each class: every choice of one or two out of four. */
export const classes = ["nw", "ne", "sw", "se", "nw+ne", "nw+sw", "nw+se", "ne+sw", "ne+se", "sw+se"] as const;
/** Top-left pixel [row, column] of a spot within its plate; rows and columns 0 and 4 stay free, for low resolution. */
const spotCorners: Readonly<Record<string, readonly [number, number]>> = {
  nw: [1, 1],
  ne: [1, 5],
  sw: [5, 1],
  se: [5, 5],
};
const spotSize = 3;

export type Color = readonly [red: number, green: number, blue: number];
const warm: Color = [150, 110, 40];
const cool: Color = [40, 110, 170];
const spotColor: Color = [15, 15, 15];
/** How far a plate's channels may differ from its colour. */
const colorSpread = 10;
/** The background's grey lies in this range, and its grain deviates by at most the second number. */
const greyRange: readonly [number, number] = [100, 150];
const largestGrain = 15;
/**
 * Light falls from one corner: green fades from top to bottom, red from left to right, by this share around the middle.
 * The paper's policy averages its features over all positions; the colour of the light tells it where it looks.
 */
const lightSpread = 0.8;

const distractorCount = 2;
const decoyCount = 2;
/** Attempts to find a free place before an object is left out. */
const placementTries = 8;

/** Top-left cell of an object. */
interface Place {
  row: number;
  column: number;
}

/** A warm or cool area of `size` × `size` cells; plates (size 2) can carry a pattern. */
export interface Plate extends Place {
  size: 1 | 2;
  color: Color;
  pattern: number | undefined;
}

/** A scene without its class: everything that does not depend on the class, which is all that low resolution shows. */
export interface Scene {
  readonly target: Plate;
  readonly others: readonly Plate[];
  /** Grey level, and the grain of each pixel around it, row by row. */
  readonly grey: number;
  readonly grain: Float32Array;
}

/**
 * Draws the contents of a scene. Plates stand on a row of patches, at one of 7 places along it: the target's 4 × 7 places
 * are equally likely, and it lies in one patch or in two neighbouring ones.
 */
export function makeScene(random: Random): Scene {
  const taken: Plate[] = [];
  const add = (size: 1 | 2, around: Color, pattern: number | undefined): Plate | undefined => {
    for (let tries = 0; tries < placementTries; tries++) {
      const row = size === 2 ? 2 * random.integer(patchesPerSide) : random.integer(cellsPerSide);
      const column = random.integer(cellsPerSide - size + 1);
      if (taken.some((other) => touches(other, { row, column }, size))) continue;
      const plate = { row, column, size, color: colorAround(random, around), pattern };
      taken.push(plate);
      return plate;
    }
    return undefined;
  };
  const target = add(2, warm, undefined)!; // the first always finds a place
  for (let i = 0; i < distractorCount; i++) add(2, cool, random.integer(classes.length));
  for (let i = 0; i < decoyCount; i++) add(1, warm, undefined);
  const grey = greyRange[0] + (greyRange[1] - greyRange[0]) * random.uniform();
  return { target, others: taken.slice(1), grey, grain: grainOf(random) };
}

/** True if an object of `size` cells at `place` would overlap the plate or its border of one cell. */
function touches(plate: Plate, place: Place, size: number): boolean {
  const apart = (a: number, b: number): boolean => b > a + plate.size || a > b + size;
  return !apart(plate.row, place.row) && !apart(plate.column, place.column);
}

function colorAround(random: Random, [red, green, blue]: Color): Color {
  const shift = (): number => colorSpread * (2 * random.uniform() - 1);
  return [red + shift(), green + shift(), blue + shift()];
}

function grainOf(random: Random): Float32Array {
  const amplitude = largestGrain * random.uniform();
  const grain = new Float32Array(imageSize * imageSize);
  for (let pixel = 0; pixel < grain.length; pixel += 4) {
    const word = random.word();
    for (let i = 0; i < 4; i++) grain[pixel + i] = amplitude * (((word >>> (8 * i)) & 255) / 127.5 - 1);
  }
  return grain;
}

/**
 * Paints a scene whose target has the given class into bytes [32, 32, 3].
 * @param label undefined: plates without their spots, so that the class does not show
 */
export function drawScene(scene: Scene, label: number | undefined, out: Uint8ClampedArray): void {
  const { grey, grain } = scene;
  for (let pixel = 0; pixel < grain.length; pixel++) {
    const value = grey + grain[pixel];
    paint(out, Math.floor(pixel / imageSize), pixel % imageSize, [value, value, value]);
  }
  for (const plate of [...scene.others, { ...scene.target, pattern: label }]) {
    fillSquare(out, squareOf(plate), plate.color);
    if (label !== undefined) for (const spot of spotsOf(plate)) fillSquare(out, spot, spotColor);
  }
}

/** Where a plate lies. */
export function squareOf({ row, column, size }: Plate): Square {
  return { top: row * cellSize, left: column * cellSize, side: size * cellSize };
}

/** The spots of a plate's pattern. */
export function spotsOf({ row, column, pattern }: Plate): Square[] {
  if (pattern === undefined) return [];
  return classes[pattern].split("+").map((spot) => {
    const [down, right] = spotCorners[spot];
    return { top: row * cellSize + down, left: column * cellSize + right, side: spotSize };
  });
}

/** A square in pixels. */
export interface Square {
  readonly top: number;
  readonly left: number;
  readonly side: number;
}

function fillSquare(out: Uint8ClampedArray, { top, left, side }: Square, color: Color): void {
  for (let y = top; y < top + side; y++) {
    for (let x = left; x < left + side; x++) paint(out, y, x, color);
  }
}

/** Sets a pixel to a colour under the light that falls there. */
function paint(out: Uint8ClampedArray, y: number, x: number, [red, green, blue]: Color): void {
  const at = 3 * (y * imageSize + x);
  const last = imageSize - 1;
  out[at] = red * (1 + lightSpread * (0.5 - x / last));
  out[at + 1] = green * (1 + lightSpread * (0.5 - y / last));
  out[at + 2] = blue;
}

/** The patches (of 16, row by row) that hold a part of the target: the fewest that always reveal its class. */
function patchesOf({ row, column, size }: Plate): Uint8Array {
  const mask = new Uint8Array(patchesPerSide * patchesPerSide);
  for (let y = row; y < row + size; y++) {
    for (let x = column; x < column + size; x++) mask[(y >> 1) * patchesPerSide + (x >> 1)] = 1;
  }
  return mask;
}

/** One split of the built-in data set; label n % 10 belongs to image n. */
export class SyntheticDataset extends MemoryDataset {
  readonly #best: readonly Uint8Array[];

  private constructor(labels: Int32Array, images: Uint8Array, best: readonly Uint8Array[]) {
    // Not augmented: a mirrored pattern is another class, and a shifted one shows its spots to the low resolution.
    super({
      name: "synthetic",
      classes,
      imageSize,
      labels,
      images,
      normalization: syntheticNormalization,
      augmented: false,
    });
    this.#best = best;
  }

  /** Generates it, which takes seconds; signals are let in. @throws usage: a length that is not in 1..1,000,000 */
  static async make(seed: number, split: "train" | "test", length: number): Promise<SyntheticDataset> {
    if (!Number.isSafeInteger(length) || length < 1 || length > longestSplit) {
      const rule = `must be an integer in 1..${longestSplit}`;
      throw fault("usage", { where: `synthetic ${split} length`, rule, got: length });
    }
    const labels = Int32Array.from({ length }, (_, index) => index % classes.length);
    const images = new Uint8Array(length * bytesPerImage);
    const best: Uint8Array[] = [];
    const turn = pacer();
    for (let index = 0; index < length; index++) {
      const scene = makeScene(new Random(seed, "synthetic", split, index));
      drawScene(scene, labels[index], new Uint8ClampedArray(images.buffer, index * bytesPerImage, bytesPerImage));
      best.push(patchesOf(scene.target));
      await turn();
    }
    return new SyntheticDataset(labels, images, best);
  }

  /** The mask, [16] of 0 and 1, that a policy of accuracy 1 and the fewest patches chooses for an image. */
  bestPolicy(index: number): Uint8Array {
    return this.#best[index].slice();
  }

  /** Mean number of patches of {@link bestPolicy} over this split. */
  get bestMeanPatches(): number {
    return this.#best.reduce((sum, mask) => sum + mask.reduce((patches, one) => patches + one, 0), 0) / this.length;
  }
}

export interface SyntheticOptions {
  seed?: number | undefined;
  trainLength?: number | undefined;
  testLength?: number | undefined;
}

export interface SyntheticSplits {
  readonly train: SyntheticDataset;
  readonly test: SyntheticDataset;
}

/** Generates both splits, from streams of their own: no test scene is in the training set. */
export async function makeSynthetic({
  seed = 0,
  trainLength = 8000,
  testLength = 2000,
}: SyntheticOptions = {}): Promise<SyntheticSplits> {
  return {
    train: await SyntheticDataset.make(seed, "train", trainLength),
    test: await SyntheticDataset.make(seed, "test", testLength),
  };
}

export const syntheticReader: DatasetReader = {
  imageSize,
  classes,
  open: ({ seed }) => makeSynthetic({ seed }),
};
