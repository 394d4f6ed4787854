/** Tiles as other programs write them, against what those programs read; and files that lie about themselves. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { deflateSync } from "node:zlib";
import sharp from "sharp";
import { afterAll, beforeAll, expect, it } from "vitest";
import { decodeLzw } from "../../src/formats/lzw.ts";
import { Tiff } from "../../src/formats/tiff.ts";
import { layoutOf, readTileLayout, type TileLayout } from "../../src/formats/tiff-layout.ts";
import { decodeTile, type Samples } from "../../src/formats/tiff-tiles.ts";
import { encodeHeader } from "../../src/formats/tiff-writer.ts";
import { Random } from "../../src/utils/random.ts";
import { expectRefusal, mutations } from "../fuzz.ts";
import { inMemory } from "./in-memory.ts";
import { type PlainField, plainTiff } from "./plain-tiff.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-tiff-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** All samples of the first directory's image, [height, width, samples]. */
async function decode(bytes: Uint8Array): Promise<{ values: number[]; layout: TileLayout }> {
  const tiff = await Tiff.open(inMemory(bytes));
  const layout = await readTileLayout(tiff, tiff.directories[0]);
  const tiles: Samples[] = [];
  for (const [i, offset] of layout.offsets.entries()) {
    tiles.push(await decodeTile(bytes.subarray(offset, offset + layout.byteCounts[i]), layout));
  }
  const { width, height, samples, separate, columns, rows, tileWidth, tileHeight } = layout;
  const values = Array.from({ length: width * height * samples }, (_, at) => {
    const [band, x, y] = [at % samples, Math.floor(at / samples) % width, Math.floor(at / samples / width)];
    const tile = Math.floor(y / tileHeight) * columns + Math.floor(x / tileWidth);
    const pixel = (y % tileHeight) * tileWidth + (x % tileWidth);
    return separate ? tiles[band * columns * rows + tile][pixel] : tiles[tile][pixel * samples + band];
  });
  return { values, layout };
}

const noise = (length: number) => {
  const random = new Random(3, "tiff");
  return Uint8Array.from({ length }, (_, i) => (i >> 5) + random.integer(20));
};

it.each([
  ["none", { compression: "none" }],
  ["LZW", { compression: "lzw" }],
  ["LZW with differences", { compression: "lzw", predictor: "horizontal" }],
  ["deflate with differences, BigTIFF", { compression: "deflate", predictor: "horizontal", bigtiff: true }],
  ["JPEG", { compression: "jpeg", quality: 90 }],
  ["WebP", { compression: "webp", quality: 90 }],
] as const)("decodes what libvips writes, as libvips does: %s", async (_, options) => {
  const path = join(folder, `${Object.values(options).join("-")}.tif`);
  const raw = { width: 100, height: 70, channels: 3 } as const;
  await sharp(noise(100 * 70 * 3), { raw })
    .tiff({ ...options, tile: true, tileWidth: 32, tileHeight: 16, pyramid: true })
    .toFile(path);
  const { values, layout } = await decode(readFileSync(path));
  expect(layout).toMatchObject({ width: 100, height: 70, columns: 4, rows: 5, samples: 3, type: "uint8" });
  expect(Buffer.compare(Buffer.from(values), await sharp(path).raw().toBuffer())).toBe(0);
});

const plain = { width: 20, height: 20, bands: 1, pixel: (x: number, y: number) => [(9 * x + y) % 256] };

it("decodes WebP of four bands, of which it leaves out the fourth where it is opaque", async () => {
  const path = join(folder, "opaque.tif");
  const opaque = noise(4 * 32 * 16).map((value, i) => (i % 4 === 3 ? 255 : value));
  // The second tile is not opaque.
  const pixels = Uint8Array.from({ length: 4 * 64 * 16 }, (_, i) => {
    const [column, row] = [Math.floor(i / 4) % 64, Math.floor(i / 256)];
    const value = opaque[4 * (row * 32 + (column % 32)) + (i % 4)];
    return column >= 32 && i % 4 === 3 ? 128 : value;
  });
  await sharp(pixels, { raw: { width: 64, height: 16, channels: 4 } })
    .tiff({ compression: "webp", quality: 90, tile: true, tileWidth: 32, tileHeight: 16 })
    .toFile(path);
  const { values, layout } = await decode(readFileSync(path));
  expect(layout).toMatchObject({ samples: 4, columns: 2 });
  expect(values.filter((_, i) => i % 4 === 3)).toEqual([...pixels.filter((_, i) => i % 4 === 3)]);
  expect(values).toEqual([...(await sharp(path).raw().toBuffer())]);
});

it("colours that were multiplied by their transparency are divided by it, as libvips does", async () => {
  // 64 · 255/128 = 127.5, 32 · 255/128 = 63.75; more than there can be is white; of nothing, nothing.
  const stored = [
    [64, 32, 0, 128],
    [200, 100, 50, 255],
    [60, 200, 0, 100],
    [9, 9, 9, 0],
  ];
  const straight = [
    [128, 64, 0, 128],
    [200, 100, 50, 255],
    [153, 255, 0, 100],
    [0, 0, 0, 0],
  ];
  const level = { width: 16, height: 16, bands: 4, photometric: 2, pixel: (x: number) => stored[x >> 2] };
  const bytes = plainTiff([{ ...level, fields: [[338, "short", [1]]] }], 16);
  const { values } = await decode(bytes);
  expect(values.slice(0, 64)).toEqual(Array.from({ length: 16 }, (_, x) => straight[x >> 2]).flat());
  const theirs = await sharp(bytes).raw().toBuffer();
  for (const [i, value] of theirs.entries()) expect(Math.abs(value - values[i])).toBeLessThanOrEqual(1);

  const wide = { ...level, samples: "1/16", pixel: () => [300, 200, 100, 32_768] } as const;
  const doubled = await decode(plainTiff([{ ...wide, fields: [[338, "short", [1]]] }], 16));
  expect(doubled.values.slice(0, 4)).toEqual([600, 400, 200, 32_768]);
  // Transparency that is not associated (2), or of no said kind (0), leaves the colours as they are.
  for (const kind of [0, 2]) {
    const { values } = await decode(plainTiff([{ ...level, fields: [[338, "short", [kind]]] }], 16));
    expect(values.slice(0, 4)).toEqual(stored[0]);
  }
  const float = plainTiff([{ ...level, samples: "3/32", fields: [[338, "short", [1]]] }], 16);
  await expect(decode(float)).rejects.toThrow(
    "x.tif: ExtraSamples: must be colours that are not multiplied by transparency (1), or in 8 or 16 bits beside it, got 1 for 4 bands of float32; have the program",
  );
});

it("decodes grey in JPEG as one band, as libvips does", async () => {
  const raw = { width: 40, height: 40, channels: 1 } as const;
  const bytes = await sharp(noise(40 * 40), { raw })
    .toColourspace("b-w")
    .tiff({ compression: "jpeg", quality: 90, tile: true, tileWidth: 16, tileHeight: 16 })
    .toBuffer();
  const { values, layout } = await decode(bytes);
  expect(layout).toMatchObject({ samples: 1, photometric: 1, coding: { compression: "jpeg" } });
  expect(Buffer.compare(Buffer.from(values), await sharp(bytes).toColourspace("b-w").raw().toBuffer())).toBe(0);
});

it.each([
  [
    "64 bits of floating point",
    {
      samples: "1/16",
      fields: [
        [258, "short", [64]],
        [339, "short", [3]],
      ],
    },
    "64 bits, floating point",
  ],
  ["complex numbers", { samples: "3/32", fields: [[339, "short", [6]]] }, "32 bits, complex"],
  ["a format that there is none of", { fields: [[339, "short", [9]]] }, "8 bits, format 9"],
] as const)("refuses samples of %s", async (_, level, got) => {
  const bytes = plainTiff([{ ...plain, photometric: 1, ...level }], 16);
  await expect(decode(bytes)).rejects.toThrow(
    `x.tif: BitsPerSample: bands must all be whole numbers of 8, 16 or 32 bits, or all float32, got ${got}; convert it with \`gdal_translate -of COG -ot Float32 IN.tif OUT.tif\``,
  );
});

it.each<[string, PlainField[], string]>([
  [
    "4 bits",
    [
      [258, "short", [4]],
      [320, "short", Array(48).fill(0)],
    ],
    "BitsPerSample: bands must all be .*, got 4 bits",
  ],
  [
    "16 bits",
    [
      [258, "short", [16]],
      [320, "short", Array(196_608).fill(0)],
    ],
    "ColorMap: must be 256 colours .*, got 65536 for 1 band of uint16",
  ],
])("a colour table of %s is to be expanded: without it, its numbers are no colours", async (_, fields, message) => {
  const bytes = plainTiff([{ ...plain, photometric: 3, samples: "1/16", fields }], 16);
  await expect(decode(bytes)).rejects.toThrow(new RegExp(`${message}.* \`gdal_translate -of COG -expand rgb IN`));
});

it("refuses four bands in one JPEG, whose colours a decoder takes for CMYK", async () => {
  const bytes = plainTiff(
    [{ ...plain, bands: 4, photometric: 1, pixel: () => [1, 2, 3, 4], fields: [[259, "short", [7]]] }],
    16,
  );
  await expect(decode(bytes)).rejects.toThrow(
    "x.tif: Compression: must not be JPEG where more than three bands, or two, lie together, got 4 bands; convert it with `gdal_translate -of COG -co COMPRESS=DEFLATE IN.tif OUT.tif`",
  );
});

it.each([
  ["big-endian-planes-uint16.tif", "uint16"],
  ["float32-predictor3.tif", "float32"],
  ["int16-deflate.tif", "int16"],
])("decodes what GDAL writes: %s", async (name, type) => {
  const { values, layout } = await decode(
    readFileSync(fileURLToPath(new URL(`fixtures/tiff/${name}`, import.meta.url))),
  );
  expect(layout).toMatchObject({ width: 48, height: 40, samples: 3, type });
  // The formula of scripts/fixtures/make-tiffs.mjs.
  const expected = (at: number) => {
    const [x, y] = [Math.floor(at / 3) % 48, Math.floor(at / 3 / 48)];
    return (7 * x + 13 * y + 50 * (at % 3)) % 256;
  };
  expect(values).toEqual(Array.from({ length: 48 * 40 * 3 }, (_, at) => expected(at)));
});

it("decodes colours of half the resolution as GDAL does", async () => {
  const path = fileURLToPath(new URL("fixtures/tiff/south-up-points-ycbcr.tif", import.meta.url));
  const { values } = await decode(readFileSync(path));
  // `gdallocationinfo -valonly PATH X Y` (GDAL 3.6.2 with libjpeg-turbo; IJG's libjpeg enlarges the colours otherwise).
  for (const [x, y, ...colours] of [
    [0, 0, 9, 44, 110],
    [15, 15, 45, 93, 107],
    [16, 0, 124, 153, 211],
    [21, 33, 61, 111, 162],
    [40, 7, 106, 168, 217],
    [47, 39, 63, 132, 187],
  ]) {
    for (const [band, colour] of colours.entries()) {
      expect(Math.abs(values[3 * (48 * y + x) + band] - colour)).toBeLessThanOrEqual(2);
    }
  }
});

/** Red rises with the entry, green falls, blue is the entry's lowest bit; in units of `unit`. */
const tableOf = (unit: number): PlainField => [
  320,
  "short",
  [(i: number) => i, (i: number) => 255 - i, (i: number) => i % 2].flatMap((of) =>
    Array.from({ length: 256 }, (_, i) => unit * of(i)),
  ),
];

it.each([
  ["16 bits", 257, []],
  ["8 bits, as some programs write it", 1, []],
  ["16 bits, its one band in a plane", 257, [[284, "short", [2]] as PlainField]],
])("a colour table of %s gives its colours", async (_, unit, more) => {
  const photometric = 3;
  const bytes = plainTiff([{ ...plain, photometric, fields: [tableOf(unit), ...more] }], 16);
  const { values, layout } = await decode(bytes);
  expect(layout).toMatchObject({ samples: 3, type: "uint8", separate: false });
  const entry = (at: number) => (9 * (Math.floor(at / 3) % 20) + Math.floor(at / 60)) % 256;
  const colours = [(i: number) => i, (i: number) => 255 - i, (i: number) => i % 2];
  expect(values).toEqual(Array.from({ length: 20 * 20 * 3 }, (_, at) => colours[at % 3](entry(at))));
  // libvips reads no planes in tiles.
  if (more.length === 0) expect(Buffer.compare(Buffer.from(values), await sharp(bytes).raw().toBuffer())).toBe(0);
});

it("differences of floats are those of their bits, as libtiff's horAcc32 adds them up", async () => {
  const { layout } = await decode(plainTiff([{ ...plain, photometric: 1 }], 16));
  const rows = [
    [1.5, 2, 127, -0.25],
    [0, 255, 3e38, 1e-40],
  ].map((row) => Float32Array.from(row));
  const differences = rows.flatMap((row) => {
    const bits = new Uint32Array(row.buffer);
    return [...bits].map((value, i) => (i === 0 ? value : value - bits[i - 1]) >>> 0);
  });
  const packed = deflateSync(new Uint8Array(Uint32Array.from(differences).buffer));
  const sample = { name: "float32", from: Float32Array } as const;
  const coding = { ...layout.coding, compression: "deflate", predictor: 2, littleEndian: true, sample };
  const tile = { ...layout, tileWidth: 4, tileHeight: 2, samples: 1, separate: false, coding };
  expect(await decodeTile(packed, tile)).toEqual(Float32Array.from(rows.flatMap((row) => [...row])));
});

it("a predictor belongs to compressed samples: without compression it is passed over, as libvips does", async () => {
  const bytes = plainTiff([{ ...plain, photometric: 1, fields: [[317, "short", [2]]] }], 16);
  const { values } = await decode(bytes);
  expect(values.slice(0, 3)).toEqual([0, 9, 18]);
  expect(Buffer.compare(Buffer.from(values), await sharp(bytes).toColourspace("b-w").raw().toBuffer())).toBe(0);
  const reversed = plainTiff([{ ...plain, photometric: 1, fields: [[266, "short", [2]]] }], 16);
  await expect(decode(reversed)).rejects.toThrow(
    "x.tif: FillOrder: must be the highest bit first (1), got the lowest bit first (2); convert it with",
  );
});

it("LZW is the specification's example", () => {
  // TIFF 6.0, page 59: 7 7 7 8 8 7 7 6 6 is 256 7 258 8 8 258 6 6 257, nine bits each.
  const codes = [256, 7, 258, 8, 8, 258, 6, 6, 257];
  const bits = codes.map((code) => code.toString(2).padStart(9, "0")).join("");
  const packed = Uint8Array.from(bits.match(/.{1,8}/g)!, (byte) => Number.parseInt(byte.padEnd(8, "0"), 2));
  expect([...decodeLzw(packed, 100)]).toEqual([7, 7, 7, 8, 8, 7, 7, 6, 6]);
  expect([...decodeLzw(packed, 4)]).toEqual([7, 7, 7, 8]);
  expect(() => decodeLzw(Uint8Array.of(0x80, 0x7f, 0xff), 100)).toThrow("LZW code 511 before it was defined");
});

/** A header as ours, of 40 × 30 pixels in tiles of 16, in little endian TIFF. */
const header = () =>
  Buffer.from(encodeHeader({ levels: [{ width: 40, height: 30, byteCounts: Array(6).fill(9) }], tileSize: 16 }));

/** Where the value of a field stands in our one directory. */
function placeOf(bytes: Buffer, tag: number): number {
  for (let at = 10; ; at += 12) if (bytes.readUInt16LE(at) === tag) return at + 8;
}

async function refusal(bytes: Uint8Array, size = 10_000): Promise<string> {
  try {
    const tiff = await Tiff.open(inMemory(bytes, size));
    await readTileLayout(tiff, tiff.directories[0]);
    return "none";
  } catch (error) {
    expectRefusal(error);
    return (error as Error).message;
  }
}

it("reads a header, and refuses what can't be, before it takes memory for it", async () => {
  const changed = (change: (bytes: Buffer) => void) => {
    const bytes = header();
    change(bytes);
    return refusal(bytes);
  };
  expect(await refusal(header())).toBe("none");
  expect(await refusal(Buffer.from("\x89PNG\r\n\x1a\n"))).toMatch(/^x\.tif: must begin as a TIFF file/);
  expect(await refusal(header().subarray(0, 8), 8)).toMatch(/must lie within the file's 8 bytes/);
  // The directory names itself as the next one.
  expect(await changed((bytes) => bytes.writeUInt32LE(8, 8 + 2 + 13 * 12))).toMatch(/must not form a loop/);
  expect(await changed((bytes) => bytes.writeUInt16LE(60_000, 8))).toMatch(/must have 1 to 512 fields, got 60000/);
  const sides = (side: number) => (bytes: Buffer) => {
    bytes.writeUInt32LE(side, placeOf(bytes, 256));
    bytes.writeUInt32LE(side, placeOf(bytes, 257));
  };
  expect(await changed(sides(0xffff_ffff))).toMatch(/ImageWidth: must be 1 to 1000000 pixels, got 4294967295/);
  expect(await changed(sides(0))).toMatch(/ImageWidth: must be 1 to 1000000 pixels, got 0/);
  // Four thousand million tiles of 16 pixels.
  expect(await changed(sides(1_000_000))).toMatch(/must be at most 4000000 tiles, got 3906250000/);
  const tileSides = (bytes: Buffer) => {
    bytes.writeUInt32LE(5000, placeOf(bytes, 322));
    bytes.writeUInt32LE(5000, placeOf(bytes, 323));
  };
  expect(await changed(tileSides)).toMatch(/a tile must unpack to at most 67108864 bytes, got 75000000/);
  // The offsets' count, and their place.
  expect(await changed((bytes) => bytes.writeUInt32LE(0xffff_ffff, placeOf(bytes, 324) - 4))).toMatch(
    /TileOffsets: must have at most 6 values/,
  );
  expect(await changed((bytes) => bytes.writeUInt32LE(0xffff_0000, placeOf(bytes, 324)))).toMatch(/must lie within/);
  // Codings that are not read, by name: those of the specification, and numbers that there are none of.
  const field = (tag: number, value: number) => (bytes: Buffer) => bytes.writeUInt16LE(value, placeOf(bytes, tag));
  const convert = "convert it with `gdal_translate -of COG IN.tif OUT.tif`";
  const predictor = "x.tif: Predictor: must be none (1) or differences (2), got";
  expect(await changed(field(317, 4))).toBe(`${predictor} 4; ${convert}`);
  expect(await changed(field(317, 3))).toBe(`${predictor} of floating-point numbers (3); ${convert}`);
  const planes = "x.tif: PlanarConfiguration: must be together (1) or in planes (2), got 3";
  expect(await changed(field(284, 3))).toBe(`${planes}; ${convert}`);
  const rewrite = "have the program that made it write RGB";
  const colours =
    "x.tif: PhotometricInterpretation: must be BlackIsZero (1), WhiteIsZero (0), RGB (2), a colour table (3) or YCbCr (6)";
  expect(await changed(field(262, 5))).toBe(`${colours}, got CMYK (5); ${rewrite}`);
  expect(await changed(field(262, 77))).toBe(`${colours}, got 77; ${rewrite}`);
  expect(await changed(field(262, 6))).toBe(
    `x.tif: PhotometricInterpretation: must be RGB (2) where tiles are not JPEG, whose decoder converts the colours, got YCbCr (6) with compression deflate; ${rewrite}`,
  );
  expect(await changed(field(262, 3))).toBe(
    "x.tif: ColorMap: must be 256 colours for the bytes of one band, got 0 for 3 bands of uint8; convert it with `gdal_translate -of COG -expand rgb IN.tif OUT.tif`",
  );
  const counts = (bytes: Buffer) => bytes.writeUInt32LE(0x7fff_ffff, bytes.readUInt32LE(placeOf(bytes, 325)));
  expect(await changed(counts)).toMatch(/TileByteCounts: must be at most 67072, got 2147483647/);
});

it.each([
  ["1/8", "200", 200],
  ["1/8", "-9999", 0],
  ["1/8", "65535", 255],
  ["1/8", "nan", 0],
  ["1/16", "65535", 65_535],
  ["3/32", "-9999.5", -9999.5],
  ["3/32", "nan", Number.NaN],
  ["3/32", "inf", Number.POSITIVE_INFINITY],
  ["3/32", "-inf", Number.NEGATIVE_INFINITY],
  ["1/8", undefined, 0],
] as const)("a tile of %s that is left out is the value of no data, %s", async (samples, text, value) => {
  const noData: PlainField[] = text === undefined ? [] : [[42113, "ascii", [...Buffer.from(`${text}\0`)]]];
  const leftOut: PlainField[] = [324, 325].map((tag) => [tag, "long", [0]]);
  const fields = [...leftOut, ...noData];
  const { values } = await decode(
    plainTiff([{ width: 16, height: 16, bands: 1, samples, photometric: 1, pixel: () => [7], fields }], 16),
  );
  expect(new Set(values)).toEqual(new Set([value]));
});

it("a tile that unpacks to more or less than it must is refused", async () => {
  const path = join(folder, "deflate.tif");
  const raw = { width: 64, height: 64, channels: 3 } as const;
  const tiff = { compression: "deflate", tile: true, tileWidth: 64, tileHeight: 64 } as const;
  await sharp(new Uint8Array(64 * 64 * 3), { raw })
    .tiff(tiff)
    .toFile(path);
  const bytes = readFileSync(path);
  const opened = await Tiff.open(inMemory(bytes));
  const layout = await readTileLayout(opened, opened.directories[0]);
  const packed = bytes.subarray(layout.offsets[0], layout.offsets[0] + layout.byteCounts[0]);
  await expect(decodeTile(packed, { ...layout, tileHeight: 32 })).rejects.toThrow();
  await expect(decodeTile(packed, { ...layout, tileHeight: 80 })).rejects.toThrow("12288 bytes instead of 15360");
});

it("a damaged tile of JPEG is refused in one line, of the many that the decoder has to say", async () => {
  const raw = { width: 16, height: 16, channels: 1 } as const;
  const bytes = await sharp(noise(16 * 16), { raw })
    .tiff({ compression: "jpeg", tile: true, tileWidth: 16, tileHeight: 16 })
    .toBuffer();
  const opened = await Tiff.open(inMemory(bytes));
  const layout = await readTileLayout(opened, opened.directories[0]);
  const packed = Buffer.from(bytes.subarray(layout.offsets[0], layout.offsets[0] + layout.byteCounts[0]));
  const frame = packed.indexOf(Uint8Array.of(0xff, 0xc0));
  // The sampling factors of the one component: at most 4 by 4.
  packed[frame + 11] = 0xff;
  await expect(decodeTile(packed, layout)).rejects.toThrow(/^[^\n]*VipsJpeg: Bogus sampling factors$/);
});

it("damaged LZW ends, with no more bytes than were asked for", () => {
  const random = new Random(2, "lzw-fuzz");
  for (let n = 0; n < mutations; n++) {
    const packed = Uint8Array.from({ length: 1 + random.integer(60) }, () => random.integer(256));
    packed[0] = 0x80; // mostly begins with the code that clears the table
    try {
      expect(decodeLzw(packed, 50).length).toBeLessThanOrEqual(50);
    } catch (error) {
      expect((error as Error).message).toMatch(/^LZW code \d+ before it was defined$/);
    }
  }
});

it("damaged headers are errors of the user's, never others", async () => {
  const random = new Random(1, "tiff-fuzz");
  const whole = header();
  for (let n = 0; n < mutations; n++) {
    const bytes = Buffer.from(whole);
    for (let i = random.integer(4); i >= 0; i--) bytes[random.integer(bytes.length)] = random.integer(256);
    await refusal(bytes, random.integer(2) === 0 ? bytes.length : 10_000_000);
  }
});

it("takes a last strip of its own rows, and one that was written as high as the others, as GDAL writes those without data", async () => {
  const level = { width: 16, height: 16, bands: 1, photometric: 1, pixel: (x: number, y: number) => [16 * y + x] };
  const { layout: tiled } = await decode(plainTiff([level], 16));
  // Strips of 8 rows, of which the second has 5.
  const strips = { ...tiled, inStrips: true, height: 13, rows: 2, tileHeight: 8 };
  const rows = (count: number) => Uint8Array.from({ length: 16 * count }, (_, i) => i);
  for (const compression of ["none", "deflate"] as const) {
    const layout = layoutOf({ ...strips, coding: { ...strips.coding, compression } }, 1);
    const packed = (count: number) => (compression === "none" ? rows(count) : deflateSync(rows(count)));
    expect(await decodeTile(packed(5), layout)).toEqual(rows(5));
    expect(await decodeTile(packed(8), layout)).toEqual(rows(5));
    await expect(decodeTile(packed(6), layout)).rejects.toThrow("a tile unpacks to 96 bytes instead of 80");
    await expect(decodeTile(packed(9), layout)).rejects.toThrow();
  }
});
