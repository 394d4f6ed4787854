/** The ways in which a set of cells grows to one that rules allow: without holes, coarser, to rows and columns, to its box, wide, large. */

import {
  areaOfSet,
  type Bounds,
  type Box,
  boxOf,
  type CellSet,
  eachNeighbour,
  type Ground,
  padded,
} from "./cell-set.ts";

/** Without holes: what cannot be reached from outside is filled. */
export function filled(set: CellSet): CellSet {
  const { width, height, bits } = set;
  if (!bits.includes(0)) return set;
  // With a frame around it, so that one place outside reaches all others.
  const across = width + 2;
  const seen = new Uint8Array(across * (height + 2));
  for (let y = 0; y < height; y++) seen.set(bits.subarray(y * width, (y + 1) * width), (y + 1) * across + 1);
  const open = new Int32Array(seen.length);
  let count = 0;
  const visit = (at: number) => {
    if (seen[at] !== 0) return;
    seen[at] = 1;
    open[count++] = at;
  };
  visit(0);
  while (count > 0) {
    const at = open[--count];
    visit(at + 1);
    visit(at - 1);
    visit(at + across);
    visit(at - across);
  }
  const closed = bits.slice();
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) if (seen[(y + 1) * across + x + 1] === 0) closed[at] = 1;
  }
  return { ...set, bits: closed };
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

/** Of at least this area: first its box is filled up, then the box grows. Undefined where the grid is too small. */
export function enlarged(set: CellSet, leastKm2: number, ground: Ground): CellSet | undefined {
  const missing = leastKm2 - areaOfSet(set, ground);
  if (missing <= 0) return set;
  return ground.areaOfBox(set) < leastKm2 ? grownBox(set, leastKm2, ground) : filledUp(set, missing, ground);
}

/** With the cells of its box that are nearest. */
function filledUp(set: CellSet, missing: number, ground: Ground): CellSet {
  const { left, top, width } = set;
  const bits = set.bits.slice();
  const queue = Array.from(bits.keys()).filter((at) => bits[at] === 1);
  for (let next = 0; next < queue.length && missing > 0; next++) {
    eachNeighbour(queue[next], width, bits.length, (other) => {
      if (bits[other] === 1 || missing <= 0) return;
      bits[other] = 1;
      queue.push(other);
      missing -= ground.areaOf(left + (other % width), top + Math.floor(other / width));
    });
  }
  return { ...set, bits };
}

/** A box and lines beside it, the last one as far as it is needed. */
function grownBox({ left, top, width, height }: Box, leastKm2: number, ground: Ground): CellSet | undefined {
  let box: Box = { left, top, width, height };
  for (;;) {
    const [canWiden, canDeepen] = [box.width < ground.columns, box.height < ground.rows];
    if (!canWiden && !canDeepen) return undefined;
    const isSideways = canWiden && (!canDeepen || box.width <= box.height);
    const isBefore = isSideways ? box.left + box.width === ground.columns : box.top + box.height === ground.rows;
    const by = isBefore ? 1 : 0;
    const before = ground.areaOfBox(box);
    box = isSideways
      ? { ...box, left: box.left - by, width: box.width + 1 }
      : { ...box, top: box.top - by, height: box.height + 1 };
    if (ground.areaOfBox(box) < leastKm2) continue;
    const set = boxOf(box);
    const line = isBefore ? 0 : (isSideways ? box.width : box.height) - 1;
    let missing = leastKm2 - before;
    for (let n = 0; n < (isSideways ? box.height : box.width); n++) {
      const [x, y] = isSideways ? [line, n] : [n, line];
      if (missing <= 0) set.bits[y * box.width + x] = 0;
      missing -= ground.areaOf(box.left + x, box.top + y);
    }
    return set;
  }
}

/** The smallest rectangle around a set of at least this area and so many columns and rows. Undefined where the grid is too small. */
export function rectangleAround(
  set: CellSet,
  { leastKm2, columns, rows }: { leastKm2: number; columns: number; rows: number },
  ground: Ground,
): CellSet | undefined {
  let best: Box | undefined;
  let smallest = Number.POSITIVE_INFINITY;
  for (let width = Math.max(set.width, columns); width <= ground.columns; width++) {
    const left = Math.min(set.left, ground.columns - width);
    for (let height = Math.max(set.height, rows); height <= ground.rows; height++) {
      const box = { left, top: Math.min(set.top, ground.rows - height), width, height };
      const area = ground.areaOfBox(box);
      if (area >= smallest) break;
      if (area >= leastKm2) [best, smallest] = [box, area];
    }
  }
  return best && boxOf(best);
}
