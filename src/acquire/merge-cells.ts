/**
 * The outline of a set of cells of a grid: polygons with holes, in corners of cells. Cells that share a side are one
 * polygon; those that touch only in a corner are two, as OGC's simple features require.
 */

import { pacer } from "../utils/pacer.ts";

/** A corner: (0, 0) is the top left one of the cell (0, 0). */
export type Corner = readonly [column: number, row: number];
/** Closed: the last corner is the first. */
export type Ring = readonly Corner[];

export interface CellPlace {
  readonly column: number;
  readonly row: number;
}

/** A side of a cell, walked with the cell on the right (rows count downwards). */
interface Side {
  readonly from: Corner;
  readonly to: Corner;
  /** Number of the cell's polygon. */
  readonly polygon: number;
}

/** Some milliseconds of work. */
const cellsBetweenTurns = 1000;

/** Each polygon's outer ring, then its holes. Every cell corner on the way is kept, so that maps can bend the sides. */
export async function mergeCells(cells: readonly CellPlace[]): Promise<Ring[][]> {
  const turn = pacer();
  const polygons = new Polygons(cells);
  for (const [n, cell] of cells.entries()) {
    if (n % cellsBetweenTurns === 0) await turn();
    polygons.number(cell);
  }
  const sides = new Map<number, Side[]>();
  for (const [n, cell] of cells.entries()) {
    if (n % cellsBetweenTurns === 0) await turn();
    for (const side of polygons.outerSides(cell)) {
      const others = sides.get(polygons.keyOf(side.from));
      if (others === undefined) sides.set(polygons.keyOf(side.from), [side]);
      else others.push(side);
    }
  }
  const merged: { outer: Ring[]; holes: Ring[] }[] = [];
  for (const { ring, polygon } of walk(sides, (corner) => polygons.keyOf(corner))) {
    await turn();
    merged[polygon] ??= { outer: [], holes: [] };
    merged[polygon][turnsRight(ring) ? "outer" : "holes"].push(ring);
  }
  return merged.map(({ outer, holes }) => [...outer, ...holes]);
}

/** Cells that are connected by their sides get the same number. */
class Polygons {
  readonly #columns: number;
  /** Of each cell of the grid, row by row: −1 where there is none, −2 where it has no number yet. */
  readonly #numbers: Int32Array;
  #count = 0;

  constructor(cells: readonly CellPlace[]) {
    const end = (side: keyof CellPlace) => cells.reduce((most, cell) => Math.max(most, cell[side] + 1), 0);
    this.#columns = end("column");
    this.#numbers = new Int32Array(this.#columns * end("row")).fill(-1);
    for (const { column, row } of cells) this.#numbers[row * this.#columns + column] = -2;
  }

  /** Of a corner: no other has the same. */
  keyOf([x, y]: Corner): number {
    return y * (this.#columns + 1) + x;
  }

  /** Numbers a cell, and all that are connected with it, unless they have a number. */
  number({ column, row }: CellPlace): void {
    if (this.#at(column, row) !== -2) return;
    const open: Corner[] = [];
    const visit = (x: number, y: number) => {
      if (this.#at(x, y) !== -2) return;
      this.#numbers[y * this.#columns + x] = this.#count;
      open.push([x, y]);
    };
    visit(column, row);
    for (let cell = open.pop(); cell !== undefined; cell = open.pop()) {
      const [x, y] = cell;
      visit(x, y - 1);
      visit(x + 1, y);
      visit(x, y + 1);
      visit(x - 1, y);
    }
    this.#count++;
  }

  /** The sides that no other cell shares. */
  outerSides({ column: x, row: y }: CellPlace): Side[] {
    const polygon = this.#at(x, y);
    const sides: [neighbour: number, from: Corner, to: Corner][] = [
      [this.#at(x, y - 1), [x, y], [x + 1, y]],
      [this.#at(x + 1, y), [x + 1, y], [x + 1, y + 1]],
      [this.#at(x, y + 1), [x + 1, y + 1], [x, y + 1]],
      [this.#at(x - 1, y), [x, y + 1], [x, y]],
    ];
    return sides.filter(([neighbour]) => neighbour === -1).map(([, from, to]) => ({ from, to, polygon }));
  }

  #at(column: number, row: number): number {
    if (column < 0 || column >= this.#columns) return -1;
    return this.#numbers[row * this.#columns + column] ?? -1;
  }
}

/** Joins sides to rings. When a walk comes to a corner for the second time, what lies between is a ring of its own. */
function* walk(
  sides: Map<number, Side[]>,
  keyOf: (corner: Corner) => number,
): Generator<{ ring: Ring; polygon: number }> {
  const take = (from: number, polygon?: number): Side | undefined => {
    const left = sides.get(from) ?? [];
    const at = Math.max(
      0,
      left.findIndex((side) => side.polygon === polygon),
    );
    const [side] = left.splice(at, 1);
    if (left.length === 0) sides.delete(from);
    return side;
  };
  for (const start of [...sides.keys()]) {
    for (let first = take(start); first !== undefined; first = take(start)) {
      const { polygon } = first;
      const path: Corner[] = [first.from];
      const places = new Map([[start, 0]]);
      for (let side = first; ; side = take(keyOf(side.to), polygon)!) {
        const corner = keyOf(side.to);
        const seen = places.get(corner);
        if (seen !== undefined) {
          const ring = path.splice(seen);
          for (const one of ring) places.delete(keyOf(one));
          yield { ring: [...ring, side.to], polygon };
          if (seen === 0) break;
        }
        places.set(corner, path.length);
        path.push(side.to);
      }
    }
  }
}

/** Whether a ring has its inside on the right, as a single cell has. */
function turnsRight(ring: Ring): boolean {
  let twice = 0;
  for (let i = 1; i < ring.length; i++) twice += ring[i - 1][0] * ring[i][1] - ring[i][0] * ring[i - 1][1];
  return twice > 0;
}
