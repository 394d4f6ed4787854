/**
 * What is written of an acquisition, and the files of one. Lines and pixels are written as they come, one row of windows after the
 * other; the small files at the end. The folder gets its name when all of them are complete.
 */

import { join } from "node:path";
import type { ArchivedItem } from "../archive/scenes.ts";
import { fault } from "../errors.ts";
import { writeFileAtomic } from "../files/atomic.ts";
import type { JsonObject } from "../files/json.ts";
import { LogFile } from "../files/log-file.ts";
import type { WrittenForm } from "../formats/tiff-writer.ts";
import type { Prediction } from "../predict/lines.ts";
import type { PixelArray } from "../utils/pixel-array.ts";
import { CellTable } from "./cell-table.ts";
import { fileNames } from "./file-names.ts";
import { cellFeature, type DecidedCell } from "./geojson.ts";
import { geographic } from "./georeference.ts";
import type { PatchSource, Window } from "./patch-source.ts";
import { RasterFile } from "./raster-file.ts";
import { nameOf, stacItem } from "./stac.ts";
import type { Acquired } from "./tally.ts";

/** A line of predictions.jsonl: as in `patchdrop predict`, for a window. */
export type WindowPrediction = Omit<Prediction, "path" | "ms" | "settings" | "class" | "top" | "patch_probabilities"> &
  Partial<Pick<Prediction, "class" | "top" | "patch_probabilities">> & {
    /** Of a window that the low resolution shows nothing of: nobody decided, and it has no class. */
    readonly low?: "missing" | undefined;
    /** Column and row in the grid of windows. */
    readonly window: readonly [column: number, row: number];
    /** In pixels of the scene. */
    readonly box: Window;
    /** Of the tiles that were fetched for this window's patches first. */
    readonly bytes: number;
  };

/** What is known of a scene besides its image, and where its cells go where several scenes have one table. */
export interface SceneContext {
  readonly item?: ArchivedItem | undefined;
  readonly cells?: CellTable | undefined;
}

/** Where what is found in a scene goes: what there is of each window as it comes, and at last what there is of the whole. */
export interface SceneOutputs {
  /** Whether the scene's pixels are wanted, too. */
  readonly takesPixels: boolean;
  cells(decided: readonly DecidedCell[]): void;
  prediction(line: WindowPrediction): void;
  /** Rows of the scene, [n, width, C]. */
  rows(pixels: PixelArray): Promise<void>;
  finish(acquired: Acquired, order: JsonObject | undefined): Promise<void>;
  /** Discards what was not finished. */
  close(): void;
}

/** The files of one scene in a folder. */
export class SceneFolder implements SceneOutputs {
  readonly takesPixels: boolean;
  readonly #folder: string;
  readonly #source: PatchSource;
  readonly #predictions: LogFile;
  readonly #patches: LogFile;
  /** Undefined of an image that does not exist yet. */
  readonly #masked: RasterFile | undefined;
  readonly #mostBytes: number;
  readonly #item: ArchivedItem | undefined;
  readonly #cells: CellTable;
  /** Undefined where the table is that of several scenes. */
  readonly #ownCells: CellTable | undefined;
  #features = 0;
  /** Bytes of the small files so far. */
  #small = 0;

  /** @param limits the form of the scene's pixels, and bytes that may be written @throws system */
  constructor(
    folder: string,
    source: PatchSource,
    { form, mostBytes }: { readonly form: WrittenForm; readonly mostBytes: number },
    { item, cells }: SceneContext = {},
  ) {
    this.#item = item;
    this.#folder = folder;
    this.#mostBytes = mostBytes;
    this.#source = source;
    const { width, height, georeference } = source;
    const place = georeference && { ...georeference, geographic: geographic.includes(georeference.epsg) };
    this.takesPixels = !source.isPlanned;
    this.#masked = this.takesPixels
      ? new RasterFile(join(folder, fileNames.masked), { width, height, form, georeference: place })
      : undefined;
    this.#predictions = new LogFile(join(folder, fileNames.predictions));
    this.#patches = new LogFile(join(folder, fileNames.patches));
    append(this.#patches, '{"type":"FeatureCollection","features":[\n');
    this.#ownCells = cells === undefined ? new CellTable(join(folder, fileNames.cells)) : undefined;
    this.#cells = cells ?? this.#ownCells!;
  }

  prediction(line: WindowPrediction): void {
    append(this.#predictions, `${JSON.stringify(line)}\n`);
    this.#checkSize();
  }

  cells(decided: readonly DecidedCell[]): void {
    const features = decided.map((one) => cellFeature(one, this.#source.georeference));
    const texts = features.map((feature) => JSON.stringify(feature));
    append(this.#patches, (this.#features > 0 ? ",\n" : "") + texts.join(",\n"));
    const scene = this.#item?.id ?? nameOf(this.#source.where);
    for (const [n, { geometry }] of features.entries())
      this.#cells.add(scene, decided[n], geometry as JsonObject | null);
    this.#features += features.length;
    this.#checkSize();
  }

  async rows(pixels: PixelArray): Promise<void> {
    await this.#masked?.write(pixels);
    this.#checkSize();
  }

  /** @throws resource */
  #checkSize(): void {
    const lines = this.#predictions.length + this.#patches.length + this.#cells.length;
    const bytes = lines + (this.#masked?.bytes ?? 0) + this.#small;
    checkWritten(bytes, this.#mostBytes, this.#source.where);
  }

  /** Ends the files that grew, and writes those that are JSON. */
  async finish(acquired: Acquired, order: JsonObject | undefined): Promise<void> {
    append(this.#patches, "\n]}\n");
    await this.#masked?.finish();
    for (const file of [this.#predictions, this.#patches]) file.sync();
    this.#ownCells?.finish();
    this.#json(fileNames.savings, acquired);
    if (order !== undefined) this.#json(fileNames.order, { type: "FeatureCollection", features: [order] });
    const details = {
      acquired,
      isOrdered: order !== undefined,
      hasCells: this.#ownCells !== undefined,
      created: new Date(),
    };
    this.#json(fileNames.item, stacItem(this.#source, { ...details, item: this.#item }));
  }

  #json(name: string, content: object): void {
    const bytes = new TextEncoder().encode(`${JSON.stringify(content, undefined, 2)}\n`);
    this.#small += bytes.length;
    this.#checkSize();
    writeFileAtomic(join(this.#folder, name), bytes);
  }

  close(): void {
    this.#masked?.close();
    for (const file of [this.#predictions, this.#patches, this.#ownCells]) file?.close();
  }
}

function append(file: LogFile, text: string): void {
  file.append(new TextEncoder().encode(text));
}

/** @param where names the scene @throws resource: more bytes were written of it than may be */
export function checkWritten(bytes: number, mostBytes: number, where: string): void {
  if (bytes <= mostBytes) return;
  const rule = `what is written of it must have at most ${mostBytes} bytes`;
  const next = "cut the scene into smaller ones, or raise --max_output_bytes";
  throw fault("resource", { where, rule, got: `${bytes} so far`, next });
}
