/**
 * Our TIFF reader and geotiff.js on the same files: the measurements of docs/decisions/tiff-reader.md.
 *
 *     npx tsx scripts/tiff-readers.ts speed SCENE.tif      # median of 5 runs over all tiles, the readers in turn
 *     npx tsx scripts/tiff-readers.ts hostile              # files made to do harm, each read in a process of its own
 *     npx tsx scripts/tiff-readers.ts fuzz 20000           # damaged files; who ends the process goes on behind it
 *
 * geotiff.js gets what can be put around it: bytes from us, each request held against the file's size; a cap on directories;
 * no circles; its tiles are taken where our limits on tiles and unpacked bytes allow them.
 */

import { type StdioOptions, spawnSync } from "node:child_process";
import { readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { deflateSync } from "node:zlib";
import { GeoTIFF, getDecoder } from "geotiff";
import sharp from "sharp";
import { type RandomAccess, Tiff } from "../src/formats/tiff.ts";
import { readTileLayout } from "../src/formats/tiff-layout.ts";
import { decodeTile } from "../src/formats/tiff-tiles.ts";
import { encodeHeader } from "../src/formats/tiff-writer.ts";
import { Random } from "../src/utils/random.ts";
import { inMemory } from "../test/formats/in-memory.ts";

/** The first image of a file: how many tiles, and the bytes that one of them unpacks to. */
interface Tiles {
  readonly count: number;
  decode(tile: number): Promise<number>;
}
type Reader = (file: RandomAccess) => Promise<Tiles>;

const mostDirectories = 64;
const mostTiles = 4_000_000;
const mostTileBytes = 64 * 2 ** 20;
const longestMs = 300_000;
/** Damaged files that one process reads. */
const atOnce = 2000;
const slowMs = 1000;
const script = fileURLToPath(import.meta.url);

const ours: Reader = async (file) => {
  const tiff = await Tiff.open(file);
  const layout = await readTileLayout(tiff, tiff.directories[0]);
  const decode = async (tile: number) => {
    const packed = await file.read(layout.offsets[tile], layout.byteCounts[tile]);
    return (await decodeTile(packed, layout)).byteLength;
  };
  return { count: layout.offsets.length, decode };
};

const theirs: Reader = async (file) => {
  const tiff = await GeoTIFF.fromSource(sourceOf(file));
  await checkDirectories(tiff);
  const image = await tiff.getImage();
  const [width, height, bands] = [image.getTileWidth(), image.getTileHeight(), image.getSamplesPerPixel()];
  const [columns, rows] = [Math.ceil(image.getWidth() / width), Math.ceil(image.getHeight() / height)];
  if (!image.isTiled || !(columns * rows >= 1 && columns * rows <= mostTiles)) throw new Error("tiles that can't be");
  const planes = (await image.fileDirectory.loadValue("PlanarConfiguration")) ?? 1;
  const expected = width * height * (planes === 2 ? image.getSampleByteSize(0) : image.getBytesPerPixel());
  if (!(expected <= mostTileBytes)) throw new Error("a tile that is too large");
  const directory = image.fileDirectory;
  const parameters = {
    tileWidth: width,
    tileHeight: height,
    planarConfiguration: planes,
    bitsPerSample: (await directory.loadValue("BitsPerSample")) ?? 1,
    predictor: (await directory.loadValue("Predictor")) ?? 1,
    samplesPerPixel: bands,
    JPEGTables: await directory.loadValue("JPEGTables"),
  };
  const decoder = await getDecoder((await directory.loadValue("Compression")) ?? 1, parameters);
  const decode = async (tile: number) => {
    const { data } = await image.getTileOrStrip(tile % columns, Math.floor(tile / columns), 0, decoder);
    if (data.byteLength !== expected) throw new Error("a tile that unpacks to another size");
    return data.byteLength;
  };
  return { count: columns * rows, decode };
};

const readers: Readonly<Record<string, Reader>> = { ours, "geotiff.js": theirs };

function sourceOf({ size, read }: RandomAccess) {
  const fetchSlice = async ({ offset, length }: { offset: number; length: number }) => {
    // It asks for 1,024 or 4,048 bytes before it knows how many it needs; other requests must lie within the file.
    const most = Math.min(length, Math.max(0, size - offset));
    if (most === 0 || (length > 4048 && most < length)) throw new Error("bytes beyond the file's end");
    return { offset, length, data: new Uint8Array(await read(offset, most)).buffer };
  };
  const fetch = (slices: { offset: number; length: number }[]) =>
    Promise.all(slices.map(async (slice) => (await fetchSlice(slice)).data));
  return { fileSize: null, fetch, fetchSlice, close: async () => {} };
}

async function checkDirectories(tiff: GeoTIFF): Promise<void> {
  const seen = new Set<number>([0]);
  for (let n = 0; n < mostDirectories; n++) {
    const { nextIFDByteOffset: next } = await tiff.requestIFD(n);
    if (next === 0) return;
    if (seen.has(next)) throw new Error("directories that go round in a circle");
    seen.add(next);
  }
  throw new Error("too many directories");
}

async function speed(path: string): Promise<void> {
  const bytes = readFileSync(path);
  const file = { ...inMemory(bytes), read: async (at: number, length: number) => bytes.subarray(at, at + length) };
  const runs = new Map<string, { wall: number; cpu: number }[]>(Object.keys(readers).map((name) => [name, []]));
  let [tiles, size] = [0, 0];
  for (let run = 0; run < 5; run++) {
    for (const [name, open] of Object.entries(readers)) {
      const [start, used] = [performance.now(), process.cpuUsage()];
      const image = await open(file);
      size = 0;
      for (let tile = 0; tile < image.count; tile++) size += await image.decode(tile);
      tiles = image.count;
      const { user, system } = process.cpuUsage(used);
      runs.get(name)!.push({ wall: (performance.now() - start) / 1000, cpu: (user + system) / 1e6 });
    }
  }
  for (const [name, times] of runs) {
    const [wall, cpu] = [median(times.map((one) => one.wall)), median(times.map((one) => one.cpu))];
    const rate = `${(tiles / wall).toFixed(1)} tiles/s, ${(size / 1e6 / wall).toFixed(1)} MB/s`;
    console.log(`${name.padEnd(10)} ${rate}; ${wall.toFixed(2)} s, ${cpu.toFixed(2)} s of CPU`);
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** Files made to do harm. */
const hostileFiles: Readonly<Record<string, () => RandomAccess>> = {
  // Every tag that may have many values, each with 32 million numbers of 8 bytes: they fit into the 300 MB that are claimed.
  arrays: () => inMemory(directory(arrayTags.map((tag) => [tag, 16, 32_000_000, 100_000])), 300_000_000),
  "one field, 100 times": () =>
    inMemory(directory(Array.from({ length: 100 }, () => [324, 16, 30_000_000, 100_000])), 300_000_000),
  "a tile that unpacks to 1.5 GB": () => bomb(),
};
const arrayTags = [
  ...[258, 273, 279, 288, 289, 320, 324, 325, 330, 336, 338, 339, 340, 341, 342, 343, 347, 400, 519, 520, 521],
  ...[529, 532, 32_997, 33_550, 33_922, 34_264, 34_735, 34_736],
];

/** A header with one directory of [tag, type, count, value or offset]. */
function directory(fields: readonly (readonly number[])[]): Buffer {
  const bytes = Buffer.alloc(8 + 2 + 12 * fields.length + 4);
  bytes.write("II*\0", "latin1");
  bytes.writeUInt32LE(8, 4);
  bytes.writeUInt16LE(fields.length, 8);
  for (const [i, [tag, type, count, value]] of fields.entries()) {
    bytes.writeUInt16LE(tag, 10 + 12 * i);
    bytes.writeUInt16LE(type, 12 + 12 * i);
    bytes.writeUInt32LE(count, 14 + 12 * i);
    bytes.writeUInt32LE(value, 18 + 12 * i);
  }
  return bytes;
}

function bomb(): RandomAccess {
  const packed = deflateSync(Buffer.alloc(1_500_000_000));
  const header = encodeHeader({
    levels: [{ width: 512, height: 512, byteCounts: [packed.length] }],
    tileSize: 512,
    georeference: undefined,
  });
  return inMemory(Buffer.concat([header, packed]));
}

/** "read", or the kind of error: a TypeError or a RangeError is one that nobody had foreseen. */
async function answerOf(name: string, file: RandomAccess): Promise<string> {
  try {
    const image = await readers[name](file);
    for (let tile = 0; tile < Math.min(image.count, 64); tile++) await image.decode(tile);
    return "read";
  } catch (error) {
    return error instanceof Error ? error.name : `no error: ${typeof error}`;
  }
}

async function seeds(): Promise<Buffer[]> {
  const folder = fileURLToPath(new URL("../test/formats/fixtures/tiff", import.meta.url));
  const names = ["big-endian-planes-uint16.tif", "float32-predictor3.tif", "int16-deflate.tif"];
  const pixels = Uint8Array.from({ length: 64 * 48 * 3 }, (_, at) => (at * at) >> 5);
  const made = (["none", "lzw", "deflate", "jpeg"] as const).map((compression) =>
    sharp(pixels, { raw: { width: 64, height: 48, channels: 3 } })
      .tiff({ compression, tile: true, tileWidth: 32, tileHeight: 32, pyramid: true })
      .toBuffer(),
  );
  return [...names.map((name) => readFileSync(join(folder, name))), ...(await Promise.all(made))];
}

/** Up to four bytes changed, most of them where the structure lies; some cut off, some that claim to be larger. */
function damaged(whole: Buffer, random: Random): RandomAccess {
  const bytes = Buffer.from(whole);
  for (let i = random.integer(4); i >= 0; i--) {
    const end = random.integer(3) === 0 ? bytes.length : Math.min(bytes.length, 1024);
    bytes[random.integer(end)] = random.integer(256);
  }
  if (random.integer(8) === 0) return inMemory(bytes.subarray(0, random.integer(bytes.length)));
  return inMemory(bytes, random.integer(2) === 0 ? bytes.length : 10_000_000);
}

/** A line a file: what was said of it and how many milliseconds it took; so the last line tells what ended the process. */
async function fuzzFrom(name: string, first: number, end: number): Promise<void> {
  const files = await seeds();
  for (let n = first; n < end; n++) {
    const start = performance.now();
    const answer = await answerOf(name, damaged(files[n % files.length], new Random(n, "tiff-readers")));
    writeSync(1, `${n}\t${answer}\t${Math.round(performance.now() - start)}\n`);
  }
}

/** Runs this script in a process of its own. @returns its lines, and what ended it too early */
function apart(...given: string[]): { lines: string[]; ended: string | null } {
  const stdio: StdioOptions = ["ignore", "pipe", "ignore"];
  const { stdout, signal, status } = spawnSync(process.execPath, ["--import", "tsx", script, ...given], {
    ...{ timeout: longestMs, maxBuffer: 2 ** 28, stdio, encoding: "utf8" },
  });
  return { lines: stdout.trim().split("\n"), ended: signal ?? (status === 0 ? null : `status ${status}`) };
}

function fuzz(count: number): void {
  for (const name of Object.keys(readers)) {
    const said = new Map<string, number>();
    const add = (answer: string) => said.set(answer, (said.get(answer) ?? 0) + 1);
    let [slow, slowest, next] = [0, 0, 0];
    while (next < count) {
      const { lines, ended } = apart("fuzz-from", name, String(next), String(Math.min(count, next + atOnce)));
      for (const [n, answer, ms] of lines.map((line) => line.split("\t"))) {
        if (answer === undefined) continue;
        add(answer);
        slow += Number(ms) > slowMs ? 1 : 0;
        slowest = Math.max(slowest, Number(ms));
        next = Number(n) + 1;
      }
      if (ended !== null) {
        add(`the process ended (${ended})`);
        next++;
      }
    }
    console.log(name.padEnd(10), Object.fromEntries(said), `${slow} over ${slowMs} ms, slowest ${slowest} ms`);
  }
}

function hostile(): void {
  for (const which of Object.keys(hostileFiles)) {
    for (const name of Object.keys(readers)) {
      const start = performance.now();
      const { lines, ended } = apart("hostile-file", name, which);
      const took = ((performance.now() - start) / 1000).toFixed(1);
      console.log(`${which}; ${name}: ${ended ?? lines.at(-1)}, ${took} s with the start`);
    }
  }
}

const [command, name, ...more] = process.argv.slice(2);
if (command === "speed") await speed(name);
if (command === "fuzz") fuzz(Number(name));
if (command === "fuzz-from") await fuzzFrom(name, Number(more[0]), Number(more[1]));
if (command === "hostile") hostile();
if (command === "hostile-file") {
  const answer = await answerOf(name, hostileFiles[more[0]]());
  console.log(`${answer}, at most ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`);
}
