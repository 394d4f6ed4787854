/**
 * STAC items of a GeoParquet file: a row an item, properties as columns beside the others. Source: stac-geoparquet 1.0.0,
 * GeoParquet 1.1.0.
 */

import * as zlib from "node:zlib";
import { type Compressors, type FileMetaData, parquetMetadata, parquetReadObjects, parquetSchema } from "hyparquet";
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

/** @returns what should be items: nothing of it has been checked @throws input: not a whole GeoParquet file of items; resource */
export async function rowsAsItems(
  bytes: Uint8Array,
  where: string,
  { properties, mostItems }: Wanted,
): Promise<unknown[]> {
  const next = "have the program that made it write stac-geoparquet 1.0";
  try {
    const file = new Uint8Array(bytes).buffer;
    const metadata = parquetMetadata(file);
    const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
    checkSize(metadata, where, mostItems);
    const isGeo = metadata.key_value_metadata?.some(({ key }) => key === "geo") ?? false;
    const missing = ["id", "geometry", "assets"].filter((name) => !columns.includes(name));
    if (!isGeo || missing.length > 0) {
      const got = isGeo ? `no ${missing.join(", no ")}` : "no metadata of GeoParquet";
      const rule = "must be GeoParquet with the columns id, geometry and assets of STAC items";
      throw fault("input", { where, rule, got, next });
    }
    const taken = columns.filter((name) => fields.includes(name) || times.includes(name) || properties.includes(name));
    const rows = await parquetReadObjects({ file, metadata, columns: taken, compressors });
    return rows.map(itemOf);
  } catch (error) {
    if (error instanceof PatchDropError) throw error;
    const got = error instanceof Error ? error.message : String(error);
    throw fault(
      "input",
      { where, rule: "must be a whole Parquet file", got, next: "fetch it again, or make it anew" },
      error,
    );
  }
}

/** Before anything is unpacked. */
function checkSize({ num_rows, row_groups }: FileMetaData, where: string, mostItems: number): void {
  if (num_rows > mostItems) {
    const next = "cut it into smaller ones";
    throw fault("resource", { where, rule: `must have at most ${mostItems} items`, got: num_rows, next });
  }
  const unpacked = row_groups.reduce((sum, { total_byte_size: size }) => sum + Number(size), 0);
  if (unpacked <= mostUnpackedBytes) return;
  const rule = `must unpack to at most ${mostUnpackedBytes} bytes`;
  throw fault("resource", { where, rule, got: unpacked, next: "cut it into smaller ones" });
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
