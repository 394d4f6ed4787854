/**
 * A seller's rules for the outline of an order, as a small JSON file; those in configs/order-rules come with the program and
 * are named as their files are. docs/order.md says what each field means.
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { fault, PatchDropError } from "../errors.ts";
import { isJsonObject } from "../files/json.ts";
import { readBytes } from "../files/read.ts";
import { faultsOf } from "../options/parse.ts";
import { didYouMean } from "../utils/closest.ts";

const size = (what: string) => z.number().min(0).default(0).describe(what);

/** What a polygon and an order must be. */
export const ruleFields = {
  max_vertices: z
    .int()
    .min(5, "must be at least 5, as a rectangle has in GeoJSON")
    .optional()
    .describe("most positions of a polygon as GeoJSON lists them, the repeated first one and holes included"),
  convex: z.boolean().default(false).describe("whether polygons must be convex"),
  holes: z.boolean().default(false).describe("whether polygons may have holes"),
  parts: z
    .enum(["single", "multi"])
    .default("single")
    .describe("whether an order is one polygon, or may be several (a MultiPolygon)"),
  min_area_km2: size("smallest area of a polygon, in km²: a smaller one is refused"),
  min_charged_km2: size("area that an order is charged for at least, in km²"),
  min_width_m: size("every place of a polygon lies in a rectangle inside it whose sides have this length, in metres"),
  min_fill_of_bbox: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe("smallest share of an order's area in that of its bounding box in longitude and latitude, 0 … 1"),
};

export const rulesSchema = z
  .strictObject({
    $schema: z.string().optional().describe("for editors"),
    description: z.string().optional().describe("what the rules are, in a sentence"),
    ...ruleFields,
  })
  .refine(({ convex, holes }) => !(convex && holes), {
    path: ["holes"],
    message: "must be false where convex is true, as what is convex has no holes",
  })
  .refine(({ min_area_km2: refused, min_charged_km2: charged }) => charged === 0 || charged >= refused, {
    path: ["min_charged_km2"],
    message: "must be at least min_area_km2, below which no order is taken",
  });

/** Rules that were checked. */
export type OrderRules = Omit<z.infer<typeof rulesSchema>, "$schema" | "description">;

const folder = fileURLToPath(new URL("../../configs/order-rules/", import.meta.url));
const ending = ".json";

/** The rules that come with the program. */
export function rulesNames(): string[] {
  const names = readdirSync(folder).filter((name) => name.endsWith(ending));
  return names.map((name) => name.slice(0, -ending.length)).sort();
}

/**
 * @param given a file, or the name of rules that come with the program
 * @throws usage: all that is wrong in the file; input: no such name, no JSON; system
 */
export function readRules(given: string): OrderRules {
  const { $schema: _, description: __, ...rules } = parseRules(contentOf(given), given);
  return rules;
}

/** @throws usage */
function parseRules(content: unknown, where: string): z.infer<typeof rulesSchema> {
  const result = rulesSchema.safeParse(content);
  if (result.success) return result.data;
  const known = Object.keys(rulesSchema.shape);
  const unknown = "must be a field of order rules";
  const faults = isJsonObject(content)
    ? faultsOf(result.error, content, `${where}: `, unknown)
    : [{ where, rule: "must hold the fields of order rules", got: JSON.stringify(content) }];
  const next = (rule: string, place: string) =>
    (rule === unknown ? didYouMean(place.slice(where.length + 2), known) : undefined) ?? "see docs/order.md";
  throw fault(
    "usage",
    faults.map((one) => ({ ...one, next: next(one.rule, one.where) })),
  );
}

/** @throws input, system */
function contentOf(given: string): unknown {
  const names = rulesNames();
  if (names.includes(given)) return JSON.parse(readFileSync(join(folder, `${given}${ending}`), "utf8"));
  if (!/[./\\]/.test(given)) {
    const next = didYouMean(given, names) ?? `the names are ${names.join(", ")}`;
    throw fault("input", {
      where: "--rules",
      rule: "must be a file, or a name of rules that there are",
      got: given,
      next,
    });
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(readBytes(given)));
  } catch (error) {
    if (error instanceof PatchDropError) throw error;
    throw fault("input", { where: given, rule: "must be JSON in UTF-8", next: "see docs/order.md" }, error);
  }
}

/** The JSON Schema of rules, in draft 7, which all editors know. */
export function rulesJsonSchema(): object {
  return z.toJSONSchema(rulesSchema, { target: "draft-7", io: "input" });
}
