/**
 * Where a raster lies on the Earth: GeoTIFF's tags as an affine map to a coordinate system, and from there to WGS84.
 * Supported are WGS84 itself, Web Mercator and the UTM zones of WGS84, NAD83 and ETRS89, which all follow from their EPSG
 * numbers; others would need a table. NAD83 and ETRS89 are treated as WGS84: they differ by a metre or two.
 * Source: OGC GeoTIFF 1.1 (19-008r4); EPSG's numbering of zones.
 */

import proj4 from "proj4";
import type { Size } from "../data/resize.ts";
import { type Fault, fault, type PatchDropError } from "../errors.ts";
import { type Tiff, type TiffDirectory, tags } from "../formats/tiff.ts";

/** Longitude and latitude in degrees. Longitudes go on beyond 180, so that those of a scene have no gap (antimeridian.ts). */
export type Position = readonly [longitude: number, latitude: number];

/** x' = a·x + b·y + c, y' = d·x + e·y + f, of pixel corners. */
export type Affine = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

export interface Georeference {
  readonly epsg: number;
  readonly affine: Affine;
  /** Of a point in pixels; (0, 0) is the top left corner of the top left pixel. */
  toWgs84(x: number, y: number): Position;
  /** The way back; NaN where the coordinate system has no place for it. A whole turn of the Earth further is another place. */
  fromWgs84(longitude: number, latitude: number): readonly [x: number, y: number];
}

const geoKeys = {
  modelType: 1024,
  rasterType: 1025,
  geographic: 2048,
  angularUnits: 2054,
  projected: 3072,
  linearUnits: 3076,
} as const;
/** Names of GTModelType's numbers. */
const modelTypes = [undefined, "projected", "geographic", "geocentric"];
const [isProjected, isGeographic] = [1, 2];
const pixelIsPoint = 2;
const metre = 9001;
/** The second is a degree whose notation the writer is to say, which of floating-point numbers there is no need to. */
const degrees = [9102, 9122];
const userDefined = 32_767;
const mostValues = 4096;
const mostDegrees = 720;
/** Twice what the outlines' decimals can tell: 2 mm. */
const leastDegrees = 2e-8;

/** @param size of the image, in pixels. @throws input: no georeference, or one that is not supported here, or not on the Earth */
export async function readGeoreference(tiff: Tiff, directory: TiffDirectory, size: Size): Promise<Georeference> {
  const { where } = tiff.file;
  const keys = keysOf(await tiff.numbers(directory, "GeoKeyDirectory", mostValues));
  const affine = await affineOf(tiff, directory);
  const epsg = systemOf(keys, where);
  if (affine === undefined || epsg === undefined) throw notThere(where, affine, epsg, directory);
  const half = keys.get(geoKeys.rasterType) === pixelIsPoint ? 0.5 : 0;
  const place = georeference(epsg, shifted(affine, -half), where);
  mustAgree(keys, epsg, where);
  for (const [x, y] of [
    [0, 0],
    [size.width, 0],
    [0, size.height],
    [size.width, size.height],
  ]) {
    if (!isOnEarth(place, x, y)) throw notOnEarth(where, affine);
    mustEndAtPole(place, x, y, where);
  }
  if (geographic.includes(epsg)) mustBeOneEarth(place, size, where);
  if (isFlat(affine)) throw noPlace(where, "must give pixels an area", affine.join(" "));
  if (finenessOf(place, size) < leastDegrees) {
    const rule = "must have pixels of 2 mm or more, as outlines are written by the millimetre";
    throw noPlace(where, rule, affine.join(" "));
  }
  return place;
}

/** Whether a point has degrees. What is once more round the Earth is let pass. */
function isOnEarth(place: Georeference, x: number, y: number): boolean {
  try {
    return place.toWgs84(x, y).every((degrees) => Math.abs(degrees) <= mostDegrees);
  } catch {
    return false; // proj4 takes finite numbers only
  }
}

/** The shorter side of a pixel in the middle, in degrees. */
function finenessOf({ toWgs84 }: Georeference, { width, height }: Size): number {
  const [x, y] = [width / 2, height / 2];
  const middle = toWgs84(x, y);
  const sides = [toWgs84(x + 1, y), toWgs84(x, y + 1)];
  return Math.min(...sides.map((end) => Math.max(...end.map((degrees, axis) => Math.abs(degrees - middle[axis])))));
}

const cutOff = "cut it off there with `gdal_translate -of COG -projwin WEST NORTH EAST SOUTH IN.tif OUT.tif`";

/**
 * Beyond a pole, longitudes turn round within a cell. Degrees may go on for half a pixel, since grids of weather models have one
 * around the pole itself.
 * @throws input
 */
function mustEndAtPole({ epsg, affine: [, , , d, e, f] }: Georeference, x: number, y: number, where: string): void {
  const [south, north] = polesOf(epsg);
  const more = geographic.includes(epsg) ? (Math.abs(d) + Math.abs(e)) / 2 + 1e-9 : 0;
  const got = d * x + e * y + f;
  if (got >= south - more && got <= north + more) return;
  const pole = Number((got > north ? north : south).toFixed(3));
  const rule = `must not reach beyond a pole, at ${pole} in EPSG:${epsg}`;
  throw fault("input", { where: `${where}: georeference`, rule, got, next: cutOff });
}

/** What is there twice would be paid twice. @throws input */
function mustBeOneEarth({ affine: [a, b] }: Georeference, { width, height }: Size, where: string): void {
  const got = Math.abs(a) * width + Math.abs(b) * height;
  if (got <= 360 + 1e-6) return;
  throw fault("input", {
    where: `${where}: georeference`,
    rule: "must be at most 360 degrees wide",
    got,
    next: cutOff,
  });
}

/** @throws input: a coordinate system that is not supported here; `where` names the file */
export function georeference(epsg: number, affine: Affine, where: string): Georeference {
  const { toDegrees, fromDegrees } = systemOfNumber(epsg, where);
  const back = inverted(affine);
  return {
    epsg,
    affine,
    toWgs84: (x, y) => toDegrees(mapped(affine, x, y)),
    fromWgs84: (longitude, latitude) => mapped(back, ...fromDegrees([longitude, latitude])),
  };
}

/** Where an affine map takes a point. */
export function mapped([a, b, c, d, e, f]: Affine, x: number, y: number): [x: number, y: number] {
  return [a * x + b * y + c, d * x + e * y + f];
}

/** The way back of an affine map that is not flat. */
export function inverted([a, b, c, d, e, f]: Affine): Affine {
  const area = a * e - b * d;
  return [e / area, -b / area, (b * f - c * e) / area, -d / area, a / area, (c * d - a * f) / area];
}

function notOnEarth(where: string, affine: Affine): PatchDropError {
  return noPlace(where, "must map the corners of the image to degrees on the Earth", affine.join(" "));
}

function noPlace(where: string, rule: string, got: string): PatchDropError {
  const next = "write it anew with `gdal_translate -of COG -a_ullr WEST NORTH EAST SOUTH IN.tif OUT.tif`";
  return fault("input", { where: `${where}: georeference`, rule, got, next });
}

/** Whether columns and rows go the same way, or nowhere. */
function isFlat([a, b, , d, e]: Affine): boolean {
  return Math.abs(a * e - b * d) <= 1e-12 * (Math.abs(a * e) + Math.abs(b * d));
}

function notThere(
  where: string,
  affine: Affine | undefined,
  epsg: number | undefined,
  directory: TiffDirectory,
): PatchDropError {
  const rule = "must say where on the Earth it lies (georeference)";
  if (affine !== undefined) {
    const next = "say which it is with `gdal_translate -of COG -a_srs EPSG:… IN.tif OUT.tif`";
    return fault("input", { where, rule, got: "coordinates without their system", next });
  }
  if (directory.has(tags.ModelTiepoint)) {
    const next = "fit it to them with `gdalwarp -of COG -t_srs EPSG:3857 IN.tif OUT.tif`";
    return fault("input", { where, rule, got: "control points alone", next });
  }
  const next = "give it one with `gdal_translate -of COG -a_srs EPSG:… -a_ullr WEST NORTH EAST SOUTH IN.tif OUT.tif`";
  return fault("input", { where, rule, got: epsg === undefined ? "nothing" : "a coordinate system alone", next });
}

/** The code of the coordinate system of the kind that the file says it has; of one that does not say, of the kind that is there. */
function systemOf(keys: ReadonlyMap<number, number>, where: string): number | undefined {
  const type = keys.get(geoKeys.modelType) ?? (keys.has(geoKeys.projected) ? isProjected : isGeographic);
  if (type === isProjected) return keys.get(geoKeys.projected);
  if (type === isGeographic) return keys.get(geoKeys.geographic);
  const got = `${modelTypes[type] ?? "one of its own"} (${type})`;
  throw fault("input", system(where, "must be projected (1) or geographic (2)", got));
}

/** @throws input: a code that stands beside units or a kind of system that it has not */
function mustAgree(keys: ReadonlyMap<number, number>, epsg: number, where: string): void {
  const isAngular = geographic.includes(epsg);
  const type = keys.get(geoKeys.modelType);
  if (type !== undefined && type !== (isAngular ? isGeographic : isProjected)) {
    const rule = `must be ${modelTypes[type]}, as its GTModelType says`;
    throw fault("input", system(where, rule, `EPSG:${epsg}`, sayWhich));
  }
  const unit = keys.get(isAngular ? geoKeys.angularUnits : geoKeys.linearUnits);
  if (unit === undefined || (isAngular ? degrees.includes(unit) : unit === metre)) return;
  const rule = `must have the units of EPSG:${epsg}, ${isAngular ? `degrees (${degrees[0]})` : `metres (${metre})`}`;
  throw fault("input", system(where, rule, `unit ${unit}`, sayWhich));
}

/** The keys whose value is in the directory itself: numbers of codes. 0 is "undefined". */
function keysOf(directory: Float64Array = new Float64Array()): Map<number, number> {
  const keys = new Map<number, number>();
  for (let at = 4; at + 3 < directory.length; at += 4) {
    const [key, location, , value] = directory.subarray(at, at + 4);
    if (location === 0 && value !== 0) keys.set(key, value);
  }
  return keys;
}

/**
 * From the tags: a tie point and the size of a pixel, or the whole matrix. Of both, GDAL takes the first, unless a side is 0.
 * @throws input: a pixel of negative height, of which GDAL makes the contrary of what the standard says
 */
async function affineOf(tiff: Tiff, directory: TiffDirectory): Promise<Affine | undefined> {
  const numbers = (tag: "ModelTransformation" | "ModelTiepoint" | "ModelPixelScale") =>
    tiff.doubles(directory, tag, mostValues);
  const matrix = await numbers("ModelTransformation");
  const [tie, scale] = [await numbers("ModelTiepoint"), await numbers("ModelPixelScale")];
  const isTied = tie !== undefined && scale !== undefined && tie.length >= 6 && scale.length >= 2;
  if (matrix !== undefined && matrix.length >= 8 && !(isTied && scale[0] !== 0 && scale[1] !== 0)) {
    return [matrix[0], matrix[1], matrix[3], matrix[4], matrix[5], matrix[7]];
  }
  if (!isTied) return undefined;
  if (scale[1] < 0) throw noPlace(tiff.file.where, "must have a ModelPixelScale above 0", scale.join(" "));
  const [i, j, , x, y] = tie;
  return [scale[0], 0, x - i * scale[0], 0, -scale[1], y + j * scale[1]];
}

/** The same map from pixels that are counted from (by, by). */
function shifted([a, b, c, d, e, f]: Affine, by: number): Affine {
  return [a, b, c + (a + b) * by, d, e, f + (d + e) * by];
}

/** Coordinate systems of longitude and latitude. */
export const geographic: readonly number[] = [4326, 4269, 4258];
const webMercator = 3857;
/** As proj4 has it; with `+over`, as below, which takes no turn of the Earth off a longitude. */
const webMercatorDefinition = "+proj=merc +a=6378137 +b=6378137 +over +units=m +nadgrids=@null +no_defs";
/** First and last zone of each family of UTM zones, and what EPSG adds to a zone's number. */
const utmFamilies = [
  { base: 32_600, first: 1, last: 60, south: false },
  { base: 32_700, first: 1, last: 60, south: true },
  { base: 26_900, first: 1, last: 23, south: false },
  { base: 25_800, first: 28, last: 38, south: false },
] as const;

/** From the equator to a pole on the middle meridian of a zone, whose scale is 0.9996, in metres. */
const utmPole = 9_997_964.943;

type Point = [number, number];

/** From a system's own coordinates to degrees, and back. */
interface CoordinateSystem {
  toDegrees(point: Point): Position;
  fromDegrees(position: Point): Point;
}

function systemOfNumber(epsg: number, where: string): CoordinateSystem {
  if (geographic.includes(epsg)) {
    return { toDegrees: ([x, y]) => [x, Math.max(-90, Math.min(y, 90))], fromDegrees: (position) => position };
  }
  const definition = epsg === webMercator ? webMercatorDefinition : utmDefinition(epsg);
  if (definition === undefined) throw fault("input", notKnown(epsg, where));
  const { forward, inverse } = proj4(definition, "EPSG:4326");
  return { toDegrees: forward as (point: Point) => Position, fromDegrees: orNowhere(inverse) };
}

/** proj4 throws, or has no point, where a system ends, as Web Mercator does at the poles. */
function orNowhere(project: (position: Point) => Point): (position: Point) => Point {
  return (position) => {
    try {
      const [x, y] = project(position);
      return [x, y];
    } catch {
      return [Number.NaN, Number.NaN];
    }
  };
}

/** Whether the system is a zone of UTM. */
export function isUtm(epsg: number): boolean {
  return utmFamilyOf(epsg) !== undefined;
}

function utmFamilyOf(epsg: number) {
  return utmFamilies.find(({ base, first, last }) => epsg >= base + first && epsg <= base + last);
}

/** Where the south and the north pole lie, in the system's own northings; on Web Mercator's map there are none. */
function polesOf(epsg: number): [south: number, north: number] {
  if (geographic.includes(epsg)) return [-90, 90];
  const family = utmFamilyOf(epsg);
  if (family === undefined) return [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  const equator = family.south ? 10_000_000 : 0;
  return [equator - utmPole, equator + utmPole];
}

function utmDefinition(epsg: number): string | undefined {
  const family = utmFamilyOf(epsg);
  if (family === undefined) return undefined;
  return `+proj=utm +zone=${epsg - family.base}${family.south ? " +south" : ""} +over +ellps=WGS84 +units=m +no_defs`;
}

const reproject = "reproject it with `gdalwarp -of COG -t_srs EPSG:3857 IN.tif OUT.tif`";
const sayWhich = "say which it has with `gdal_translate -of COG -a_srs EPSG:… IN.tif OUT.tif`";

function notKnown(epsg: number, where: string): Fault {
  const rule = "must be WGS84 (EPSG:4326), Web Mercator (3857) or a UTM zone of WGS84, NAD83 or ETRS89";
  return system(where, rule, epsg === userDefined ? "one of its own" : `EPSG:${epsg}`);
}

function system(where: string, rule: string, got: string, next = reproject): Fault {
  return { where: `${where}: coordinate system`, rule, got, next };
}
