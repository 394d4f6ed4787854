/**
 * How fast class folders are read from disk: this program's loader against sharp alone, which decodes, resizes and crops the
 * same files on all processors, with as much under way as keeps them busy. Both take turns; the loader goes first, so that
 * the peak of memory is its own.
 *
 *     npx tsx bench/loader.ts --images 768 --rounds 4
 *
 * The JPEGs are made: 500 × 375 pixels of blurred noise, about the size of ImageNet's. sharp's resize is not Pillow's,
 * so the two do not give the same bytes; the loader's are checked by test/data.
 */
import { mkdir, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { z } from "zod";
import { openImageFolder } from "../src/data/image-folder.ts";
import { Loader } from "../src/data/loader.ts";

const imageSize = 224;
const batchSize = 64;
const processors = availableParallelism();

const argumentsSchema = z.object({
  images: z.coerce.number().int().min(batchSize).default(768),
  rounds: z.coerce.number().int().min(1).default(4),
});

const { values } = parseArgs({ options: { images: { type: "string" }, rounds: { type: "string" } } });
const { images, rounds } = argumentsSchema.parse(values);
const dataDir = await mkdtemp(join(tmpdir(), "patchdrop-bench-"));
try {
  await compare();
} finally {
  await rm(dataDir, { recursive: true });
}

async function compare(): Promise<void> {
  const paths = await makeImages(images);
  const bytes = (await Promise.all(paths.map((path) => stat(path)))).reduce((sum, { size }) => sum + size, 0);
  report({ processors, images, bytesPerImage: Math.round(bytes / images), batchSize, imageSize });
  const { train } = await openImageFolder({ dataDir, imageSize, transform: "imagenet" });
  const loader = new Loader(train, { batchSize, shuffle: true, augment: true });
  const ours = { images: 0, seconds: 0 };
  const sharps = { images: 0, seconds: 0 };
  await drain(loader, 0); // threads start, code is compiled
  for (let round = 1; round <= rounds; round++) {
    ours.seconds += await secondsOf(() => drain(loader, round));
    ours.images += images;
    if (round === 1) report({ loaderPeakRssBytes: process.resourceUsage().maxRSS * 1024 });
    if (round === 1) await sharpAlone(paths);
    sharps.seconds += await secondsOf(() => sharpAlone(paths));
    sharps.images += images;
  }
  const speed = ({ images, seconds }: typeof ours): number => images / seconds;
  report({ loader: speed(ours), sharp: speed(sharps), ratio: speed(ours) / speed(sharps) });
}

/** One class: this many images for training, and one for the test. */
async function makeImages(count: number): Promise<string[]> {
  const folder = join(dataDir, "train", "noise");
  for (const path of [folder, join(dataDir, "test", "noise")]) await mkdir(path, { recursive: true });
  const noise = { type: "gaussian" as const, mean: 128, sigma: 60 };
  const made = async (path: string): Promise<void> => {
    const raw = sharp({ create: { width: 500, height: 375, channels: 3, background: "black", noise } });
    // Blurred in a pass of its own: libvips makes noise anew wherever it is asked for a pixel.
    const { data, info } = await raw.raw().toBuffer({ resolveWithObject: true });
    const { width, height, channels } = info;
    await sharp(data, { raw: { width, height, channels } }).blur(0.8).jpeg({ quality: 90 }).toFile(path);
  };
  for (let n = 0; n < count; n++) await made(join(folder, `${n}.jpg`));
  await made(join(dataDir, "test", "noise", "0.jpg"));
  return (await readdir(folder)).map((name) => join(folder, name));
}

async function drain(loader: Loader, epoch: number): Promise<void> {
  for await (const _ of loader.batches(epoch));
}

async function sharpAlone(paths: readonly string[]): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < paths.length) {
      await sharp(paths[next++])
        .resize(256, 256, { fit: "outside", kernel: "linear" })
        .extract({ left: 42, top: 16, width: imageSize, height: imageSize })
        .raw()
        .toBuffer();
    }
  };
  await Promise.all(Array.from({ length: 2 * processors }, work));
}

async function secondsOf(work: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

function report(values: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(values)}\n`);
}
