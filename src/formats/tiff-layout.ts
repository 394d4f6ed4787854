/**
 * How the pixels of a TIFF directory lie in tiles, or in strips, which are taken for tiles as wide as the image: which tags say
 * so, what they must hold, what is refused. Sizes are bounded. Source: TIFF 6.0, sections 3 (strips), 5 (colour tables) and 15
 * (tiles).
 */

import zlib from "node:zlib";
import { fault, type PatchDropError } from "../errors.ts";
import { type Tag, type Tiff, type TiffDirectory, tags } from "./tiff.ts";

/** By sample format (1 unsigned, 2 signed, 3 floating point) and bits. */
const sampleTypes = {
  "1/8": { name: "uint8", from: Uint8Array },
  "2/8": { name: "int8", from: Int8Array },
  "1/16": { name: "uint16", from: Uint16Array },
  "2/16": { name: "int16", from: Int16Array },
  "1/32": { name: "uint32", from: Uint32Array },
  "2/32": { name: "int32", from: Int32Array },
  "3/32": { name: "float32", from: Float32Array },
} as const;
type SampleKey = keyof typeof sampleTypes;
/** SampleFormat's numbers. */
const sampleFormats = [undefined, "unsigned", "signed", "floating point", "of no type", "complex", "complex"];
export type SampleType = (typeof sampleTypes)[SampleKey]["name"];

export const photometric = { whiteIsZero: 0, blackIsZero: 1, rgb: 2, colourTable: 3, ycbcr: 6 } as const;

/** What a field's numbers mean, also those that are not read here. */
const meanings = {
  FillOrder: { 1: "the highest bit first", 2: "the lowest bit first" },
  PlanarConfiguration: { 1: "together", 2: "in planes" },
  Predictor: { 1: "none", 2: "differences", 3: "of floating-point numbers" },
  PhotometricInterpretation: {
    ...{ 0: "WhiteIsZero", 1: "BlackIsZero", 2: "RGB", 3: "a colour table", 4: "a mask", 5: "CMYK", 6: "YCbCr" },
    ...{ 8: "CIELab", 9: "ICCLab", 10: "ITULab", 32803: "CFA", 32844: "LogL", 32845: "LogLuv", 34892: "LinearRaw" },
  },
} satisfies Partial<Record<Tag, Readonly<Record<number, string>>>>;

/** Compression's numbers; zstd, which Node has from 22.15 on, and WebP are libtiff's. */
const compressions: Readonly<Record<number, string | undefined>> = {
  1: "none",
  5: "lzw",
  7: "jpeg",
  8: "deflate",
  32946: "deflate",
  50001: "webp",
  50000: "zstdDecompressSync" in zlib ? "zstd" : undefined,
};

/** Those that a predictor belongs to; libtiff heeds the field with no others. */
const predicted = ["lzw", "deflate", "zstd"];

/** Along a side. */
const mostPixels = 1_000_000;
/** An unpacked tile: 4096 × 4096 pixels of four bytes. */
const mostTileBytes = 64 * 2 ** 20;
/** Of a directory: a scene of 500,000 × 500,000 pixels in tiles of 256. */
const mostTiles = 4_000_000;
const mostSamples = 64;
/** A packed tile may be larger than it was; not by more than this factor, and a little for a small one. */
const packedFactor = 2;
const packedExtra = 65_536;

/** The tiles of one image of a file. All sizes in pixels. */
export interface TileLayout {
  readonly width: number;
  readonly height: number;
  /** Whether the tiles are strips, of which the last ends with the image. */
  readonly inStrips: boolean;
  readonly tileWidth: number;
  readonly tileHeight: number;
  /** Of the layout of one strip: how high the others are. */
  readonly stripHeight?: number;
  readonly columns: number;
  readonly rows: number;
  /** Samples a pixel; three where there is a colour table. */
  readonly samples: number;
  readonly type: SampleType;
  /** Whether each band has tiles of its own, band by band. */
  readonly separate: boolean;
  readonly photometric: number;
  readonly coding: Coding;
  /** Of each tile in the file; 0 bytes for one that is left out since it has no data. */
  readonly offsets: Float64Array;
  readonly byteCounts: Float64Array;
}

/** What decoding needs to know. */
export interface Coding {
  readonly compression: string;
  readonly predictor: number;
  readonly littleEndian: boolean;
  readonly jpegTables: Uint8Array | undefined;
  readonly sample: (typeof sampleTypes)[SampleKey];
  /** For each sample that there can be its red, green and blue: [256, 3]. */
  readonly colourTable: Uint8Array | undefined;
  /** What samples of a tile that is left out are, as GDAL has it: the value for no data, or 0. */
  readonly missing: number;
  /** The band, if there is one, that the colours, which are all before it, have been multiplied by: associated alpha. */
  readonly alpha: number | undefined;
}

/**
 * The layout of a directory's tiles.
 * @throws input: strips instead of tiles; as {@link readLayout}
 */
export async function readTileLayout(tiff: Tiff, directory: TiffDirectory): Promise<TileLayout> {
  if (!directory.has(tags.TileWidth)) throw striped(tiff);
  return readLayout(tiff, directory);
}

/**
 * The layout of a directory's tiles or strips. Strips may be as large as the image: whoever decodes them bounds that.
 * @throws input: a coding that is not read here, sizes or offsets that can't be
 */
export async function readLayout(tiff: Tiff, directory: TiffDirectory): Promise<TileLayout> {
  const number = async (tag: Tag, otherwise?: number) => (await tiff.number(directory, tag)) ?? otherwise;
  const size = async (tag: Tag): Promise<number> => {
    const value = await number(tag);
    if (value !== undefined && value >= 1 && value <= mostPixels) return value;
    throw tiff.malformed(tag, `must be 1 to ${mostPixels} pixels`, value ?? "nothing");
  };
  const [width, height] = [await size("ImageWidth"), await size("ImageLength")];
  const inStrips = !directory.has(tags.TileWidth);
  const tileWidth = inStrips ? width : await size("TileWidth");
  const tileHeight = inStrips ? Math.min((await number("RowsPerStrip", height))!, height) : await size("TileLength");
  if (tileHeight < 1) throw tiff.malformed("RowsPerStrip", "must be 1 or more", tileHeight);
  const samples = (await number("SamplesPerPixel", 1))!;
  if (samples < 1 || samples > mostSamples) {
    throw tiff.malformed("SamplesPerPixel", `must be 1 to ${mostSamples}`, samples);
  }
  const sample = await sampleTypeOf(tiff, directory, samples);
  const separate = (await choiceOf(tiff, directory, "PlanarConfiguration", [1, 2])) === 2 && samples > 1;
  const tileBytes = tileWidth * tileHeight * (separate ? 1 : samples) * sample.from.BYTES_PER_ELEMENT;
  if (!inStrips && tileBytes > mostTileBytes) {
    throw tiff.malformed("TileWidth", `a tile must unpack to at most ${mostTileBytes} bytes`, tileBytes);
  }
  const [columns, rows] = [Math.ceil(width / tileWidth), Math.ceil(height / tileHeight)];
  const tiles = columns * rows * (separate ? samples : 1);
  const places = await placesOf(tiff, directory, { tiles, tileBytes, inStrips });
  const coding = await codingOf(tiff, directory, { samples, together: separate ? 1 : samples, sample });
  return {
    width,
    height,
    inStrips,
    tileWidth,
    tileHeight,
    columns,
    rows,
    samples: coding.colourTable === undefined ? samples : 3,
    separate,
    ...places,
    type: sample.name,
    photometric: await coloursOf(tiff, directory, coding.compression),
    coding,
  };
}

/** The samples of a directory as its tiles have them. */
interface Stored {
  /** How many a pixel has in the file. */
  readonly samples: number;
  /** How many of them lie in one tile. */
  readonly together: number;
  readonly sample: Coding["sample"];
}

async function codingOf(tiff: Tiff, directory: TiffDirectory, stored: Stored): Promise<Coding> {
  const { sample } = stored;
  await choiceOf(tiff, directory, "FillOrder", [1]);
  const compression = await compressionOf(tiff, directory);
  if (compression === "jpeg" && ![1, 3].includes(stored.together)) {
    const rule = "must not be JPEG where more than three bands, or two, lie together";
    throw unread(tiff, "Compression", { rule, got: `${stored.together} bands`, options: "-co COMPRESS=DEFLATE " });
  }
  const predictors = sample === sampleTypes["3/32"] ? [1, 2, 3] : [1, 2];
  const isColourTable = (await coloursOf(tiff, directory, compression)) === photometric.colourTable;
  return {
    compression,
    predictor: predicted.includes(compression) ? await choiceOf(tiff, directory, "Predictor", predictors) : 1,
    littleEndian: tiff.littleEndian,
    jpegTables: await tiff.bytes(directory, "JPEGTables", 65_536),
    sample,
    colourTable: isColourTable ? await colourTableOf(tiff, directory, stored) : undefined,
    missing: missingOf(await tiff.text(directory, "GDAL_NODATA"), sample),
    alpha: await alphaOf(tiff, directory, stored),
  };
}

/** Of bands beyond the colours, the number of one that these have been multiplied by. */
const associated = 1;

async function alphaOf(
  tiff: Tiff,
  directory: TiffDirectory,
  { samples, together, sample }: Stored,
): Promise<number | undefined> {
  const extra = await tiff.numbers(directory, "ExtraSamples", samples);
  if (extra === undefined || !extra.includes(associated)) return undefined;
  const isRead = ["uint8", "uint16"].includes(sample.name) && together === samples && extra[0] === associated;
  if (isRead && extra.length < samples) return samples - extra.length;
  const rule = "must be colours that are not multiplied by transparency (1), or in 8 or 16 bits beside it";
  const got = `${[...extra].join(" ")} for ${samples} bands of ${sample.name}${together === samples ? "" : " in planes"}`;
  const next = "have the program that made it write transparency that is not associated (2)";
  throw fault("input", { where: `${tiff.file.where}: ExtraSamples`, rule, got, next });
}

/** Within what a sample can be; what is no number is 0 for whole ones. GDAL writes "inf" and "nan". */
function missingOf(text: string | undefined, { name, from: Type }: Coding["sample"]): number {
  const value = Number(text?.replace("inf", "Infinity") ?? 0);
  if (name === "float32") return value;
  const most = 2 ** (8 * Type.BYTES_PER_ELEMENT);
  const least = name.startsWith("int") ? -most / 2 : 0;
  return Math.max(least, Math.min(Math.round(value), least + most - 1)) || 0;
}

function striped(tiff: Tiff): PatchDropError {
  return fault("input", {
    where: tiff.file.where,
    rule: "must be tiled, so that a window can be read without the rows around it",
    got: "strips",
    next: "make it one with `gdal_translate -of COG IN.tif OUT.tif`",
  });
}

/** The value of a field that has few of them, the first where there is no field. @param known those that are read */
async function choiceOf(
  tiff: Tiff,
  directory: TiffDirectory,
  tag: keyof typeof meanings,
  known: readonly number[],
): Promise<number> {
  const value = (await tiff.number(directory, tag)) ?? known[0];
  if (known.includes(value)) return value;
  const names: Readonly<Record<number, string | undefined>> = meanings[tag];
  const named = (number: number) => (names[number] === undefined ? `${number}` : `${names[number]} (${number})`);
  const rule = `must be ${new Intl.ListFormat("en-GB", { type: "disjunction" }).format(known.map(named))}`;
  throw unread(tiff, tag, { rule, got: named(value) });
}

/** A coding that is not read here. GDAL reads most, and writes what is; but colours it copies as they are. */
function unread(
  tiff: Tiff,
  tag: Tag,
  { rule, got, options = "" }: { rule: string; got: unknown; options?: string },
): PatchDropError {
  const convert = `convert it with \`gdal_translate -of COG ${options}IN.tif OUT.tif\``;
  const next = tag === "PhotometricInterpretation" ? "have the program that made it write RGB" : convert;
  return fault("input", { where: `${tiff.file.where}: ${tag}`, rule, got, next });
}

async function coloursOf(tiff: Tiff, directory: TiffDirectory, compression: string): Promise<number> {
  const { blackIsZero, whiteIsZero, rgb, colourTable, ycbcr } = photometric;
  const known = [blackIsZero, whiteIsZero, rgb, colourTable, ycbcr];
  const colours = await choiceOf(tiff, directory, "PhotometricInterpretation", known);
  if (colours !== ycbcr || compression === "jpeg") return colours;
  const rule = "must be RGB (2) where tiles are not JPEG, whose decoder converts the colours";
  throw unread(tiff, "PhotometricInterpretation", { rule, got: `YCbCr (6) with compression ${compression}` });
}

/** Its entries lie colour by colour, in 16 bits, of which the upper 8 are taken; as libtiff, the lower where none has more. */
async function colourTableOf(tiff: Tiff, directory: TiffDirectory, { samples, sample }: Stored): Promise<Uint8Array> {
  const entries = await tiff.numbers(directory, "ColorMap", 3 * 65_536);
  if (samples === 1 && sample.name === "uint8" && entries?.length === 3 * 256) {
    const shift = entries.some((entry) => entry > 255) ? 8 : 0;
    return Uint8Array.from(entries, (_, at) => entries[256 * (at % 3) + Math.floor(at / 3)] >> shift);
  }
  const rule = "must be 256 colours for the bytes of one band";
  const got = `${(entries?.length ?? 0) / 3} for ${samples} band${samples === 1 ? "" : "s"} of ${sample.name}`;
  throw unread(tiff, "ColorMap", { rule, got, options: "-expand rgb " });
}

async function sampleTypeOf(tiff: Tiff, directory: TiffDirectory, samples: number) {
  const bits = (await tiff.numbers(directory, "BitsPerSample", samples)) ?? Float64Array.of(1);
  const formats = (await tiff.numbers(directory, "SampleFormat", samples)) ?? Float64Array.of(1);
  const keys = new Set(Array.from(bits, (count, i) => `${formats[Math.min(i, formats.length - 1)]}/${count}`));
  const [key] = keys;
  const known = keys.size === 1 ? sampleTypes[key as SampleKey] : undefined;
  if (known !== undefined) return known;
  const words = (one: string) => {
    const [format, count] = one.split("/");
    return `${count} bits, ${sampleFormats[Number(format)] ?? `format ${format}`}`;
  };
  const rule = "bands must all be whole numbers of 8, 16 or 32 bits, or all float32";
  const options = directory.has(tags.ColorMap) ? "-expand rgb " : "-ot Float32 ";
  throw unread(tiff, "BitsPerSample", { rule, got: [...keys].map(words).join("; "), options });
}

async function compressionOf(tiff: Tiff, directory: TiffDirectory): Promise<string> {
  const code = (await tiff.number(directory, "Compression")) ?? 1;
  const known = compressions[code];
  if (known !== undefined) return known;
  throw fault("input", {
    where: `${tiff.file.where}: Compression`,
    rule: `must be one of ${[...new Set(Object.values(compressions))].filter(Boolean).join(", ")}`,
    got: code,
    next: "convert it with `gdal_translate -of COG -co COMPRESS=DEFLATE IN.tif OUT.tif`",
  });
}

interface Tiles {
  readonly tiles: number;
  /** Of each, unpacked. */
  readonly tileBytes: number;
  readonly inStrips: boolean;
}

async function placesOf(tiff: Tiff, directory: TiffDirectory, { tiles, tileBytes, inStrips }: Tiles) {
  const [starts, lengths] = inStrips
    ? (["StripOffsets", "StripByteCounts"] as const)
    : (["TileOffsets", "TileByteCounts"] as const);
  if (tiles > mostTiles) throw tiff.malformed(starts, `must be at most ${mostTiles} tiles`, tiles);
  const offsets = await tiff.numbers(directory, starts, tiles);
  const byteCounts = await tiff.numbers(directory, lengths, tiles);
  if (offsets?.length !== tiles || byteCounts?.length !== tiles) {
    const [kind, got] = [inStrips ? "strips" : "tiles", offsets?.length ?? "nothing"];
    throw tiff.malformed(starts, `must have a value for each of ${tiles} ${kind}`, got);
  }
  const longest = packedFactor * tileBytes + packedExtra;
  for (let tile = 0; tile < tiles; tile++) {
    const [offset, length] = [offsets[tile], byteCounts[tile]];
    if (length > longest) throw tiff.malformed(lengths, `must be at most ${longest}`, length);
    if (offset + length > tiff.file.size) {
      const rule = `must lie within the file's ${tiff.file.size} bytes`;
      throw tiff.malformed(starts, rule, `${offset} + ${length}`);
    }
  }
  return { offsets, byteCounts };
}

/** The layout for one tile: the last strip is lower than the others, though some programs write it as high. */
export function layoutOf(layout: TileLayout, tile: number): TileLayout {
  return { ...layout, tileHeight: rowsIn(layout, tile), stripHeight: layout.tileHeight };
}

/** The rows that a tile holds: fewer in the last strip than in the others, and as many in every tile. */
function rowsIn({ inStrips, tileHeight, height, rows }: TileLayout, tile: number): number {
  return inStrips && tile % rows === rows - 1 ? height - (rows - 1) * tileHeight : tileHeight;
}
