/**
 * A list of scenes that many processes share: JSON Lines, a scene a line, or STAC GeoParquet, a scene a row. Which of them are a
 * shard's follows from the file's size alone, so that no shard reads more than its own part: of JSON Lines those that begin in an
 * n-th part of the bytes, of Parquet an n-th part of the rows. What is wrong with one scene is that scene's fault and not the list's.
 */

import { open, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { z } from "zod";
import { fault, PatchDropError } from "../errors.ts";
import { systemFault } from "../files/atomic.ts";
import { isJsonObject } from "../files/json.ts";
import { linesOf } from "../files/line-reader.ts";
import { faultsOf } from "../options/parse.ts";
import { sha256 } from "../utils/sha256.ts";
import { isAddress, redacted } from "./document.ts";
import { isWanted } from "./filters.ts";
import { readGeoParquet, readRowCount } from "./geoparquet.ts";
import { checkItem, type Item } from "./item.ts";
import { type ArchivedScene, sceneOf, type WantedScenes } from "./scenes.ts";

/** Which part of a list: the `index`-th of `count`, from 0. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/** What tells one manifest from another. */
export interface ManifestMark {
  readonly bytes: number;
  /** SHA-256 of the first and the last {@link markedBytes}. */
  readonly sha256: string;
}

/** A scene of the list, or what is wrong with it; `said` is what the list has of it, wherever the list lies. */
export type Entry = { readonly id: string; readonly said: string } & (
  | { readonly scene: ArchivedScene }
  | { readonly error: PatchDropError }
);

export interface Manifest {
  readonly path: string;
  readonly mark: ManifestMark;
  /** Those of a shard that are wanted, in the order of the list. @throws input: a line that is too long, a damaged file; system */
  entries(shard: Shard, wanted: WantedScenes): AsyncGenerator<Entry>;
}

const markedBytes = 2 ** 20;
const longestLine = 2 ** 20;
/** Of Parquet, at a time. */
const rowsAtOnce = 10_000;

/** @throws input: no file, or neither JSON Lines nor Parquet; system */
export async function openManifest(path: string): Promise<Manifest> {
  const where = redacted(path);
  if (isAddress(path)) {
    const rule = "must be a file of this machine: JSON Lines or STAC GeoParquet";
    throw fault("input", { where, rule, got: "an address", next: "fetch it first" });
  }
  // A pipe would hold up whoever opens it.
  const isRegular = (await stat(path).catch(() => undefined))?.isFile() ?? true;
  if (!isRegular) {
    throw fault("input", {
      where,
      rule: "must be a list of scenes",
      got: "a folder, a pipe or a device",
      next: listNext,
    });
  }
  const file = await open(path, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw systemFault("could not be read", path, 0, error);
    const rule = "must be a file of this machine: JSON Lines or STAC GeoParquet";
    throw fault("input", { where: path, rule, got: "no such file", next: "fetch it first, if it is elsewhere" }, error);
  });
  try {
    const found = await file.stat();
    if (found.size === 0) {
      throw fault("input", { where, rule: "must be a list of scenes", got: "an empty file", next: listNext });
    }
    const { size } = found;
    const part = async (start: number) => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(markedBytes), 0, markedBytes, start);
      return buffer.subarray(0, bytesRead);
    };
    const [first, last] = [await part(0), await part(Math.max(0, size - markedBytes))];
    const mark = { bytes: size, sha256: sha256(Buffer.concat([first, last])) };
    const isParquet = first.toString("latin1", 0, 4) === "PAR1";
    if (!isParquet) mustBeginAsLines(first, path);
    const entries = isParquet ? rowsOfShard : linesOfShard;
    return { path, mark, entries: (shard, wanted) => entries(path, size, shard, wanted) };
  } finally {
    await file.close();
  }
}

const listNext = "give JSON Lines, each line a STAC item or an id and a href, or STAC GeoParquet";

/** A list of another kind would be one of scenes that cannot be read. @throws input */
function mustBeginAsLines(first: Buffer, path: string): void {
  const [line] = withoutMark(first.toString("utf8")).trimStart().split("\n");
  const content = parsed(line);
  const rule = "must be JSON Lines or STAC GeoParquet";
  if (isJsonObject(content) && content.type === "FeatureCollection") {
    const next = `make lines of its items with \`jq -c '.features[]' ${path}\``;
    throw fault("input", { where: path, rule, got: "a collection of items", next });
  }
  // A line that is longer than what was read is too long, which is said where it is read.
  if (isJsonObject(content) || (line.startsWith("{") && line.length >= longestLine)) return;
  throw fault("input", { where: path, rule, got: `what begins with ${line.slice(0, 20).trimEnd()}`, next: listNext });
}

/** Some programs begin a text with a byte order mark. */
function withoutMark(text: string): string {
  return text.replace(/^\ufeff/, "");
}

async function* linesOfShard(
  path: string,
  size: number,
  { index, count }: Shard,
  wanted: WantedScenes,
): AsyncGenerator<Entry> {
  const [start, end] = [partOf(size, index, count), partOf(size, index + 1, count)];
  const tooLong = (at: number) => {
    const rule = `must be lines of at most ${longestLine} bytes, a scene each`;
    const next = "write JSON Lines; of a search's answer, `jq -c '.features[]'` makes them";
    return fault("input", { where: `${path}: byte ${at}`, rule, got: "more", next });
  };
  for await (const { text, at } of linesOf(path, { start, end, longest: longestLine, tooLong })) {
    if (text.trim() === "") continue;
    const content = parsed(at === 0 ? withoutMark(text) : text);
    const read = () => itemOfLine(content, path, `${path}: byte ${at}`);
    const entry = entryOf({ said: text, content, place: `byte ${at}`, read }, wanted);
    if (entry !== undefined) yield entry;
  }
}

async function* rowsOfShard(
  path: string,
  _size: number,
  { index, count }: Shard,
  wanted: WantedScenes,
): AsyncGenerator<Entry> {
  const rows = await readRowCount(path);
  const [start, end] = [partOf(rows, index, count), partOf(rows, index + 1, count)];
  const properties = (wanted.query ?? []).map(({ property }) => property);
  for (let from = start; from < end; from += rowsAtOnce) {
    const some = { from, to: Math.min(end, from + rowsAtOnce) };
    const found = await readGeoParquet({
      source: path,
      where: path,
      wanted: { properties, mostItems: rows },
      rows: some,
    });
    for (const [n, row] of found.entries()) {
      const place = `row ${from + n}`;
      const read = () => checkItem(row, resolve(path), `${path}: ${place}`);
      const entry = entryOf({ said: JSON.stringify(row), content: row, place, read }, wanted);
      if (entry !== undefined) yield entry;
    }
  }
}

/** Where part `index` of `count` begins. */
function partOf(size: number, index: number, count: number): number {
  return Math.floor((size * index) / count);
}

const some = z.string().min(1, "must not be empty");
const plainSchema = z.strictObject({ id: some, href: some, low: some.optional() });

const plainNext = 'write a STAC item, or {"id": …, "href": …, "low": …}';

/** Undefined for what is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A STAC item, or an id and where the image lies. @throws input */
function itemOfLine(content: unknown, path: string, where: string): Item {
  if (content === undefined)
    throw fault("input", {
      where,
      rule: "must be JSON",
      got: "a text that is not, or ends too early",
      next: plainNext,
    });
  if (isJsonObject(content) && content.type === "Feature") return checkItem(content, resolve(path), where);
  const result = plainSchema.safeParse(content);
  if (!result.success) {
    const faults = faultsOf(result.error, content, `${where}: `, "must not be there");
    // What was found may be an address with its signature: the field is enough.
    throw fault(
      "input",
      faults.map(({ where: field, rule }) => ({ where: field, rule, next: plainNext })),
    );
  }
  const { id, href, low } = result.data;
  const assets = { image: { href }, ...(low === undefined ? {} : { low: { href: low } }) };
  return { id, bbox: undefined, properties: {}, links: [], assets, document: resolve(path), isAlone: true };
}

/**
 * Undefined for a scene that is not wanted.
 * @param content what should be an item, or be made one by `read`
 * @param place names a scene that has no id
 */
function entryOf(
  { said, content, place, read }: { said: string; content: unknown; place: string; read: () => Item },
  wanted: WantedScenes,
): Entry | undefined {
  try {
    const item = read();
    if (!isWanted(item, wanted)) return undefined;
    // Of an address that stands alone it is said which one it is.
    return { id: item.id, said, scene: sceneOf(item, item.isAlone ? { ...wanted, asset: ["image"] } : wanted) };
  } catch (error) {
    if (!(error instanceof PatchDropError)) throw error;
    const id = isJsonObject(content) && typeof content.id === "string" ? content.id : place;
    return { id, said, error };
  }
}
