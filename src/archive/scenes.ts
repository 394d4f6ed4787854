/** Which scenes there are: an argument as a picture, as one STAC item, or as many. */

import { fault, type PatchDropError } from "../errors.ts";
import { isJsonObject, type JsonObject } from "../files/json.ts";
import type { ArchiveOptions } from "../options/archive-group.ts";
import { itemAddress, locateAssets, locateLow, type SceneFile } from "./assets.ts";
import {
  type Begun,
  isAddress,
  type ReadOptions,
  readAddress,
  readDocument,
  redacted,
  type StacDocument,
} from "./document.ts";
import { isWanted } from "./filters.ts";
import { readGeoParquet } from "./geoparquet.ts";
import { checkItem, type Item, shortened } from "./item.ts";

const mostItems = 100_000;
const mostPages = 1000;

/** What is written of an item with the results of its scene. */
export interface ArchivedItem {
  readonly id: string;
  readonly times: Readonly<Record<"datetime" | "start_datetime" | "end_datetime", string | undefined>>;
  /** Where it lies, without what may be secret. */
  readonly from: string;
}

export interface ArchivedScene {
  /** One, or one for each band. */
  readonly files: readonly SceneFile[];
  /** What is looked at instead, where that is asked for: a path or an address. */
  readonly low?: string;
  readonly item: ArchivedItem;
}

export type Scenes =
  | { readonly kind: "image"; readonly begun: Begun | undefined }
  | { readonly kind: "item"; readonly scene: ArchivedScene }
  /** `all` is how many items there were before those that are wanted were found. */
  | { readonly kind: "items"; readonly scenes: readonly ArchivedScene[]; readonly all: number };

/** Which items, which assets and bands of each, and what is looked at instead. */
export interface WantedScenes extends ArchiveOptions {
  readonly bandNames?: readonly string[] | undefined;
  readonly low?: string | undefined;
}

export interface FindOptions extends ReadOptions {
  /** Told what a person should know. */
  note?(text: string): void;
  readonly mostItems?: number;
}

/**
 * Finds the scenes that an argument names.
 * @param argument path or http(s) address of a picture, a STAC item, an ItemCollection, an answer of a STAC search, or STAC GeoParquet
 * @throws input: what is no STAC; nothing that is wanted; the same id twice; an asset that is not there; resource; system
 */
export async function findScenes(argument: string, wanted: WantedScenes, options: FindOptions = {}): Promise<Scenes> {
  const document = await readDocument(argument, options);
  if (document === undefined || "answer" in document) return { kind: "image", begun: document };
  const { items, isOne } = await itemsOf(document, wanted, options);
  const matching = items.filter((item) => isWanted(item, wanted));
  if (!isOne) options.note?.(`${matching.length} of ${items.length} items match`);
  if (matching.length === 0) throw nothingMatches(argument, items.length);
  refuseTwice(matching, redacted(argument));
  const scenes = matching.map((item) => sceneOf(item, wanted));
  return isOne ? { kind: "item", scene: scenes[0] } : { kind: "items", scenes, all: items.length };
}

/** What is looked at and acquired of an item. @throws input: an asset that is not there, or lies where nothing is read from */
export function sceneOf(item: Item, { asset, bandNames: bands, low }: WantedScenes): ArchivedScene {
  const files = locateAssets(item, { asset, bands });
  return { files, ...(low === undefined ? {} : { low: locateLow(item, low) }), item: described(item) };
}

function described(item: Item): ArchivedItem {
  const { datetime, start_datetime, end_datetime } = item.properties;
  const times = {
    datetime: datetime ?? undefined,
    start_datetime: start_datetime ?? undefined,
    end_datetime: end_datetime ?? undefined,
  };
  return { id: item.id, times, from: redacted(itemAddress(item) ?? item.document) };
}

function nothingMatches(argument: string, all: number): PatchDropError {
  const rule = "must have items that match --bbox, --datetime and --query";
  return fault("input", { where: redacted(argument), rule, got: `0 of ${all}`, next: "ask for less" });
}

function refuseTwice(items: readonly Item[], where: string): void {
  const seen = new Set<string>();
  for (const { id } of items) {
    if (seen.has(id)) {
      const rule = "must have each id once, as results are put into folders of that name";
      throw fault("input", {
        where,
        rule,
        got: `${shortened(id)} twice`,
        next: "narrow it down with --bbox, --datetime or --query",
      });
    }
    seen.add(id);
  }
}

interface Found {
  readonly items: readonly Item[];
  /** Whether the document is an item itself. */
  readonly isOne: boolean;
}

async function itemsOf(document: StacDocument, { query = [] }: ArchiveOptions, options: FindOptions): Promise<Found> {
  const { place } = document;
  const where = redacted(place);
  if (document.kind === "parquet") {
    const wanted = { properties: query.map(({ property }) => property), mostItems: options.mostItems ?? mostItems };
    const rows = await readGeoParquet({ source: document.bytes, where, wanted });
    return { items: rows.map((row) => checkItem(row, place, where)), isOne: false };
  }
  const content = jsonOf(document.bytes, where);
  if (content.type === "FeatureCollection") return { items: await collected(content, place, options), isOne: false };
  if (content.type !== "Feature" || content.stac_version === undefined) throw noStac(where, content);
  return { items: [checkItem(content, place, where, true)], isOne: true };
}

/** The items of a collection, and of the pages that follow it. */
async function collected(first: JsonObject, place: string, options: FindOptions): Promise<Item[]> {
  const { mostItems: most = mostItems } = options;
  const items: Item[] = [];
  const seen = new Set([place]);
  for (let [page, at] = [first, place]; ; ) {
    const where = redacted(at);
    const { features } = page;
    if (!Array.isArray(features)) throw noStac(where, page);
    if (items.length + features.length > most) {
      const next = "narrow it down in the search itself (bbox, datetime, limit)";
      throw fault("resource", { where, rule: `must have at most ${most} items`, got: "more", next });
    }
    for (const feature of features) {
      if (!isJsonObject(feature) || feature.stac_version === undefined) throw noStac(where, page);
      items.push(checkItem(feature, at, where));
    }
    const next = nextOf(page, at, where);
    if (next === undefined) return items;
    if (!isAddress(at)) {
      options.note?.(`${where}: has further pages (a link to the next one), which are not read of a file`);
      return items;
    }
    if (seen.has(next)) {
      const rule = "its pages must not go round";
      throw fault("input", {
        where,
        rule,
        got: `next again ${redacted(next)}`,
        next: "report it to whoever runs the server",
      });
    }
    seen.add(next);
    if (seen.size > mostPages)
      throw fault("resource", { where, rule: `must have at most ${mostPages} pages`, got: "more" });
    page = jsonOf(await readAddress(next, options), redacted(next));
    if (page.type !== "FeatureCollection") throw noStac(redacted(next), page);
    at = next;
  }
}

/** The address of the next page. @throws input: one that is not to be had by GET */
function nextOf({ links }: JsonObject, at: string, where: string): string | undefined {
  const link = (Array.isArray(links) ? links : []).find((one) => isJsonObject(one) && one.rel === "next");
  if (link === undefined) return undefined;
  const { href, method = "GET" } = link as JsonObject;
  if (method !== "GET") {
    const rule = "its next page must be had by GET";
    throw fault("input", { where, rule, got: method, next: "search by GET, or save all items as an ItemCollection" });
  }
  if (typeof href !== "string") throw fault("input", { where, rule: "its link to the next page must have a href" });
  if (!isAddress(at)) return href;
  const next = URL.canParse(href, at) ? new URL(href, at).href : "";
  if (isAddress(next)) return next;
  throw fault("input", { where, rule: "its next page must have an http or https address", got: redacted(href) });
}

function jsonOf(bytes: Uint8Array, where: string): JsonObject {
  let content: unknown;
  try {
    content = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    const got =
      error instanceof SyntaxError ? "a text that is not JSON, or ends too early" : "bytes that are not UTF-8";
    throw fault("input", { where, rule: "must be whole JSON", got, next: "fetch it again" }, error);
  }
  if (!isJsonObject(content)) throw noStac(where, content);
  return content;
}

function noStac(where: string, content: unknown): PatchDropError {
  const type = isJsonObject(content) ? content.type : undefined;
  const isGeoJson = type === "Feature" || type === "FeatureCollection";
  const got = isGeoJson
    ? "GeoJSON without stac_version"
    : typeof type === "string"
      ? `JSON of type ${type}`
      : "other JSON";
  const next =
    type === "Catalog" || type === "Collection" ? "give one of its items, or the address of its items" : "give an item";
  return fault("input", { where, rule: "must be an image, a STAC item or a collection of STAC items", got, next });
}
