/** A folder of class folders that is divided into training and test images by lists. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { listCsv } from "../../src/data/csv-list.ts";
import { findDataset, readersFrom } from "../../src/data/dataset-registry.ts";
import { splitFolder } from "../../src/data/split-folder.ts";

const root = mkdtempSync(join(tmpdir(), "patchdrop-split-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let serial = 0;

/** A folder with so many images of each class; nothing looks into them. */
function makeFlat(counts: Record<string, number>, ending = ".jpg"): string {
  const folder = join(root, `case-${serial++}`);
  for (const [name, count] of Object.entries(counts)) {
    for (let n = 0; n < count; n++) {
      const path = join(folder, name, `${name.replaceAll("/", "-")} ${n}${ending}`);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, "image");
    }
  }
  return folder;
}

const linesOf = (folder: string, list: string) => readFileSync(join(folder, list), "utf8").trimEnd().split("\n");

describe("splitFolder", () => {
  it("lists each image once, and as many of each class for testing as are nearest to the share", async () => {
    const folder = makeFlat({ meadow: 10, 'say "sea", river': 7 });
    writeFileSync(join(folder, "LICENSE.txt"), "");
    writeFileSync(join(folder, "meadow", "meadow.xml"), "");
    const passedOver = { ".txt beside the class folders": 1, ".xml": 1 };
    expect(await splitFolder(folder, 0.2)).toEqual({ classes: 2, train: 14, test: 3, passedOver }); // 2 of 10 and 1.4 of 7
    expect(linesOf(folder, "classes.txt")).toEqual(["meadow", 'say "sea", river']);
    const [header, ...test] = linesOf(folder, "test.csv");
    expect(header).toBe("label,location");
    expect(test.map((line) => line[0])).toEqual(["0", "0", "1"]);
    expect(test[2]).toMatch(/^1,"say ""sea"", river\/say ""sea"", river \d\.jpg"$/);
    const { classes, train, test: tested } = await listCsv(folder);
    expect(classes).toEqual(["meadow", 'say "sea", river']);
    const paths = [...train, ...tested].map(({ path }) => path);
    expect(new Set(paths).size).toBe(17);
  });

  it("divides the same folder in the same way, wherever it lies", async () => {
    const [one, other] = [1, 2].map(() => makeFlat({ a: 20, b: 20 }));
    for (const folder of [one, other]) await splitFolder(folder, 0.25);
    expect(linesOf(one, "test.csv")).toEqual(linesOf(other, "test.csv"));
    expect(linesOf(one, "test.csv")).toHaveLength(11);
  });

  it.each<[string, () => string, number, string]>([
    [
      "a class of which none would be tested",
      () => makeFlat({ a: 2, b: 9 }),
      0.2,
      "0 of 2 for testing with --test_fraction 0.2",
    ],
    ["a class of which all would be", () => makeFlat({ a: 1, b: 9 }), 0.5, "1 of 1 for testing"],
    ["one class", () => makeFlat({ a: 9 }), 0.2, "two classes or more, got 1 folders"],
    ["splits", () => makeFlat({ "train/a": 9, "test/a": 9 }), 0.2, "not divided yet, got a folder train/"],
    ["folders without images", () => makeFlat({ a: 3, b: 3 }, ".txt"), 0.5, "must hold at least one image"],
    ["a name with a line break", () => makeFlat({ a: 3, "b\nc": 3 }), 0.5, "no line break, got b\\nc"],
  ])("refuses %s", async (_, make, share, said) => {
    const folder = make();
    await expect(splitFolder(folder, share)).rejects.toThrow(said);
    expect(() => readFileSync(join(folder, "train.csv"))).toThrow("ENOENT");
  });

  it("writes over no list", async () => {
    const folder = makeFlat({ a: 3, b: 3 });
    await splitFolder(folder, 0.5);
    const before = linesOf(folder, "train.csv");
    await expect(splitFolder(folder, 0.3)).rejects.toThrow("classes.txt: must not be there yet");
    expect(linesOf(folder, "train.csv")).toEqual(before);
  });
});

it("what is given as a data set and is not divided is told how it can be", async () => {
  const folder = makeFlat({ a: 3, b: 3 });
  const said = `divide its images: patchdrop data split --data_dir ${folder}`;
  await expect(findDataset(folder, await readersFrom())).rejects.toThrow(said);
  await expect(findDataset(makeFlat({ a: 3 }), await readersFrom())).rejects.toThrow("check --data_dir");
});
