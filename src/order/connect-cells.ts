/** Which cells of a set belong together, and the shortest ways that join its parts. */

import { type CellSet, eachNeighbour, sizeOf } from "./cell-set.ts";

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
