/**
 * From windows to byte ranges: which tiles windows touch, where those lie in the file, and how the ranges are joined so that
 * few requests fetch them. Pure arithmetic; reads nothing.
 */

import type { PatchBox } from "../method/grid.ts";

/** Bytes start … end − 1 of a file. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** What the plan needs of a layout of tiles. */
export interface TileGrid {
  readonly tileWidth: number;
  readonly tileHeight: number;
  readonly columns: number;
  readonly rows: number;
}

/** The tiles that a window touches, row by row; what lies outside the image has none. */
export function tilesOf({ tileWidth, tileHeight, columns, rows }: TileGrid, window: PatchBox): number[] {
  const [left, right] = span(window.x, window.width, tileWidth, columns);
  const [top, bottom] = span(window.y, window.height, tileHeight, rows);
  const tiles: number[] = [];
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++) tiles.push(row * columns + column);
  }
  return tiles;
}

function span(start: number, length: number, tile: number, count: number): [number, number] {
  return [Math.max(0, Math.floor(start / tile)), Math.min(count, Math.ceil((start + length) / tile))];
}

/**
 * The ranges in order, neighbours joined: those that overlap, touch, or leave a gap of at most `gap` bytes. No result is
 * longer than `longest` unless ranges overlap or a given one is.
 */
export function mergeRanges(
  ranges: readonly ByteRange[],
  { gap, longest }: { gap: number; longest: number },
): ByteRange[] {
  const merged: ByteRange[] = [];
  for (const range of [...ranges].filter(({ start, end }) => end > start).sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    const overlaps = last !== undefined && range.start < last.end;
    const near = last !== undefined && range.start <= last.end + gap && range.end - last.start <= longest;
    if (overlaps || near) merged[merged.length - 1] = { start: last.start, end: Math.max(last.end, range.end) };
    else merged.push(range);
  }
  return merged;
}

/** The parts of `wanted` (in order, not overlapping) that the ranges `held` do not cover. */
export function subtractRanges(wanted: readonly ByteRange[], held: readonly ByteRange[]): ByteRange[] {
  const had = mergeRanges(held, { gap: 0, longest: Number.POSITIVE_INFINITY });
  let first = 0;
  return wanted.flatMap(({ start, end }) => {
    const left: ByteRange[] = [];
    let at = start;
    // What ends before this range ends before all that follow.
    while (first < had.length && had[first].end <= start) first++;
    for (let n = first; n < had.length && had[n].start < end; n++) {
      if (had[n].start > at) left.push({ start: at, end: had[n].start });
      at = had[n].end;
    }
    if (at < end) left.push({ start: at, end });
    return left;
  });
}
