/**
 * A tiled GeoTIFF of pixels [height, width, bands], deflated, with overviews or without, in the order of a COG: directories, then
 * the pixels of the coarsest overview first. Encodes tiles and the header; storing tiles until their sizes are known, and
 * writing the file, are done elsewhere.
 * Source: TIFF 6.0; the BigTIFF design; OGC GeoTIFF 1.1 (19-008r4); OGC COG (21-026).
 */

import { promisify } from "node:util";
import { deflate } from "node:zlib";
import { type Tag, tags, typeSizes } from "./tiff.ts";

const deflated = promisify(deflate);
const types = { ascii: 2, short: 3, long: 4, double: 12, long8: 16 } as const;
const largestOffset = 0xffff_ffff;

export type WrittenPixels = Uint8Array | Uint16Array | Float32Array;

/** What the file's pixels are; of measured values a missing one is NaN. */
export interface WrittenForm {
  readonly type: "uint8" | "uint16" | "float32";
  /** What the bands are called. Three of bytes are red, green and blue. */
  readonly bands: readonly string[];
}

const writtenTypes = { uint8: Uint8Array, uint16: Uint16Array, float32: Float32Array } as const;

/** Zeros. */
export function newWritten({ type }: WrittenForm, length: number): WrittenPixels {
  return new writtenTypes[type](length);
}

/** Bytes of red, green and blue. */
export const writtenPicture: WrittenForm = { type: "uint8", bands: ["red", "green", "blue"] };

/** An image of the file: the full resolution or an overview. */
export interface WrittenLevel {
  readonly width: number;
  readonly height: number;
  /** Of each tile, row by row. */
  readonly byteCounts: readonly number[];
}

export interface WrittenTiff {
  /** The full resolution first, then overviews by falling size. */
  readonly levels: readonly WrittenLevel[];
  /** Side of a tile in pixels; a multiple of 16. */
  readonly tileSize: number;
  /** A picture when absent. */
  readonly form?: WrittenForm | undefined;
  readonly georeference?:
    | { readonly epsg: number; readonly affine: readonly number[]; readonly geographic: boolean }
    | undefined;
}

/** A tile's bytes in the file. @param pixels [tileSize, tileSize, bands]; changed */
export async function encodeTile(pixels: WrittenPixels, tileSize: number): Promise<Uint8Array> {
  const row = pixels.length / tileSize;
  const bands = row / tileSize;
  if (!(pixels instanceof Float32Array)) {
    for (let start = 0; start < pixels.length; start += row) {
      for (let i = start + row - 1; i >= start + bands; i--) pixels[i] -= pixels[i - bands];
    }
  }
  return deflated(new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength));
}

/** Header and directories; after them come the tiles of the last level, then of the one before, and so on. */
export function encodeHeader(tiff: WrittenTiff): Uint8Array {
  const tileBytes = tiff.levels.flatMap(({ byteCounts }) => byteCounts).reduce((sum, count) => sum + count, 0);
  const small = encodeWith(4, tiff);
  return small.length + tileBytes <= largestOffset ? small : encodeWith(8, tiff);
}

interface Field {
  readonly tag: number;
  readonly type: number;
  readonly count: number;
  readonly bytes: Buffer;
}

/** @param word bytes of an offset: 4 in TIFF, 8 in BigTIFF */
function encodeWith(word: 4 | 8, tiff: WrittenTiff): Buffer {
  const start = word === 4 ? 8 : 16;
  // Their length does not depend on the offsets in them.
  const length = directories(
    word,
    tiff,
    start,
    tiff.levels.map(() => 0),
  ).reduce((sum, one) => sum + one.length, start);
  const firstTiles: number[] = [];
  let at = length;
  for (const [n, { byteCounts }] of [...tiff.levels.entries()].reverse()) {
    firstTiles[n] = at;
    at += byteCounts.reduce((sum, count) => sum + count, 0);
  }
  return Buffer.concat([head(word, start), ...directories(word, tiff, start, firstTiles)]);
}

function head(word: 4 | 8, start: number): Buffer {
  const bytes = Buffer.alloc(start);
  bytes.write("II", "latin1");
  bytes.writeUInt16LE(word === 4 ? 42 : 43, 2);
  if (word === 4) bytes.writeUInt32LE(start, 4);
  else {
    bytes.writeUInt16LE(word, 4);
    bytes.writeBigUInt64LE(BigInt(start), 8);
  }
  return bytes;
}

function directories(word: 4 | 8, tiff: WrittenTiff, start: number, firstTiles: readonly number[]): Buffer[] {
  const encoded: Buffer[] = [];
  let at = start;
  for (const [n, level] of tiff.levels.entries()) {
    const fields = fieldsOf(tiff, level, { word, firstTile: firstTiles[n], overview: n > 0 });
    const directory = encodeDirectory(word, fields, at, n === tiff.levels.length - 1);
    encoded.push(directory);
    at += directory.length;
  }
  return encoded;
}

function fieldsOf(
  { tileSize, georeference, form = writtenPicture }: WrittenTiff,
  { width, height, byteCounts }: WrittenLevel,
  { word, firstTile, overview }: { word: 4 | 8; firstTile: number; overview: boolean },
): Field[] {
  const offsets: number[] = [];
  byteCounts.reduce((at, count) => {
    offsets.push(at);
    return at + count;
  }, firstTile);
  const fields = [
    field("NewSubfileType", types.long, [overview ? 1 : 0]),
    field("ImageWidth", types.long, [width]),
    field("ImageLength", types.long, [height]),
    ...sampleFields(form),
    field("TileWidth", types.long, [tileSize]),
    field("TileLength", types.long, [tileSize]),
    field("TileOffsets", word === 4 ? types.long : types.long8, offsets),
    field("TileByteCounts", types.long, byteCounts),
    ...bandFields(form, overview),
  ];
  const all = georeference === undefined || overview ? fields : [...fields, ...geoFields(georeference)];
  return all.sort((a, b) => a.tag - b.tag);
}

function sampleFields({ type, bands }: WrittenForm): Field[] {
  const bits = 8 * writtenTypes[type].BYTES_PER_ELEMENT;
  return [
    field(
      "BitsPerSample",
      types.short,
      bands.map(() => bits),
    ),
    field("Compression", types.short, [8]),
    field("PhotometricInterpretation", types.short, [isPicture({ type, bands }) ? 2 : 1]),
    field("SamplesPerPixel", types.short, [bands.length]),
    field("PlanarConfiguration", types.short, [1]),
    field("Predictor", types.short, [type === "float32" ? 1 : 2]),
  ];
}

function isPicture({ type, bands }: WrittenForm): boolean {
  return type === "uint8" && bands.length === 3;
}

/** What GDAL and others need to know of bands that are no colours. */
function bandFields(form: WrittenForm, overview: boolean): Field[] {
  if (isPicture(form)) return [];
  const { type, bands } = form;
  const names = bands.map((name, at) => {
    return `<Item name="DESCRIPTION" sample="${at}" role="description">${escaped(name)}</Item>`;
  });
  const [extra, formats] = [bands.slice(1).map(() => 0), bands.map(() => (type === "float32" ? 3 : 1))];
  return [
    ...(extra.length > 0 ? [field("ExtraSamples", types.short, extra)] : []),
    field("SampleFormat", types.short, formats),
    ...(overview ? [] : [text("GDAL_METADATA", `<GDALMetadata>${names.join("")}</GDALMetadata>`)]),
    ...(type === "float32" ? [text("GDAL_NODATA", "nan")] : []),
  ];
}

function escaped(name: string): string {
  return name.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function text(tag: Tag, content: string): Field {
  const bytes = Buffer.from(`${content}\0`);
  return { tag: tags[tag], type: types.ascii, count: bytes.length, bytes };
}

function geoFields({ epsg, affine, geographic }: NonNullable<WrittenTiff["georeference"]>): Field[] {
  const [a, b, c, d, e, f] = affine;
  // A pixel's size has no direction: programs differ in what they make of a sign. Rows that go north need the matrix.
  const isNorthUp = b === 0 && d === 0 && a > 0 && e < 0;
  const place = isNorthUp
    ? [field("ModelPixelScale", types.double, [a, -e, 0]), field("ModelTiepoint", types.double, [0, 0, 0, c, f, 0])]
    : [field("ModelTransformation", types.double, [a, b, 0, c, d, e, 0, f, 0, 0, 0, 0, 0, 0, 0, 1])];
  // Version 1.1.0, three keys: kind of model, pixels are areas, coordinate system.
  const system = geographic ? [2048, 0, 1, epsg] : [3072, 0, 1, epsg];
  const keys = [...[1, 1, 0, 3], ...[1024, 0, 1, geographic ? 2 : 1], ...[1025, 0, 1, 1], ...system];
  return [...place, field("GeoKeyDirectory", types.short, keys)];
}

function field(tag: Tag, type: number, values: readonly number[]): Field {
  const size = typeSizes[type]!;
  const bytes = Buffer.alloc(values.length * size);
  for (const [i, value] of values.entries()) {
    if (type === types.short) bytes.writeUInt16LE(value, i * size);
    else if (type === types.long) bytes.writeUInt32LE(value <= largestOffset ? value : 0, i * size);
    else if (type === types.long8) bytes.writeBigUInt64LE(BigInt(value), i * size);
    else bytes.writeDoubleLE(value, i * size);
  }
  return { tag: tags[tag], type, count: values.length, bytes };
}

/** A directory at the byte `at`, then the values that do not fit into its fields, then the next directory. */
function encodeDirectory(word: 4 | 8, fields: readonly Field[], at: number, last: boolean): Buffer {
  const [countBytes, fieldBytes] = word === 4 ? [2, 12] : [8, 20];
  const directory = Buffer.alloc(countBytes + fields.length * fieldBytes + word);
  const write = (value: number, place: number) =>
    word === 4 ? directory.writeUInt32LE(value, place) : directory.writeBigUInt64LE(BigInt(value), place);
  if (word === 4) directory.writeUInt16LE(fields.length);
  else write(fields.length, 0);
  const behind: Buffer[] = [];
  let end = at + directory.length;
  for (const [n, { tag, type, count, bytes }] of fields.entries()) {
    const place = countBytes + n * fieldBytes;
    directory.writeUInt16LE(tag, place);
    directory.writeUInt16LE(type, place + 2);
    write(count, place + 4);
    if (bytes.length <= word) bytes.copy(directory, place + 4 + word);
    else {
      write(end, place + 4 + word);
      // Values begin at even offsets.
      behind.push(bytes, Buffer.alloc(bytes.length % 2));
      end += bytes.length + (bytes.length % 2);
    }
  }
  write(last ? 0 : end, directory.length - word);
  return Buffer.concat([directory, ...behind]);
}
