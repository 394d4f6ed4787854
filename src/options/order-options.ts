/** The options of `patchdrop order`. */
import { z } from "zod";
import { folder, shownAs } from "./option.ts";
import { parseWith } from "./parse.ts";

const price = z.number().min(0);

export const orderSchema = z.strictObject({
  rules: shownAs("file|name", z.string().min(1, "must not be empty")).describe(
    "a seller's rules as a JSON file, or those that come with the program, by name: see docs/order.md",
  ),
  price_per_km2: price.describe("price of a square kilometre"),
  price_per_order: price.default(0).describe("price of each order besides its area"),
  value_per_cell: price
    .optional()
    .describe("what a cell of probability 1 is worth: cells that do not pay are left out; all are ordered when absent"),
  out: folder("folder for the orders; must not exist yet (default: DIR/orders)").optional(),
});

/** Options of `patchdrop order` that were checked. */
export type OrderOptions = z.infer<typeof orderSchema>;

/** @throws usage, all faults at once */
export function parseOrderOptions(given: Record<string, unknown>): OrderOptions {
  return parseWith(orderSchema, given, "order");
}
