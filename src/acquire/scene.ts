/**
 * A scene as a grid of windows of the model's size, each with a decision of its own, and a window as a grid of cells, one per
 * patch. The grid begins at the top left. Windows may reach beyond the right and the lower edge: there the networks see the
 * edge's pixels repeated, cells that lie entirely outside are not counted and never chosen, and those that are cut by the
 * edge count with what is left of them.
 */

import { type Grid, patchBox } from "../method/grid.ts";
import { type Window, within } from "./patch-source.ts";

/** Sides in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A patch of a window in the scene. */
export interface Cell {
  /** Its number in the window's mask. */
  readonly patch: number;
  /** The whole cell, even beyond the edge. */
  readonly box: Window;
  /** The part that lies in the scene; in pixels. */
  readonly inside: Window;
  /** Its place in the grid of all cells of the scene. */
  readonly column: number;
  readonly row: number;
}

export interface Scene extends Size {
  readonly grid: Grid;
  /** Of windows. */
  readonly columns: number;
  readonly rows: number;
}

export function sceneOf({ width, height }: Size, grid: Grid): Scene {
  const [columns, rows] = [Math.ceil(width / grid.imageSize), Math.ceil(height / grid.imageSize)];
  return { width, height, grid, columns, rows };
}

/** The windows of a row, from the left. */
export function windowsOf({ grid: { imageSize }, columns }: Scene, row: number): Window[] {
  return Array.from({ length: columns }, (_, column) => ({
    x: column * imageSize,
    y: row * imageSize,
    width: imageSize,
    height: imageSize,
  }));
}

/** The whole cell of a patch, of the window that begins at a place of the scene. */
export function cellAt(grid: Grid, patch: number, { x, y }: Pick<Window, "x" | "y">): Window {
  const box = patchBox(grid, patch);
  return { ...box, x: x + box.x, y: y + box.y };
}

/** The cells of a window that lie in the scene, at least in part. */
export function cellsOf({ grid, ...size }: Scene, window: Window): Cell[] {
  return Array.from({ length: grid.patches }, (_, patch) => {
    const box = cellAt(grid, patch, window);
    const inside = within(box, size);
    return { patch, box, inside, column: box.x / grid.patchWidth, row: box.y / grid.patchHeight };
  }).filter(({ inside }) => inside.width > 0 && inside.height > 0);
}
