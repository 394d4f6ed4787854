/** Plans the orders of an acquired scene and writes them: what `patchdrop order` does. */

import { join } from "node:path";
import { z } from "zod";
import { makeNewFolder } from "../acquire/new-folder.ts";
import { writeFileAtomic } from "../files/atomic.ts";
import { type JsonObject, toJson } from "../files/json.ts";
import type { OrderOptions } from "../options/order-options.ts";
import { breathe, type Reporter, silentReporter } from "../utils/reporter.ts";
import { type AcquiredCells, assertAcquired, readAcquired } from "./acquired-cells.ts";
import { readRules, ruleFields } from "./order-rules.ts";
import { type Order, type OrderPlan, type OrderTerms, planOrders, priceOf } from "./order-scene.ts";

const amount = z.number().min(0);
const count = z.int().min(0);

/** The contents of orders.json. */
export const ordersSchema = z.strictObject({
  acquired: z.string().describe("folder that patchdrop acquire wrote"),
  rules: z.strictObject(ruleFields).describe("the seller's rules, defaults included"),
  price_per_km2: amount,
  price_per_order: amount,
  value_per_cell: amount.nullable().describe("null where every chosen cell is ordered"),
  price: amount.describe("of all orders"),
  whole_scene_price: amount.nullable().describe("of the whole scene under the same rules; null where these forbid it"),
  area_km2: amount.describe("of all orders; what several of them have is counted in each"),
  charged_km2: amount,
  cells: z.strictObject({
    chosen: count,
    covered: count.describe("chosen cells that lie in orders"),
    left_out: count.describe("chosen cells that do not, as they do not pay"),
    expected_value: amount.nullable().describe("of the covered cells, by their probabilities"),
  }),
  orders: z.array(
    z.strictObject({
      file: z.string(),
      price: amount,
      area_km2: amount,
      charged_km2: amount,
      polygons: count,
      vertices: count.describe("positions of the polygon that has most of them"),
      cells: count.describe("chosen cells that lie in it"),
    }),
  ),
});
export type OrdersSummary = z.infer<typeof ordersSchema>;

/** The JSON Schema of orders.json, in draft 7. */
export function ordersJsonSchema(): object {
  return z.toJSONSchema(ordersSchema, { target: "draft-7", io: "output" });
}

/**
 * @param folder that `patchdrop acquire` wrote
 * @returns what orders.json has, and the folder that was written
 * @throws usage: a folder that exists, wrong rules; locked: a folder that another process is making; input: no acquisition, rules
 *   that cannot be met; system; Stopped, and then writes nothing
 */
export async function orderRun(
  folder: string,
  options: OrderOptions,
  reporter: Reporter = silentReporter,
): Promise<{ summary: OrdersSummary; out: string }> {
  const { price_per_km2, price_per_order, value_per_cell, out = join(folder, "orders") } = options;
  const rules = readRules(options.rules);
  assertAcquired(folder);
  let summary: OrdersSummary | undefined;
  await makeNewFolder(out, async (temporary) => {
    const grid = await readAcquired(folder, reporter);
    const terms = { rules, perKm2: price_per_km2, perOrder: price_per_order, perCell: value_per_cell };
    const plan = await planned(grid, terms, reporter);
    summary = summaryOf(folder, plan, grid, terms);
    for (const [n, order] of plan.orders.entries()) {
      await breathe(reporter);
      writeFileAtomic(join(temporary, nameOf(n)), json(featureOf(order)));
    }
    writeFileAtomic(join(temporary, "orders.json"), json(summary));
  });
  return { summary: summary!, out };
}

/** With a bar of the chosen cells that polygons were found for. @throws what planOrders throws */
async function planned(grid: AcquiredCells, terms: OrderTerms, reporter: Reporter): Promise<OrderPlan> {
  const bar = reporter.progress("order", chosenIn(grid));
  let last = performance.now();
  let [cells, polygons] = [0, 0];
  const pause = async () => {
    bar.update(cells, { polygons: String(polygons) });
    await breathe(reporter);
    last = performance.now();
  };
  try {
    return await planOrders(grid, terms, {
      pause: () => (performance.now() - last < turnEveryMs ? undefined : pause()),
      update: (...now) => {
        [cells, polygons] = now;
      },
    });
  } finally {
    bar.stop();
  }
}

const turnEveryMs = 50;

function chosenIn({ chosen }: AcquiredCells): number {
  return chosen.reduce((sum, bit) => sum + bit, 0);
}

function summaryOf(
  acquired: string,
  { orders, whole }: OrderPlan,
  grid: AcquiredCells,
  { rules, perKm2, perOrder, perCell }: OrderTerms,
): OrdersSummary {
  const covered = coveredBy(orders);
  const chosen = chosenIn(grid);
  const worth = covered.reduce((sum, cell) => sum + grid.probabilities[cell] * (perCell ?? 0), 0);
  const sum = (one: (order: Order) => number) => orders.reduce((total, order) => total + one(order), 0);
  return {
    acquired,
    rules,
    price_per_km2: perKm2,
    price_per_order: perOrder,
    value_per_cell: perCell ?? null,
    price: priceOf(orders),
    whole_scene_price: whole === undefined ? null : priceOf(whole),
    area_km2: sum(({ km2 }) => km2),
    charged_km2: sum(({ chargedKm2 }) => chargedKm2),
    cells: {
      chosen,
      covered: covered.length,
      left_out: chosen - covered.length,
      expected_value: perCell === undefined ? null : worth,
    },
    orders: orders.map(lineOf),
  };
}

/** A table of the orders, and what they come to. */
export function orderLines({
  price,
  whole_scene_price: whole,
  area_km2,
  charged_km2,
  cells,
  orders,
}: OrdersSummary): string[] {
  const left = cells.left_out === 0 ? "" : `, ${cells.left_out} left out`;
  if (orders.length === 0) return [`nothing to order: ${cells.chosen} cells were chosen${left}`];
  const rows = orders
    .slice(0, mostShown)
    .map(({ file, ...one }) => [
      file,
      one.price.toFixed(2),
      one.area_km2.toFixed(3),
      one.charged_km2.toFixed(3),
      String(one.cells),
      String(one.vertices),
    ]);
  const table = [["order", "price", "km²", "charged", "cells", "vertices"], ...rows];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  const lines = table.map((row) =>
    row.map((cell, n) => (n === 0 ? cell.padEnd(widths[n]) : cell.padStart(widths[n]))).join("  "),
  );
  const more = orders.length > mostShown ? [`… and ${orders.length - mostShown} more`] : [];
  const against = whole === null ? "" : `; the whole scene: ${whole.toFixed(2)}`;
  const charged = charged_km2 > area_km2 ? `, charged as ${charged_km2.toFixed(3)}` : "";
  return [
    ...[...lines, ...more],
    `cells  ${cells.covered} of ${cells.chosen} chosen${left}`,
    `area   ${area_km2.toFixed(3)} km²${charged}`,
    `price  ${price.toFixed(2)} in ${orders.length} order${orders.length === 1 ? "" : "s"}${against}`,
  ];
}

const mostShown = 20;

/** Chosen cells in orders; of one that 180° goes through, one side is enough. */
function coveredBy(orders: readonly Order[]): number[] {
  return [...new Set(orders.flatMap(({ cells }) => cells))];
}

function nameOf(n: number): string {
  return `order-${n + 1}.geojson`;
}

function lineOf({ polygons, price, km2, chargedKm2, cells }: Order, n: number): OrdersSummary["orders"][number] {
  return {
    file: nameOf(n),
    price,
    area_km2: km2,
    charged_km2: chargedKm2,
    polygons: polygons.length,
    vertices: Math.max(...polygons.map(({ vertices }) => vertices)),
    cells: cells.length,
  };
}

function featureOf(order: Order): JsonObject {
  const { file: _, ...properties } = lineOf(order, 0);
  const coordinates = order.polygons.map(({ rings }) => rings.map((ring) => [...ring, ring[0]]));
  const geometry =
    coordinates.length === 1 ? { type: "Polygon", coordinates: coordinates[0] } : { type: "MultiPolygon", coordinates };
  return toJson({ type: "FeatureCollection", features: [{ type: "Feature", geometry, properties }] });
}

function json(content: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(content, undefined, 2)}\n`);
}
