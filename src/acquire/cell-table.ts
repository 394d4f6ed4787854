/** All cells as a table: GeoParquet 1.1.0, a row a cell. Rows are written as they come, a group of them at a time. */

import { ByteWriter, ParquetWriter, schemaFromColumnData } from "hyparquet-writer";
import { geojsonToWkb } from "hyparquet-writer/src/wkb.js";
import { LogFile } from "../files/log-file.ts";
import type { DecidedCell } from "./geojson.ts";

const rowsInGroup = 50_000;

/** In longitudes and latitudes of WGS84, as GeoParquet has it where nothing else is said. */
const geo = {
  version: "1.1.0",
  primary_column: "geometry",
  columns: { geometry: { encoding: "WKB", geometry_types: ["Polygon", "MultiPolygon"] } },
};

const types = {
  scene: "STRING",
  geometry: "BYTE_ARRAY",
  chosen: "BOOLEAN",
  probability: "DOUBLE",
  bytes: "INT64",
  patch: "INT32",
  window_column: "INT32",
  window_row: "INT32",
} as const;
type Row = Readonly<Record<keyof typeof types, unknown>>;

export class CellTable {
  readonly #file: LogFile;
  readonly #bytes = new ByteWriter();
  readonly #writer: ParquetWriter;
  #rows: Row[] = [];

  /** @throws system */
  constructor(path: string) {
    this.#file = new LogFile(path);
    const schema = schemaFromColumnData({ columnData: this.#columns() });
    const kvMetadata = [{ key: "geo", value: JSON.stringify(geo) }];
    this.#writer = new ParquetWriter({ writer: this.#bytes, schema, kvMetadata, createdBy: "patchdrop" });
  }

  /** In bytes, so far. */
  get length(): number {
    return this.#file.length;
  }

  /** @param geometry of GeoJSON; null for what lies nowhere on the Earth @throws system */
  add(scene: string, { cell, window, chosen, probability, bytes }: DecidedCell, geometry: object | null): void {
    this.#rows.push({
      ...{ scene, chosen, probability, bytes: BigInt(bytes), patch: cell.patch },
      geometry: geometry && geojsonToWkb(geometry as Parameters<typeof geojsonToWkb>[0]),
      ...{ window_column: window.column, window_row: window.row },
    });
    if (this.#rows.length >= rowsInGroup) this.#group();
  }

  /** Ends the file. @throws system */
  finish(): void {
    if (this.#rows.length > 0) this.#group();
    void this.#writer.finish();
    this.#flush();
    this.#file.sync();
  }

  close(): void {
    this.#file.close();
  }

  #group(): void {
    void this.#writer.write({ columnData: this.#columns(), rowGroupSize: rowsInGroup });
    this.#rows = [];
    this.#flush();
  }

  #flush(): void {
    this.#file.append(this.#bytes.getBytes().slice(0, this.#bytes.index));
    this.#bytes.index = 0;
  }

  #columns() {
    return Object.entries(types).map(([name, type]) => ({
      ...{ name, type, nullable: name === "geometry" },
      data: this.#rows.map((row) => row[name as keyof Row]),
    }));
  }
}
