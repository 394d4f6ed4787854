/**
 * Plans of random scenes: each order is checked, as it is written, by a checker of its own, and, of scenes small enough to try
 * every union of cells, the price is held against the best there is.
 */
import { expect, it } from "vitest";
import { areaKm2 } from "../../src/acquire/earth.ts";
import { type Affine, georeference, type Position } from "../../src/acquire/georeference.ts";
import type { AcquiredCells } from "../../src/order/acquired-cells.ts";
import { type OrderRules, readRules, rulesNames } from "../../src/order/order-rules.ts";
import { type Order, planOrders, priceOf } from "../../src/order/order-scene.ts";
import { Random } from "../../src/utils/random.ts";

const pause = () => undefined;

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
    const { orders, whole } = await planOrders(grid, terms, pause);
    const said = orders.flatMap((order) => faultsOf(order, rules, grid));
    expect({ n, said }).toEqual({ n, said: [] });
    expect([...new Set(orders.flatMap(({ cells }) => cells))].sort((a, b) => a - b)).toEqual(chosen);
    if (whole !== undefined) expect(priceOf(orders)).toBeLessThanOrEqual(priceOf(whole) * (1 + 1e-9));
  }
}, 120_000);

/** The least price of single orders around all chosen cells, each a union of a grid's cells: every one that there is. */
function bestPrice(grid: AcquiredCells, cellKm2: number, rules: OrderRules, perOrder: number): number {
  const { columns, rows } = grid;
  const count = columns * rows;
  const chosen = Array.from({ length: count }, (_, cell) => cell).filter((cell) => grid.chosen[cell] === 1);
  const best = new Float64Array(1 << chosen.length).fill(Number.POSITIVE_INFINITY);
  const at = (shape: number, x: number, y: number) =>
    x < 0 || y < 0 || x >= columns || y >= rows ? 0 : (shape >> (y * columns + x)) & 1;
  for (let shape = 1; shape < 1 << count; shape++) {
    let [cells, corners] = [0, 0];
    for (let y = 0; y <= rows; y++) {
      for (let x = 0; x <= columns; x++) {
        const [a, b, c, d] = [at(shape, x - 1, y - 1), at(shape, x, y - 1), at(shape, x - 1, y), at(shape, x, y)];
        cells += d;
        if (a + b + c + d === 1 || a + b + c + d === 3) corners++;
        if (a + b + c + d === 2 && a === d) corners += 2;
      }
    }
    if (corners + 1 > (rules.max_vertices ?? 1000) || cells * cellKm2 < rules.min_area_km2) continue;
    if (rules.convex && corners !== 4) continue;
    if (!isConnected(shape, at, columns, rows) || (!rules.holes && !hasNoHole(shape, columns, rows))) continue;
    let mask = 0;
    for (const [n, cell] of chosen.entries()) if ((shape >> cell) & 1) mask |= 1 << n;
    best[mask] = Math.min(best[mask], 10 * Math.max(cells * cellKm2, rules.min_charged_km2) + perOrder);
  }
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

it("small scenes cost at most 1.1 times what the best union of cells does", async () => {
  const random = new Random(2, "best orders");
  const cell = 0.01;
  const kinds: Partial<OrderRules>[] = [
    {},
    { holes: true },
    { max_vertices: 5 },
    { max_vertices: 9 },
    { min_area_km2: 3 * cell },
    { min_area_km2: 5 * cell, max_vertices: 7 },
    { min_charged_km2: 4 * cell },
    { min_charged_km2: 6 * cell },
    { convex: true, min_charged_km2: 3 * cell },
    { convex: true, min_area_km2: 2 * cell },
  ];
  for (let n = 0; n < 60; n++) {
    const [columns, rows] = [3 + random.integer(2), 3 + random.integer(2)];
    const cells = Array.from({ length: 1 + random.integer(8) }, () => random.integer(columns * rows));
    const metres = 12.5 * 0.9996;
    const whole = gridOf(columns, rows, [...new Set(cells)], {
      epsg: 32_633,
      affine: [metres, 0, 500_000, 0, -metres, 5_820_000],
    });
    // Of whole cells only, so that all have the area that is counted here.
    const grid = { ...whole, size: { width: 8 * columns, height: 8 * rows } };
    const rules = { ...one, max_vertices: undefined, ...kinds[n % kinds.length] };
    const slack = 0.9999; // cells are not all of quite the same area
    const scaled = { ...rules, min_area_km2: rules.min_area_km2 * slack };
    const perOrder = [0, 0.05, 0.3][random.integer(3)];
    const { orders } = await planOrders(grid, { rules: scaled, perKm2: 10, perOrder, perCell: undefined }, pause);
    const ratio = priceOf(orders) / bestPrice(grid, cell, scaled, perOrder);
    expect({ n, ratio: Math.max(1.1, ratio), rules, perOrder }).toEqual({ n, ratio: 1.1, rules, perOrder });
  }
}, 120_000);
