import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { downloadCifar } from "../../src/data/download-cifar.ts";
import { type OpenDataOptions, openDataSplits } from "../../src/data/open.ts";

const fixtures = join(import.meta.dirname, "../golden/cifar");
let folder = "";
let serial = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "patchdrop-open-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

async function newFolder(...archives: string[]): Promise<string> {
  const path = join(folder, `case-${serial++}`);
  await mkdir(path);
  for (const archive of archives) await copyFile(join(fixtures, archive), join(path, archive));
  return path;
}

async function failure(options: OpenDataOptions): Promise<{ message: string; exitCode: number }> {
  return openDataSplits(options).then(
    () => Promise.reject(new Error("it was opened")),
    (error: { message: string; exitCode: number }) => error,
  );
}

describe("openDataSplits", () => {
  it("makes the synthetic scenes from the seed", async () => {
    const { train, test } = await openDataSplits({ dataset: "synthetic", imageSize: 32, seed: 3 });
    expect([train.name, train.length, test.length]).toEqual(["synthetic", 8000, 2000]);
  });

  it("finds what lies in the folder, and the preferred of two", async () => {
    const ten = await newFolder("cifar-10-python.tar.gz");
    const both = await newFolder("cifar-10-binary.tar.gz", "cifar-100-binary.tar.gz");
    const nameIn = async (options: Omit<OpenDataOptions, "imageSize">): Promise<string> =>
      (await openDataSplits({ imageSize: 32, ...options })).train.name;
    expect(await nameIn({ dataDir: ten })).toBe("CIFAR-10");
    expect(await nameIn({ dataDir: both, preferred: "cifar100" })).toBe("CIFAR-100");
    expect(await nameIn({ dataDir: both, dataset: "cifar10", preferred: "cifar100" })).toBe("CIFAR-10");
    expect(await nameIn({ dataDir: ten, preferred: "cifar100" })).toBe("CIFAR-10");
  });

  it("finds class folders, and lists the files it left out", async () => {
    const dataDir = await newFolder();
    for (const split of ["train", "val"]) {
      await mkdir(join(dataDir, split, "a"), { recursive: true });
      const image = sharp({ create: { width: 20, height: 20, channels: 3, background: "red" } });
      await image.png().toFile(join(dataDir, split, "a", "1.png"));
    }
    const bad = join(dataDir, "train", "a", "2.png");
    await copyFile(join(fixtures, "cifar-10-binary.tar.gz"), bad);
    const said: string[] = [];
    const { train } = await openDataSplits({
      dataDir,
      imageSize: 16,
      transform: "cifar",
      skipBad: 1,
      cacheDir: join(dataDir, "cache"),
      say: (text) => said.push(text),
    });
    expect([train.imageSize, train.length, train.normalization.mean[0]]).toEqual([16, 1, 125.3 / 255]);
    expect(said).toEqual([expect.stringMatching(`^skipped ${bad}: `)]);
  });

  it("finds lists, before class folders, and resizes larger images as ImageNet's", async () => {
    const dataDir = await newFolder();
    // White but for its outermost pixels: from 16 × 16 shrunk by ImageNet's 256/224 the middle of 14 has lost them.
    const white = sharp({ create: { width: 14, height: 14, channels: 3, background: "white" } });
    const framed = white.extend({ top: 1, bottom: 1, left: 1, right: 1, background: "black" }).png();
    await mkdir(join(dataDir, "train", "a"), { recursive: true });
    await framed.toFile(join(dataDir, "train", "a", "1.png"));
    await copyFile(join(dataDir, "train", "a", "1.png"), join(dataDir, "2.png"));
    await writeFile(join(dataDir, "train.csv"), "0,train/a/1.png\n");
    await writeFile(join(dataDir, "test.csv"), "0,2.png\n");
    const { train } = await openDataSplits({ dataDir, imageSize: 14 });
    expect([train.length, train.classes]).toEqual([1, ["0"]]);
    const image = new Uint8Array(14 * 14 * 3);
    await train.read(Uint32Array.of(0), image);
    expect(new Set(image)).toEqual(new Set([255]));
  });

  it("says what it passes over among class folders", async () => {
    const dataDir = await newFolder();
    for (const name of ["train/a/1.png", "train/a/2.bmp", "train/notes.txt", "test/a/1.png"]) {
      await mkdir(join(dataDir, name, ".."), { recursive: true });
      await writeFile(join(dataDir, name), "");
    }
    const said: string[] = [];
    await openDataSplits({ dataDir, imageSize: 14, say: (text) => said.push(text) });
    const images = "images lie in class folders and end in .jpg, .jpeg, .png, .webp, .tif, .tiff";
    expect(said).toEqual([`${dataDir}: passed over: 1 .txt beside the class folders, 1 .bmp; ${images}`]);
  });

  it("says which folders it passes over beside the splits, and what one that others call so is to be called", async () => {
    const dataDir = await newFolder();
    const put = async (...names: string[]) => {
      for (const name of names) {
        await mkdir(join(dataDir, name, ".."), { recursive: true });
        await writeFile(join(dataDir, name), "");
      }
    };
    await put("train/a/1.png", "valid/a/1.png", ".cache/a/1.png");
    expect((await failure({ dataDir, imageSize: 14 })).message).toBe(
      `${dataDir}: must hold test images in test/<class>/ or val/<class>/, got valid/; rename it to val/`,
    );
    const said: string[] = [];
    const open = () => openDataSplits({ dataDir, imageSize: 14, say: (text) => said.push(text) });
    await put("test/a/1.png");
    await open();
    await rm(join(dataDir, "valid"), { recursive: true });
    await put(...["f", "b", "c", "d", "e", "g", "h"].map((name) => `${name}/1.png`));
    await open();
    const images = "images lie in train/, test/ and val/";
    expect(said).toEqual([
      `${dataDir}: passed over beside train/: valid/; ${images}; to choose by the images in valid/, call it val/`,
      `${dataDir}: passed over beside train/: b/, c/, d/, e/, f/ and 2 others; ${images}`,
    ]);
  });

  it("says which lists it does not read beside class folders", async () => {
    const dataDir = await newFolder();
    for (const name of ["train/a/1.png", "test/a/1.png", "val.csv", "train.csv"]) {
      await mkdir(join(dataDir, name, ".."), { recursive: true });
      await writeFile(join(dataDir, name), "");
    }
    const said: string[] = [];
    const open = () => openDataSplits({ dataDir, dataset: "folder", imageSize: 14, say: (text) => said.push(text) });
    await open();
    const next = "lists are read where train.csv and test.csv are both there";
    expect(said).toEqual([`${dataDir}: warning: passed over: train.csv, val.csv; ${next}`]);
    await writeFile(join(dataDir, "test.csv"), "");
    await open();
    expect(said).toHaveLength(1);
  });

  it("says what it looked for", async () => {
    const dataDir = await newFolder();
    const error = await failure({ dataDir, imageSize: 32 });
    expect(error.message).toContain(`${dataDir}: must hold CIFAR-10 (cifar-10-batches-bin/, cifar-10-binary.tar.gz, `);
    expect(error.message).toContain(" or their files), CIFAR-100 (cifar-100-binary/, cifar-100-binary.tar.gz, ");
    expect(error.message).toContain("or class folders (train/<class>/); check --data_dir, or use --dataset synthetic");
    expect(error.exitCode).toBe(3);
  });

  it("knows a part of a data set", async () => {
    const dataDir = await newFolder();
    await mkdir(join(dataDir, "train", "a"), { recursive: true });
    await mkdir(join(dataDir, "test", "a"), { recursive: true });
    for (const part of ["train", "train/../test/"]) {
      const { message } = await failure({ dataDir: join(dataDir, part), imageSize: 32 });
      expect(message).toBe(`${join(dataDir, part)}: must be a data set, and is a part of one; give ${dataDir}`);
    }
  });

  it("names a folder that is not there, and one that was not given", async () => {
    const dataDir = join(folder, "nowhere");
    const absent = await failure({ dataDir, dataset: "cifar10", imageSize: 32 });
    expect(absent.message).toBe(`${dataDir}: must be a folder that can be read, got no such folder; check --data_dir`);
    expect(absent.exitCode).toBe(3);
    const relative = await failure({ dataDir: "nowhere", dataset: "cifar10", imageSize: 32 });
    expect(relative.message).toContain(`no such folder; check --data_dir: it is looked for in ${process.cwd()}`);
    const none = await failure({ imageSize: 32 });
    expect(none.message).toContain(
      "--data_dir: must name the folder of the data set; give it, or use --dataset synthetic",
    );
    expect(none.exitCode).toBe(2);
  });

  it("refuses CIFAR and the scenes for a model of another size", async () => {
    const error = await failure({ dataset: "synthetic", imageSize: 112 });
    expect(error.message).toContain("--dataset synthetic: has images of 32 × 32, the model takes 112 × 112");
    expect(error.exitCode).toBe(2);
  });

  it("refuses a folder beside a data set that needs none, and would not be looked at", async () => {
    const error = await failure({ dataset: "synthetic", dataDir: folder, imageSize: 32 });
    expect(error.message).toBe(
      `--data_dir: must be left out with --dataset synthetic, which needs no files, got ${folder}; or give --dataset folder, csv or cifar10`,
    );
    expect(error.exitCode).toBe(2);
  });

  it("refuses to download what is not to be had", async () => {
    const error = await failure({ dataset: "folder", dataDir: folder, download: true, imageSize: 32 });
    expect(error.message).toBe("--download: works only with cifar10, cifar100, cifar100_coarse, got folder");
    expect(error.exitCode).toBe(2);
    const nowhere = await failure({ download: true, imageSize: 32 });
    expect(nowhere.message).toBe("--download: needs --data_dir, the folder to download into");
  });

  it("downloads nothing when it is there already", async () => {
    vi.stubEnv("PATCHDROP_CIFAR10_URL", "http://127.0.0.1:1/nothing-listens-here");
    const dataDir = await newFolder("cifar-10-python.tar.gz");
    const { train } = await openDataSplits({ dataDir, download: true, imageSize: 32 });
    expect(train.name).toBe("CIFAR-10");
  });
});

describe("downloadCifar", () => {
  it("asks the address given, and holds what comes against the official checksum", async () => {
    const asked: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url);
      response.end("not CIFAR");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      vi.stubEnv("PATCHDROP_CIFAR100_URL", `${url}/mirror`);
      await expect(downloadCifar("cifar100", folder)).rejects.toThrow(
        "must have the md5 checksum 03b5dce01913d631647c71ecec9e9cb8, got ",
      );
      await expect(downloadCifar("cifar10", folder, { url: `${url}/given` })).rejects.toThrow(
        "must have the md5 checksum c32a1d4ab5d03f1284b67883e8d87530, got ",
      );
      expect(asked).toEqual(["/mirror", "/given"]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
