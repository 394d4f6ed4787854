/**
 * Sets of cells of a grid as bitmaps of their bounding boxes, and the ways in which a set grows to one that a rule allows: joined,
 * without holes, coarser, to rows and columns, to the whole box, wide, large. Cells are neighbours by their sides.
 */

/** Cells within a box of a grid, whose first is (left, top); 1 where there is one, row by row. */
export interface CellSet {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
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
function inBox(set: CellSet, box: Omit<CellSet, "bits">): CellSet {
  const bits = new Uint8Array(box.width * box.height);
  for (let y = Math.max(set.top, box.top); y < Math.min(set.top + set.height, box.top + box.height); y++) {
    for (let x = Math.max(set.left, box.left); x < Math.min(set.left + set.width, box.left + box.width); x++) {
      bits[(y - box.top) * box.width + x - box.left] = set.bits[(y - set.top) * set.width + x - set.left];
    }
  }
  return { ...box, bits };
}

/** Wider by so many cells on each side, as far as the grid goes. */
function padded(set: CellSet, columns: number, rows: number, bounds: Bounds): CellSet {
  const [left, top] = [Math.max(0, set.left - columns), Math.max(0, set.top - rows)];
  const right = Math.min(bounds.columns, set.left + set.width + columns);
  const bottom = Math.min(bounds.rows, set.top + set.height + rows);
  return inBox(set, { left, top, width: right - left, height: bottom - top });
}

/** Calls for the neighbours of a place in a bitmap. */
function eachNeighbour(at: number, width: number, length: number, call: (other: number) => void): void {
  const x = at % width;
  if (x > 0) call(at - 1);
  if (x < width - 1) call(at + 1);
  if (at >= width) call(at - width);
  if (at + width < length) call(at + width);
}

/** Numbers a set's connected parts: 0, 1, …, and −1 where there is no cell. */
export function labelled({ width, bits }: CellSet): { labels: Int32Array; count: number } {
  const labels = new Int32Array(bits.length).fill(-1);
  const open: number[] = [];
  let count = 0;
  for (let start = 0; start < bits.length; start++) {
    if (bits[start] === 0 || labels[start] >= 0) continue;
    labels[start] = count;
    open.push(start);
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      eachNeighbour(at, width, bits.length, (other) => {
        if (bits[other] === 0 || labels[other] >= 0) return;
        labels[other] = count;
        open.push(other);
      });
    }
    count++;
  }
  return { labels, count };
}

/** A shortest way between two parts: the places where the regions that are nearest to each meet, and the cells in between. */
export interface Link {
  readonly a: number;
  readonly b: number;
  /** Cells between the two. */
  readonly length: number;
  readonly from: number;
  readonly to: number;
}

/**
 * The shortest links between parts that have no other part between them, shortest first: they hold a spanning tree as short as
 * any (Mehlhorn, "A faster approximation algorithm for the Steiner problem in graphs", 1988).
 * @param labels of places in a bitmap of this width, as {@link labelled} gives them
 */
export function linksOf(labels: Int32Array, width: number): { links: Link[]; parents: Int32Array } {
  const owners = labels.slice();
  const parents = new Int32Array(labels.length).fill(-1);
  const steps = new Int32Array(labels.length);
  const queue = new Int32Array(labels.length);
  let end = 0;
  for (let at = 0; at < labels.length; at++) if (labels[at] >= 0) queue[end++] = at;
  for (let next = 0; next < end; next++) {
    const at = queue[next];
    eachNeighbour(at, width, labels.length, (other) => {
      if (owners[other] >= 0) return;
      owners[other] = owners[at];
      parents[other] = at;
      steps[other] = steps[at] + 1;
      queue[end++] = other;
    });
  }
  const best = new Map<number, Link>();
  const meet = (from: number, to: number) => {
    const [a, b] = [Math.min(owners[from], owners[to]), Math.max(owners[from], owners[to])];
    if (a === b) return;
    const key = a * labels.length + b;
    const length = steps[from] + steps[to];
    if (length < (best.get(key)?.length ?? Number.POSITIVE_INFINITY)) best.set(key, { a, b, length, from, to });
  };
  for (let at = 0; at < labels.length; at++) {
    if (at % width < width - 1) meet(at, at + 1);
    if (at + width < labels.length) meet(at, at + width);
  }
  return { links: [...best.values()].sort((one, other) => one.length - other.length), parents };
}

/** Which of things 0, 1, … belong together. */
export class Unions {
  readonly #parents: Int32Array;

  constructor(count: number) {
    this.#parents = Int32Array.from({ length: count }, (_, n) => n);
  }

  of(n: number): number {
    while (this.#parents[n] !== n) {
      this.#parents[n] = this.#parents[this.#parents[n]];
      n = this.#parents[n];
    }
    return n;
  }

  /** `b` belongs to `a` from now on. */
  join(a: number, b: number): void {
    this.#parents[this.of(b)] = this.of(a);
  }
}

/** In a box of no more cells, ways may go by any cell that makes them shorter together. */
const smallBox = 36;

/** Connected by ways one cell wide, in a small box by shorter ones than {@link joined} finds (Kahng and Robins's iterated 1-Steiner heuristic, 1992). */
export function joinedShortest(set: CellSet): CellSet {
  let best = joined(set);
  if (set.bits.length > smallBox || best === set) return best;
  const points = set.bits.slice();
  for (let fewest = sizeOf(best), isShorter = true; isShorter; ) {
    isShorter = false;
    for (let at = 0; at < points.length; at++) {
      if (points[at] === 1) continue;
      points[at] = 1;
      const by = joined({ ...set, bits: points.slice() });
      if (sizeOf(by) < fewest) [best, fewest, isShorter] = [by, sizeOf(by), true];
      else points[at] = 0;
    }
  }
  return best;
}

function sizeOf({ bits }: CellSet): number {
  return bits.reduce((sum, bit) => sum + bit, 0);
}

/** Connected by the shortest links between its parts, one cell wide. */
export function joined(set: CellSet): CellSet {
  const { labels, count } = labelled(set);
  if (count === 1) return set;
  const { links, parents } = linksOf(labels, set.width);
  const unions = new Unions(count);
  const bits = set.bits.slice();
  for (const { a, b, from, to } of links) {
    if (unions.of(a) === unions.of(b)) continue;
    unions.join(a, b);
    for (const start of [from, to]) for (let at = start; at >= 0; at = parents[at]) bits[at] = 1;
  }
  return { ...set, bits };
}

/** Without holes: what cannot be reached from outside is filled. */
export function filled(set: CellSet): CellSet {
  const { width, bits } = set;
  const outside = new Uint8Array(bits.length);
  const open: number[] = [];
  const visit = (at: number) => {
    if (bits[at] === 1 || outside[at] === 1) return;
    outside[at] = 1;
    open.push(at);
  };
  for (let at = 0; at < bits.length; at++) {
    const x = at % width;
    if (x === 0 || x === width - 1 || at < width || at + width >= bits.length) visit(at);
  }
  for (let at = open.pop(); at !== undefined; at = open.pop()) eachNeighbour(at, width, bits.length, visit);
  return { ...set, bits: outside.map((is) => 1 - is) };
}

/** In blocks of so many cells a side. */
export function coarser(set: CellSet, side: number): CellSet {
  const across = Math.ceil(set.width / side);
  const blockOf = (at: number) =>
    Math.floor(Math.floor(at / set.width) / side) * across + Math.floor((at % set.width) / side);
  const blocks = new Uint8Array(across * Math.ceil(set.height / side));
  for (let at = 0; at < set.bits.length; at++) if (set.bits[at] === 1) blocks[blockOf(at)] = 1;
  return { ...set, bits: set.bits.map((_, at) => blocks[blockOf(at)]) };
}

/** In each row all from the first to the last cell. */
export function rowSpans(set: CellSet): CellSet {
  const bits = set.bits.slice();
  for (let start = 0; start < bits.length; start += set.width) {
    const row = bits.subarray(start, start + set.width);
    const first = row.indexOf(1);
    if (first >= 0) row.fill(1, first, row.lastIndexOf(1) + 1);
  }
  return { ...set, bits };
}

/** In each column all from the first to the last cell. */
export function columnSpans(set: CellSet): CellSet {
  return turned(rowSpans(turned(set)));
}

function turned({ left, top, width, height, bits }: CellSet): CellSet {
  const across = bits.map((_, at) => bits[(at % height) * width + Math.floor(at / height)]);
  return { left: top, top: left, width: height, height: width, bits: across };
}

/** The whole bounding box. */
export function boxOf(set: CellSet): CellSet {
  return { ...set, bits: new Uint8Array(set.bits.length).fill(1) };
}

/** The whole box without the largest rectangle at one of its corners, so many times, in which there is no cell. */
export function boxWithoutCorners(set: CellSet, times: number): CellSet {
  const { width, height, bits } = set;
  const kept = boxOf(set);
  for (let n = 0; n < times; n++) {
    let best = { size: 0, columns: 0, rows: 0, isRight: false, isLow: false };
    for (const [isRight, isLow] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ]) {
      let columns = width;
      for (let y = 0; y < height && columns > 0; y++) {
        const start = (isLow ? height - 1 - y : y) * width;
        const at = (x: number) => start + (isRight ? width - 1 - x : x);
        let x = 0;
        while (x < columns && bits[at(x)] === 0 && kept.bits[at(x)] === 1) x++;
        columns = x;
        if (columns * (y + 1) > best.size) best = { size: columns * (y + 1), columns, rows: y + 1, isRight, isLow };
      }
    }
    for (let y = 0; y < best.rows; y++) {
      const start = (best.isLow ? height - 1 - y : y) * width + (best.isRight ? width - best.columns : 0);
      kept.bits.fill(0, start, start + best.columns);
    }
  }
  return kept;
}

/** Most places along a side that a block around a cell is tried at. */
export const blockPlaces = 8;

/** Every cell in a full block of so many columns and rows, to which as few cells as possible are added. Undefined in too small a grid. */
export function widened(set: CellSet, columns: number, rows: number, bounds: Bounds): CellSet | undefined {
  if (columns <= 1 && rows <= 1) return set;
  if (columns > bounds.columns || rows > bounds.rows) return undefined;
  const wide = padded(set, columns - 1, rows - 1, bounds);
  const { width, height, bits } = wide;
  const covered = new Uint8Array(bits.length);
  const cover = (left: number, top: number) => {
    for (let y = top; y < top + rows; y++) {
      bits.fill(1, y * width + left, y * width + left + columns);
      covered.fill(1, y * width + left, y * width + left + columns);
    }
  };
  const sums = sumsOf(wide);
  // Of a large block, some of its places around a cell are looked at.
  const [stepAcross, stepDown] = [Math.ceil(columns / blockPlaces), Math.ceil(rows / blockPlaces)];
  const countIn = (x: number, y: number) => {
    const across = width + 1;
    const [low, high] = [y * across + x, (y + rows) * across + x];
    return sums[high + columns] - sums[high] - sums[low + columns] + sums[low];
  };
  const starts = new Uint8Array(bits.length);
  for (let y = 0; y + rows <= height; y++) {
    for (let x = 0; x + columns <= width; x++) starts[y * width + x] = countIn(x, y) === columns * rows ? 1 : 0;
  }
  const before = sumsOf({ ...wide, bits: starts });
  for (let at = 0; at < bits.length; at++) {
    const [x, y] = [at % width, Math.floor(at / width)];
    const [left, top] = [Math.max(0, x - columns + 1), Math.max(0, y - rows + 1) * (width + 1)];
    const low = (y + 1) * (width + 1);
    const found = before[low + x + 1] - before[low + left] - before[top + x + 1] + before[top + left];
    covered[at] = found > 0 ? 1 : 0;
  }
  for (let at = 0; at < bits.length; at++) {
    if (bits[at] === 0 || covered[at] === 1) continue;
    const [x, y] = [at % width, Math.floor(at / width)];
    let best = { count: -1, left: 0, top: 0 };
    for (let top = Math.max(0, y - rows + 1); top <= Math.min(y, height - rows); top += stepDown) {
      for (let left = Math.max(0, x - columns + 1); left <= Math.min(x, width - columns); left += stepAcross) {
        const count = countIn(left, top);
        if (count > best.count) best = { count, left, top };
      }
    }
    cover(best.left, best.top);
  }
  return wide;
}

/** [height + 1, width + 1]: cells above and to the left. */
function sumsOf({ width, height, bits }: CellSet): Int32Array {
  const sums = new Int32Array((width + 1) * (height + 1));
  for (let y = 0; y < height; y++) {
    for (let x = 0, row = 0; x < width; x++) {
      row += bits[y * width + x];
      sums[(y + 1) * (width + 1) + x + 1] = sums[y * (width + 1) + x + 1] + row;
    }
  }
  return sums;
}

/** What a set's growing needs to know of the grid. */
export interface Ground extends Bounds {
  /** In km². */
  areaOf(column: number, row: number): number;
  /** Of a rectangle of cells, in km². */
  areaOfBox(left: number, top: number, width: number, height: number): number;
}

export function areaOfSet({ left, top, width, bits }: CellSet, ground: Ground): number {
  let area = 0;
  for (let at = 0; at < bits.length; at++) {
    if (bits[at] === 1) area += ground.areaOf(left + (at % width), top + Math.floor(at / width));
  }
  return area;
}

/** Of at least this area: first its box is filled up, then the box grows. Undefined where the grid is too small. */
export function enlarged(set: CellSet, leastKm2: number, ground: Ground): CellSet | undefined {
  let missing = leastKm2 - areaOfSet(set, ground);
  if (missing <= 0) return set;
  const { left, top, width, bits: before } = set;
  const bits = before.slice();
  const queue = Array.from(bits.keys()).filter((at) => bits[at] === 1);
  for (let next = 0; next < queue.length && missing > 0; next++) {
    eachNeighbour(queue[next], width, bits.length, (other) => {
      if (bits[other] === 1 || missing <= 0) return;
      bits[other] = 1;
      queue.push(other);
      missing -= ground.areaOf(left + (other % width), top + Math.floor(other / width));
    });
  }
  let box: CellSet = { ...set, bits };
  while (missing > 0) {
    const [canWiden, canDeepen] = [box.width < ground.columns, box.height < ground.rows];
    if (!canWiden && !canDeepen) return undefined;
    const isSideways = canWiden && (!canDeepen || box.width <= box.height);
    const isBefore = isSideways ? box.left + box.width === ground.columns : box.top + box.height === ground.rows;
    const by = isBefore ? 1 : 0;
    box = isSideways
      ? inBox(box, { ...box, left: box.left - by, width: box.width + 1 })
      : inBox(box, { ...box, top: box.top - by, height: box.height + 1 });
    const length = isSideways ? box.height : box.width;
    const line = isBefore ? 0 : (isSideways ? box.width : box.height) - 1;
    for (let n = 0; n < length && missing > 0; n++) {
      const [x, y] = isSideways ? [line, n] : [n, line];
      box.bits[y * box.width + x] = 1;
      missing -= ground.areaOf(box.left + x, box.top + y);
    }
  }
  return box;
}

/** The smallest rectangle around a set of at least this area and so many columns and rows. Undefined where the grid is too small. */
export function rectangleAround(
  set: CellSet,
  { leastKm2, columns, rows }: { leastKm2: number; columns: number; rows: number },
  ground: Ground,
): CellSet | undefined {
  let best: Omit<CellSet, "bits"> | undefined;
  let smallest = Number.POSITIVE_INFINITY;
  for (let width = Math.max(set.width, columns); width <= ground.columns; width++) {
    const left = Math.min(set.left, ground.columns - width);
    for (let height = Math.max(set.height, rows); height <= ground.rows; height++) {
      const top = Math.min(set.top, ground.rows - height);
      const area = ground.areaOfBox(left, top, width, height);
      if (area >= smallest) break;
      if (area >= leastKm2) [best, smallest] = [{ left, top, width, height }, area];
    }
  }
  return best && { ...best, bits: new Uint8Array(best.width * best.height).fill(1) };
}

/** Maximal runs of rows with the same columns: rectangles that make up the set. */
export function rectanglesOf(set: CellSet): CellSet[] {
  const { left, top, width, height, bits } = set;
  const done: CellSet[] = [];
  let open = new Map<string, { x: number; width: number; y: number; height: number }>();
  const end = (one: { x: number; width: number; y: number; height: number }) =>
    done.push(
      boxOf({
        left: left + one.x,
        top: top + one.y,
        width: one.width,
        height: one.height,
        bits: new Uint8Array(one.width * one.height),
      }),
    );
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

/** A corner of cells on an outline. */
export type Corner = readonly [column: number, row: number];

/** How many corners the outlines of a set have: where it turns; twice where two cells touch only there. */
export function cornerCount({ width, height, bits }: CellSet): number {
  const at = (x: number, y: number) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : bits[y * width + x]);
  let count = 0;
  for (let y = 0; y <= height; y++) {
    for (let x = 0; x <= width; x++) {
      const [a, b, c, d] = [at(x - 1, y - 1), at(x, y - 1), at(x - 1, y), at(x, y)];
      const sum = a + b + c + d;
      if (sum === 1 || sum === 3) count++;
      else if (sum === 2 && a === d) count += 2;
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
