import { cp, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SkippedFile } from "../../src/data/bad-files.ts";
import type { DataSplits, Dataset } from "../../src/data/dataset.ts";
import { DecodePool } from "../../src/data/decode-pool.ts";
import { type ImageFolderOptions, openImageFolder } from "../../src/data/image-folder.ts";
import { Loader } from "../../src/data/loader.ts";
import { drawsOf, transforms } from "../../src/data/transforms.ts";
import { datasetConformance } from "../conformance/dataset.ts";

const imageSize = 14;
const imageBytes = imageSize * imageSize * 3;
const width = 30;
const height = 20;
let folder = "";
let serial = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "patchdrop-streaming-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Pixels of image n: no two images and no two places in one are alike. */
function formula(n: number): Uint8Array {
  return Uint8Array.from({ length: width * height * 3 }, (_, at) => (at * at * 31 + at * 7 * (n + 1)) >> 3);
}

/** Two classes of `perClass` training images, PNG, and two test images. Files of `bad` hold text. */
async function makeFolder(perClass: number, bad: readonly string[] = []): Promise<string> {
  const dataDir = join(folder, `case-${serial++}`);
  const names = ["cat", "dog"].flatMap((name) => [
    ...Array.from({ length: perClass }, (_, n) => `train/${name}/${n}.png`),
    `val/${name}/0.png`,
  ]);
  for (const [n, name] of names.entries()) {
    const path = join(dataDir, name);
    await mkdir(dirname(path), { recursive: true });
    if (bad.includes(name)) await writeFile(path, "this is text");
    else
      await sharp(formula(n), { raw: { width, height, channels: 3 } })
        .png()
        .toFile(path);
  }
  return dataDir;
}

function open(dataDir: string, options: Partial<ImageFolderOptions> = {}): Promise<DataSplits> {
  return openImageFolder({ dataDir, imageSize, transform: "imagenet", parallel: 2, ...options });
}

/** The first three images of training, as text. */
async function firstThree(dataset: Dataset): Promise<{ read: number[]; images: string[] }> {
  const out = new Uint8Array(3 * imageBytes);
  const read = [...(await dataset.read(Uint32Array.of(0, 1, 2), out))];
  return { read, images: [0, 1, 2].map((n) => out.subarray(n * imageBytes, (n + 1) * imageBytes).join()) };
}

async function epochOf(dataset: Dataset, fromStep = 0): Promise<string[]> {
  const loader = new Loader(dataset, { batchSize: 3, shuffle: true, augment: true, seed: 4 });
  const seen: string[] = [];
  for await (const { images, labels, indices } of loader.batches(1, fromStep)) {
    seen.push([labels.join(), indices.join(), images.join()].join(" "));
  }
  return seen;
}

describe("a streamed data set", () => {
  it("reads what the transform makes of a file's pixels, with augmentation and without", async () => {
    const { train } = await open(await makeFolder(2));
    const augmentation = { seed: 1, epoch: 2, firstPosition: 3 };
    const out = new Uint8Array(2 * imageBytes);
    const made = new Uint8Array(imageBytes);
    await train.read(Uint32Array.of(1, 0), out, augmentation);
    const image = { pixels: formula(1), width, height };
    transforms.imagenet(image, imageSize, made, drawsOf(augmentation)(0));
    expect(Buffer.compare(out.subarray(0, imageBytes), made)).toBe(0);
    await train.read(Uint32Array.of(1), out);
    transforms.imagenet(image, imageSize, made);
    expect(Buffer.compare(out.subarray(0, imageBytes), made)).toBe(0);
  });

  it("gives the same order and bits with one thread and with four, and from the middle of an epoch", async () => {
    const dataDir = await makeFolder(5);
    const one = await epochOf((await open(dataDir, { parallel: 1 })).train);
    const four = (await open(dataDir, { parallel: 4 })).train;
    expect(one.length).toBe(4);
    expect(new Set(one).size).toBe(4);
    expect(await epochOf(four)).toEqual(one);
    expect(await epochOf(four, 2)).toEqual(one.slice(2));
  });

  it("streams what memory does not hold, with the transform of small images", async () => {
    const dataDir = await makeFolder(2);
    const kept = await open(dataDir, { transform: "cifar" });
    const streamed = await open(dataDir, { transform: "cifar", memoryLimit: 1 });
    expect(await epochOf(streamed.train)).toEqual(await epochOf(kept.train));
  });

  describe("with files that are no images", () => {
    const bad = ["train/cat/1.png", "train/dog/0.png", "train/dog/1.png"];

    it("shows the next image that can be read, with its label, and tells of each file once", async () => {
      const dataDir = await makeFolder(2, bad.slice(0, 2));
      const skipped: SkippedFile[] = [];
      const onSkip = (file: SkippedFile): void => void skipped.push(file);
      const { train } = await open(dataDir, { skipBad: 2, onSkip });
      const { read, images } = await firstThree(train);
      expect(read).toEqual([0, 3, 3]);
      expect(images[1]).toBe(images[2]);
      expect(await firstThree(train)).toEqual({ read, images });
      expect(skipped).toEqual(
        bad.slice(0, 2).map((name) => ({
          path: join(dataDir, name),
          reason: expect.stringContaining("not JPEG, PNG, WebP or TIFF"),
        })),
      );
    });

    it("goes on from the list's end at its beginning", async () => {
      const { train } = await open(await makeFolder(2, bad.slice(1)), { skipBad: 2 });
      expect((await firstThree(train)).read).toEqual([0, 1, 0]);
    });

    it("gives the same bits from the middle of an epoch, whatever was met before", async () => {
      const dataDir = await makeFolder(4, bad);
      const whole = await epochOf((await open(dataDir, { skipBad: 3 })).train);
      expect(await epochOf((await open(dataDir, { skipBad: 3 })).train, 1)).toEqual(whole.slice(1));
    });

    it("stops at one more than allowed, and names them", async () => {
      const dataDir = await makeFolder(2, bad);
      const error = await firstThree((await open(dataDir, { skipBad: 1 })).train).catch((error) => error);
      const [first, second] = error.message.split("\n");
      expect(first).toContain(`${join(dataDir, bad[0])}: must be a whole image, got not JPEG, PNG`);
      expect(second).toContain(`${join(dataDir, bad[1])}: must be a whole image, got not JPEG, PNG`);
      expect(second).toContain("; 2 so far, --skip_bad allows 1: replace the files, or raise --skip_bad");
      expect(error.exitCode).toBe(3);
    });

    it("counts those of all splits together", async () => {
      const dataDir = await makeFolder(2, ["val/dog/0.png"]);
      // Image 2 is val's cat, behind the training's cats.
      await cp(join(dataDir, "val"), join(dataDir, "test"), { recursive: true });
      const { test, val } = await open(dataDir, { skipBad: 1 });
      const out = new Uint8Array(imageBytes);
      const made = new Uint8Array(imageBytes);
      transforms.imagenet({ pixels: formula(2), width, height }, imageSize, made);
      expect([...(await val!.read(Uint32Array.of(1), out))]).toEqual([0]);
      expect(Buffer.compare(out, made)).toBe(0);
      await expect(test.read(Uint32Array.of(1), out)).rejects.toThrow("2 so far, --skip_bad allows 1");
    });

    it("counts those of training and test together", async () => {
      const { train, test } = await open(await makeFolder(2, ["train/cat/0.png", "val/cat/0.png"]), { skipBad: 1 });
      await firstThree(train);
      await expect(test.read(Uint32Array.of(0), new Uint8Array(imageBytes))).rejects.toThrow("--skip_bad allows 1");
    });

    it("refuses a split of which nothing is left", async () => {
      const { test } = await open(await makeFolder(1, ["val/cat/0.png", "val/dog/0.png"]), { skipBad: 5 });
      const read = test.read(Uint32Array.of(0), new Uint8Array(imageBytes));
      await expect(read).rejects.toThrow("must hold readable images in every split");
    });
  });

  it("ends with an error that names the file when a thread breaks down, and works again after", async () => {
    const dataDir = await makeFolder(1);
    const pool = new DecodePool({ imageSize, transform: "imagenet", threads: 2 });
    const images = { paths: [join(dataDir, "train/cat/0.png")], slots: Uint32Array.of(0), augmentation: undefined };
    const tooSmall = new Uint8Array(new SharedArrayBuffer(imageBytes - 1));
    await expect(pool.decode(images, tooSmall)).rejects.toMatchObject({
      message: expect.stringContaining(`${images.paths[0]}: crashed the thread that decodes it, got `),
      exitCode: 5,
    });
    expect(await pool.decode(images, new Uint8Array(new SharedArrayBuffer(imageBytes)))).toEqual([]);
  });
});

let original: Promise<string> | undefined;
const originalFolder = (): Promise<string> => {
  original ??= makeFolder(2);
  return original;
};

datasetConformance(
  "a streamed folder",
  async () => (await open(await originalFolder())).train,
  async () => {
    const dataDir = join(folder, `copy-${serial++}`);
    await cp(await originalFolder(), dataDir, { recursive: true });
    await rename(join(dataDir, "train/dog/1.png"), join(dataDir, "train/dog/2.png"));
    return (await open(dataDir)).train;
  },
);
