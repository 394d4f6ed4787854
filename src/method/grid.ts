/**
 * The patch grid: a square image cut into patches of one size, numbered row by row (paper, section 3), and the fixed and
 * random masks that a policy is compared with. No tensors and nothing of Node: a browser page shares it.
 *
 * A mask is a Uint8Array [P]: 1 for a patch that is taken, 0 for one that is dropped.
 */
import { fault } from "../errors.ts";
import { Random } from "../utils/random.ts";

/** A patch, in pixels: the side of a square one, or "width × height" written as 28x56. */
export type PatchSize = number | `${number}x${number}`;

/** "Columns × rows" of patches, written as 3x5. */
export type GridSize = `${number}x${number}`;

/** How an image is cut into patches; sizes in pixels. */
export interface Grid {
  /** Height and width of the image, in pixels. */
  readonly imageSize: number;
  readonly patchSize: PatchSize;
  /** In pixels. */
  readonly patchWidth: number;
  /** In pixels. */
  readonly patchHeight: number;
  readonly rows: number;
  readonly columns: number;
  /** P: rows × columns. */
  readonly patches: number;
}

/** Where a patch lies in the image, in pixels; (0, 0) is the top left corner. */
export interface PatchBox {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A source of random integers: `integer(bound)` is uniform in 0 … bound − 1. */
export interface RandomIntegers {
  integer(bound: number): number;
}

/**
 * The grid of an image of `imageSize` × `imageSize` pixels.
 * @throws PatchDropError "usage" if a size is not a positive whole number or the patches do not fill the image.
 */
export function makeGrid(imageSize: number, patchSize: PatchSize): Grid {
  requireSize("image size", imageSize);
  const [patchWidth, patchHeight] = sidesOf(patchSize);
  for (const side of [patchWidth, patchHeight]) requireSize("patch size", side);
  if (imageSize % patchWidth !== 0 || imageSize % patchHeight !== 0) {
    const rule = `must divide the image size of ${imageSize} pixels`;
    throw fault("usage", { where: "patch size", rule, got: patchSize });
  }
  const [columns, rows] = [imageSize / patchWidth, imageSize / patchHeight];
  return { imageSize, patchSize, patchWidth, patchHeight, rows, columns, patches: rows * columns };
}

/** Width and height of a patch, in pixels. */
export function sidesOf(size: PatchSize): [number, number] {
  if (typeof size === "number") return [size, size];
  const [width, height] = size.split("x").map(Number);
  return [width, height];
}

/** The patch that has the pixel in column `x` and row `y`. */
export function patchAt({ patchWidth, patchHeight, columns }: Grid, x: number, y: number): number {
  return Math.floor(y / patchHeight) * columns + Math.floor(x / patchWidth);
}

/** The box of patch `k` in pixels. @throws PatchDropError "internal" if the grid has no patch `k`. */
export function patchBox(grid: Grid, k: number): PatchBox {
  if (!Number.isInteger(k) || k < 0 || k >= grid.patches) {
    throw fault("internal", { where: "patchBox", rule: `patch must be in 0 … ${grid.patches - 1}`, got: k });
  }
  const { columns, patchWidth: width, patchHeight: height } = grid;
  return { x: (k % columns) * width, y: Math.floor(k / columns) * height, width, height };
}

/**
 * The baseline "fixed-H": `count` patches in the central columns. Columns are filled one after the other, from the
 * centre outwards (of two as near, the left one first), and within a column from the central rows outwards, so that a
 * `count` that is no multiple of the rows ends with the middle of the next column.
 */
export function fixedColumns(grid: Grid, count: number): Uint8Array {
  const rows = centreOut(grid.rows);
  return firstOf(
    grid,
    count,
    centreOut(grid.columns).flatMap((column) => rows.map((row) => row * grid.columns + column)),
  );
}

/** The baseline "fixed-V": as {@link fixedColumns}, with rows and columns exchanged. */
export function fixedRows(grid: Grid, count: number): Uint8Array {
  const columns = centreOut(grid.columns);
  return firstOf(
    grid,
    count,
    centreOut(grid.rows).flatMap((row) => columns.map((column) => row * grid.columns + column)),
  );
}

/** The `count` patches whose middles are nearest to the middle of the image; of two as near, the lower number first. */
export function centrePatches(grid: Grid, count: number): Uint8Array {
  const distance = (k: number) =>
    fromCentre(Math.floor(k / grid.columns), grid.rows) + fromCentre(k % grid.columns, grid.columns);
  return firstOf(
    grid,
    count,
    numbers(grid.patches).sort((a, b) => distance(a) - distance(b)),
  );
}

/**
 * Exactly `count` patches, each set of them as likely as any other (the first steps of a Fisher–Yates shuffle).
 * Draws `count` integers from `random`.
 */
export function randomMask(grid: Grid, count: number, random: RandomIntegers): Uint8Array {
  requireCount(grid, count);
  const order = numbers(grid.patches);
  for (let i = 0; i < count; i++) {
    const j = i + random.integer(grid.patches - i);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return firstOf(grid, count, order);
}

/**
 * Masks [B, P] of exactly `count` patches each, by chance, to measure by: the same ones of a seed, and a smaller batch has the first
 * ones of a larger.
 */
export function masksOfCount(
  grid: Grid,
  count: number,
  { batch, seed }: { readonly batch: number; readonly seed: number },
): Uint8Array {
  const masks = new Uint8Array(batch * grid.patches);
  for (let image = 0; image < batch; image++) {
    masks.set(randomMask(grid, count, new Random(seed, "masks", count, image)), image * grid.patches);
  }
  return masks;
}

/** A mask as text, patch 0 first: "0110…". Two images have the same mask if this is the same. */
export function maskBits(mask: ArrayLike<number>): string {
  return Array.from(mask, (taken) => (taken === 0 ? "0" : "1")).join("");
}

/** |a|: how many patches a mask takes. */
export function countPatches(mask: ArrayLike<number>): number {
  let count = 0;
  for (let k = 0; k < mask.length; k++) if (mask[k] !== 0) count++;
  return count;
}

/** How many pixels are read for an image: those of `patches` patches, and those of a low resolution of side `lowSize`. */
export function pixelsRead({ patchWidth, patchHeight }: Grid, patches: number, lowSize: number): number {
  return patches * patchWidth * patchHeight + lowSize ** 2;
}

/** The mask that takes the first `count` patches of `order`. */
function firstOf(grid: Grid, count: number, order: readonly number[]): Uint8Array {
  requireCount(grid, count);
  return maskOf(order.slice(0, count), grid.patches);
}

/** The mask [P] that takes these patches. */
export function maskOf(taken: readonly number[], patches: number): Uint8Array {
  const mask = new Uint8Array(patches);
  for (const k of taken) mask[k] = 1;
  return mask;
}

/** The lines 0 … lines − 1 from the middle outwards; of two as near, the lower one first: 1, 2, 0, 3 of four. */
function centreOut(lines: number): number[] {
  return numbers(lines).sort((a, b) => fromCentre(a, lines) - fromCentre(b, lines));
}

/** Squared distance of a line from the middle of `lines` lines, in half lines: a whole number, so that ties are exact. */
function fromCentre(line: number, lines: number): number {
  return (2 * line - (lines - 1)) ** 2;
}

/** 0 … count − 1; to sort them leaves those that compare equal in this order. */
function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, k) => k);
}

function requireSize(where: string, size: number): void {
  if (!Number.isSafeInteger(size) || size < 1) {
    throw fault("usage", { where, rule: "must be a whole number of pixels above 0", got: size });
  }
}

function requireCount(grid: Grid, count: number): void {
  if (!Number.isInteger(count) || count < 0 || count > grid.patches) {
    throw fault("usage", {
      where: "number of patches",
      rule: `must be a whole number from 0 to ${grid.patches}`,
      got: count,
    });
  }
}
