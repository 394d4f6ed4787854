/**
 * The part of a scene's grid that lies on one side of 180°, and polygons around its cells. A polygon is drawn in WGS84 from the
 * corners of cells, of which so few are left out that its straight sides stay within half a pixel of the cells'.
 */

import { partOf, rounded, turnsOf } from "../acquire/antimeridian.ts";
import { areaKm2 } from "../acquire/earth.ts";
import type { Position } from "../acquire/georeference.ts";
import { isCounterclockwise } from "../acquire/ring.ts";
import type { AcquiredCells } from "./acquired-cells.ts";
import type { Box, CellSet, Ground } from "./cell-set.ts";
import { type Corner, ringsOf } from "./outline.ts";

/** A polygon in one turn of the Earth: its outer ring counterclockwise, then its holes clockwise, none of them closed. */
export interface Polygon {
  readonly rings: readonly (readonly Position[])[];
  readonly km2: number;
  /** Positions as GeoJSON lists them, the repeated first one of each ring included. */
  readonly vertices: number;
  /** West, south, east, north. */
  readonly bounds: readonly [number, number, number, number];
}

/** How far a side may pass by the cells, in pixels. */
const deviation = 0.5;
/** In degrees, a tenth of what the outlines' decimals tell: a corner that sticks out less than this does not. */
const flatDegrees = 1e-9;
const metresPerDegree = 111_195;

export class Region implements Ground {
  readonly columns: number;
  readonly rows: number;
  readonly turn: number;
  /** Of a cell in the middle of the scene, in metres. */
  readonly cellMetres: { readonly width: number; readonly height: number };
  readonly #grid: AcquiredCells;
  readonly #areas: Float64Array;
  /** [rows + 1, columns + 1]: areas above and to the left. */
  readonly #sums: Float64Array;
  /** Most cells along a side without a corner. */
  readonly #most: { readonly across: number; readonly down: number };
  readonly #positions = new Map<number, Position>();

  private constructor(grid: AcquiredCells, turn: number) {
    this.columns = grid.columns;
    this.rows = grid.rows;
    this.turn = turn;
    this.#grid = grid;
    this.cellMetres = sidesOf(grid);
    this.#most = { across: this.#straight(0), down: this.#straight(1) };
    this.#areas = new Float64Array(grid.columns * grid.rows);
    this.#sums = new Float64Array((grid.columns + 1) * (grid.rows + 1));
  }

  /** @throws what `pause` throws */
  static async of(grid: AcquiredCells, turn: number, pause: () => Promise<void> | undefined): Promise<Region> {
    const region = new Region(grid, turn);
    for (let row = 0; row < grid.rows; row++) {
      await pause();
      region.#measure(row);
    }
    region.#positions.clear();
    return region;
  }

  #measure(row: number): void {
    const { columns } = this;
    const across = columns + 1;
    for (let column = 0; column < columns; column++) {
      const area = this.#cellArea(column, row);
      this.#areas[row * columns + column] = area;
      const to = (row + 1) * across + column + 1;
      this.#sums[to] = area + this.#sums[to - 1] + this.#sums[to - across] - this.#sums[to - across - 1];
    }
    // What was kept is of no use two rows further on.
    for (let column = 0; column <= columns; column++) this.#positions.delete(row * across + column);
  }

  /** Of what of the cell lies in this turn, in km². */
  areaOf(column: number, row: number): number {
    return this.#areas[row * this.columns + column];
  }

  areaOfBox({ left, top, width, height }: Box): number {
    const across = this.columns + 1;
    const sum = (x: number, y: number) => this.#sums[y * across + x];
    const [right, bottom] = [left + width, top + height];
    return sum(right, bottom) - sum(left, bottom) - sum(right, top) + sum(left, top);
  }

  /** The outline of a connected set, or the convex hull of any. Undefined where 180° cuts it into several. */
  polygonAround(set: CellSet, isConvex: boolean): Polygon | undefined {
    const rings = ringsOf(set).map((ring) => this.#drawn(ring));
    if (isConvex) rings.splice(0, rings.length, convexHull(rings.flat()));
    const isCut = rings.map((ring) => turnsOf(ring).some((turn) => turn !== this.turn));
    if (isCut[0] && rings.length > 1) return undefined;
    if (isCut[0] && crossings(rings[0], this.turn) > 2) return undefined;
    const parts = rings.map((ring) => distinct(partOf(ring, this.turn)));
    if (parts[0].length < 3) return undefined;
    return polygonOf(parts);
  }

  #position(column: number, row: number): Position {
    const key = row * (this.columns + 1) + column;
    const known = this.#positions.get(key);
    if (known !== undefined) return known;
    const { cell, size, place } = this.#grid;
    const position = rounded(
      place.toWgs84(Math.min(column * cell.width, size.width), Math.min(row * cell.height, size.height)),
    );
    this.#positions.set(key, position);
    return position;
  }

  #cellArea(column: number, row: number): number {
    const ring = [
      this.#position(column, row + 1),
      this.#position(column + 1, row + 1),
      this.#position(column + 1, row),
      this.#position(column, row),
    ];
    const turns = turnsOf(ring);
    if (!turns.includes(this.turn)) return 0;
    return areaKm2(turns.length === 1 ? ring : partOf(ring, this.turn));
  }

  /** Along an axis, the most cells whose straight line passes by their corners within the deviation: a chord's height grows with its square. */
  #straight(axis: 0 | 1): number {
    const [length, others] = axis === 0 ? [this.columns, this.rows] : [this.rows, this.columns];
    const at = (along: number, other: number) =>
      axis === 0 ? this.#position(along, other) : this.#position(other, along);
    const middle = Math.floor(length / 2);
    const { cell } = this.#grid;
    const pixel = Math.min(this.cellMetres.width / cell.width, this.cellMetres.height / cell.height);
    const heights = [0, Math.floor(others / 2), others].map(
      (other) => metresBetween(at(middle, other), at(0, other), at(length, other)) / pixel,
    );
    // What half of the chord is off by, a quarter of it is by a fourth; twice as many, as not every line is as those looked at.
    const pieces = Math.ceil(Math.sqrt((2 * Math.max(...heights)) / deviation));
    return Math.max(1, Math.floor(length / Math.max(1, pieces)));
  }

  /** A ring's corners as places, with those in between where a side is long. */
  #drawn(ring: readonly Corner[]): Position[] {
    return ring.flatMap(([x, y], i) => {
      const [toX, toY] = ring[(i + 1) % ring.length];
      const length = Math.abs(toX - x) + Math.abs(toY - y);
      const pieces = Math.ceil(length / (y === toY ? this.#most.across : this.#most.down));
      const along = (from: number, to: number, n: number) => from + Math.round(((to - from) * n) / pieces);
      return Array.from({ length: pieces }, (_, n) => this.#position(along(x, toX, n), along(y, toY, n)));
    });
  }
}

function sidesOf({ place, size, cell }: AcquiredCells): { width: number; height: number } {
  const [x, y] = [size.width / 2, size.height / 2];
  const middle = place.toWgs84(x, y);
  const perPixel = (to: Position) => metres(middle, to);
  return {
    width: cell.width * perPixel(place.toWgs84(x + 1, y)),
    height: cell.height * perPixel(place.toWgs84(x, y + 1)),
  };
}

/** Between two places that are near each other. */
function metres(from: Position, to: Position): number {
  const narrow = Math.cos((from[1] * Math.PI) / 180);
  return metresPerDegree * Math.hypot((to[0] - from[0]) * narrow, to[1] - from[1]);
}

/** From a place to the straight line through two others, in metres. */
function metresBetween(point: Position, from: Position, to: Position): number {
  const narrow = Math.cos((point[1] * Math.PI) / 180);
  const [ax, ay] = [(to[0] - from[0]) * narrow, to[1] - from[1]];
  const [bx, by] = [(point[0] - from[0]) * narrow, point[1] - from[1]];
  const length = Math.hypot(ax, ay);
  return length === 0 ? 0 : (metresPerDegree * Math.abs(ax * by - ay * bx)) / length;
}

/** How often a ring goes over the meridians that bound a turn. */
function crossings(ring: readonly Position[], turn: number): number {
  const isIn = ([longitude]: Position) => longitude > 360 * turn - 180 && longitude < 360 * turn + 180;
  return ring.filter((position, i) => isIn(position) !== isIn(ring.at(i - 1)!)).length;
}

/** Without positions that repeat the one before, all as they are written. */
function distinct(ring: readonly Position[]): Position[] {
  const written = ring.map(rounded);
  return written.filter(([x, y], i) => x !== written.at(i - 1)![0] || y !== written.at(i - 1)![1]);
}

function polygonOf(parts: readonly Position[][]): Polygon {
  const rings = parts.map((ring, n) => (isCounterclockwise(ring) === (n === 0) ? ring : [...ring].reverse()));
  const [outer, ...holes] = rings;
  const km2 = holes.reduce((area, hole) => area - areaKm2(hole), areaKm2(outer));
  const vertices = rings.reduce((sum, ring) => sum + ring.length + 1, 0);
  let [west, south, east, north] = [...outer[0], ...outer[0]];
  for (const [x, y] of outer) {
    [west, south, east, north] = [Math.min(west, x), Math.min(south, y), Math.max(east, x), Math.max(north, y)];
  }
  return { rings, km2, vertices, bounds: [west, south, east, north] };
}

/** Counterclockwise, of corners that truly stick out. Source: Andrew's monotone chain, 1979. */
function convexHull(points: readonly Position[]): Position[] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const half = (order: readonly Position[]) => {
    const chain: Position[] = [];
    for (const point of order) {
      while (chain.length >= 2 && !turnsLeft(chain.at(-2)!, chain.at(-1)!, point)) chain.pop();
      chain.push(point);
    }
    return chain.slice(0, -1);
  };
  return [...half(sorted), ...half(sorted.reverse())];
}

function turnsLeft(a: Position, b: Position, c: Position): boolean {
  const cross = (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0]);
  return cross > flatDegrees * Math.hypot(c[0] - a[0], c[1] - a[1]);
}
