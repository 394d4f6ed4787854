import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import fc from "fast-check";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listCsv } from "../../src/data/csv-list.ts";
import { isFault, readBoxes } from "../../src/data/fmow/annotation.ts";
import { cropRegion, isTiny, overhangs, overlaps } from "../../src/data/fmow/boxes.ts";
import { fmowCategories } from "../../src/data/fmow/categories.ts";
import { type CropCounts, type CropFmowOptions, cropFmow } from "../../src/data/fmow/crop.ts";
import type { Region } from "../../src/data/resize.ts";
import { mutations } from "../fuzz.ts";

const script = fileURLToPath(new URL("../../scripts/fixtures/make-fmow.mjs", import.meta.url));

let folder = "";
let tree = "";
let serial = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "patchdrop-fmow-"));
  tree = join(folder, "tree");
  await promisify(execFile)(process.execPath, [script, tree]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function fresh(name: string): string {
  return join(folder, `${name}-${serial++}`);
}

/** A copy of the tree, some of its files written anew. */
async function treeWith(files: Record<string, unknown>): Promise<string> {
  const copy = fresh("tree");
  await cp(tree, copy, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    await writeFile(join(copy, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return copy;
}

/** The tree with one annotation of these boxes. */
async function treeWithBoxes(...bounding_boxes: unknown[]): Promise<string> {
  return treeWith({ "train/airport/airport_0/airport_0_0_rgb.json": { bounding_boxes } });
}

/** Name and bytes of all files. */
async function content(root: string): Promise<Record<string, string>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const read = async (file: string) => [file.slice(root.length + 1), (await readFile(file)).toString("base64")];
  return Object.fromEntries(await Promise.all(files.sort().map(read)));
}

async function failure(promise: Promise<unknown>): Promise<{ message: string; exitCode: number }> {
  return promise.then(
    () => Promise.reject(new Error("it was done")),
    (error: { message: string; exitCode: number }) => error,
  );
}

describe("fmowCategories", () => {
  it("has the 62 in alphabetical order", () => {
    expect(fmowCategories.length).toBe(62);
    expect([...fmowCategories].sort()).toEqual(fmowCategories);
    expect([fmowCategories[0], fmowCategories[6], fmowCategories[38], fmowCategories[61]]).toEqual([
      "airport",
      "barn",
      "port",
      "zoo",
    ]);
  });
});

describe("cropRegion", () => {
  const image = { width: 1000, height: 1000 };

  // int(side × m / 2), by hand; each pair stands on both sides of a threshold.
  it.each([
    [999, 74], // 0.15 × 999 / 2 = 74.925
    [500, 37], // 0.15 × 500 / 2 = 37.5
    [499, 49], // 0.2 × 499 / 2 = 49.9
    [400, 40], // 0.2 × 400 / 2
    [399, 59], // 0.3 × 399 / 2 = 59.85
    [300, 45], // 0.3 × 300 / 2
    [299, 74], // 0.5 × 299 / 2 = 74.75
    [200, 50], // 0.5 × 200 / 2
    [199, 99], // 1 × 199 / 2 = 99.5
    [100, 50], // 1 × 100 / 2
    [99, 99], // 2 × 99 / 2
    [3, 3], // 2 × 3 / 2
  ])("widens a side of %i of 1000 by %i on both ends", (side, margin) => {
    const wide = cropRegion({ left: 300, top: 300, width: side, height: 600 }, image);
    expect(wide.left).toBe(300 - margin);
    expect(wide.left + wide.width).toBe(Math.min(300 + side + margin, 1000));
    // 0.15 × 600 / 2 = 45: the other axis has a ratio of its own.
    expect([wide.top, wide.height]).toEqual([255, 690]);
    const tall = cropRegion({ left: 300, top: 300, width: 600, height: side }, image);
    expect([tall.top, tall.height, tall.left, tall.width]).toEqual([wide.left, wide.width, 255, 690]);
  });

  it("compares width with width and height with height", () => {
    // 100 of 200 is 0.5: 0.15 × 100 / 2 = 7.5; 100 of 1000 is 0.1: 1 × 100 / 2 = 50
    const region = cropRegion({ left: 50, top: 400, width: 100, height: 100 }, { width: 200, height: 1000 });
    expect(region).toEqual({ left: 43, top: 350, width: 114, height: 200 });
  });

  it("is cut off at every edge", () => {
    expect(cropRegion({ left: 10, top: 990, width: 100, height: 50 }, image)).toEqual({
      left: 0, // 10 − 50
      top: 940, // 990 − 2 × 50 / 2
      width: 160, // to 10 + 100 + 50
      height: 60,
    });
    expect(cropRegion({ left: -20, top: 0, width: 30, height: 2000 }, image)).toEqual({
      left: 0,
      top: 0,
      width: 40, // to −20 + 30 + 30
      height: 1000,
    });
  });

  it("stays within the image for every box that overlaps it", () => {
    const box = fc.record<Region>({
      left: fc.integer({ min: -300, max: 300 }),
      top: fc.integer({ min: -300, max: 300 }),
      width: fc.integer({ min: 3, max: 600 }),
      height: fc.integer({ min: 3, max: 600 }),
    });
    const size = fc.record({ width: fc.integer({ min: 1, max: 300 }), height: fc.integer({ min: 1, max: 300 }) });
    const holds = (region: Region, { width, height }: { width: number; height: number }): void => {
      fc.pre(overlaps(region, { width, height }));
      const { left, top, ...cut } = cropRegion(region, { width, height });
      expect(Math.min(left, top, cut.width - 1, cut.height - 1)).toBeGreaterThanOrEqual(0);
      expect(left + cut.width).toBeLessThanOrEqual(width);
      expect(top + cut.height).toBeLessThanOrEqual(height);
    };
    fc.assert(fc.property(box, size, holds), { numRuns: mutations });
  });

  it("tells tiny, overhanging and outside boxes at their limits", () => {
    const box = { left: 0, top: 0, width: 1000, height: 1000 };
    expect([isTiny({ width: 2, height: 9 }), isTiny({ width: 9, height: 2 }), isTiny({ width: 3, height: 3 })]).toEqual(
      [true, true, false],
    );
    expect(overhangs(box, image)).toBe(false);
    for (const over of [{ left: 1 }, { left: -1 }, { top: 1 }, { top: -1 }]) {
      expect(overhangs({ ...box, ...over }, image)).toBe(true);
    }
    const small = { ...box, width: 10, height: 10 };
    for (const out of [{ left: 1000 }, { top: 1000 }, { left: -10 }, { top: -10 }]) {
      expect(overlaps({ ...small, ...out }, image)).toBe(false);
    }
    for (const touching of [{ left: 999 }, { top: 999 }, { left: -9 }, { top: -9 }]) {
      expect(overlaps({ ...small, ...touching }, image)).toBe(true);
    }
  });
});

describe("readBoxes", () => {
  const read = (value: unknown) => readBoxes(JSON.stringify(value), "a.json");
  const good = { ID: 4, box: [1, 2, 3, 4], category: "zoo" };
  const faults = (...boxes: unknown[]) =>
    read({ bounding_boxes: boxes }).map((entry) =>
      isFault(entry) ? `${entry.where}: ${entry.rule}, ${entry.got}` : "",
    );

  it("reads boxes, with and without category, in a list or alone", () => {
    const box = { left: 1, top: 2, width: 3, height: 4, category: "zoo", id: 4 };
    expect(read({ bounding_boxes: [good] })).toEqual([box]);
    expect(read({ bounding_boxes: good })).toEqual([box]);
    expect(read({ bounding_boxes: [{ ID: 4, box: [1, 2, 3, 4] }] })).toEqual([{ ...box, category: undefined }]);
  });

  it("names the field of each bad box, and keeps the others", () => {
    const number = "must be a whole number";
    expect(
      faults(
        { ...good, box: [1, 2, -5, 4] },
        good,
        { ...good, box: ["12", 2, 3, 4] },
        { ...good, box: [1, null, 3, 4] },
        { ...good, box: [1, 2, 3, 0.5] },
        { ...good, box: [1e300, 2, 3, 4] },
        { ...good, box: [1, 2, 3] },
        { ...good, box: [] },
        { ID: 4 },
        "box",
        { ...good, category: "castle" },
        { ...good, category: 61 },
        { ...good, category: "__proto__" },
      ),
    ).toEqual([
      `a.json: bounding_boxes[0].box[2]: ${number} of pixels, 0 or more, -5`,
      "",
      `a.json: bounding_boxes[2].box[0]: ${number}, the text 12`,
      `a.json: bounding_boxes[3].box[1]: ${number}, null`,
      `a.json: bounding_boxes[4].box[3]: ${number} of pixels, 0 or more, 0.5`,
      `a.json: bounding_boxes[5].box[0]: ${number}, 1e+300`,
      "a.json: bounding_boxes[6].box: must be four numbers [x, y, width, height], a list of 3",
      "a.json: bounding_boxes[7].box: must be four numbers [x, y, width, height], a list of 0",
      "a.json: bounding_boxes[8].box: must be four numbers [x, y, width, height], nothing",
      "a.json: bounding_boxes[9]: must be an object with a box, a string",
      "a.json: bounding_boxes[10].category: must be one of fMoW's 62 categories, the text castle",
      "a.json: bounding_boxes[11].category: must be one of fMoW's 62 categories, 61",
      "a.json: bounding_boxes[12].category: must be one of fMoW's 62 categories, the text __proto__",
    ]);
  });

  it("names the file where there are no boxes to name", () => {
    const none = { where: "a.json: bounding_boxes", rule: "must hold at least one box" };
    for (const value of [{}, { bounding_boxes: [] }, { bounding_boxes: null }]) expect(read(value)).toEqual([none]);
    const shape = { where: "a.json", rule: "must be an object with bounding_boxes" };
    expect(read([good])).toEqual([{ ...shape, got: "a list" }]);
    expect(read(null)).toEqual([{ ...shape, got: "null" }]);
    expect(readBoxes('{"bounding_boxes": [', "a.json")).toEqual([
      { where: "a.json", rule: "must be JSON", got: expect.stringContaining("Unexpected end") },
    ]);
  });

  it("refuses boxes of an image of another size", () => {
    const of = (sizes: object) => readBoxes(JSON.stringify({ ...sizes, bounding_boxes: [good] }), "a.json", image);
    const image = { width: 1000, height: 500 };
    const read = [expect.objectContaining({ left: 1, category: "zoo" })];
    expect(of({})).toEqual(read);
    expect(of({ img_width: 1000, img_height: 500 })).toEqual(read);
    expect(of({ img_width: 4000, img_height: 2000 })).toEqual([
      {
        where: "a.json",
        rule: "img_width and img_height must be the image's, 1000 and 500",
        got: "4000 and 2000",
        next: "use the image that was annotated",
      },
    ]);
  });

  it("reads what Python writes", () => {
    const text = `\ufeff{"cloud_cover": NaN, "angles": [-Infinity, Infinity], "bounding_boxes": [${JSON.stringify(good)}]}`;
    expect(readBoxes(text, "a.json")).toEqual(read({ bounding_boxes: [good] }));
    // Where the number counts, it is refused.
    expect(readBoxes('{"bounding_boxes": [{"box": [1, NaN, 3, 4]}]}', "a.json")).toEqual([
      { where: "a.json: bounding_boxes[0].box[1]", rule: "must be a whole number", got: "null" },
    ]);
  });

  it("gives boxes or faults whatever it reads", () => {
    const number = fc.oneof(fc.integer(), fc.double(), fc.string(), fc.constant(null));
    const entry = fc.record(
      {
        ID: fc.anything(),
        box: fc.array(number, { maxLength: 5 }),
        category: fc.oneof(fc.string(), fc.constant("zoo")),
      },
      { requiredKeys: [] },
    );
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc.record({ bounding_boxes: fc.oneof(fc.array(entry), fc.jsonValue()) }).map((value) => JSON.stringify(value)),
    );
    const holds = (given: string): void => {
      const entries = readBoxes(given, "a.json");
      expect(entries.length).toBeGreaterThan(0);
      for (const found of entries) {
        if (isFault(found)) expect(found.where).toMatch(/^a\.json/);
        else {
          expect([found.left, found.top, found.width, found.height].every(Number.isSafeInteger)).toBe(true);
          expect(Math.min(found.width, found.height)).toBeGreaterThanOrEqual(0);
        }
      }
    };
    fc.assert(fc.property(text, holds), { numRuns: mutations });
  });
});

describe("cropFmow", () => {
  // By hand from the boxes of scripts/fixtures/make-fmow.mjs, in images of 320 × 200:
  const crops = {
    // [100, 60, 160, 100]: both 0.5, so 0.15 × 160 / 2 = 12 and 0.15 × 100 / 2 = 7.5
    airport0: "train/airport/airport_0/airport_0_0_rgb_0_88_53_184x114.jpg",
    // [10, 20, 40, 30]: 0.125 and 0.15, so 40 / 2 = 20 and 30 / 2 = 15; 10 − 20 is cut off at 0
    airport1: "train/airport/airport_0/airport_0_1_rgb_0_0_5_70x60.jpg",
    // [150, 90, 30, 19]: 0.094 and 0.095, so 30 and 19
    zoo: "train/zoo/zoo_1/zoo_1_0_rgb_1_120_71_90x57.jpg",
    // [40, 40, 96, 60]: both 0.3, so 0.3 × 96 / 2 = 14.4 and 0.3 × 60 / 2 = 9
    airportVal: "val/airport/airport_0/airport_0_0_rgb_0_26_31_124x78.jpg",
    // [300, 150, 64, 80]: 0.2 and 0.4, so 0.5 × 64 / 2 = 16 and 0.2 × 80 / 2 = 8; cut off at 320 and 200
    port: "val/port/port_0/port_0_0_rgb_0_284_142_36x58.jpg",
    // as airportVal; the second box of its ground truth
    barn: "test/0000007/0000007_0_rgb_1_26_31_124x78.jpg",
    // the whole image
    unknown: "seq/0000003/0000003_0_rgb_0_0_0_320x200.jpg",
  };
  const lists = {
    "train.csv": `label,location\n0,${crops.airport0}\n0,${crops.airport1}\n61,${crops.zoo}\n`,
    "test.csv": `label,location\n0,${crops.airportVal}\n38,${crops.port}\n6,${crops.barn}\n`,
    "unlabelled.csv": `location\n${crops.unknown}\n`,
    "skipped.csv": [
      "file,reason",
      "train/zoo/zoo_1/zoo_1_0_rgb,2 pixels or less",
      "val/port/port_0/port_0_0_rgb,false detection",
      "test/0000007/0000007_0_rgb,no object (ID -1)\n",
    ].join("\n"),
  };
  const counts: CropCounts = {
    images: 7,
    crops: 7,
    kept: 0,
    train: 3,
    test: 3,
    unlabelled: 1,
    overhanging: 1,
    skipped: { "2 pixels or less": 1, "false detection": 1, "no object (ID -1)": 1 },
    bad: 0,
  };

  async function run(input: string, options: Partial<CropFmowOptions> = {}): Promise<[string, CropCounts]> {
    const output = options.output ?? fresh("crops");
    return [output, await cropFmow({ input, output, ...options })];
  }

  async function expectLists(output: string): Promise<void> {
    for (const [name, text] of Object.entries(lists)) expect(await readFile(join(output, name), "utf8")).toBe(text);
  }

  it("cuts the boxes and lists them", async () => {
    const [output, found] = await run(tree);
    expect(found).toEqual(counts);
    await expectLists(output);
    const names = Object.keys(await content(output));
    expect(names).toEqual([...Object.values(crops), ...Object.keys(lists), "classes.txt"].sort());
  });

  it("cuts the right pixels", async () => {
    const [output] = await run(tree);
    for (const location of Object.values(crops)) {
      const [left, top, width, height] = (/_(\d+)_(\d+)_(\d+)x(\d+)\.jpg$/.exec(location) ?? []).slice(1).map(Number);
      const { data, info } = await sharp(join(output, location)).raw().toBuffer({ resolveWithObject: true });
      expect([info.width, info.height, info.format]).toEqual([width, height, "raw"]);
      // Red tells the column, green the row; JPEG may be off by a little.
      for (const [x, y] of [
        [0, 0],
        [width - 1, height - 1],
      ]) {
        const [red, green, blue] = data.subarray(3 * (y * width + x));
        expect(Math.abs(red - (255 * (left + x)) / 319)).toBeLessThan(4);
        expect(Math.abs(green - (255 * (top + y)) / 199)).toBeLessThan(4);
        expect(Math.abs(blue - 128)).toBeLessThan(4);
      }
    }
  });

  it("makes what listCsv reads, in the folder or below it", async () => {
    const dataDir = fresh("data");
    const [output] = await run(tree, { output: join(dataDir, "fMoW") });
    const { classes, train, test } = await listCsv(dataDir);
    expect(classes).toEqual(fmowCategories);
    expect(train.map(({ path, label }) => [path, label])).toEqual([
      [join(output, crops.airport0), 0],
      [join(output, crops.airport1), 0],
      [join(output, crops.zoo), 61],
    ]);
    expect(test.every(({ size = 0 }) => size > 0)).toBe(true);
    expect((await listCsv(output)).train).toEqual(train);
  });

  it("gives the same files with one image at a time as with many", async () => {
    const [one] = await run(tree, { parallel: 1 });
    const [many] = await run(tree, { parallel: 20 });
    expect(await content(one)).toEqual(await content(many));
  });

  it("decodes nothing the second time", async () => {
    const input = await treeWith({});
    const [output] = await run(input);
    const before = await content(output);
    const images = (await readdir(input, { recursive: true })).filter((name) => name.endsWith("_rgb.jpg"));
    for (const name of images) {
      // Only the header is left, up to where the pixels begin.
      const bytes = await readFile(join(input, name));
      await truncate(join(input, name), bytes.indexOf(Buffer.of(0xff, 0xda)) + 20);
    }
    const [, found] = await run(input, { output });
    expect(found).toEqual({ ...counts, kept: 7 });
    expect(await content(output)).toEqual(before);
  });

  it("goes on where it was cut, and ends with the same files", async () => {
    const [whole] = await run(tree);
    const output = fresh("crops");
    const cut = ({ images }: Readonly<CropCounts>): void => {
      if (images === 3) throw new Error("cut");
    };
    expect((await failure(run(tree, { output, parallel: 2, onProgress: cut }))).message).toContain("cut");
    const names = Object.keys(await content(output));
    expect(names.length).toBeGreaterThanOrEqual(3);
    expect(names.filter((name) => name.endsWith(".csv"))).toEqual([]);
    // What a killed run leaves behind: a crop that has no name yet.
    await mkdir(join(output, ".unfinished"));
    await writeFile(join(output, ".unfinished", "half"), "half");
    const [, found] = await run(tree, { output });
    expect(found).toEqual({ ...counts, kept: names.length });
    expect(await content(output)).toEqual(await content(whole));
  });

  it("makes a crop anew where its box has changed", async () => {
    const [output] = await run(tree);
    const changed = await treeWithBoxes({ ID: 0, box: [100, 60, 160, 110], category: "airport" });
    const [, found] = await run(changed, { output });
    expect([found.crops, found.kept]).toEqual([7, 6]);
  });

  it("takes the category from the folder where the box has none", async () => {
    const [output] = await run(await treeWithBoxes({ box: [100, 60, 160, 100] }));
    await expectLists(output);
  });

  it("cuts the same where a field that is not used is not a number", async () => {
    const bounding_boxes = [{ ID: 0, box: [100, 60, 160, 100], category: "airport" }];
    const text = JSON.stringify({ cloud_cover: 0.5, bounding_boxes }).replace("0.5", "NaN");
    const name = "train/airport/airport_0/airport_0_0_rgb.json";
    const [output] = await run(await treeWith({ [name]: text }));
    await expectLists(output);
  });

  it("lists what ground truth would label as unlabelled without it", async () => {
    const input = await treeWith({});
    await rm(join(input, "test_gt_mapping.json"));
    const [output, { test, unlabelled }] = await run(input);
    expect([test, unlabelled]).toEqual([2, 2]);
    const location = "test/0000007/0000007_0_rgb_0_26_31_124x78.jpg";
    expect(await readFile(join(output, "unlabelled.csv"), "utf8")).toBe(`location\n${location}\n${crops.unknown}\n`);
  });

  it("passes over an annotation without its image", async () => {
    const input = await treeWith({});
    await rm(join(input, "seq/0000003/0000003_0_rgb.jpg"));
    const [, found] = await run(input);
    expect([found.images, found.crops, found.skipped["no image"]]).toEqual([6, 6, 1]);
  });

  describe("given what can't be used", () => {
    const annotation = "train/airport/airport_0/airport_0_0_rgb.json";
    const good = { ID: 1, box: [100, 60, 160, 100], category: "airport" };

    it("stops at the first, and leaves the lists as they were", async () => {
      const input = await treeWithBoxes({ ...good, box: [320, 0, 50, 50] }, good);
      const [output] = await run(tree);
      const error = await failure(run(input, { output }));
      expect(error.message).toBe(
        `${join(input, annotation)}: bounding_boxes[0].box: must overlap the image of 320 × 200, got [320, 0, 50, 50]; --skip_bad allows 0: replace the files, or raise --skip_bad`,
      );
      expect(error.exitCode).toBe(3);
      await expectLists(output);
    });

    it("leaves out so many when allowed, and lists them", async () => {
      const input = await treeWithBoxes(
        { ...good, box: [0, 0, -4, 9] },
        { ...good, category: "castle" },
        { ...good, box: [-60, 0, 50, 50] },
        good,
      );
      await writeFile(join(input, "train/zoo/zoo_1/zoo_1_0_rgb.jpg"), "this is text");
      await rm(join(input, "val/port/port_0/port_0_0_rgb.json"));
      const [output, found] = await run(input, { skipBad: 5 });
      expect([found.bad, found.crops, found.train]).toEqual([5, 5, 2]);
      const [, ...rows] = (await readFile(join(output, "skipped.csv"), "utf8")).trimEnd().split("\n");
      expect(rows.map((row) => row.split(",")[0])).toEqual([
        "train/airport/airport_0/airport_0_0_rgb",
        "train/airport/airport_0/airport_0_0_rgb",
        "train/airport/airport_0/airport_0_0_rgb",
        "train/zoo/zoo_1/zoo_1_0_rgb",
        "val/port/port_0/port_0_0_rgb",
        "test/0000007/0000007_0_rgb",
      ]);
      expect(rows[1]).toContain("bounding_boxes[1].category: must be one of fMoW's 62 categories, got the text castle");
      expect(rows[3]).toMatch(/zoo_1_0_rgb\.jpg: must be a whole image of at most 268435456 pixels$/);
      expect(rows[4]).toContain("port_0_0_rgb.json: must be readable, got ENOENT");
      const error = await failure(run(input, { skipBad: 4 }));
      expect(error.message.split("\n").length).toBe(5);
      expect(error.message).toContain("--skip_bad allows 4: replace the files, or raise --skip_bad");
    });

    it("a truncated image", async () => {
      const input = await treeWith({});
      const image = join(input, "train/airport/airport_0/airport_0_0_rgb.jpg");
      await truncate(image, 2000);
      const error = await failure(run(input));
      expect(error.message).toContain(`${image}: must be a whole image of at most 268435456 pixels; --skip_bad`);
      expect(error.exitCode).toBe(3);
    });

    it("an annotation that is larger than any", async () => {
      const error = await failure(run(await treeWith({ [annotation]: " ".repeat((4 << 20) + 1) })));
      expect(error.message).toContain(`${annotation}: must have at most 4194304 bytes, got 4194305`);
    });

    it("a mapping that leads elsewhere, or is none", async () => {
      const refusal = async (mapping: unknown) => failure(run(await treeWith({ "test_gt_mapping.json": mapping })));
      for (const input of ["../test_gt/a/b", "test_gt/../..", "/etc/passwd", "seq_gt/a/b", 5]) {
        const error = await refusal([{ input, output: "test/0000007" }]);
        expect(error.message).toContain(
          'test_gt_mapping.json: must be a list of {"input": "test_gt/<category>/<name>"',
        );
        expect(error.exitCode).toBe(3);
      }
      expect((await refusal({})).exitCode).toBe(3);
      expect((await refusal("[")).exitCode).toBe(3);
    });

    it("a folder without images", async () => {
      const input = fresh("empty");
      await mkdir(input);
      const error = await failure(run(input));
      expect(error.message).toBe(
        `${input}: must hold train/, val/, test/, seq/ with images named …_rgb.jpg; check --input`,
      );
      expect(error.exitCode).toBe(3);
    });

    it("an output that is a file", async () => {
      const error = await failure(run(tree, { output: script }));
      expect(error.message).toContain("must be readable and writable");
      expect(error.exitCode).toBe(5);
    });
  });
});
