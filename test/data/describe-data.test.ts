import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeData } from "../../src/data/describe-data.ts";

let folder = "";
let serial = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "patchdrop-describe-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Sizes = Record<string, readonly [width: number, height: number] | "text">;

async function makeFolder(files: Sizes): Promise<string> {
  const path = join(folder, `case-${serial++}`);
  for (const [name, size] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    if (size === "text") await writeFile(join(path, name), size);
    else await plain(...size).toFile(join(path, name));
  }
  return path;
}

function plain(width: number, height: number) {
  return sharp({ create: { width, height, channels: 3, background: "red" } });
}

const test: Sizes = { "test/cat/0.png": [900, 900], "test/dog/0.png": [900, 900] };

describe("describeData", () => {
  it("tells the middle one of the sizes of training images", async () => {
    const data_dir = await makeFolder({
      ...test,
      "train/cat/0.png": [20, 30],
      "train/cat/1.png": [600, 450],
      "train/dog/0.png": [2, 700],
    });
    const facts = { dataset: "folder", classes: 2, pictures: { width: 600, height: 450 } };
    expect(await describeData({ data_dir })).toEqual(facts);
    expect(await describeData({ data_dir, dataset: "folder" })).toEqual(facts);
  });

  it("looks at 64 images at most, spread over all", async () => {
    // Of 3 × 64 images every third is looked at: 0, 3, …; all others are of another size.
    const data_dir = await makeFolder({ "test/a/0.png": [8, 8] });
    await mkdir(join(data_dir, "train/a"), { recursive: true });
    await plain(8, 8).toFile(join(folder, "small.png"));
    await plain(40, 30).toFile(join(folder, "large.png"));
    for (let n = 0; n < 3 * 64; n++) {
      const name = `train/a/${String(n).padStart(3, "0")}.png`;
      await copyFile(join(folder, n % 3 === 0 ? "large.png" : "small.png"), join(data_dir, name));
    }
    expect((await describeData({ data_dir })).pictures).toEqual({ width: 40, height: 30 });
  });

  it("turns an image as EXIF says", async () => {
    const data_dir = await makeFolder({ "test/a/0.png": [8, 8] });
    await mkdir(join(data_dir, "train/a"), { recursive: true });
    await plain(60, 40).withMetadata({ orientation: 6 }).jpeg().toFile(join(data_dir, "train/a/0.jpg"));
    expect((await describeData({ data_dir })).pictures).toEqual({ width: 40, height: 60 });
  });

  it("reads lists, and passes over what is no image", async () => {
    const data_dir = await makeFolder({ "a.png": "text", "b.png": [50, 60], "c.png": [50, 60] });
    await writeFile(join(data_dir, "train.csv"), "0,a.png\n1,b.png\n2,none.png\n");
    await writeFile(join(data_dir, "test.csv"), "1,c.png\n");
    expect(await describeData({ data_dir })).toEqual({
      ...{ dataset: "csv", classes: 3, pictures: { width: 50, height: 60 } },
    });
  });

  it("knows data sets of one size without reading them", async () => {
    const scenes = { dataset: "synthetic", classes: 10, pictures: { width: 32, height: 32 } };
    expect(await describeData({ dataset: "synthetic" })).toEqual(scenes);
    expect(await describeData({ dataset: "cifar100_coarse", data_dir: "/nowhere" })).toMatchObject({ classes: 20 });
    const fixtures = join(import.meta.dirname, "../golden/cifar/cifar-100-binary.tar.gz");
    expect(await describeData({ data_dir: fixtures })).toMatchObject({ dataset: "cifar100", classes: 100 });
    expect(await describeData({ data_dir: folder, download: true })).toMatchObject({ dataset: "cifar10" });
  });

  it("says when there is nothing to describe", async () => {
    const data_dir = await makeFolder({ ...test, "train/cat/0.png": "text", "train/dog/0.png": "text" });
    await expect(describeData({ data_dir })).rejects.toThrow(
      `${data_dir}: must hold images that can be read, got none of 2; \`patchdrop data check\` names all that can't`,
    );
    await expect(describeData({})).rejects.toThrow("--data_dir: must name the folder of the data set");
  });
});
