/** GeoParquet of STAC items for tests. */
import { parquetWriteBuffer } from "hyparquet-writer";
import { geojsonToWkb } from "hyparquet-writer/src/wkb.js";

type SchemaElement = NonNullable<Parameters<typeof parquetWriteBuffer>[0]["schema"]>[number];

const usual = { isGeo: true, leave: "", ids: ["a", "b"], rowGroupSize: 1000 };

/** Items as stac-geoparquet lays them out: the first of January 2024, the others of July and with more clouds. */
export function geoparquet(options: Partial<typeof usual> = {}): Uint8Array {
  const { isGeo, leave, ids, rowGroupSize } = { ...usual, ...options };
  const each = <T>(value: T, later = value) => ids.map((_, n) => (n === 0 ? value : later));
  const geometry = {
    type: "Polygon" as const,
    coordinates: [
      [
        [10, 50],
        [11, 50],
        [11, 51],
        [10, 50],
      ],
    ],
  };
  const asset = (href: string) => ({ image: { href, type: "image/tiff", roles: ["data"] } });
  const bbox = { xmin: 10, ymin: 50, xmax: 11, ymax: 51 };
  const string = { type: "BYTE_ARRAY" as const, converted_type: "UTF8" as const, repetition_type: "OPTIONAL" as const };
  const group = (name: string, children: number) => ({
    name,
    num_children: children,
    repetition_type: "OPTIONAL" as const,
  });
  const columns: { name: string; data: unknown[]; schema: SchemaElement[] }[] = [
    { name: "stac_version", data: each("1.1.0"), schema: [{ name: "stac_version", ...string }] },
    { name: "id", data: ids, schema: [{ name: "id", ...string }] },
    {
      name: "geometry",
      data: each(geojsonToWkb(geometry)),
      schema: [{ name: "geometry", type: "BYTE_ARRAY" as const, repetition_type: "OPTIONAL" as const }],
    },
    {
      name: "bbox",
      data: each(bbox),
      schema: [
        group("bbox", 4),
        ...Object.keys(bbox).map((name) => ({ name, type: "DOUBLE" as const, repetition_type: "OPTIONAL" as const })),
      ],
    },
    {
      name: "assets",
      data: ids.map((id) => asset(`${id}.tif`)),
      schema: [
        ...[group("assets", 1), group("image", 3), { name: "href", ...string }, { name: "type", ...string }],
        { name: "roles", num_children: 1, repetition_type: "OPTIONAL" as const, converted_type: "LIST" as const },
        { name: "list", num_children: 1, repetition_type: "REPEATED" as const },
        { name: "element", ...string },
      ],
    },
    {
      name: "datetime",
      data: each(new Date("2024-01-01T00:00:00Z"), new Date("2024-07-01T00:00:00Z")),
      schema: [
        {
          name: "datetime",
          type: "INT64" as const,
          converted_type: "TIMESTAMP_MILLIS" as const,
          repetition_type: "OPTIONAL" as const,
        },
      ],
    },
    {
      name: "eo:cloud_cover",
      data: each(5, 50),
      schema: [{ name: "eo:cloud_cover", type: "DOUBLE" as const, repetition_type: "OPTIONAL" as const }],
    },
  ].filter(({ name }) => name !== leave);
  const geo = {
    version: "1.1.0",
    primary_column: "geometry",
    columns: { geometry: { encoding: "WKB", geometry_types: [] } },
  };
  const buffer = parquetWriteBuffer({
    columnData: columns.map(({ name, data }) => ({ name, data })),
    schema: [{ name: "root", num_children: columns.length }, ...columns.flatMap(({ schema }) => schema)],
    rowGroupSize,
    kvMetadata: isGeo ? [{ key: "geo", value: JSON.stringify(geo) }] : [],
  });
  return new Uint8Array(buffer);
}
