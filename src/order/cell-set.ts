/** Sets of cells of a grid as bitmaps of their bounding boxes. Cells are neighbours by their sides. */

/** A rectangle of cells, whose first is (left, top). */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Cells within a box of a grid; 1 where there is one, row by row. */
export interface CellSet extends Box {
  readonly bits: Uint8Array;
}

/** The grid that a set may grow in. */
export interface Bounds {
  readonly columns: number;
  readonly rows: number;
}

/** @param cells by number, row by row of a grid of so many columns; at least one */
export function setOf(cells: readonly number[], columns: number): CellSet {
  let [left, top, right, bottom] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0, 0];
  for (const cell of cells) {
    const [x, y] = [cell % columns, Math.floor(cell / columns)];
    [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
  }
  const [width, height] = [right - left + 1, bottom - top + 1];
  const bits = new Uint8Array(width * height);
  for (const cell of cells) bits[(Math.floor(cell / columns) - top) * width + (cell % columns) - left] = 1;
  return { left, top, width, height, bits };
}

/** The numbers of a set's cells in a grid of so many columns. */
export function cellsIn({ left, top, width, bits }: CellSet, columns: number): number[] {
  const cells: number[] = [];
  for (let at = 0; at < bits.length; at++) {
    if (bits[at] === 1) cells.push((top + Math.floor(at / width)) * columns + left + (at % width));
  }
  return cells;
}

/** The same cells in another box, of which those outside it are left out. */
function inBox(set: CellSet, box: Box): CellSet {
  const bits = new Uint8Array(box.width * box.height);
  const left = Math.max(set.left, box.left);
  const length = Math.min(set.left + set.width, box.left + box.width) - left;
  for (let y = Math.max(set.top, box.top); y < Math.min(set.top + set.height, box.top + box.height); y++) {
    const start = (y - set.top) * set.width + left - set.left;
    bits.set(set.bits.subarray(start, start + length), (y - box.top) * box.width + left - box.left);
  }
  return { ...box, bits };
}

/** Wider by so many cells on each side, as far as the grid goes. */
export function padded(set: CellSet, columns: number, rows: number, bounds: Bounds): CellSet {
  const [left, top] = [Math.max(0, set.left - columns), Math.max(0, set.top - rows)];
  const right = Math.min(bounds.columns, set.left + set.width + columns);
  const bottom = Math.min(bounds.rows, set.top + set.height + rows);
  return inBox(set, { left, top, width: right - left, height: bottom - top });
}

/** Calls for the neighbours of a place in a bitmap. */
export function eachNeighbour(at: number, width: number, length: number, call: (other: number) => void): void {
  const x = at % width;
  if (x > 0) call(at - 1);
  if (x < width - 1) call(at + 1);
  if (at >= width) call(at - width);
  if (at + width < length) call(at + width);
}

export function sizeOf({ bits }: CellSet): number {
  return bits.reduce((sum, bit) => sum + bit, 0);
}

/** The whole bounding box. */
export function boxOf({ left, top, width, height }: Box): CellSet {
  return { left, top, width, height, bits: new Uint8Array(width * height).fill(1) };
}

/** What a set's growing needs to know of the grid. */
export interface Ground extends Bounds {
  /** In km². */
  areaOf(column: number, row: number): number;
  /** Of a rectangle of cells, in km². */
  areaOfBox(box: Box): number;
}

export function areaOfSet({ left, top, width, height, bits }: CellSet, ground: Ground): number {
  let area = 0;
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) if (bits[at] === 1) area += ground.areaOf(left + x, top + y);
  }
  return area;
}

/** Maximal runs of rows with the same columns: rectangles that make up the set. */
export function rectanglesOf(set: CellSet): CellSet[] {
  const { left, top, width, height, bits } = set;
  const done: CellSet[] = [];
  let open = new Map<string, { x: number; width: number; y: number; height: number }>();
  const end = (one: { x: number; width: number; y: number; height: number }) =>
    done.push(boxOf({ left: left + one.x, top: top + one.y, width: one.width, height: one.height }));
  for (let y = 0; y <= height; y++) {
    const next: typeof open = new Map();
    for (let x = 0; y < height && x < width; x++) {
      if (bits[y * width + x] === 0) continue;
      const first = x;
      while (x < width && bits[y * width + x] === 1) x++;
      const key = `${first} ${x - first}`;
      const above = open.get(key);
      next.set(
        key,
        above === undefined ? { x: first, width: x - first, y, height: 1 } : { ...above, height: above.height + 1 },
      );
      open.delete(key);
    }
    for (const one of open.values()) end(one);
    open = next;
  }
  return done;
}
