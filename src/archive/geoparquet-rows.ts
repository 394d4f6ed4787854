/**
 * STAC items of a GeoParquet file: a row an item, properties as columns beside the others. Source: stac-geoparquet 1.0.0,
 * GeoParquet 1.1.0.
 */

import * as zlib from "node:zlib";
import {
  type AsyncBuffer,
  asyncBufferFromFile,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from "hyparquet";
import { fault, PatchDropError } from "../errors.ts";

/** What the file may unpack to. */
const mostUnpackedBytes = 1024 ** 3;
const fields = ["type", "stac_version", "id", "geometry", "bbox", "links", "assets"];
const times = ["datetime", "start_datetime", "end_datetime"];

/** Which properties are wanted besides times, and how many items may be there. */
export interface Wanted {
  readonly properties: readonly string[];
  readonly mostItems: number;
}

/** Rows from … to − 1. */
export interface RowRange {
  readonly from: number;
  readonly to: number;
}

/**
 * @param source the file's bytes, or its path
 * @returns what should be items: nothing of it has been checked
 * @throws input: not a whole GeoParquet file of items; resource
 */
export function rowsAsItems(
  source: Uint8Array | string,
  where: string,
  { properties, mostItems }: Wanted,
  rows?: RowRange,
): Promise<unknown[]> {
  return reading(where, async () => {
    const { file, metadata, columns } = await openItems(source, where);
    checkSize(metadata, where, mostItems, rows);
    const taken = columns.filter((name) => fields.includes(name) || times.includes(name) || properties.includes(name));
    const range = rows === undefined ? {} : { rowStart: rows.from, rowEnd: rows.to };
    const found = await parquetReadObjects({ file, metadata, columns: taken, compressors, ...range });
    return found.map(itemOf);
  });
}

/** @throws input: not a whole GeoParquet file of items */
export function countRows(source: Uint8Array | string, where: string): Promise<number> {
  return reading(where, async () => Number((await openItems(source, where)).metadata.num_rows));
}

async function openItems(source: Uint8Array | string, where: string) {
  const file = typeof source === "string" ? await asyncBufferFromFile(source) : new Uint8Array(source).buffer;
  const metadata = await parquetMetadataAsync(file as AsyncBuffer);
  const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
  const isGeo = metadata.key_value_metadata?.some(({ key }) => key === "geo") ?? false;
  const missing = ["id", "geometry", "assets"].filter((name) => !columns.includes(name));
  if (isGeo && missing.length === 0) return { file, metadata, columns };
  const got = isGeo ? `no ${missing.join(", no ")}` : "no metadata of GeoParquet";
  const rule = "must be GeoParquet with the columns id, geometry and assets of STAC items";
  throw fault("input", { where, rule, got, next: "have the program that made it write stac-geoparquet 1.0" });
}

async function reading<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PatchDropError) throw error;
    const got = error instanceof Error ? error.message : String(error);
    const next = "fetch it again, or make it anew";
    throw fault("input", { where, rule: "must be a whole Parquet file", got, next }, error);
  }
}

/** Before anything is unpacked. */
function checkSize({ num_rows, row_groups }: FileMetaData, where: string, mostItems: number, rows?: RowRange): void {
  if (num_rows > mostItems) {
    const next = "cut it into smaller ones";
    throw fault("resource", { where, rule: `must have at most ${mostItems} items`, got: num_rows, next });
  }
  let [unpacked, from] = [0, 0];
  for (const { num_rows: count, total_byte_size: size } of row_groups) {
    const to = from + Number(count);
    if (rows === undefined || (from < rows.to && to > rows.from)) unpacked += Number(size);
    from = to;
  }
  if (unpacked <= mostUnpackedBytes) return;
  const rule = `must unpack to at most ${mostUnpackedBytes} bytes`;
  throw fault("resource", { where, rule, got: unpacked, next: "cut it into smaller ones, or its groups of rows" });
}

const unpack =
  (how: (packed: Uint8Array, options: { maxOutputLength: number }) => Buffer) => (packed: Uint8Array, size: number) =>
    new Uint8Array(how(packed, { maxOutputLength: Math.max(1, size) }));
const { zstdDecompressSync } = zlib as unknown as { zstdDecompressSync?: typeof zlib.gunzipSync };
/** zstd from Node 22.15 on. */
const compressors: Compressors = {
  GZIP: unpack(zlib.gunzipSync),
  BROTLI: unpack(zlib.brotliDecompressSync),
  ...(zstdDecompressSync === undefined ? {} : { ZSTD: unpack(zstdDecompressSync) }),
};

function itemOf(row: Record<string, unknown>): unknown {
  const { bbox, geometry = null, ...rest } = plain(row) as Record<string, unknown>;
  const isProperty = ([name]: [string, unknown]) => !fields.includes(name);
  const own = Object.entries(rest);
  return {
    // Always the same, and so left out by some programs.
    type: "Feature",
    ...Object.fromEntries(own.filter((entry) => !isProperty(entry))),
    geometry,
    bbox: boxOf(bbox),
    properties: Object.fromEntries(own.filter(isProperty)),
  };
}

/** A struct of corners, as GeoParquet has it, or a list. */
function boxOf(bbox: unknown): unknown {
  if (typeof bbox !== "object" || bbox === null || Array.isArray(bbox)) return bbox;
  const { xmin, ymin, xmax, ymax } = bbox as Record<string, unknown>;
  return [xmin, ymin, xmax, ymax];
}

/** As JSON would have it; what is null was only there for other rows. */
function plain(value: unknown): unknown {
  if (value === null) return undefined;
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "not a time" : value.toISOString();
  if (ArrayBuffer.isView(value)) return Array.from(value as Uint8Array);
  if (Array.isArray(value)) return value.map((one) => plain(one) ?? null);
  if (typeof value !== "object") return value;
  const entries = Object.entries(value).map(([name, one]) => [name, plain(one)] as const);
  return Object.fromEntries(entries.filter(([, one]) => one !== undefined));
}
