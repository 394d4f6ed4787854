/** Which asset of an item is acquired from, and where it lies. */

import { existsSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { fault, type PatchDropError } from "../errors.ts";
import { isAddress, redacted } from "./document.ts";
import { type Asset, type Item, shortened } from "./item.ts";

/**
 * The asset with that key, role or band; where none is asked for, the only GeoTIFF, or else the one to be looked at.
 * @returns its path or address
 * @throws input: there is none, or several; one that lies where nothing is read from
 */
export function locateAsset(item: Item, asked: string | undefined): string {
  const found = asked === undefined ? defaultAsset(item) : askedAsset(item, asked);
  return locate(item, item.assets[found].href, `${nameOf(item)}: asset ${found}`);
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
  const ofBand = keysOf(item, (asset) => namesOf(asset).includes(asked));
  // An asset of this band alone is meant before a picture that has it among others.
  const alone = ofBand.filter((key) => namesOf(item.assets[key]).length === 1);
  const found = [withRole, alone, ofBand].find((keys) => keys.length > 0) ?? [];
  if (found.length === 1) return found[0];
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

/** Common names: STAC 1.1 has them with the bands, 1.0 in the extension of electro-optical data. */
function namesOf({ bands, "eo:bands": eoBands }: Asset): string[] {
  const names = [...(bands ?? []), ...(eoBands ?? [])].map((band) => band["eo:common_name"] ?? band.common_name);
  return [...new Set(names.filter((name) => typeof name === "string"))];
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
