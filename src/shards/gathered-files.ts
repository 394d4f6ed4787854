/** What is written of all shards together: sums, the scenes that could not be read, and the cells of all. */

import { join } from "node:path";
import type { z } from "zod";
import { CellTable } from "../acquire/cell-table.ts";
import { fileNames } from "../acquire/file-names.ts";
import { cornersOf, geometryOf } from "../acquire/geojson.ts";
import { type Georeference, georeference } from "../acquire/georeference.ts";
import { cellsOf, sceneOf } from "../acquire/scene.ts";
import { writeFileAtomic } from "../files/atomic.ts";
import type { JsonObject } from "../files/json.ts";
import { LogFile } from "../files/log-file.ts";
import { makeGrid } from "../method/grid.ts";
import type { sceneLineSchema, windowLineSchema } from "./scene-lines.ts";

export type SceneRecord = z.infer<typeof sceneLineSchema>;
export type WindowRecord = z.infer<typeof windowLineSchema>;

/** Where what is found goes besides the sums. */
export interface Sink {
  failed(line: object): void;
  scene(line: SceneRecord, windows: readonly WindowRecord[]): void;
}

/** What is written of all shards together. */
export class GatheredFiles implements Sink {
  readonly #folder: string;
  readonly #failed: LogFile;
  #cells: CellTable | undefined;

  constructor(folder: string) {
    this.#folder = folder;
    this.#failed = new LogFile(join(folder, "failed.jsonl"));
  }

  failed(line: object): void {
    this.#failed.append(new TextEncoder().encode(`${JSON.stringify(line)}\n`));
  }

  scene({ id, size, place, grid: { image_size, patch_size } }: SceneRecord, windows: readonly WindowRecord[]): void {
    this.#cells ??= new CellTable(join(this.#folder, fileNames.cells));
    const scene = sceneOf(size, makeGrid(image_size, patch_size));
    const onEarth: Georeference | undefined = place === null ? undefined : georeference(place.epsg, place.affine, id);
    for (const {
      window: [column, row],
      box,
      chosen,
      patch_probabilities = [],
      cell_bytes,
    } of windows) {
      for (const [n, cell] of cellsOf(scene, box).entries()) {
        const geometry = onEarth === undefined ? null : geometryOf(cornersOf(cell.inside, onEarth));
        const said = { chosen: chosen[cell.patch] === "1", probability: patch_probabilities[cell.patch] ?? 0 };
        const decided = { cell, window: { column, row }, ...said, bytes: cell_bytes[n] };
        this.#cells.add(id, decided, geometry as JsonObject | null);
      }
    }
  }

  finish(gathered: object): void {
    this.#failed.sync();
    this.#cells?.finish();
    const text = `${JSON.stringify(gathered, undefined, 2)}\n`;
    writeFileAtomic(join(this.#folder, "gathered.json"), new TextEncoder().encode(text));
  }

  close(): void {
    this.#failed.close();
    this.#cells?.close();
  }
}
