/** Which assets of an item are acquired from, where they lie, and what the item calls their bands. */

import { existsSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { fault, type PatchDropError } from "../errors.ts";
import { isAddress, redacted } from "./document.ts";
import { type Asset, type Item, shortened } from "./item.ts";

/** A file of a scene. */
export interface SceneFile {
  /** Path or address. */
  readonly place: string;
  /** What it is called among the files of its scene: as it was asked for, by its key, by its bands. */
  readonly called: readonly string[];
  /** What the item calls each of its bands, in the file's order; empty where it says nothing. */
  readonly bandNames: readonly (readonly string[])[];
}

/** What is asked of an item. */
export interface AskedAssets {
  /** Keys, roles or bands. */
  readonly asset?: readonly string[] | undefined;
  /** Names of the bands to take. */
  readonly bands?: readonly string[] | undefined;
}

/**
 * The files that a scene is read from: the assets that are asked for; else one that has all the bands, or one for each band; else the
 * only GeoTIFF, or the one to be looked at.
 * @throws input: there is none, or several; one that lies where nothing is read from
 */
export function locateAssets(item: Item, { asset, bands }: AskedAssets): readonly SceneFile[] {
  if (asset !== undefined) return asset.map((asked) => fileOf(item, askedAsset(item, asked), asked));
  const whole = bands && assetOfAll(item, bands);
  if (whole !== undefined) return [fileOf(item, whole)];
  if (bands?.some((band) => keysOfBand(item, band).length > 0)) {
    return bands.map((band) => fileOf(item, assetOfBand(item, band), band));
  }
  return [fileOf(item, defaultAsset(item))];
}

function fileOf(item: Item, key: string, asked = key): SceneFile {
  const asset = item.assets[key];
  const bandNames = bandsOf(asset);
  const own = bandNames.length === 1 ? bandNames[0] : [];
  const place = locate(item, asset.href, `${nameOf(item)}: asset ${key}`);
  return { place, called: [...new Set([asked, key, ...own])], bandNames };
}

/** The only asset of measured values whose bands have all these names. */
function assetOfAll(item: Item, names: readonly string[]): string | undefined {
  const found = measuredKeys(item).filter((key) => {
    const bands = bandsOf(item.assets[key]);
    return names.every((name) => bands.some((band) => includes(band, name)));
  });
  return found.length === 1 ? found[0] : undefined;
}

/** The asset of one band: the one with this key, or else the only one whose band has this name. @throws input */
function assetOfBand(item: Item, name: string): string {
  const found = keysOfBand(item, name);
  if (found.length === 1) return found[0];
  const rule = `must have one asset that is the band ${name} alone`;
  throw noAsset(item, rule, found.length === 0 ? undefined : found);
}

function keysOfBand(item: Item, name: string): string[] {
  const alone = measuredKeys(item).filter((key) => bandsOf(item.assets[key]).length <= 1);
  const withKey = alone.filter((key) => includes([key], name));
  if (withKey.length > 0) return withKey;
  return alone.filter((key) => bandsOf(item.assets[key]).some((band) => includes(band, name)));
}

const forTheEye = ["visual", "overview", "thumbnail"];

/** GeoTIFFs but those that are made to be looked at. */
function measuredKeys(item: Item): string[] {
  const isPicture = (key: string, { roles }: Asset) => [key, ...(roles ?? [])].some((one) => forTheEye.includes(one));
  return keysOf(item, isGeoTiff).filter((key) => !isPicture(key, item.assets[key]));
}

/**
 * What is looked at instead: the asset with that key, before a file or an address of that name; or else with that role or band.
 * @returns its path or address
 * @throws input: as {@link locateAsset}
 */
export function locateLow(item: Item, asked: string): string {
  if (!Object.hasOwn(item.assets, asked) && (isAddress(asked) || existsSync(asked))) return asked;
  const found = askedAsset(item, asked, "--low PATH, or");
  return locate(item, item.assets[found].href, `${nameOf(item)}: asset ${found}`);
}

function askedAsset(item: Item, asked: string, flag = "--asset"): string {
  if (Object.hasOwn(item.assets, asked)) return asked;
  const withRole = keysOf(item, ({ roles }) => roles?.includes(asked) ?? false);
  const ofBand = keysOf(item, (asset) => bandsOf(asset).some((band) => band.includes(asked)));
  // An asset of this band alone is meant before a picture that has it among others.
  const alone = ofBand.filter((key) => bandsOf(item.assets[key]).length === 1);
  const found = [withRole, alone, ofBand].find((keys) => keys.length > 0) ?? [];
  // The same may be there in other formats.
  const tiffs = found.filter((key) => isGeoTiff(item.assets[key]));
  if (found.length === 1 || tiffs.length === 1) return tiffs[0] ?? found[0];
  const rule = `must have one asset whose key, role or band is ${asked}`;
  throw noAsset(item, rule, found.length === 0 ? undefined : found, flag);
}

function defaultAsset(item: Item): string {
  const tiffs = keysOf(item, isGeoTiff);
  if (tiffs.length === 1) return tiffs[0];
  const visual = tiffs.filter((key) => key === "visual" || (item.assets[key].roles?.includes("visual") ?? false));
  const found = visual.includes("visual") ? ["visual"] : visual;
  if (found.length === 1) return found[0];
  throw noAsset(item, "must have one GeoTIFF, or one that is visual", tiffs.length === 0 ? undefined : tiffs);
}

function noAsset(item: Item, rule: string, several: readonly string[] | undefined, flag = "--asset"): PatchDropError {
  const keys = Object.keys(item.assets).join(", ");
  const got = several === undefined ? "none" : several.join(", ");
  return fault("input", {
    where: nameOf(item),
    rule,
    got,
    next: `give ${flag} KEY, one of: ${keys.slice(0, 1000) || "none"}`,
  });
}

function keysOf(item: Item, isOne: (asset: Asset) => boolean): string[] {
  return Object.keys(item.assets).filter((key) => isOne(item.assets[key]));
}

/**
 * The names of each band, its common one first: STAC 1.1 has them with the bands, 1.0 in the extension of electro-optical data; an
 * item may have both.
 */
function bandsOf({ bands, "eo:bands": eoBands }: Asset): string[][] {
  const lists = [bands ?? [], eoBands ?? []];
  const count = Math.max(...lists.map(({ length }) => length));
  return Array.from({ length: count }, (_, at) => {
    const said = lists.flatMap((list) => list.slice(at, at + 1));
    const common = said.map((band) => band["eo:common_name"] ?? band.common_name);
    const names = [...common, ...said.map(({ name }) => name)].filter((name) => typeof name === "string");
    return [...new Set(names)];
  });
}

function includes(names: readonly string[], wanted: string): boolean {
  return names.some((name) => name.toLowerCase() === wanted.toLowerCase());
}

/** By its media type, or, without one, by its name. */
function isGeoTiff({ type, href, roles }: Asset): boolean {
  if (roles?.includes("thumbnail")) return false;
  if (type === undefined || type === null) return /\.tiff?$/i.test(href.replace(/[?#].*$/s, ""));
  return /^image\/(tiff|vnd\.stac\.geotiff)\b/i.test(type);
}

function nameOf({ document, id }: Item): string {
  return `${redacted(document)}: item ${shortened(id)}`;
}

/** A scheme has two letters at least: a letter alone is a drive. */
const scheme = /^([a-z][a-z0-9+.-]+):/i;

/** @throws input */
function locate(item: Item, href: string, where: string): string {
  const base = baseOf(item);
  const own = scheme.exec(href)?.[1].toLowerCase();
  const got = redacted(href);
  if (own === "file") {
    if (isAddress(item.document)) {
      const rule = "must not point to a file of this machine, as its item was read from the network";
      throw fault("input", { where, rule, got, next: "save the item as a file if it is to be trusted" });
    }
    return pathOf(href, where, got);
  }
  if (own !== undefined && own !== "http" && own !== "https") {
    const next = "give an item whose asset has an https address (of a bucket: a presigned one)";
    throw fault("input", { where, rule: "must have an http or https address", got, next });
  }
  if (own !== undefined || isAddress(base)) {
    const from = isAddress(base) ? base : undefined;
    if (URL.canParse(href, from)) return new URL(href, from).href;
    throw fault("input", { where, rule: "must have an address", got });
  }
  return isAbsolute(href) ? href : join(resolve(base, ".."), href);
}

function pathOf(href: string, where: string, got: string): string {
  try {
    return fileURLToPath(href);
  } catch (error) {
    throw fault("input", { where, rule: "must be a file of this machine", got }, error);
  }
}

/** Of an item that was copied into a collection, where it says that it comes from; else where it was read. */
function baseOf(item: Item): string {
  return item.isAlone ? item.document : (itemAddress(item) ?? item.document);
}

/** The item's own address; one that was read from the network is not believed another place. */
export function itemAddress({ links }: Item): string | undefined {
  const own = links.find(({ rel }) => rel === "self")?.href;
  return own !== undefined && isAddress(own) ? own : undefined;
}
