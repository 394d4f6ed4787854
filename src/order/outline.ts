/** The outline of a set of cells: its corners, and the rings that they make. */

import type { CellSet } from "./cell-set.ts";

/** A corner of cells on an outline. */
export type Corner = readonly [column: number, row: number];

/** How many corners the outlines of a set have: where it turns; twice where two cells touch only there. */
export function cornerCount({ width, height, bits }: CellSet): number {
  let count = 0;
  for (let y = 0; y <= height; y++) {
    // The four cells around a place: a and b above it, c and d below.
    for (let x = 0, a = 0, c = 0; x <= width; x++) {
      const b = y > 0 && x < width ? bits[(y - 1) * width + x] : 0;
      const d = y < height && x < width ? bits[y * width + x] : 0;
      const sum = a + b + c + d;
      if (sum === 1 || sum === 3) count++;
      else if (sum === 2 && a === d) count += 2;
      [a, c] = [b, d];
    }
  }
  return count;
}

/** East, south, west, north. */
const ways = [
  [1, 0],
  [0, 1],
  [-1, 0],
  [0, -1],
] as const;

/**
 * The rings around a connected set, the outer one first: corners where they turn, cells on the right (rows count downwards). Like
 * merge-cells.ts, but of a bitmap and without corners between turns, as a plan tries many outlines.
 */
export function ringsOf({ left, top, width, height, bits }: CellSet): Corner[][] {
  const at = (x: number, y: number) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : bits[y * width + x]);
  const seen = new Uint8Array(bits.length);
  const rings: Corner[][] = [];
  for (let start = 0; start < bits.length; start++) {
    const [startX, startY] = [start % width, Math.floor(start / width)];
    if (bits[start] === 0 || seen[start] === 1 || at(startX, startY - 1) === 1) continue;
    const ring: Corner[] = [];
    let [x, y, way] = [startX, startY, 0];
    do {
      if (way === 0) seen[y * width + x] = 1;
      x += ways[way][0];
      y += ways[way][1];
      // The two cells ahead, to the left and to the right of the way. Where two cells touch only in a corner, the ring goes over to the other.
      const [dx, dy] = ways[way];
      const ahead = (side: 1 | -1) =>
        at(x + (dx === 0 ? (-dy * side - 1) / 2 : (dx - 1) / 2), y + (dy === 0 ? (dx * side - 1) / 2 : (dy - 1) / 2));
      const turn = ahead(-1) === 1 ? 3 : ahead(1) === 1 ? 0 : 1;
      if (turn !== 0) ring.push([left + x, top + y]);
      way = (way + turn) % 4;
    } while (x !== startX || y !== startY || way !== 0);
    rings.push(ring);
  }
  return rings;
}
