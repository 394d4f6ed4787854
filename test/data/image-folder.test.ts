import { cp, mkdir, mkdtemp, readdir, rm, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp, { type Sharp } from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SkippedFile } from "../../src/data/bad-files.ts";
import type { DataSplits, Dataset } from "../../src/data/dataset.ts";
import { type ImageFolderOptions, openImageFolder } from "../../src/data/image-folder.ts";
import { MemoryDataset } from "../../src/data/memory-dataset.ts";
import { datasetConformance } from "../conformance/dataset.ts";

type Files = Record<string, Sharp | Buffer | string>;

const imageSize = 8;
let folder = "";
let serial = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "patchdrop-folder-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A plain image. */
function plain(red: number, green: number, blue: number, width = imageSize, height = imageSize): Sharp {
  return sharp({ create: { width, height, channels: 3, background: { r: red, g: green, b: blue } } });
}

const twoClasses: Files = {
  "train/cat/1.png": plain(10, 20, 30).png(),
  "train/cat/2.png": plain(40, 50, 60).png(),
  "train/dog/1.png": plain(70, 80, 90).png(),
  "test/cat/1.png": plain(1, 2, 3).png(),
  "test/dog/1.png": plain(4, 5, 6).png(),
};

const threeSplits: Files = {
  ...twoClasses,
  "val/cat/1.png": plain(110, 120, 130).png(),
  "val/dog/1.png": plain(140, 150, 160).png(),
  "val/dog/2.png": plain(170, 180, 190).png(),
};

async function makeFolder(files: Files): Promise<string> {
  const dataDir = join(folder, `case-${serial++}`);
  for (const [name, content] of Object.entries(files)) {
    const path = join(dataDir, name);
    await mkdir(dirname(path), { recursive: true });
    if (typeof content === "string" || Buffer.isBuffer(content)) await writeFile(path, content);
    else await (content as Sharp).clone().toFile(path);
  }
  return dataDir;
}

async function open(files: Files, options: Partial<ImageFolderOptions> = {}): Promise<DataSplits> {
  return openImageFolder({ dataDir: await makeFolder(files), imageSize, ...options });
}

async function pixels(dataset: Dataset, index: number): Promise<Uint8Array> {
  const out = new Uint8Array(dataset.imageSize ** 2 * 3);
  await dataset.read(Uint32Array.of(index), out);
  return out;
}

/** The first pixel of an image that is decoded as the third training image. */
async function decoded(name: string, content: Sharp | Buffer): Promise<number[]> {
  const { train } = await open({ ...twoClasses, [`train/dog/0${name}`]: content });
  return [...(await pixels(train, 2)).subarray(0, 3)];
}

async function failure(opened: Promise<unknown>): Promise<{ message: string; exitCode: number }> {
  return opened.then(
    () => Promise.reject(new Error("it was opened")),
    (error: { message: string; exitCode: number }) => error,
  );
}

const next =
  "; add images of it, or name all in train.csv and test.csv with a classes.txt, where a split may lack a class";

describe("openImageFolder", () => {
  it("labels by sorted class names, files sorted by name", async () => {
    const { train, test } = await open(twoClasses);
    expect(train.classes).toEqual(["cat", "dog"]);
    expect([...train.labels]).toEqual([0, 0, 1]);
    expect([...test.labels]).toEqual([0, 1]);
    const first = async (dataset: Dataset, index: number): Promise<number[]> => [
      ...(await pixels(dataset, index)).subarray(0, 3),
    ];
    expect([await first(train, 0), await first(train, 1), await first(train, 2)]).toEqual([
      [10, 20, 30],
      [40, 50, 60],
      [70, 80, 90],
    ]);
    expect(await first(test, 1)).toEqual([4, 5, 6]);
  });

  it("takes val where there is no test, and passes over other files", async () => {
    const { "test/cat/1.png": cat, "test/dog/1.png": dog, ...train } = twoClasses;
    const opened = await open({
      ...train,
      "val/cat/1.png": cat,
      "val/dog/1.png": dog,
      "train/.hidden/1.png": "",
      "train/cat/readme.txt": "",
      "train/notes.txt": "",
    });
    expect([opened.train.length, opened.test.length]).toEqual([3, 2]);
  });

  it("takes val as a split of its own beside test, with all that a split has", async () => {
    const { train, test, val } = await open(threeSplits);
    expect([train, test, val!].map(({ labels }) => [...labels])).toEqual([
      [0, 0, 1],
      [0, 1],
      [0, 1, 1],
    ]);
    const colour = async (dataset: Dataset, index: number) => [...(await pixels(dataset, index)).subarray(0, 3)];
    expect([await colour(train, 2), await colour(test, 1), await colour(val!, 0), await colour(val!, 2)]).toEqual([
      [70, 80, 90],
      [4, 5, 6],
      [110, 120, 130],
      [170, 180, 190],
    ]);
    // Those of all three splits must fit.
    const kept = async (memoryLimit: number) => (await open(threeSplits, { memoryLimit })).val instanceof MemoryDataset;
    expect(await kept(8 * 8 * 8 * 3)).toBe(true);
    expect(await kept(8 * 8 * 8 * 3 - 1)).toBe(false);
  });

  it("has no validation split where val holds no class, nor where it is the test split", async () => {
    expect((await open({ ...twoClasses, "val/1.png": plain(0, 0, 0).png() })).val).toBeUndefined();
    const files = Object.entries(threeSplits).filter(([name]) => !name.startsWith("test/"));
    const { test, val } = await open(Object.fromEntries(files));
    expect([...test.labels]).toEqual([0, 1, 1]);
    expect(val).toBeUndefined();
  });

  it("keeps images in memory when they fit and are at their size before they are cropped", async () => {
    const kept = async (options: Partial<ImageFolderOptions>) =>
      (await open(twoClasses, options)).train instanceof MemoryDataset;
    expect(await kept({ memoryLimit: 5 * 8 * 8 * 3 })).toBe(true);
    expect(await kept({ memoryLimit: 5 * 8 * 8 * 3 - 1 })).toBe(false);
    expect(await kept({ transform: "imagenet" })).toBe(false);
  });

  it("resizes the shorter side and takes the middle", async () => {
    const wide = sharp({ create: { width: 32, height: 16, channels: 3, background: "black" } })
      .composite([{ input: await plain(200, 100, 50, 16, 16).png().toBuffer(), left: 8, top: 0 }])
      .png();
    const { train } = await open({ ...twoClasses, "train/cat/1.png": wide });
    // The middle half, halved: inside, all is the plate's colour; at its edges a quarter or less of the black.
    const image = await pixels(train, 0);
    for (let y = 0; y < 8; y++) {
      for (let x = 1; x < 7; x++)
        expect([...image.subarray(3 * (8 * y + x), 3 * (8 * y + x) + 3)]).toEqual([200, 100, 50]);
    }
  });

  describe("takes é for one character, and for e with an accent", () => {
    const [composed, apart] = ["for\u00eat", "fore\u0302t"];

    it("as one class, with labels in the same order", async () => {
      const { train, test } = await open({
        "train/forez/1.png": plain(1, 1, 1).png(),
        [`train/${composed}/1.png`]: plain(2, 2, 2).png(),
        [`test/${apart}/1.png`]: plain(3, 3, 3).png(),
        "test/forez/1.png": plain(4, 4, 4).png(),
      });
      // By code units: z is U+007A, ê U+00EA; as e and an accent it would come before z.
      expect([train.classes, test.classes]).toEqual([
        ["forez", composed],
        ["forez", composed],
      ]);
      expect([(await pixels(test, 0))[0], (await pixels(test, 1))[0]]).toEqual([4, 3]);
      expect([...test.labels]).toEqual([0, 1]);
    });

    it("and refuses both in one split", async () => {
      const files = { ...twoClasses, [`train/${composed}/1.png`]: plain(0, 0, 0).png() };
      const dataDir = await makeFolder({ ...files, [`train/${apart}/1.png`]: plain(0, 0, 0).png() });
      expect((await failure(openImageFolder({ dataDir, imageSize }))).message).toBe(
        `${join(dataDir, "train")}: must have one folder for each class, got two spellings of ${composed}, with composed characters (NFC) and without (NFD); move the images of both into one`,
      );
    });
  });

  describe("converts to 8-bit sRGB", () => {
    it("grey", async () => {
      expect(await decoded(".jpg", plain(90, 90, 90).toColourspace("b-w").jpeg())).toEqual([90, 90, 90]);
    });
    it("a palette", async () => {
      expect(await decoded(".png", plain(200, 100, 50).png({ palette: true }))).toEqual([200, 100, 50]);
    });
    it("16 bits", async () => {
      const bytes = await plain(200, 100, 50).toColourspace("rgb16").png().toBuffer();
      expect((await sharp(bytes).metadata()).depth).toBe("ushort");
      expect(await decoded(".png", bytes)).toEqual([200, 100, 50]);
    });
    it("CMYK, through its profile, up to the round trip's error", async () => {
      const bytes = await plain(180, 110, 90).toColourspace("cmyk").jpeg({ quality: 100 }).toBuffer();
      expect((await sharp(bytes).metadata()).space).toBe("cmyk");
      const [red, green, blue] = await decoded(".jpg", bytes);
      expect(Math.max(Math.abs(red - 180), Math.abs(green - 110), Math.abs(blue - 90))).toBeLessThan(12);
    });
    it("transparency is dropped, not blended", async () => {
      const half = sharp({
        create: { width: 8, height: 8, channels: 4, background: { r: 200, g: 100, b: 50, alpha: 0.5 } },
      });
      expect(await decoded(".png", half.png())).toEqual([200, 100, 50]);
    });
    it("turned as EXIF says", async () => {
      // Stored with red on the left; orientation 6 turns it clockwise, so red comes to the top.
      const stored = sharp({ create: { width: 8, height: 8, channels: 3, background: "blue" } })
        .composite([{ input: await plain(255, 0, 0, 4, 8).png().toBuffer(), left: 0, top: 0 }])
        .withMetadata({ orientation: 6 })
        .png();
      const { train } = await open({ ...twoClasses, "train/cat/1.png": stored });
      const image = await pixels(train, 0);
      expect([...image.subarray(0, 3)]).toEqual([255, 0, 0]);
      expect([...image.subarray(3 * 7, 3 * 8)]).toEqual([255, 0, 0]);
      expect([...image.subarray(3 * 56, 3 * 57)]).toEqual([0, 0, 255]);
    });
  });

  describe("refuses", () => {
    it("a folder without train", async () => {
      const dataDir = await makeFolder({ "test/cat/1.png": plain(0, 0, 0).png() });
      const error = await failure(openImageFolder({ dataDir, imageSize }));
      expect(error.message).toBe(`${join(dataDir, "train")}: must hold one folder per class; check --data_dir`);
      expect(error.exitCode).toBe(3);
    });

    it("a folder without test images", async () => {
      const dataDir = await makeFolder({ "train/cat/1.png": plain(0, 0, 0).png() });
      const error = await failure(openImageFolder({ dataDir, imageSize }));
      expect(error.message).toBe(`${dataDir}: must hold test images in test/<class>/ or val/<class>/`);
      expect(error.exitCode).toBe(3);
    });

    it("classes that differ, both ways at once", async () => {
      const { "test/dog/1.png": dog, ...others } = twoClasses;
      const dataDir = await makeFolder({ ...others, "test/eel/1.png": dog });
      const error = await failure(openImageFolder({ dataDir, imageSize }));
      expect(error.message.split("\n")).toEqual([
        `${join(dataDir, "train")}: train and test must have the same classes, got no folder for eel${next}`,
        `${join(dataDir, "test")}: train and test must have the same classes, got no folder for dog${next}`,
      ]);
      expect(error.exitCode).toBe(3);
    });

    it("classes that differ among three splits, all at once", async () => {
      const dataDir = await makeFolder({ ...threeSplits, "val/eel/1.png": plain(0, 0, 0).png() });
      const error = await failure(openImageFolder({ dataDir, imageSize }));
      expect(error.message.split("\n")).toEqual([
        `${join(dataDir, "train")}: train, test and val must have the same classes, got no folder for eel${next}`,
        `${join(dataDir, "test")}: train, test and val must have the same classes, got no folder for eel${next}`,
      ]);
      const { "val/cat/1.png": _, ...catless } = threeSplits;
      const lacking = await makeFolder(catless);
      expect((await failure(openImageFolder({ dataDir: lacking, imageSize }))).message).toBe(
        `${join(lacking, "val")}: train, test and val must have the same classes, got no folder for cat${next}`,
      );
    });

    it("empty classes, all at once", async () => {
      const dataDir = await makeFolder({
        ...twoClasses,
        "train/eel/notes.txt": "",
        "test/eel/1.gif": "",
        "test/eel/2.gif": "",
      });
      const error = await failure(openImageFolder({ dataDir, imageSize }));
      const rule = "must hold at least one image (.jpg, .jpeg, .png, .webp, .tif, .tiff)";
      expect(error.message.split("\n")).toEqual([
        `${join(dataDir, "train", "eel")}: ${rule}, got 1 other files or folders${next}`,
        `${join(dataDir, "test", "eel")}: ${rule}, got 2 other files or folders${next}`,
      ]);
    });

    it("too many pixels, from the header", async () => {
      // A PNG header of 100,000 × 100,000 pixels and nothing behind it.
      const bytes = await plain(0, 0, 0).png().toBuffer();
      bytes.writeUInt32BE(100_000, 16);
      bytes.writeUInt32BE(100_000, 20);
      bytes.writeUInt32BE(crc32(bytes.subarray(12, 29)), 29);
      const error = await failure(open({ ...twoClasses, "train/cat/1.png": bytes }));
      expect(error.message).toContain(
        "1.png: must be a whole image, got 100000 × 100000 pixels of png, which take 30000000000 bytes to decode where 536870912 are allowed; raise --max_image_bytes",
      );
    });
  });

  describe("given files that are no images", () => {
    /** Three bad files in train, one in test. */
    async function badFolder(): Promise<string> {
      const dataDir = await makeFolder({
        ...twoClasses,
        "train/cat/3.jpg": "this is text",
        "train/dog/0.png": Buffer.alloc(0),
        "test/dog/2.jpg": await sharp({
          create: {
            width: 64,
            height: 64,
            channels: 3,
            noise: { type: "gaussian", mean: 128, sigma: 30 },
            background: "black",
          },
        })
          .jpeg()
          .toBuffer(),
      });
      await truncate(join(dataDir, "test/dog/2.jpg"), 900);
      await symlink(join(dataDir, "nowhere"), join(dataDir, "train/dog/2.jpg"));
      return dataDir;
    }

    it("names them all, with their reasons", async () => {
      const dataDir = await badFolder();
      const error = await failure(openImageFolder({ dataDir, imageSize, skipBad: 3 }));
      const lines = error.message.split("\n");
      expect(lines.length).toBe(4);
      expect(lines[0]).toContain(
        `${join(dataDir, "train/cat/3.jpg")}: must be a whole image, got not JPEG, PNG, WebP or TIFF`,
      );
      expect(lines[1]).toBe(`${join(dataDir, "train/dog/0.png")}: must be a whole image, got an empty file`);
      expect(lines[2]).toContain("train/dog/2.jpg: must be a whole image, got a link to a file that is not there");
      expect(lines[3]).toContain(
        `${join(dataDir, "test/dog/2.jpg")}: must be a whole image, got cut or damaged (VipsJpeg: premature end`,
      );
      expect(lines[3]).toContain("; 4 in all, --skip_bad allows 3: replace the files, or raise --skip_bad");
      expect(error.exitCode).toBe(3);
    });

    it("leaves them out when allowed, and lists them", async () => {
      const dataDir = await badFolder();
      const skipped: SkippedFile[] = [];
      const onSkip = (file: SkippedFile): void => void skipped.push(file);
      const { train, test } = await openImageFolder({ dataDir, imageSize, skipBad: 4, onSkip });
      expect(skipped.map(({ path }) => path.slice(dataDir.length + 1))).toEqual([
        join("train", "cat", "3.jpg"),
        join("train", "dog", "0.png"),
        join("train", "dog", "2.jpg"),
        join("test", "dog", "2.jpg"),
      ]);
      expect(skipped[1].reason).toBe("an empty file");
      const clean = await open(twoClasses);
      expect(train.labels).toEqual(clean.train.labels);
      for (let index = 0; index < 3; index++)
        expect(await pixels(train, index)).toEqual(await pixels(clean.train, index));
      expect(await pixels(test, 1)).toEqual(await pixels(clean.test, 1));
    });

    it("stops early in a folder of nothing else", async () => {
      const names = Array.from({ length: 200 }, (_, n) => [`train/cat/bad-${n}.jpg`, "text"]);
      const error = await failure(open({ ...twoClasses, ...Object.fromEntries(names) }));
      const lines = error.message.split("\n");
      expect(lines.length).toBe(10);
      expect(lines[9]).toMatch(
        /; these and at least \d+ more, --skip_bad allows 0: replace the files, or raise --skip_bad$/,
      );
    });

    it("refuses a split of which nothing is left", async () => {
      const error = await failure(
        open({ ...twoClasses, "test/cat/1.png": "text", "test/dog/1.png": "text" }, { skipBad: 2 }),
      );
      expect(error.message).toContain("must hold readable images in every split");
    });

    it("counts those of the validation split with the others, and lists them last", async () => {
      const files = { ...threeSplits, "test/dog/2.png": "text", "val/dog/1.png": "text" };
      const error = await failure(open(files, { skipBad: 1 }));
      expect(error.message.split("\n")[1]).toMatch(
        /val.dog.1\.png: must be a whole image, .*; 2 in all, --skip_bad allows 1/,
      );
      const { test, val } = await open(files, { skipBad: 2 });
      expect([[...test.labels], [...val!.labels]]).toEqual([
        [0, 1],
        [0, 1],
      ]);
      expect([...(await pixels(val!, 1)).subarray(0, 3)]).toEqual([170, 180, 190]);
    });
  });

  describe("with a cache", () => {
    it("reads the decoded bytes the second time, as long as the folder is the same", async () => {
      const dataDir = await makeFolder(twoClasses);
      const cacheDir = join(folder, `cache-${serial++}`);
      const decodedImages = async (): Promise<number> => {
        let decodes = 0;
        const onProgress = (): void => void decodes++;
        const opened = await openImageFolder({ dataDir, imageSize, cacheDir, onProgress });
        expect([...(await pixels(opened.train, 2)).subarray(0, 3)]).toEqual([70, 80, 90]);
        return decodes;
      };
      expect(await decodedImages()).toBe(5);
      expect(await decodedImages()).toBe(0);
      await utimes(join(dataDir, "train/cat/1.png"), 1, 1);
      expect(await decodedImages()).toBe(5);
      const [damaged] = await readdir(cacheDir);
      for (const file of await readdir(cacheDir)) await writeFile(join(cacheDir, file), "damaged");
      expect(damaged).toMatch(/^[0-9a-f]{64}\.images$/);
      expect(await decodedImages()).toBe(5);
    });

    it("decodes anew where a validation image is another", async () => {
      const dataDir = await makeFolder(threeSplits);
      const cacheDir = join(folder, `cache-${serial++}`);
      const firstOfVal = async () => {
        const { val } = await openImageFolder({ dataDir, imageSize, cacheDir });
        return [...(await pixels(val!, 0)).subarray(0, 3)];
      };
      expect([await firstOfVal(), await firstOfVal()]).toEqual([
        [110, 120, 130],
        [110, 120, 130],
      ]);
      await plain(1, 1, 1).png().toFile(join(dataDir, "val/cat/1.png"));
      await utimes(join(dataDir, "val/cat/1.png"), 1, 1);
      expect(await firstOfVal()).toEqual([1, 1, 1]);
    });

    it("works without it where it can't be written", async () => {
      const dataDir = await makeFolder(twoClasses);
      const opened = await openImageFolder({ dataDir, imageSize, cacheDir: join(dataDir, "train/cat/1.png") });
      expect(opened.train.length).toBe(3);
    });
  });
});

/** CRC-32 as PNG has it (ISO 3309), bit by bit. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}

let original: Promise<string> | undefined;
const originalFolder = (): Promise<string> => {
  original ??= makeFolder(twoClasses);
  return original;
};

datasetConformance(
  "an image folder",
  async () => (await openImageFolder({ dataDir: await originalFolder(), imageSize })).train,
  async () => {
    const dataDir = join(folder, `copy-${serial++}`);
    await cp(await originalFolder(), dataDir, { recursive: true });
    await plain(70, 80, 91).png().toFile(join(dataDir, "train/dog/1.png"));
    return (await openImageFolder({ dataDir, imageSize })).train;
  },
);

datasetConformance(
  "the validation split of an image folder",
  async () => (await open(threeSplits)).val!,
  async () => (await open({ ...threeSplits, "val/dog/2.png": plain(170, 180, 191).png() })).val!,
);
