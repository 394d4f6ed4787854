/**
 * What is believed of a STAC item: the fields that are needed here, each of them checked. Source: STAC 1.1.0, item
 * specification; versions 1.x differ in none of them but the place of bands.
 */

import { z } from "zod";
import { fault, type PatchDropError } from "../errors.ts";
import { type Box, isBox, timeOf } from "../options/archive-group.ts";
import { faultsOf } from "../options/parse.ts";

const time = z.string().refine((text) => !Number.isNaN(timeOf(text)), "must be a time as RFC 3339 has it");
const href = z.string().min(1, "must not be empty");
const band = z.object({
  name: z.string().nullish(),
  common_name: z.string().nullish(),
  "eo:common_name": z.string().nullish(),
});

const assetSchema = z.object({
  href,
  type: z.string().nullish(),
  roles: z.array(z.string()).nullish(),
  bands: z.array(band).nullish(),
  "eo:bands": z.array(band).nullish(),
});

const bboxRule = "must be four numbers (six with heights): west, south, east and north, in degrees";
const bbox = z.array(z.number()).refine((numbers) => boxOf(numbers) !== undefined, bboxRule);

const itemSchema = z
  .object({
    type: z.literal("Feature"),
    stac_version: z.string().regex(/^1\.\d+\.\d+/, "must be 1.x"),
    id: z.string().min(1, "must not be empty"),
    geometry: z.object({ type: z.string() }).nullable(),
    bbox: bbox.nullish(),
    properties: z.looseObject({
      datetime: time.nullish(),
      start_datetime: time.nullish(),
      end_datetime: time.nullish(),
    }),
    links: z.array(z.object({ rel: z.string(), href })).nullish(),
    assets: z.record(z.string(), assetSchema),
  })
  .refine(({ geometry, bbox: box }) => geometry === null || (box ?? undefined) !== undefined, {
    path: ["bbox"],
    message: "must be given where there is a geometry",
  })
  .refine(({ properties: { datetime, start_datetime: start, end_datetime: end } }) => datetime || (start && end), {
    path: ["properties", "datetime"],
    message: "must be given, or start_datetime and end_datetime",
  });

export type Asset = z.infer<typeof assetSchema>;

/** An item that was checked. */
export interface Item {
  readonly id: string;
  /** Undefined where it lies nowhere on the Earth. */
  readonly bbox: Box | undefined;
  readonly properties: z.infer<typeof itemSchema>["properties"];
  readonly links: readonly { readonly rel: string; readonly href: string }[];
  readonly assets: Readonly<Record<string, Asset>>;
  /** The address or path of the document that it stands in: relative addresses begin there. */
  readonly document: string;
  /** Whether the document is this item and nothing else. */
  readonly isAlone: boolean;
}

/**
 * @param where names the document in errors
 * @throws input: all that is wrong with it, each with the item's id and the field
 */
export function checkItem(given: unknown, document: string, where: string, isAlone = false): Item {
  const result = itemSchema.safeParse(given);
  if (!result.success) throw wrongItem(result.error, given, where);
  const { id, properties, links, assets } = result.data;
  return { id, bbox: boxOf(result.data.bbox ?? []), properties, links: links ?? [], assets, document, isAlone };
}

function wrongItem(error: z.ZodError, given: unknown, where: string): PatchDropError {
  const id = (given as { id?: unknown } | null)?.id;
  const named = `${where}: item ${typeof id === "string" ? shortened(id) : "without an id"}: `;
  const next = "see https://github.com/radiantearth/stac-spec for what an item must have";
  // What was found may be an address with its signature: the field is enough.
  const faults = faultsOf(error, given, named, "must be known");
  const isAddress = (field: string) => field.endsWith("href");
  return fault(
    "input",
    faults.map((one) => ({
      ...one,
      got: isAddress(one.where) || one.got instanceof Object ? undefined : one.got,
      next,
    })),
  );
}

/** An id as errors and lines show it. */
export function shortened(id: string): string {
  return id.length > 100 ? `${id.slice(0, 100)}…` : id;
}

function boxOf(numbers: readonly number[]): Box | undefined {
  const half = numbers.length / 2;
  if (half !== 2 && half !== 3) return undefined;
  const box: Box = [numbers[0], numbers[1], numbers[half], numbers[half + 1]];
  return isBox(box) ? box : undefined;
}
