/** The options that say which items of a STAC document are wanted, and which asset of each. */
import { z } from "zod";
import { mostBands } from "../utils/pixel-array.ts";
import { repeatable, shownAs } from "./option.ts";

/** West, south, east and north in degrees; west is the larger number where 180° lies between. */
export type Box = readonly [west: number, south: number, east: number, north: number];

/** Both ends belong to it, in milliseconds since 1970; infinite where it is open. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export const comparisons = ["<=", ">=", "!=", "<", ">", "="] as const;

/** What an item's property must be. */
export interface Condition {
  readonly property: string;
  readonly comparison: (typeof comparisons)[number];
  readonly value: string | number | boolean;
}

const bboxRule = "must be west,south,east,north in degrees, such as 170,-20,-170,10";
const datetimeRule = "must be a time or two with / between them, such as 2024-01-01/2024-06-30 or ../2024-06-30";
const assetRule = `must be 1 to ${mostBands} assets with commas between them, such as red,green,blue,nir`;
const queryRule = "must be conditions with commas between them, such as eo:cloud_cover<20,platform=sentinel-2a";

const bbox = z
  .string()
  .regex(/^-?\d+(\.\d+)?(,-?\d+(\.\d+)?){3}$/, bboxRule)
  .transform((given): Box => {
    const [west, south, east, north] = given.split(",").map(Number);
    return [west, south, east, north];
  })
  .refine(isBox, bboxRule);

/** Whether it lies on the Earth. */
export function isBox([west, south, east, north]: Box): boolean {
  return Math.max(Math.abs(west), Math.abs(east)) <= 180 && south >= -90 && south <= north && north <= 90;
}

const datetime = z
  .string()
  .transform(spanOf)
  .refine((span) => span !== undefined && span.from <= span.to, datetimeRule)
  .transform((span) => span as Span);

/** Undefined for what is no time or two. A date is the whole day, in UTC. */
function spanOf(given: string): Span | undefined {
  const ends = given.split("/");
  if (ends.length > 2 || ends.every((end) => end === ".." || end === "")) return undefined;
  const [first, last = first] = ends;
  const isOpen = (end: string) => ends.length === 2 && (end === ".." || end === "");
  const from = isOpen(first) ? Number.NEGATIVE_INFINITY : timeOf(first);
  const to = isOpen(last) ? Number.POSITIVE_INFINITY : timeOf(last) + (isDate(last) ? dayMs - 1 : 0);
  return Number.isNaN(from) || Number.isNaN(to) ? undefined : { from, to };
}

const dayMs = 86_400_000;
const isDate = (time: string) => /^\d{4}-\d\d-\d\d$/.test(time);

/** Of a date, or of a date with its time and zone; NaN for anything else. Source: RFC 3339. */
export function timeOf(given: string): number {
  if (!/^\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d))?$/.test(given)) return Number.NaN;
  // Else the 31st of February would be one of March.
  const day = new Date(`${given.slice(0, 10)}T00:00:00Z`);
  if (Number.isNaN(day.getTime()) || day.toISOString().slice(0, 10) !== given.slice(0, 10)) return Number.NaN;
  return Date.parse(given.toUpperCase().replace(" ", "T"));
}

const query = z
  .string()
  .transform((given) => given.split(",").map(conditionOf))
  .refine((conditions) => conditions.every((one) => one !== undefined), queryRule)
  .transform((conditions) => conditions as readonly Condition[]);

function conditionOf(given: string): Condition | undefined {
  const [, property, comparison, value] =
    /^\s*([^\s<>=!]+)\s*(<=|>=|!=|<|>|=)\s*([^<>=!]*[^<>=!\s])\s*$/.exec(given) ?? [];
  if (property === undefined) return undefined;
  return { property, comparison: comparison as Condition["comparison"], value: operandOf(value) };
}

function operandOf(given: string): Condition["value"] {
  if (given === "true" || given === "false") return given === "true";
  const number = Number(given);
  return Number.isFinite(number) ? number : given;
}

const asset = z
  .string()
  .transform((given) => given.split(","))
  .refine((keys) => keys.length <= mostBands && keys.every((key) => key !== ""), assetRule);

export const archiveGroup = {
  asset: shownAs("key,…", asset)
    .optional()
    .describe(
      "of STAC items, the asset to read: its key, its role, or the name of its band; of several, each is a band of the scene",
    ),
  bbox: shownAs("w,s,e,n", bbox).optional().describe("of STAC items, those that meet this box, in degrees"),
  datetime: shownAs("from/to", datetime).optional().describe("of STAC items, those of this time; .. for an open end"),
  query: repeatable("conditions", query)
    .optional()
    .describe(
      "of STAC items, those with such properties: eo:cloud_cover<20, and others after a comma (< <= > >= = !=)",
    ),
};

/** Which items are wanted, and which asset of each. */
export type ArchiveOptions = z.infer<z.ZodObject<typeof archiveGroup>>;
export const archiveNames = Object.keys(archiveGroup) as (keyof ArchiveOptions)[];
