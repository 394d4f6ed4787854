/** The cheapest polygon that rules allow around given cells, of several ways to draw one. */

import { signedArea } from "../acquire/ring.ts";
import { areaOfSet, boxOf, type CellSet } from "./cell-set.ts";
import { joined, joinedShortest } from "./connect-cells.ts";
import {
  blockPlaces,
  boxWithoutCorners,
  coarser,
  columnSpans,
  enlarged,
  filled,
  rectangleAround,
  rowSpans,
  widened,
} from "./grow-cells.ts";
import type { OrderRules } from "./order-rules.ts";
import { cornerCount } from "./outline.ts";
import type { Polygon, Region } from "./region.ts";

/** What an order costs. */
export interface Prices {
  /** Of a square kilometre. */
  readonly perKm2: number;
  /** Of every order, besides its area. */
  readonly perOrder: number;
}

/** A polygon with the cells that it was drawn around, and all that it covers. */
export interface Piece {
  readonly needed: CellSet;
  readonly covered: CellSet;
  readonly polygon: Polygon;
  /** As an order of its own; where an order may have many polygons, of its area alone. */
  readonly price: number;
}

/** Of the drawings that cost the same, the one with fewer corners. */
const same = 1e-9;
/** No further drawing is tried for a smaller share of the price than this. */
const asCheapAsCan = 1e-3;

export class Drawing {
  readonly region: Region;
  readonly rules: OrderRules;
  readonly #prices: Prices;
  /** Columns and rows of cells that make up the smallest width. */
  readonly #wide: { readonly columns: number; readonly rows: number };

  constructor(region: Region, rules: OrderRules, prices: Prices) {
    this.region = region;
    this.rules = rules;
    this.#prices = prices;
    // Cells are not of quite the same size everywhere: a thousandth more makes sure.
    const cells = (metres: number) => Math.max(1, Math.ceil((1.001 * rules.min_width_m) / metres));
    this.#wide = { columns: cells(region.cellMetres.width), rows: cells(region.cellMetres.height) };
  }

  /** Of a polygon. */
  priceOf(km2: number): number {
    return this.rules.parts === "multi" ? km2 * this.#prices.perKm2 : orderPrice(km2, this.rules, this.#prices);
  }

  /** Below which a polygon costs what this area does, in km². */
  get leastKm2(): number {
    const { parts, min_area_km2, min_charged_km2 } = this.rules;
    return parts === "multi" ? min_area_km2 : Math.max(min_area_km2, min_charged_km2);
  }

  /** What polygons around cells of this area cost at least. */
  floorOf(km2: number): number {
    return this.priceOf(Math.max(km2, this.rules.min_area_km2));
  }

  /** Of drawing around cells: some steps a cell, each of which looks for a place where a block as wide as the rules ask for fits. */
  effortOf({ bits }: CellSet): number {
    const places = (cells: number) => Math.min(cells, blockPlaces);
    return (2000 + 10 * bits.length) * (1 + (places(this.#wide.columns) * places(this.#wide.rows)) / 50);
  }

  /** Undefined where no drawing that is tried is allowed. */
  cheapest(needed: CellSet): Piece | undefined {
    const floor = this.floorOf(areaOfSet(needed, this.region)) * (1 + asCheapAsCan);
    let best: Piece | undefined;
    // Growing only adds to what a set costs.
    const mayBeBest = (set: CellSet) =>
      best === undefined || this.floorOf(areaOfSet(set, this.region)) <= best.price * (1 + same);
    for (const shape of this.#shapes(needed, mayBeBest)) {
      const piece = this.#piece(needed, shape);
      if (piece === undefined || (best !== undefined && !isBetter(piece, best))) continue;
      best = piece;
      if (best.price <= floor) break;
    }
    return best;
  }

  *#shapes(needed: CellSet, mayBeBest: (set: CellSet) => boolean): Generator<CellSet | undefined> {
    const rectangle = () => rectangleAround(needed, { leastKm2: this.rules.min_area_km2, ...this.#wide }, this.region);
    if (this.rules.convex) {
      // A hull may be narrow at its corners.
      if (this.rules.min_width_m === 0) yield needed;
      yield rectangle();
      return;
    }
    const seen: CellSet[] = [];
    for (const start of startsOf(needed)) {
      // Of few cells, many ways to connect them come to the same.
      if (!mayBeBest(start) || seen.some((one) => isSame(one, start))) continue;
      seen.push(start);
      yield this.#grown(start);
    }
    yield rectangle();
  }

  /** Wide, large and closed enough. */
  #grown(shape: CellSet): CellSet | undefined {
    const close = (set: CellSet | undefined) => (set === undefined || this.rules.holes ? set : filled(set));
    const widen = (set: CellSet | undefined) =>
      set && close(widened(set, this.#wide.columns, this.#wide.rows, this.region));
    const wide = widen(close(shape));
    return wide && widen(close(enlarged(wide, this.rules.min_area_km2, this.region)));
  }

  #piece(needed: CellSet, covered: CellSet | undefined): Piece | undefined {
    const { max_vertices: most = Number.POSITIVE_INFINITY, convex, min_area_km2, min_fill_of_bbox } = this.rules;
    if (covered === undefined || (!convex && cornerCount(covered) + 1 > most)) return undefined;
    const polygon = this.region.polygonAround(covered, convex);
    if (polygon === undefined || polygon.vertices > most || polygon.km2 < min_area_km2) return undefined;
    if (fillOf([polygon]) < min_fill_of_bbox) return undefined;
    return { needed, covered, polygon, price: this.priceOf(polygon.km2) };
  }
}

/** Connected sets around cells, each in the same box: those that tend to be the cheapest first. */
function* startsOf(needed: CellSet): Generator<CellSet> {
  yield joinedShortest(needed);
  for (let side = 2; side < Math.max(needed.width, needed.height); side *= 2) yield joined(coarser(needed, side));
  yield joined(rowSpans(needed));
  yield joined(columnSpans(needed));
  for (const times of [4, 3, 2, 1]) yield joined(boxWithoutCorners(needed, times));
  yield boxOf(needed);
}

/** Of sets in the same box. */
function isSame(one: CellSet, other: CellSet): boolean {
  return one.bits.every((bit, at) => bit === other.bits[at]);
}

/** Of an order of this area. */
export function orderPrice(km2: number, { min_charged_km2 }: OrderRules, { perKm2, perOrder }: Prices): number {
  return Math.max(km2, min_charged_km2) * perKm2 + perOrder;
}

/** The share that polygons have of the box around them, in degrees. */
export function fillOf(polygons: readonly Polygon[]): number {
  const [west, south, east, north] = [0, 1, 2, 3].map((side) => {
    const values = polygons.map(({ bounds }) => bounds[side]);
    return values.reduce((a, b) => (side < 2 ? Math.min(a, b) : Math.max(a, b)));
  });
  return polygons.reduce((sum, { rings }) => sum + squareDegrees(rings), 0) / ((east - west) * (north - south));
}

function squareDegrees(rings: Polygon["rings"]): number {
  const [outer, ...holes] = rings.map((ring) => Math.abs(signedArea(ring)));
  return holes.reduce((area, hole) => area - hole, outer);
}

function isBetter(one: Piece, other: Piece): boolean {
  if (Math.abs(one.price - other.price) > same * other.price) return one.price < other.price;
  return one.polygon.vertices < other.polygon.vertices;
}
