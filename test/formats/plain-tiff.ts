/**
 * A TIFF without compression, of any samples and tags: for what neither sharp nor our own writer writes. Little endian; in
 * tiles where a side is given, else in one strip. Source: TIFF 6.0, section 2.
 */

/** A sample's bytes, by sample format (1 unsigned, 3 floating point) and bits. */
const samplesOf = { "1/8": Uint8Array, "1/16": Uint16Array, "3/32": Float32Array } as const;
const types = { ascii: 2, short: 3, long: 4, double: 12 } as const;
const sizes = { ascii: 1, short: 2, long: 4, double: 8 } as const;

/** A field besides those that say how the samples lie; one of the same tag takes their place. */
export type PlainField = readonly [tag: number, type: keyof typeof types, values: readonly number[]];

export interface PlainLevel {
  readonly width: number;
  readonly height: number;
  readonly bands: number;
  readonly samples?: keyof typeof samplesOf;
  readonly photometric: number;
  /** The samples of a pixel. */
  readonly pixel: (x: number, y: number) => readonly number[];
  readonly fields?: readonly PlainField[];
}

/** The full resolution first, then overviews. */
export function plainTiff(levels: readonly PlainLevel[], tile?: number): Buffer {
  const parts: Buffer[] = [Buffer.from("II*\0\0\0\0\0", "latin1")];
  let at = 8;
  const add = (bytes: Buffer): number => {
    const start = at;
    // Values begin at even offsets.
    parts.push(bytes, Buffer.alloc(bytes.length % 2));
    at += bytes.length + (bytes.length % 2);
    return start;
  };
  let link = { bytes: parts[0], offset: 4 };
  for (const [n, level] of levels.entries()) {
    const blocks = blocksOf(level, tile);
    const offsets = blocks.map(add);
    const fields = fieldsOf(level, { n, tile, offsets, lengths: blocks.map(({ length }) => length) });
    const directory = Buffer.alloc(2 + 12 * fields.length + 4);
    directory.writeUInt16LE(fields.length);
    for (const [i, [tag, type, values]] of fields.entries()) {
      const bytes = valuesOf(type, values);
      const place = 2 + 12 * i;
      directory.writeUInt16LE(tag, place);
      directory.writeUInt16LE(types[type], place + 2);
      directory.writeUInt32LE(values.length, place + 4);
      if (bytes.length <= 4) bytes.copy(directory, place + 8);
      else directory.writeUInt32LE(add(bytes), place + 8);
    }
    link.bytes.writeUInt32LE(add(directory), link.offset);
    link = { bytes: directory, offset: directory.length - 4 };
  }
  return Buffer.concat(parts);
}

function blocksOf({ width, height, samples = "1/8", pixel }: PlainLevel, tile: number | undefined): Buffer[] {
  const [blockWidth, blockHeight] = tile === undefined ? [width, height] : [tile, tile];
  const blocks: Buffer[] = [];
  for (let top = 0; top < height; top += blockHeight) {
    for (let left = 0; left < width; left += blockWidth) {
      const values = Array.from({ length: blockWidth * blockHeight }, (_, i) => {
        const [x, y] = [left + (i % blockWidth), top + Math.floor(i / blockWidth)];
        return pixel(Math.min(x, width - 1), Math.min(y, height - 1));
      }).flat();
      blocks.push(Buffer.from(samplesOf[samples].from(values).buffer));
    }
  }
  return blocks;
}

function fieldsOf(
  { width, height, bands, samples = "1/8", photometric, fields = [] }: PlainLevel,
  { n, tile, offsets, lengths }: { n: number; tile: number | undefined; offsets: number[]; lengths: number[] },
): PlainField[] {
  const [format, bits] = samples.split("/").map(Number);
  const places: PlainField[] =
    tile === undefined
      ? [
          [273, "long", offsets],
          [278, "long", [height]],
          [279, "long", lengths],
        ]
      : [
          [322, "long", [tile]],
          [323, "long", [tile]],
          [324, "long", offsets],
          [325, "long", lengths],
        ];
  const own: PlainField[] = [
    [254, "long", [n === 0 ? 0 : 1]],
    [256, "long", [width]],
    [257, "long", [height]],
    [258, "short", Array(bands).fill(bits)],
    [259, "short", [1]],
    [262, "short", [photometric]],
    [277, "short", [bands]],
    [284, "short", [1]],
    [339, "short", Array(bands).fill(format)],
  ];
  const byTag = new Map([...own, ...places, ...fields].map((field) => [field[0], field]));
  return [...byTag.values()].sort((a, b) => a[0] - b[0]);
}

function valuesOf(type: keyof typeof types, values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * sizes[type]);
  for (const [i, value] of values.entries()) {
    if (type === "ascii") bytes[i] = value;
    else if (type === "short") bytes.writeUInt16LE(value, 2 * i);
    else if (type === "long") bytes.writeUInt32LE(value, 4 * i);
    else bytes.writeDoubleLE(value, 8 * i);
  }
  return bytes;
}
