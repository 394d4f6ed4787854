/**
 * The cheapest set of polygons around cells that is found on one side of 180°: parts that touch are cut up where rules make
 * one polygon dearer than several, then joined while that saves something, then moved one by one.
 */

import { Heap } from "../utils/priority-queue.ts";
import { areaOfSet, type CellSet, cellsIn, rectanglesOf, setOf, sizeOf } from "./cell-set.ts";
import { labelled, linksOf, Unions } from "./connect-cells.ts";
import type { Drawing, Piece } from "./legal-polygon.ts";
import { cornerCount } from "./outline.ts";

/** Who waits for a plan. */
export interface Watch {
  /** Lets others have their turn. @throws Stopped */
  pause(): Promise<void> | undefined;
  /** @param cells that have a polygon; @param polygons there are, which become fewer as they are joined */
  update(cells: number, polygons: number): void;
}

/** Effort that joining and moving may take, so that a large scene takes seconds. */
const mostTried = { joining: 4e7, moving: 4e6 };
const fewPieces = 40;
/** Of what is less than this apart, in a price and in share, nothing is saved. */
const tiny = 1e-9;
const nearly = 1e-6;

/**
 * Each cell lies in one piece at least.
 * @returns undefined where no polygon around some of the cells is allowed
 * @throws Stopped
 */
export async function planPieces(
  cells: readonly number[],
  drawing: Drawing,
  watch: Watch,
): Promise<Piece[] | undefined> {
  const planner = new Planner(drawing, watch);
  const pieces: Piece[] = [];
  let done = 0;
  for (const group of await planner.grouped(planner.atoms(cells))) {
    const covering = await planner.cover(group);
    if (covering === undefined) return undefined;
    for (const piece of covering) pieces.push(piece);
    done += sizeOf(group);
    watch.update(done, pieces.length);
  }
  return planner.moved(await planner.joined(pieces));
}

/** Two of a list that are neighbours, and the number of cells between them. */
interface NeighbourLink {
  readonly a: number;
  readonly b: number;
  readonly length: number;
}

class Planner {
  readonly #drawing: Drawing;
  readonly #watch: Watch;
  #tried = 0;

  constructor(drawing: Drawing, watch: Watch) {
    this.#drawing = drawing;
    this.#watch = watch;
  }

  /** What is never taken apart when groups are made: rectangles where polygons are convex, else what is connected. */
  atoms(cells: readonly number[]): CellSet[] {
    return this.#partsOf(setOf(cells, this.#columns));
  }

  /** Groups by areas and ways between them alone, which is quick. Of convex polygons these say too little. */
  async grouped(atoms: readonly CellSet[]): Promise<readonly CellSet[]> {
    await this.#watch.pause();
    const { rules } = this.#drawing;
    const isSaving = this.#drawing.priceOf(0) > 0 || this.#drawing.leastKm2 > 0;
    if (rules.convex || atoms.length === 1 || !isSaving) return atoms;
    const most = rules.max_vertices ?? Number.POSITIVE_INFINITY;
    const areas = atoms.map((atom) => this.#areaOf(atom));
    const corners = atoms.map(cornerCount);
    const priceOf = (km2: number) => this.#drawing.floorOf(km2);
    const cellKm2 = this.#cellKm2(atoms[0]);
    const saving = (a: number, b: number, length: number) =>
      priceOf(areas[a]) + priceOf(areas[b]) - priceOf(areas[a] + areas[b] + length * cellKm2);
    await this.#watch.pause();
    const unions = new Unions(atoms.length);
    const heap = new Heap<NeighbourLink>();
    for (const link of this.#links(atoms)) heap.push(link, -saving(link.a, link.b, link.length));
    // What two groups save when they are joined never grows as they do.
    for (let first = heap.pop(); first !== undefined; first = heap.pop()) {
      await this.#watch.pause();
      const { length } = first.item;
      const [a, b] = [unions.of(first.item.a), unions.of(first.item.b)];
      if (a === b || corners[a] + corners[b] + 5 > most) continue;
      const now = saving(a, b, length);
      if (now <= 0) continue;
      if (-now > first.key + tiny) {
        heap.push(first.item, -now);
        continue;
      }
      unions.join(a, b);
      areas[a] += areas[b] + length * cellKm2;
      corners[a] += corners[b] + 4;
    }
    const groups = new Map<number, CellSet[]>();
    for (const [n, atom] of atoms.entries()) groups.set(unions.of(n), [...(groups.get(unions.of(n)) ?? []), atom]);
    return [...groups.values()].map((sets) => this.#union(sets));
  }

  /** A polygon around cells, or several around parts of them where these are cheaper. */
  async cover(needed: CellSet): Promise<Piece[] | undefined> {
    await this.#watch.pause();
    const whole = this.#drawing.cheapest(needed);
    if (whole !== undefined && whole.price <= this.#floorOfTwo(needed) * (1 + nearly)) return [whole];
    const parts: Piece[] = [];
    for (const half of halvesOf(needed, this.#columns)) {
      for (const part of this.#partsOf(half)) {
        const pieces = await this.cover(part);
        if (pieces === undefined) return whole && [whole];
        parts.push(...pieces);
        if (whole !== undefined && totalOf(parts) >= whole.price) return [whole];
      }
    }
    if (parts.length === 0) return whole && [whole];
    return parts;
  }

  /** Joins pieces while that saves something or costs nothing, first those that save most. */
  async joined(drawn: readonly Piece[]): Promise<Piece[]> {
    if (drawn.length === 1) return [...drawn];
    const pieces: (Piece | undefined)[] = [...drawn];
    const cells = drawn.reduce((sum, { needed }) => sum + sizeOf(needed), 0);
    let count = drawn.length;
    const neighbours = drawn.map(() => new Map<number, number>());
    const heap = new Heap<NeighbourLink & { made?: Piece }>();
    const cellKm2 = this.#cellKm2(drawn[0].needed) * (this.#drawing.rules.convex ? 0.5 : 1);
    const areas = drawn.map(({ needed }) => this.#areaOf(needed));
    const ask = (a: number, b: number, length: number) => {
      const floor = this.#drawing.floorOf(areas[a] + areas[b] + length * cellKm2);
      const hope = pieces[a]!.price + pieces[b]!.price - floor;
      if (hope >= -nearly * floor) heap.push({ a, b, length }, -hope);
    };
    const link = (a: number, b: number, length: number) => {
      neighbours[a].set(b, length);
      neighbours[b].set(a, length);
      ask(a, b, length);
    };
    for (const { a, b, length } of this.#links(drawn.map(({ needed }) => needed))) link(a, b, length);
    for (let first = heap.pop(); first !== undefined && this.#tried < mostTried.joining; first = heap.pop()) {
      await this.#watch.pause();
      const { a, b, length, made } = first.item;
      const [one, other] = [pieces[a], pieces[b]];
      if (one === undefined || other === undefined) continue;
      if (made === undefined) {
        const both = this.#draw(this.#union([one.needed, other.needed]));
        if (both === undefined) continue;
        const saved = one.price + other.price - both.price;
        if (saved >= -nearly * both.price) heap.push({ a, b, length, made: both }, -saved);
        continue;
      }
      const number = pieces.push(made) - 1;
      areas.push(areas[a] + areas[b]);
      neighbours.push(new Map());
      [pieces[a], pieces[b]] = [undefined, undefined];
      this.#watch.update(cells, --count);
      for (const [n, far] of [...neighbours[a], ...neighbours[b]]) {
        if (pieces[n] !== undefined) link(n, number, Math.min(far, neighbours[number].get(n) ?? far));
      }
    }
    return pieces.filter((piece) => piece !== undefined);
  }

  /** Moves parts from piece to piece, or into one of their own, while that saves something. */
  async moved(pieces: Piece[]): Promise<Piece[]> {
    this.#tried = 0;
    for (let isBetter = true; isBetter && pieces.length <= fewPieces; ) {
      isBetter = false;
      for (const from of pieces) {
        const better = await this.#bestMove(pieces, from);
        if (better === undefined) continue;
        pieces = better;
        isBetter = true;
        break;
      }
    }
    return pieces;
  }

  async #bestMove(pieces: readonly Piece[], from: Piece): Promise<Piece[] | undefined> {
    const parts = this.#movable(from.needed);
    if (parts.length > fewPieces) return undefined;
    for (const part of parts) {
      const rest = parts.filter((one) => one !== part);
      this.#tried += this.#drawing.effortOf(from.needed);
      const left = rest.length === 0 ? [] : await this.cover(this.#union(rest));
      if (left === undefined) continue;
      for (const to of [undefined, ...pieces.filter((one) => one !== from)]) {
        if (rest.length === 0 && to === undefined) continue;
        if (this.#tried > mostTried.moving) return undefined;
        await this.#watch.pause();
        const grown = this.#draw(to === undefined ? part : this.#union([to.needed, part]));
        if (grown === undefined) continue;
        const before = from.price + (to?.price ?? 0);
        if (totalOf(left) + grown.price >= before * (1 - nearly)) continue;
        return [...pieces.filter((one) => one !== from && one !== to), ...left, grown];
      }
    }
    return undefined;
  }

  /** Single cells where there are few. */
  #movable(set: CellSet): CellSet[] {
    const cells = cellsIn(set, this.#columns);
    return cells.length <= fewPieces ? cells.map((cell) => setOf([cell], this.#columns)) : this.#partsOf(set);
  }

  get #columns(): number {
    return this.#drawing.region.columns;
  }

  #areaOf(set: CellSet): number {
    return areaOfSet(set, this.#drawing.region);
  }

  #cellKm2(set: CellSet): number {
    return this.#areaOf(set) / sizeOf(set);
  }

  /** What two polygons around parts of a set cost at least. */
  #floorOfTwo(set: CellSet): number {
    const area = this.#areaOf(set);
    return Math.min(2 * this.#drawing.floorOf(area / 2), this.#drawing.floorOf(0) + this.#drawing.floorOf(area));
  }

  #partsOf(set: CellSet): CellSet[] {
    if (this.#drawing.rules.convex) return rectanglesOf(set);
    const { labels, count } = labelled(set);
    const parts: number[][] = Array.from({ length: count }, () => []);
    for (let at = 0; at < labels.length; at++) {
      const cell = (set.top + Math.floor(at / set.width)) * this.#columns + set.left + (at % set.width);
      if (labels[at] >= 0) parts[labels[at]].push(cell);
    }
    return parts.map((part) => setOf(part, this.#columns));
  }

  #union(sets: readonly CellSet[]): CellSet {
    return setOf(
      sets.flatMap((set) => cellsIn(set, this.#columns)),
      this.#columns,
    );
  }

  /** Links between sets of cells, by their places in the list. */
  #links(sets: readonly CellSet[]): readonly NeighbourLink[] {
    const all = this.#union(sets);
    const labels = new Int32Array(all.bits.length).fill(-1);
    for (const [n, set] of sets.entries()) {
      for (let at = 0; at < set.bits.length; at++) {
        const [x, y] = [set.left + (at % set.width), set.top + Math.floor(at / set.width)];
        if (set.bits[at] === 1) labels[(y - all.top) * all.width + x - all.left] = n;
      }
    }
    return linksOf(labels, all.width).links;
  }

  #draw(needed: CellSet): Piece | undefined {
    this.#tried += this.#drawing.effortOf(needed);
    return this.#drawing.cheapest(needed);
  }
}

function totalOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { price }) => sum + price, 0);
}

/** The cells to both sides of the middle of the longer side; nothing of a single cell. */
function halvesOf(set: CellSet, columns: number): CellSet[] {
  if (set.bits.length === 1) return [];
  const isWide = set.width >= set.height;
  const middle = isWide ? set.left + set.width / 2 : set.top + set.height / 2;
  const sides: [number[], number[]] = [[], []];
  for (const cell of cellsIn(set, columns)) {
    sides[(isWide ? cell % columns : Math.floor(cell / columns)) + 0.5 < middle ? 0 : 1].push(cell);
  }
  return sides.filter((side) => side.length > 0).map((side) => setOf(side, columns));
}
