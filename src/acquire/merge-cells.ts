/**
 * The outline of a set of cells of a grid: polygons with holes, in corners of cells. Cells that share a side are one
 * polygon; those that touch only in a corner are two, as OGC's simple features require.
 */

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

/** Each polygon's outer ring, then its holes. Every cell corner on the way is kept, so that maps can bend the sides. */
export function mergeCells(cells: readonly CellPlace[]): Ring[][] {
  const polygons = numberPolygons(cells);
  const sides = new Map<string, Side[]>();
  for (const cell of cells) {
    for (const side of outerSides(cell, polygons)) {
      const key = String(side.from);
      sides.set(key, [...(sides.get(key) ?? []), side]);
    }
  }
  const merged: { outer: Ring[]; holes: Ring[] }[] = [];
  for (const { ring, polygon } of walk(sides)) {
    merged[polygon] ??= { outer: [], holes: [] };
    merged[polygon][turnsRight(ring) ? "outer" : "holes"].push(ring);
  }
  return merged.map(({ outer, holes }) => [...outer, ...holes]);
}

const key = (column: number, row: number) => `${column},${row}`;

/** Cells that are connected by their sides get the same number. */
function numberPolygons(cells: readonly CellPlace[]): ReadonlyMap<string, number> {
  const all = new Set(cells.map(({ column, row }) => key(column, row)));
  const numbers = new Map<string, number>();
  let count = 0;
  for (const start of cells) {
    if (numbers.has(key(start.column, start.row))) continue;
    const open = [start];
    numbers.set(key(start.column, start.row), count);
    for (let cell = open.pop(); cell !== undefined; cell = open.pop()) {
      for (const [dx, dy] of [
        [0, -1],
        [1, 0],
        [0, 1],
        [-1, 0],
      ]) {
        const next = { column: cell.column + dx, row: cell.row + dy };
        const name = key(next.column, next.row);
        if (!all.has(name) || numbers.has(name)) continue;
        numbers.set(name, count);
        open.push(next);
      }
    }
    count++;
  }
  return numbers;
}

/** The sides that no other cell shares. */
function outerSides({ column: x, row: y }: CellPlace, polygons: ReadonlyMap<string, number>): Side[] {
  const polygon = polygons.get(key(x, y))!;
  const sides: [neighbour: string, from: Corner, to: Corner][] = [
    [key(x, y - 1), [x, y], [x + 1, y]],
    [key(x + 1, y), [x + 1, y], [x + 1, y + 1]],
    [key(x, y + 1), [x + 1, y + 1], [x, y + 1]],
    [key(x - 1, y), [x, y + 1], [x, y]],
  ];
  return sides.filter(([neighbour]) => !polygons.has(neighbour)).map(([, from, to]) => ({ from, to, polygon }));
}

/** Joins sides to rings. When a walk comes to a corner for the second time, what lies between is a ring of its own. */
function* walk(sides: Map<string, Side[]>): Generator<{ ring: Ring; polygon: number }> {
  const take = (from: string, polygon?: number): Side | undefined => {
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
      for (let side = first; ; side = take(String(side.to), polygon)!) {
        const corner = String(side.to);
        const seen = places.get(corner);
        if (seen !== undefined) {
          const ring = path.splice(seen);
          for (const one of ring) places.delete(String(one));
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
