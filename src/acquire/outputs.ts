/**
 * The files of an acquisition. Lines and pixels are written as they come, row of windows by row; the small ones at the end.
 * The folder gets its name when all are there.
 */

import { join } from "node:path";
import type { JsonObject } from "../run/json.ts";
import { LogFile } from "../run/log-file.ts";
import { cellFeature, type DecidedCell } from "./geojson.ts";
import { geographic } from "./georeference.ts";
import type { PatchSource } from "./patch-source.ts";
import { RasterFile } from "./raster-file.ts";

export const fileNames = {
  predictions: "predictions.jsonl",
  patches: "patches.geojson",
  order: "order.geojson",
  masked: "masked.tif",
  savings: "savings.json",
  item: "item.json",
} as const;

export class Outputs {
  readonly #folder: string;
  readonly #source: PatchSource;
  readonly #predictions: LogFile;
  readonly #patches: LogFile;
  readonly #masked: RasterFile;
  #features = 0;

  /** @throws system */
  constructor(folder: string, source: PatchSource) {
    this.#folder = folder;
    this.#source = source;
    const { width, height, georeference } = source;
    this.#masked = new RasterFile(join(folder, fileNames.masked), {
      ...{ width, height },
      georeference: georeference && { ...georeference, geographic: geographic.includes(georeference.epsg) },
    });
    this.#predictions = new LogFile(join(folder, fileNames.predictions));
    this.#patches = new LogFile(join(folder, fileNames.patches));
    append(this.#patches, '{"type":"FeatureCollection","features":[\n');
  }

  prediction(line: JsonObject): void {
    append(this.#predictions, `${JSON.stringify(line)}\n`);
  }

  cells(decided: readonly DecidedCell[]): void {
    const features = decided.map((one) => JSON.stringify(cellFeature(one, this.#source.georeference)));
    append(this.#patches, (this.#features > 0 ? ",\n" : "") + features.join(",\n"));
    this.#features += features.length;
  }

  /** Rows of the scene, [n, width, 3]. */
  async rows(pixels: Uint8Array): Promise<void> {
    await this.#masked.write(pixels);
  }

  /** Ends the files that grew, and writes those that are JSON. */
  finish(files: Readonly<Record<string, JsonObject>>): void {
    append(this.#patches, "\n]}\n");
    this.#masked.finish();
    for (const file of [this.#predictions, this.#patches]) file.sync();
    for (const [name, content] of Object.entries(files)) {
      const file = new LogFile(join(this.#folder, name));
      append(file, `${JSON.stringify(content, undefined, 2)}\n`);
      file.sync();
      file.close();
    }
  }

  close(): void {
    this.#masked.close();
    for (const file of [this.#predictions, this.#patches]) file.close();
  }
}

function append(file: LogFile, text: string): void {
  file.append(new TextEncoder().encode(text));
}
