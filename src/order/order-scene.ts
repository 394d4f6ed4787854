/** The orders of a scene: pieces on each side of 180°, what does not pay left out, several polygons an order where rules allow it. */

import { rounded, turnsOf } from "../acquire/antimeridian.ts";
import { cornersOf } from "../acquire/geojson.ts";
import { fault, type PatchDropError } from "../errors.ts";
import type { AcquiredCells } from "./acquired-cells.ts";
import { boxOf, cellsIn, setOf } from "./cell-set.ts";
import { Drawing, fillOf, orderPrice, type Piece, type Prices } from "./legal-polygon.ts";
import type { OrderRules } from "./order-rules.ts";
import { planPieces, type Watch } from "./plan-order.ts";
import { type Polygon, Region } from "./region.ts";

export interface OrderTerms extends Prices {
  readonly rules: OrderRules;
  /** What a cell of probability 1 is worth; undefined where every chosen cell must be covered. */
  readonly perCell: number | undefined;
}

/** What is sent to a seller at once. */
export interface Order {
  readonly polygons: readonly Polygon[];
  readonly price: number;
  readonly km2: number;
  readonly chargedKm2: number;
  /** Chosen cells that it covers, by number, row by row. */
  readonly cells: readonly number[];
}

export interface OrderPlan {
  readonly orders: readonly Order[];
  /** The whole scene under the same rules; undefined where these do not allow it. */
  readonly whole: readonly Order[] | undefined;
}

/** A piece with the turn of the Earth that it lies in, and what drew it there. */
interface Placed {
  readonly piece: Piece;
  readonly region: Region;
  readonly drawing: Drawing;
}

/** @throws input: no polygon around some of the cells is allowed; Stopped */
export async function planOrders(grid: AcquiredCells, terms: OrderTerms, watch: Watch): Promise<OrderPlan> {
  const chosen = Array.from(grid.chosen.keys()).filter((cell) => grid.chosen[cell] === 1);
  const planned: Placed[] = [];
  const wholes: (Placed | undefined)[] = [];
  const { width, height } = grid.size;
  for (const turn of turnsOf(cornersOf({ x: 0, y: 0, width, height }, grid.place).map(rounded))) {
    const region = await Region.of(grid, turn, () => watch.pause());
    const drawing = new Drawing(region, terms.rules, terms);
    const there = (cell: number) => region.areaOf(cell % grid.columns, Math.floor(cell / grid.columns)) > 0;
    const whole = wholeOf(grid, drawing, there);
    wholes.push(whole && { piece: whole, region, drawing });
    const cells = chosen.filter(there);
    if (cells.length === 0) continue;
    const pieces = await bestPieces(cells, { grid, terms, drawing, whole }, watch);
    planned.push(...pieces.map((piece) => ({ piece, region, drawing })));
  }
  const orders = await ordersOf(planned, { grid, terms, watch });
  const isWhole = wholes.every((one) => one !== undefined);
  const whole = isWhole ? await ordersOf(wholes, { grid, terms, watch }) : undefined;
  const isCheaper = terms.perCell === undefined && whole !== undefined && priceOf(whole) < priceOf(orders);
  return { orders: isCheaper && chosen.length > 0 ? whole : orders, whole };
}

export function priceOf(orders: readonly Order[]): number {
  return orders.reduce((sum, { price }) => sum + price, 0);
}

function wholeOf(grid: AcquiredCells, drawing: Drawing, there: (cell: number) => boolean): Piece | undefined {
  const all = Array.from(grid.chosen.keys()).filter(there);
  return drawing.cheapest(boxOf(setOf(all, grid.columns)));
}

interface Side {
  readonly grid: AcquiredCells;
  readonly terms: OrderTerms;
  readonly drawing: Drawing;
  readonly whole: Piece | undefined;
}

/** @throws input, Stopped */
async function bestPieces(cells: readonly number[], side: Side, watch: Watch): Promise<Piece[]> {
  const { terms, drawing, whole } = side;
  const must = async (wanted: readonly number[]) => {
    const pieces = wanted.length === 0 ? [] : await planPieces(wanted, drawing, watch);
    const price = pieces?.reduce((sum, piece) => sum + piece.price, 0) ?? Number.POSITIVE_INFINITY;
    // The prices of pieces are not those of orders where an order may have several.
    const isWholeCheaper = wanted.length > 0 && whole !== undefined && whole.price < price;
    return isWholeCheaper ? [whole] : pieces;
  };
  const all = await must(cells);
  if (all === undefined) throw notPossible(drawing);
  if (terms.perCell === undefined) return all;
  const paying = cells.filter((cell) => worthOf(cell, side) >= terms.perKm2 * areaOfCell(cell, side));
  let best = await withoutLosses(all, side, must);
  if (paying.length < cells.length) {
    const other = await withoutLosses((await must(paying)) ?? [], side, must);
    if (gainOf(other, side) > gainOf(best, side)) best = other;
  }
  return best;
}

/** Leaves out pieces that cost more than their cells are worth, and plans the others anew, until none does. */
async function withoutLosses(
  pieces: readonly Piece[],
  side: Side,
  plan: (cells: readonly number[]) => Promise<Piece[] | undefined>,
): Promise<Piece[]> {
  const { columns, chosen } = side.grid;
  const paying = pieces.filter((piece) => gainOf([piece], side) > 0);
  if (paying.length === pieces.length || paying.length === 0) return paying;
  const cells = new Set(paying.flatMap(({ needed }) => cellsIn(needed, columns)).filter((cell) => chosen[cell] === 1));
  const again = (await plan([...cells])) ?? paying;
  return withoutLosses(gainOf(again, side) > gainOf(paying, side) ? again : paying, side, async () => undefined);
}

/** Worth of the cells that pieces cover, each once, less what they cost. */
function gainOf(pieces: readonly Piece[], side: Side): number {
  const cells = new Set(pieces.flatMap((piece) => chosenIn(piece, side.grid)));
  const price = pieces.reduce((sum, piece) => sum + piece.price, 0);
  return [...cells].reduce((sum, cell) => sum + worthOf(cell, side), -price);
}

/** Of the whole cell, also where 180° goes through it and a part of it lies on this side. */
function worthOf(cell: number, { grid, terms }: Side): number {
  return grid.probabilities[cell] * (terms.perCell ?? 0);
}

function areaOfCell(cell: number, { grid: { columns }, drawing: { region } }: Side): number {
  return region.areaOf(cell % columns, Math.floor(cell / columns));
}

function chosenIn({ covered }: Piece, { columns, chosen }: AcquiredCells): number[] {
  return cellsIn(covered, columns).filter((cell) => chosen[cell] === 1);
}

/** Each piece as an order; where an order may have several polygons, those together that cost less so. */
async function ordersOf(
  placed: readonly Placed[],
  { grid, terms, watch }: { grid: AcquiredCells; terms: OrderTerms; watch: Watch },
): Promise<Order[]> {
  const isSingle = terms.rules.parts === "single";
  const groups = isSingle ? placed.map((one) => [one]) : await joinedOrders(groupsOf(placed, terms), terms, watch);
  return groups.map((group) => orderOf(group, grid, terms));
}

function orderOf(placed: readonly Placed[], grid: AcquiredCells, { rules, ...prices }: OrderTerms): Order {
  const polygons = placed.map(({ piece }) => piece.polygon);
  const km2 = polygons.reduce((sum, polygon) => sum + polygon.km2, 0);
  const cells = new Set(
    placed.flatMap(({ piece, region }) => chosenIn(piece, grid).filter((cell) => isIn(cell, region))),
  );
  return {
    polygons,
    price: orderPrice(km2, rules, prices),
    km2,
    chargedKm2: Math.max(km2, rules.min_charged_km2),
    cells: [...cells].sort((a, b) => a - b),
  };
}

/** All pieces, or each half of them where they fill too little of their box. */
function groupsOf(placed: readonly Placed[], terms: OrderTerms): Placed[][] {
  if (placed.length <= 1 || fillsBox(placed, terms)) return placed.length === 0 ? [] : [[...placed]];
  const middle = ({ piece: { polygon } }: Placed, axis: number) => polygon.bounds[axis] + polygon.bounds[axis + 2];
  const spread = [0, 1].map((axis) => {
    const middles = placed.map((one) => middle(one, axis));
    return middles.reduce((a, b) => Math.max(a, b)) - middles.reduce((a, b) => Math.min(a, b));
  });
  const axis = spread[0] >= spread[1] ? 0 : 1;
  const sorted = [...placed].sort((one, other) => middle(one, axis) - middle(other, axis));
  const half = Math.ceil(sorted.length / 2);
  return [sorted.slice(0, half), sorted.slice(half)].flatMap((some) => groupsOf(some, terms));
}

function fillsBox(placed: readonly Placed[], { rules }: OrderTerms): boolean {
  return fillOf(placed.map(({ piece }) => piece.polygon)) >= rules.min_fill_of_bbox;
}

/** Joins two orders while that saves something: as they are, or as one polygon around the cells of both, which fills its box better. */
async function joinedOrders(groups: Placed[][], terms: OrderTerms, watch: Watch): Promise<Placed[][]> {
  const joined = [...groups];
  const price = (group: readonly Placed[]) => {
    const km2 = group.reduce((sum, { piece }) => sum + piece.polygon.km2, 0);
    return orderPrice(km2, terms.rules, terms);
  };
  // What two of them come to stays the same while others are joined.
  const known = new Map<Placed[], Map<Placed[], Placed[] | undefined>>();
  const polygonOf = (one: Placed[], other: Placed[]) => {
    const own = known.get(one) ?? new Map<Placed[], Placed[] | undefined>();
    known.set(one, own);
    if (!own.has(other)) own.set(other, asOne([...one, ...other]));
    return own.get(other);
  };
  while (joined.length <= mostJoined) {
    let best: { saved: number; at: readonly number[]; group: Placed[] } | undefined;
    for (const [a, one] of joined.entries()) {
      for (const [b, other] of joined.slice(0, a).entries()) {
        await watch.pause();
        for (const group of [[...one, ...other], polygonOf(one, other)]) {
          if (group === undefined || !fillsBox(group, terms)) continue;
          const saved = price(one) + price(other) - price(group);
          if (saved > (best?.saved ?? nothing)) best = { saved, at: [a, b], group };
        }
      }
    }
    if (best === undefined) break;
    const { at, group } = best;
    joined.splice(0, joined.length, ...joined.filter((_, n) => !at.includes(n)), group);
  }
  return joined;
}

/** Undefined where the rules do not allow it, or 180° lies between. */
function asOne(placed: readonly Placed[]): Placed[] | undefined {
  const [{ drawing, region }] = placed;
  if (placed.some((one) => one.region !== region)) return undefined;
  const cells = placed.flatMap(({ piece }) => cellsIn(piece.needed, region.columns));
  const piece = drawing.cheapest(setOf(cells, region.columns));
  return piece && [{ piece, region, drawing }];
}

/** Of more orders, all pairs would take too long to try. */
const mostJoined = 20;
/** What rounding alone may seem to save. */
const nothing = 1e-9;

function isIn(cell: number, region: Region): boolean {
  return region.areaOf(cell % region.columns, Math.floor(cell / region.columns)) > 0;
}

function notPossible({ region, rules }: Drawing): PatchDropError {
  let km2 = 0;
  for (let row = 0; row < region.rows; row++) {
    for (let column = 0; column < region.columns; column++) km2 += region.areaOf(column, row);
  }
  const metres = [region.columns * region.cellMetres.width, region.rows * region.cellMetres.height];
  return fault("input", {
    where: "--rules",
    rule: "must allow a polygon within the scene around every chosen cell",
    got: `${JSON.stringify(rules)}, of a scene of ${km2.toFixed(3)} km², ${metres.map((side) => side.toFixed(0)).join(" × ")} m`,
    next: "give rules that can be met, or acquire a larger scene",
  });
}
