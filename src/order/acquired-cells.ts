/** What `patchdrop acquire` wrote of a scene's cells, read again: their grid, its place on the Earth, what was chosen. */

import { createReadStream, existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { z } from "zod";
import { fileNames } from "../acquire/file-names.ts";
import { type Affine, type Georeference, georeference } from "../acquire/georeference.ts";
import type { Size } from "../acquire/scene.ts";
import { type Fault, fault, type PatchDropError } from "../errors.ts";
import { systemFault } from "../files/atomic.ts";
import { readBytes } from "../files/read.ts";
import { faultsOf } from "../options/parse.ts";
import { breathe, type Reporter } from "../utils/reporter.ts";

/** The cells of a scene as a grid from the top left; those at the right and the lower edge may be cut by it. */
export interface AcquiredCells {
  readonly columns: number;
  readonly rows: number;
  /** Of the scene, and of a whole cell, in pixels. */
  readonly size: Size;
  readonly cell: Size;
  readonly place: Georeference;
  /** [rows, columns] */
  readonly chosen: Uint8Array;
  /** [rows, columns], 0 … 1 */
  readonly probabilities: Float64Array;
}

const next = "give a folder that `patchdrop acquire` wrote";

const side = z.int().positive();
const itemSchema = z.object({
  properties: z.object({
    "proj:code": z.string().regex(/^EPSG:\d{1,6}$/),
    "proj:shape": z.tuple([side, side]),
    "proj:transform": z.tuple([z.number(), z.number(), z.number(), z.number(), z.number(), z.number()]),
  }),
});
const cellSchema = z.object({
  properties: z.object({
    chosen: z.boolean(),
    probability: z.number().min(0).max(1),
    pixels: z.object({ x: z.int().min(0), y: z.int().min(0), width: side, height: side }),
  }),
});
type CellRecord = z.infer<typeof cellSchema>["properties"];

const [firstLine, lastLine] = ['{"type":"FeatureCollection","features":[', "]}"];
const linesBetweenTurns = 10_000;

/** Before anything else is done. @throws input: a folder without the files of an acquisition */
export function assertAcquired(folder: string): void {
  const missing = [fileNames.patches, fileNames.item].find((name) => !existsSync(join(folder, name)));
  if (missing === undefined) return;
  const isCollection = existsSync(join(folder, fileNames.items));
  const one = "give the folder of one of its scenes";
  throw fault("input", { where: folder, rule: `must hold ${missing}`, next: isCollection ? one : next });
}

/** @throws input: not what `patchdrop acquire` writes, or of a scene without a place on the Earth; system; Stopped */
export async function readAcquired(folder: string, reporter: Reporter): Promise<AcquiredCells> {
  const { size, place } = readPlace(join(folder, fileNames.item));
  const file = join(folder, fileNames.patches);
  const records = await readRecords(file, reporter);
  return { size, place, ...gridOf(records, size, file) };
}

function readPlace(file: string): { size: Size; place: Georeference } {
  const content = parsed(readBytes(file).toString("utf8"), file) as { properties?: Record<string, unknown> } | null;
  if (content?.properties?.["patchdrop:cells"] !== undefined && content.properties["proj:code"] === undefined) {
    const rule = "must be of a scene that says where on the Earth it lies, as an order is by area";
    throw fault("input", { where: file, rule, next: "acquire a GeoTIFF with a georeference" });
  }
  const { properties } = checked(itemSchema, content, file);
  const [height, width] = properties["proj:shape"];
  const affine: Affine = properties["proj:transform"];
  return { size: { width, height }, place: georeference(Number(properties["proj:code"].slice(5)), affine, file) };
}

/** A cell has a line of its own, so that a large scene's file is never one text. */
async function readRecords(file: string, reporter: Reporter): Promise<CellRecord[]> {
  const records: CellRecord[] = [];
  const stream = createReadStream(file, "utf8");
  let number = 0;
  let isOver = false;
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
      number++;
      const where = `${file}: line ${number}`;
      if (number === 1 && line !== firstLine) throw notAsWritten(where, line);
      if (number === 1) continue;
      if (number % linesBetweenTurns === 0) await breathe(reporter);
      if (isOver) throw notAsWritten(where, line);
      isOver = line === lastLine;
      if (isOver || line === "") continue;
      records.push(checked(cellSchema, parsed(line.replace(/,$/, ""), where), where).properties);
    }
  } catch (error) {
    throw (error as NodeJS.ErrnoException).syscall === undefined
      ? error
      : systemFault("could not be read", file, 0, error);
  } finally {
    stream.destroy();
  }
  if (!isOver) throw fault("input", { where: file, rule: `must end with ${lastLine}`, got: "a part of it", next });
  return records;
}

function notAsWritten(where: string, got: string): PatchDropError {
  return fault("input", { where, rule: "must be as `patchdrop acquire` wrote it, a cell a line", got, next });
}

/** @throws input: unless each cell of one grid over the scene is there once */
function gridOf(records: readonly CellRecord[], size: Size, file: string) {
  const most = (key: "width" | "height") => records.reduce((found, { pixels }) => Math.max(found, pixels[key]), 1);
  const cell = { width: most("width"), height: most("height") };
  const [columns, rows] = [Math.ceil(size.width / cell.width), Math.ceil(size.height / cell.height)];
  const wrong = (rule: string, got: unknown) => fault("input", { where: file, rule, got, next });
  if (records.length !== columns * rows)
    throw wrong(`must have ${columns * rows} cells, as the scene has`, records.length);
  const chosen = new Uint8Array(columns * rows);
  const probabilities = new Float64Array(columns * rows).fill(-1);
  for (const { pixels, chosen: isChosen, probability } of records) {
    const [column, row] = [pixels.x / cell.width, pixels.y / cell.height];
    const at = row * columns + column;
    const isWhole =
      pixels.width === Math.min(cell.width, size.width - pixels.x) &&
      pixels.height === Math.min(cell.height, size.height - pixels.y);
    if (!Number.isInteger(column) || !Number.isInteger(row) || !isWhole || probabilities[at] !== -1) {
      throw wrong("must have each cell of a grid over the scene once", JSON.stringify(pixels));
    }
    chosen[at] = isChosen ? 1 : 0;
    probabilities[at] = probability;
  }
  return { columns, rows, cell, chosen, probabilities };
}

function parsed(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw fault("input", { where, rule: "must be JSON", got: text.slice(0, 50), next }, error);
  }
}

function checked<T>(schema: z.ZodType<T>, content: unknown, where: string): T {
  const result = schema.safeParse(content);
  if (result.success) return result.data;
  const faults = faultsOf(result.error, content, `${where}: `, "must not be there");
  throw fault(
    "input",
    faults.map((one): Fault => ({ ...one, next })),
  );
}
