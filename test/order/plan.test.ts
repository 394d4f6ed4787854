/**
 * Plans of random scenes: each order is checked, as it is written, by a checker of its own, and, of scenes small enough to try
 * every union of cells, the price is held against the best there is. Bounds of the ratio are what was seen, and a little more.
 */
import { expect, it } from "vitest";
import { areaKm2 } from "../../src/acquire/earth.ts";
import { type Affine, georeference, type Position } from "../../src/acquire/georeference.ts";
import type { AcquiredCells } from "../../src/order/acquired-cells.ts";
import { type OrderRules, readRules, rulesNames } from "../../src/order/order-rules.ts";
import { type Order, planOrders, priceOf } from "../../src/order/order-scene.ts";
import { Random } from "../../src/utils/random.ts";
import { Stopped } from "../../src/utils/reporter.ts";

const watch = { pause: () => undefined, update: () => {} };

interface Place {
  readonly epsg: number;
  readonly affine: Affine;
}

/** A scene of cells of 8 × 8 pixels; the last ones are cut. @param metres of a pixel's side */
function gridOf(columns: number, rows: number, chosen: readonly number[], { epsg, affine }: Place): AcquiredCells {
  const size = { width: 8 * columns - 3, height: 8 * rows - 1 };
  const bits = new Uint8Array(columns * rows);
  for (const cell of chosen) bits[cell] = 1;
  const probabilities = Float64Array.from(bits, (_, n) => 0.5 + (n % 7) / 14);
  return {
    columns,
    rows,
    size,
    cell: { width: 8, height: 8 },
    place: georeference(epsg, affine, "x"),
    chosen: bits,
    probabilities,
  };
}

const upright = (metres: number): Place => ({ epsg: 32_633, affine: [metres, 0, 380_000, 0, -metres, 5_820_000] });
const places: readonly ((metres: number) => Place)[] = [
  upright,
  (metres) => ({ epsg: 32_633, affine: [0.8 * metres, 0.6 * metres, 380_000, 0.6 * metres, -0.8 * metres, 5_820_000] }),
  // Across 180°, upright and turned.
  (metres) => ({ epsg: 4326, affine: [metres / 111_000, 0, 179.998, 0, -metres / 111_000, 10] }),
  (metres) => ({ epsg: 32_660, affine: [0.8 * metres, 0.6 * metres, 828_000, 0.6 * metres, -0.8 * metres, 1_100_000] }),
];

function isInside([x, y]: Position, rings: Order["polygons"][number]["rings"]): boolean {
  let isIn = false;
  for (const ring of rings) {
    for (const [i, [ax, ay]] of ring.entries()) {
      const [bx, by] = ring.at(i - 1)!;
      if (ay > y !== by > y && x < ax + ((y - ay) / (by - ay)) * (bx - ax)) isIn = !isIn;
    }
  }
  return isIn;
}

/** Points of a cell, a pixel within its outline, in longitudes of −180 … 180. */
function pointsOf(cell: number, { columns, size, place }: AcquiredCells): Position[] {
  const [left, top] = [8 * (cell % columns), 8 * Math.floor(cell / columns)];
  const [right, bottom] = [Math.min(left + 8, size.width), Math.min(top + 8, size.height)];
  const xs = [left + 1, (left + right) / 2, right - 1];
  const ys = [top + 1, (top + bottom) / 2, bottom - 1];
  return xs.flatMap((x) =>
    ys.map((y) => {
      const [longitude, latitude] = place.toWgs84(x, y);
      return [longitude > 180 ? longitude - 360 : longitude, latitude] as const;
    }),
  );
}

function crossing([a, b]: readonly Position[], [c, d]: readonly Position[]): boolean {
  const side = (p: Position, q: Position, r: Position) =>
    Math.sign((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]));
  return side(a, b, c) * side(a, b, d) < 0 && side(c, d, a) * side(c, d, b) < 0;
}

/** What is wrong with an order under rules. */
function faultsOf(order: Order, rules: OrderRules, grid: AcquiredCells): string[] {
  const faults: string[] = [];
  const must = (holds: boolean, what: string) => (holds ? undefined : faults.push(what));
  must(rules.parts === "multi" || order.polygons.length === 1, "parts");
  let km2 = 0;
  for (const { rings } of order.polygons) {
    const area = rings.slice(1).reduce((sum, ring) => sum - areaKm2(ring), areaKm2(rings[0]));
    km2 += area;
    must(rules.holes || rings.length === 1, "holes");
    must(area >= rules.min_area_km2 - 1e-12, "area");
    const positions = rings.reduce((sum, ring) => sum + ring.length + 1, 0);
    must(positions <= (rules.max_vertices ?? positions), "vertices");
    must(
      rings.flat().every(([x]) => x >= -180 && x <= 180),
      "longitudes",
    );
    if (rules.convex) {
      const exact = (degrees: number) => BigInt(Math.round(degrees * 1e8));
      const turns = rings[0].map(([bx, by], i, ring) => {
        const [[ax, ay], [cx, cy]] = [ring.at(i - 1)!, ring[(i + 1) % ring.length]];
        return (exact(bx) - exact(ax)) * (exact(cy) - exact(by)) - (exact(by) - exact(ay)) * (exact(cx) - exact(bx));
      });
      must(
        turns.every((turn) => turn > 0n),
        "convex",
      );
    }
    const sides = rings.flatMap((ring) => ring.map((to, i) => [ring.at(i - 1)!, to]));
    if (sides.length < 150)
      must(!sides.some((one, i) => sides.slice(i).some((other) => crossing(one, other))), "simple");
  }
  must(Math.abs(km2 - order.km2) < 1e-9 * km2, "its own area");
  const corners = order.polygons.flatMap(({ rings }) => rings[0]);
  const span = (axis: number) => Math.max(...corners.map((p) => p[axis])) - Math.min(...corners.map((p) => p[axis]));
  const degrees =
    km2 /
    areaKm2(
      [
        [0, 0],
        [1, 0],
        [1, 1],
        [0, 1],
      ].map(([x, y]) => [corners[0][0] + x * 1e-3, corners[0][1] + y * 1e-3]),
    ) /
    1e6;
  must(degrees / (span(0) * span(1)) >= rules.min_fill_of_bbox * 0.99, "fill");
  for (const cell of order.cells) {
    for (const point of pointsOf(cell, grid)) {
      const isThere = order.polygons.some(({ rings }) => isInside(point, rings));
      // A cell that 180° goes through lies in an order on each side.
      const isOther = order.polygons.every(({ rings }) => Math.sign(rings[0][0][0]) !== Math.sign(point[0]));
      must(isThere || isOther, `cell ${cell}`);
    }
  }
  return faults;
}

const one: OrderRules = readRules("single-999");
const tight: OrderRules[] = [
  { ...one, max_vertices: 9 },
  { ...one, max_vertices: 12, min_width_m: 150, min_area_km2: 0.05 },
  { ...one, convex: true, min_area_km2: 0.1, max_vertices: 6 },
  { ...one, min_charged_km2: 0.08, parts: "multi", min_fill_of_bbox: 0.2 },
];
const presets = rulesNames().map(readRules);

it("every order of random scenes keeps the rules and covers what it says", async () => {
  const random = new Random(1, "orders");
  for (let n = 0; n < 54; n++) {
    const [columns, rows] = [3 + random.integer(30), 3 + random.integer(30)];
    const share = [0.05, 0.2, 0.5, 0.9][random.integer(4)];
    const chosen = Array.from({ length: columns * rows }, (_, cell) => cell).filter(() => random.uniform() < share);
    if (chosen.length === 0) chosen.push(0);
    const rules = [...presets, ...tight][n % (presets.length + tight.length)];
    // Pixels so large that the scene has room for the smallest polygon.
    const metres = rules.min_area_km2 >= 0.5 || rules.min_charged_km2 > 1 ? 100 : 12;
    const place = places[random.integer(places.length)](metres);
    const grid = gridOf(columns, rows, chosen, place);
    const terms = { rules, perKm2: 10, perOrder: random.integer(2) / 10, perCell: undefined };
    const { orders, whole } = await planOrders(grid, terms, watch);
    const said = orders.flatMap((order) => faultsOf(order, rules, grid));
    expect({ n, said }).toEqual({ n, said: [] });
    expect([...new Set(orders.flatMap(({ cells }) => cells))].sort((a, b) => a - b)).toEqual(chosen);
    if (whole !== undefined) expect(priceOf(orders)).toBeLessThanOrEqual(priceOf(whole) * (1 + 1e-9));
  }
}, 120_000);

/** A union of a grid's cells that is a polygon by the rules: which of the chosen cells it has, and its size and box in cells. */
interface Shape {
  readonly mask: number;
  readonly cells: number;
  readonly box: readonly [left: number, top: number, right: number, bottom: number];
}

/** Every one that there is. */
function shapesOf({ columns, rows }: AcquiredCells, chosen: readonly number[], cellKm2: number, rules: OrderRules) {
  const at: At = (shape, x, y) => (x < 0 || y < 0 || x >= columns || y >= rows ? 0 : (shape >> (y * columns + x)) & 1);
  const shapes: Shape[] = [];
  for (let shape = 1; shape < 1 << (columns * rows); shape++) {
    let [cells, corners] = [0, 0];
    const box: [number, number, number, number] = [columns, rows, 0, 0];
    for (let y = 0; y <= rows; y++) {
      for (let x = 0; x <= columns; x++) {
        const [a, b, c, d] = [at(shape, x - 1, y - 1), at(shape, x, y - 1), at(shape, x - 1, y), at(shape, x, y)];
        cells += d;
        if (a + b + c + d === 1 || a + b + c + d === 3) corners++;
        if (a + b + c + d === 2 && a === d) corners += 2;
        if (d === 0) continue;
        const [left, top, right, bottom] = box;
        box.splice(0, 4, Math.min(left, x), Math.min(top, y), Math.max(right, x + 1), Math.max(bottom, y + 1));
      }
    }
    if (corners + 1 > (rules.max_vertices ?? 1000) || cells * cellKm2 < rules.min_area_km2) continue;
    if (rules.convex && corners !== 4) continue;
    if (!isConnected(shape, at, columns, rows) || (!rules.holes && !hasNoHole(shape, columns, rows))) continue;
    if (!isWide(shape, columns, rows, Math.ceil(rules.min_width_m / 100))) continue;
    let mask = 0;
    for (const [n, cell] of chosen.entries()) if ((shape >> cell) & 1) mask |= 1 << n;
    shapes.push({ mask, cells, box });
  }
  return shapes;
}

/** The least price of orders around all chosen cells, each of a polygon or, where rules allow it, of several. */
function bestPrice(grid: AcquiredCells, cellKm2: number, rules: OrderRules, perOrder: number): number {
  const chosen = Array.from(grid.chosen.keys()).filter((cell) => grid.chosen[cell] === 1);
  const shapes = shapesOf(grid, chosen, cellKm2, rules);
  const price = (cells: number) => 10 * Math.max(cells * cellKm2, rules.min_charged_km2) + perOrder;
  const best = new Float64Array(1 << chosen.length).fill(Number.POSITIVE_INFINITY);
  const orders = rules.parts === "single" ? shapes : severalOf(shapes, grid, chosen.length, rules);
  for (const { mask, cells } of orders) best[mask] = Math.min(best[mask], price(cells));
  // Of covering more cells than are asked for, then of several orders.
  for (let mask = best.length - 1; mask >= 0; mask--) {
    for (let n = 0; n < chosen.length; n++)
      if (((mask >> n) & 1) === 0) best[mask] = Math.min(best[mask], best[mask | (1 << n)]);
  }
  const total = new Float64Array(best.length).fill(Number.POSITIVE_INFINITY);
  total[0] = 0;
  for (let mask = 1; mask < total.length; mask++) {
    for (let part = mask; part > 0; part = (part - 1) & mask)
      total[mask] = Math.min(total[mask], best[part] + total[mask ^ part]);
  }
  return total.at(-1)!;
}

/** Orders of one polygon and more, by the box that they fill enough of: which cells they may have at which sizes. */
function severalOf(shapes: readonly Shape[], { columns, rows }: AcquiredCells, chosen: number, rules: OrderRules) {
  const orders: Pick<Shape, "mask" | "cells">[] = [];
  // More is not worth looking at: that is the whole grid, twice.
  const most = 2 * columns * rows;
  for (const [left, top, right, bottom] of boxesOf(columns, rows)) {
    const inside = shapes.filter(({ box }) => box[0] >= left && box[1] >= top && box[2] <= right && box[3] <= bottom);
    const kinds = [...new Set(inside.map(({ mask, cells }) => mask * (most + 1) + cells))];
    const reached = new Uint8Array((1 << chosen) * (most + 1));
    reached[0] = 1;
    for (let cells = 0; cells <= most; cells++) {
      for (let mask = 0; mask < 1 << chosen; mask++) {
        if (reached[mask * (most + 1) + cells] === 0) continue;
        if (cells > 0 && cells >= rules.min_fill_of_bbox * (right - left) * (bottom - top))
          orders.push({ mask, cells });
        for (const kind of kinds) {
          const [own, more] = [Math.floor(kind / (most + 1)), cells + (kind % (most + 1))];
          if (more <= most) reached[(mask | own) * (most + 1) + more] = 1;
        }
      }
    }
  }
  return orders;
}

function* boxesOf(columns: number, rows: number): Generator<Shape["box"]> {
  for (let left = 0; left < columns; left++) {
    for (let right = left + 1; right <= columns; right++) {
      for (let top = 0; top < rows; top++)
        for (let bottom = top + 1; bottom <= rows; bottom++) yield [left, top, right, bottom];
    }
  }
}

/** Whether each cell lies in a block of so many a side that is all there. */
function isWide(shape: number, columns: number, rows: number, side: number): boolean {
  if (side <= 1) return true;
  let covered = 0;
  for (let top = 0; top + side <= rows; top++) {
    for (let left = 0; left + side <= columns; left++) {
      let block = 0;
      for (let y = top; y < top + side; y++) for (let x = left; x < left + side; x++) block |= 1 << (y * columns + x);
      if ((shape & block) === block) covered |= block;
    }
  }
  return covered === shape;
}

type At = (shape: number, x: number, y: number) => number;

function isConnected(shape: number, at: At, columns: number, rows: number): boolean {
  let seen = shape & -shape;
  for (let before = 0; before !== seen; ) {
    before = seen;
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        const near = at(seen, x - 1, y) | at(seen, x + 1, y) | at(seen, x, y - 1) | at(seen, x, y + 1);
        if (near & at(shape, x, y)) seen |= 1 << (y * columns + x);
      }
    }
  }
  return seen === shape;
}

/** Whether each cell outside reaches the edge of the grid by sides. */
function hasNoHole(shape: number, columns: number, rows: number): boolean {
  const outside: At = (set, x, y) => (x < 0 || y < 0 || x >= columns || y >= rows ? 1 : (set >> (y * columns + x)) & 1);
  let seen = 0;
  for (let before = -1; before !== seen; ) {
    before = seen;
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) {
        if ((shape >> (y * columns + x)) & 1) continue;
        if (outside(seen, x - 1, y) | outside(seen, x + 1, y) | outside(seen, x, y - 1) | outside(seen, x, y + 1)) {
          seen |= 1 << (y * columns + x);
        }
      }
    }
  }
  return (seen | shape) === (1 << (columns * rows)) - 1;
}

/** A random small scene under rules: what its plan costs, against the best. @param metres of a cell are 100 */
async function ratioOf(random: Random, rules: OrderRules, sides: readonly [number, number], most: number) {
  const cell = 0.01;
  const [columns, rows] = sides;
  const cells = Array.from({ length: 1 + random.integer(most) }, () => random.integer(columns * rows));
  const metres = 12.5 * 0.9996;
  const whole = gridOf(columns, rows, [...new Set(cells)], {
    epsg: 32_633,
    affine: [metres, 0, 500_000, 0, -metres, 5_820_000],
  });
  // Of whole cells only, so that all have the area that is counted here.
  const grid = { ...whole, size: { width: 8 * columns, height: 8 * rows } };
  const slack = 0.9999; // cells are not all of quite the same area
  const scaled = { ...rules, min_area_km2: rules.min_area_km2 * slack };
  const perOrder = [0, 0.05, 0.3][random.integer(3)];
  const { orders } = await planOrders(grid, { rules: scaled, perKm2: 10, perOrder, perCell: undefined }, watch);
  const faults = orders.flatMap((order) => faultsOf(order, scaled, grid));
  return { ratio: priceOf(orders) / bestPrice(grid, cell, scaled, perOrder), perOrder, faults };
}

const free: OrderRules = { ...one, max_vertices: undefined };

it.each<[string, number, number, number, Partial<OrderRules>[]]>([
  [
    "one polygon",
    1.1,
    60,
    8,
    [
      {},
      { holes: true },
      { max_vertices: 5 },
      { max_vertices: 9 },
      { min_area_km2: 0.03 },
      { min_area_km2: 0.05, max_vertices: 7 },
      { min_charged_km2: 0.04 },
      { min_charged_km2: 0.06 },
      { convex: true, min_charged_km2: 0.03 },
      { convex: true, min_area_km2: 0.02 },
    ],
  ],
  [
    "a width",
    1.1,
    60,
    8,
    [
      { min_width_m: 150 },
      { min_width_m: 150, max_vertices: 7 },
      { min_width_m: 150, min_area_km2: 0.06 },
      { min_width_m: 150, min_charged_km2: 0.08 },
      { min_width_m: 250, holes: true },
      { min_width_m: 150, convex: true },
    ],
  ],
  [
    "several polygons",
    1.1,
    60,
    5,
    [
      { parts: "multi" },
      { parts: "multi", max_vertices: 5 },
      { parts: "multi", min_area_km2: 0.02 },
      { parts: "multi", min_charged_km2: 0.05 },
    ],
  ],
  [
    "several polygons that are wide or fill their box",
    1.4,
    60,
    5,
    [
      { parts: "multi", min_width_m: 150 },
      { parts: "multi", min_fill_of_bbox: 0.45 },
      { parts: "multi", min_fill_of_bbox: 0.45, min_area_km2: 0.02 },
      { parts: "multi", min_fill_of_bbox: 0.62, min_charged_km2: 0.03 },
    ],
  ],
])(
  "small scenes under rules for %s cost at most %f times what the best unions of cells do",
  async (what, bound, count, most, kinds) => {
    const random = new Random(2, `best orders: ${what}`);
    for (let n = 0; n < count; n++) {
      const sides = [3 + random.integer(2), 3 + random.integer(kinds[0].parts === "multi" ? 1 : 2)] as const;
      const rules = { ...free, ...kinds[n % kinds.length] };
      const { ratio, perOrder, faults } = await ratioOf(random, rules, sides, most);
      expect({ n, ratio: Math.max(bound, ratio), faults, rules, perOrder }).toEqual({
        n,
        ratio: bound,
        faults: [],
        rules,
        perOrder,
      });
    }
  },
  120_000,
);

it("lets others have their turn, and ends where they want it to", async () => {
  const random = new Random(3, "stops");
  const chosen = Array.from({ length: 40_000 }, (_, cell) => cell).filter(() => random.uniform() < 0.3);
  const grid = gridOf(200, 200, chosen, upright(3));
  const terms = { rules: readRules("wide-300"), perKm2: 10, perOrder: 0, perCell: undefined };
  let [last, longestMs, turns] = [performance.now(), 0, 0];
  const pause = () => {
    longestMs = Math.max(longestMs, performance.now() - last);
    last = performance.now();
    // By their number: a fast machine is done before any time that a slow one needs.
    if (++turns === 10_000) throw new Stopped("SIGTERM");
    return undefined;
  };
  await expect(planOrders(grid, terms, { ...watch, pause })).rejects.toBeInstanceOf(Stopped);
  // A second is promised to a person; a busy machine gets more.
  expect(longestMs).toBeLessThan(5000);
});
