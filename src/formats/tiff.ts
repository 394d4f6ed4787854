/**
 * The structure of a TIFF or BigTIFF file, either byte order, read piece by piece: its directories and their fields, no
 * pixels. Nothing is trusted: every count and offset is checked against the file's size before memory is allocated for it.
 * Why this is no library: docs/decisions/tiff-reader.md. Source: TIFF 6.0 (Adobe, 1992), section 2; the BigTIFF design (libtiff).
 */

import { fault, type PatchDropError } from "../errors.ts";

/** Gives exactly the bytes that are asked for, which lie within the file. */
export type ReadAt = (offset: number, length: number) => Promise<Uint8Array>;

export interface RandomAccess {
  /** Names the file in errors. */
  readonly where: string;
  /** In bytes. */
  readonly size: number;
  readonly read: ReadAt;
}

/** Tags of TIFF 6.0, its supplements, GeoTIFF and GDAL, as far as they are used. */
export const tags = {
  NewSubfileType: 254,
  ImageWidth: 256,
  ImageLength: 257,
  BitsPerSample: 258,
  Compression: 259,
  PhotometricInterpretation: 262,
  FillOrder: 266,
  StripOffsets: 273,
  Orientation: 274,
  SamplesPerPixel: 277,
  RowsPerStrip: 278,
  StripByteCounts: 279,
  PlanarConfiguration: 284,
  DateTime: 306,
  Predictor: 317,
  ColorMap: 320,
  TileWidth: 322,
  TileLength: 323,
  TileOffsets: 324,
  TileByteCounts: 325,
  ExtraSamples: 338,
  SampleFormat: 339,
  JPEGTables: 347,
  ModelPixelScale: 33550,
  ModelTiepoint: 33922,
  ModelTransformation: 34264,
  GeoKeyDirectory: 34735,
  GeoDoubleParams: 34736,
  GeoAsciiParams: 34737,
  GDAL_METADATA: 42112,
  GDAL_NODATA: 42113,
} as const;
export type Tag = keyof typeof tags;

/** Bytes of a value of each field type: 1 to 13 are TIFF's, 16 to 18 BigTIFF's; there are no others. */
export const typeSizes: readonly (number | undefined)[] = [
  undefined,
  ...[1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4],
  ...[undefined, undefined, 8, 8, 8],
];

/** Bytes, 16, 32 and 64 bits without a sign; and floating point. */
const wholeTypes = [1, 3, 4, 13, 16, 18];
const floatTypes = [11, 12];

/** A file with overviews and masks has a dozen directories; each has a few dozen fields. */
const mostDirectories = 64;
const mostFields = 512;

interface Field {
  readonly type: number;
  readonly count: number;
  /** Where its values lie. */
  readonly offset: number;
}

export type TiffDirectory = ReadonlyMap<number, Field>;

/** By the byte order and version at a file's beginning, of which `first` has four bytes or more. */
export function beginsAsTiff(first: Uint8Array): boolean {
  return ["II*\0", "MM\0*", "II+\0", "MM\0+"].includes(Buffer.from(first.subarray(0, 4)).toString("latin1"));
}

export class Tiff {
  readonly directories: readonly TiffDirectory[];
  readonly littleEndian: boolean;
  readonly file: RandomAccess;

  private constructor(file: RandomAccess, directories: readonly TiffDirectory[], littleEndian: boolean) {
    this.file = file;
    this.directories = directories;
    this.littleEndian = littleEndian;
  }

  /** Reads the header and all directories. @throws input */
  static async open(file: RandomAccess): Promise<Tiff> {
    const reader = new StructureReader(file);
    const directories: TiffDirectory[] = [];
    const seen = new Set<number>();
    let next = await reader.header();
    while (next !== 0) {
      if (seen.has(next)) throw reader.malformed("directories must not form a loop", next);
      if (directories.length === mostDirectories) {
        throw reader.malformed(`must have at most ${mostDirectories} directories`);
      }
      seen.add(next);
      const { directory, following } = await reader.directory(next);
      directories.push(directory);
      next = following;
    }
    if (directories.length === 0) throw reader.malformed("must have a directory");
    return new Tiff(file, directories, reader.littleEndian);
  }

  /** Whole numbers of a field; undefined without the field. @throws input: more than `most` values, or others */
  numbers(directory: TiffDirectory, tag: Tag, most: number): Promise<Float64Array | undefined> {
    return this.#values(directory, tag, most, wholeTypes);
  }

  /** As {@link numbers}, of fields of floating-point numbers. */
  doubles(directory: TiffDirectory, tag: Tag, most: number): Promise<Float64Array | undefined> {
    return this.#values(directory, tag, most, floatTypes);
  }

  /** The one value of a field. @throws as {@link numbers} */
  async number(directory: TiffDirectory, tag: Tag): Promise<number | undefined> {
    return (await this.numbers(directory, tag, 1))?.[0];
  }

  /** The bytes of a field of bytes or text. @throws input */
  async bytes(directory: TiffDirectory, tag: Tag, most: number): Promise<Uint8Array | undefined> {
    const field = directory.get(tags[tag]);
    if (field === undefined) return undefined;
    if (typeSizes[field.type] !== 1 || field.count > most) {
      throw this.malformed(tag, `must be at most ${most} bytes`, field.count);
    }
    return this.#bytes(field, tag);
  }

  async text(directory: TiffDirectory, tag: Tag): Promise<string | undefined> {
    const bytes = await this.bytes(directory, tag, 65_536);
    return bytes && new TextDecoder().decode(bytes).replace(/\0.*$/s, "");
  }

  malformed(tag: Tag, rule: string, got?: unknown): PatchDropError {
    return fault("input", { where: `${this.file.where}: ${tag}`, rule, got, next: "is the file whole?" });
  }

  async #values(directory: TiffDirectory, tag: Tag, most: number, types: readonly number[]) {
    const field = directory.get(tags[tag]);
    if (field === undefined) return undefined;
    if (!types.includes(field.type))
      throw this.malformed(tag, "must have the field type of this tag", `type ${field.type}`);
    if (field.count > most) throw this.malformed(tag, `must have at most ${most} values`, field.count);
    const size = typeSizes[field.type]!;
    const view = viewOf(await this.#bytes(field, tag));
    const values = new Float64Array(field.count);
    for (let i = 0; i < field.count; i++) values[i] = this.#number(view, i * size, field.type, tag);
    return values;
  }

  #bytes({ type, count, offset }: Field, tag: Tag): Promise<Uint8Array> {
    const length = count * typeSizes[type]!;
    if (offset + length > this.file.size) {
      throw this.malformed(tag, `must lie within the file's ${this.file.size} bytes`, `${offset} + ${length}`);
    }
    return this.file.read(offset, length);
  }

  #number(view: DataView, at: number, type: number, tag: Tag): number {
    const little = this.littleEndian;
    switch (type) {
      case 1:
        return view.getUint8(at);
      case 3:
        return view.getUint16(at, little);
      case 4:
      case 13:
        return view.getUint32(at, little);
      case 11:
        return view.getFloat32(at, little);
      case 12:
        return view.getFloat64(at, little);
      default: {
        const value = Number(view.getBigUint64(at, little));
        if (!Number.isSafeInteger(value)) throw this.malformed(tag, "must be a number below 2^53", value);
        return value;
      }
    }
  }
}

/** Walks through header and directories, with the widths of TIFF or BigTIFF. */
class StructureReader {
  readonly #file: RandomAccess;
  littleEndian = true;
  #big = false;

  constructor(file: RandomAccess) {
    this.#file = file;
  }

  malformed(rule: string, got?: unknown): PatchDropError {
    return fault("input", { where: this.#file.where, rule, got, next: "is it a whole GeoTIFF file?" });
  }

  /** Where the first directory lies. */
  async header(): Promise<number> {
    const view = await this.#view(0, 8);
    const order = view.getUint16(0, false);
    if (order !== 0x4949 && order !== 0x4d4d) throw this.malformed("must begin as a TIFF file, with II or MM");
    this.littleEndian = order === 0x4949;
    const version = view.getUint16(2, this.littleEndian);
    if (version === 42) return view.getUint32(4, this.littleEndian);
    if (version !== 43) throw this.malformed("must be TIFF (42) or BigTIFF (43)", version);
    this.#big = true;
    return this.#wide(await this.#view(8, 8), 0);
  }

  /** The directory at `offset`, and where the next one lies: 0 after the last. */
  async directory(offset: number): Promise<{ directory: TiffDirectory; following: number }> {
    const [countBytes, fieldBytes, wordBytes] = this.#big ? [8, 20, 8] : [2, 12, 4];
    const head = await this.#view(offset, countBytes);
    const count = this.#big ? this.#wide(head, 0) : head.getUint16(0, this.littleEndian);
    if (count < 1 || count > mostFields) throw this.malformed(`a directory must have 1 to ${mostFields} fields`, count);
    const start = offset + countBytes;
    const view = await this.#view(start, count * fieldBytes + wordBytes);
    const directory = new Map<number, Field>();
    for (let i = 0; i < count; i++) {
      const at = i * fieldBytes;
      const type = view.getUint16(at + 2, this.littleEndian);
      const size = typeSizes[type];
      // An unknown type: "readers should skip over fields containing an unexpected field type".
      if (size === undefined) continue;
      const values = this.#word(view, at + 4);
      const inline = values * size <= wordBytes;
      const place = at + 4 + wordBytes;
      directory.set(view.getUint16(at, this.littleEndian), {
        type,
        count: values,
        offset: inline ? start + place : this.#word(view, place),
      });
    }
    return { directory, following: this.#word(view, count * fieldBytes) };
  }

  #word(view: DataView, at: number): number {
    return this.#big ? this.#wide(view, at) : view.getUint32(at, this.littleEndian);
  }

  #wide(view: DataView, at: number): number {
    const value = Number(view.getBigUint64(at, this.littleEndian));
    if (!Number.isSafeInteger(value)) throw this.malformed("offsets and counts must be below 2^53", value);
    return value;
  }

  async #view(offset: number, length: number): Promise<DataView> {
    if (offset + length > this.#file.size) {
      throw this.malformed(`byte ${offset + length} must lie within the file's ${this.#file.size} bytes`);
    }
    return viewOf(await this.#file.read(offset, length));
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
