import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CsvListOptions, isCsvList, listCsv } from "../../src/data/csv-list.ts";
import { fmowCategories } from "../../src/data/fmow/categories.ts";
import type { ImageList } from "../../src/data/image-list.ts";
import { PatchDropError } from "../../src/errors.ts";
import { mutations } from "../fuzz.ts";

let folder = "";
let serial = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "patchdrop-csv-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A data folder of these files; test.csv lists one image of class 0 unless it is given. */
async function make(files: Record<string, string>): Promise<string> {
  const dataDir = join(folder, `case-${serial++}`);
  for (const [name, content] of Object.entries({ "test.csv": "0,t.jpg\n", ...files })) {
    const path = join(dataDir, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
  return dataDir;
}

/** Labels and locations of the training list, the locations as they stand below the data folder. */
async function trainOf(files: Record<string, string>): Promise<[number, string][]> {
  const dataDir = await make(files);
  const { train } = await listCsv(dataDir);
  return train.map(({ label, path }) => [label, path.slice(dataDir.length + 1)]);
}

async function refusal(files: Record<string, string>, options?: CsvListOptions) {
  const dataDir = await make(files);
  const error = await listCsv(dataDir, options).then(
    () => Promise.reject(new Error("it was read")),
    (thrown: PatchDropError) => thrown,
  );
  return { lines: error.message.replaceAll(dataDir, "D").split("\n"), exitCode: error.exitCode };
}

describe("listCsv", () => {
  const two: [number, string][] = [
    [0, "a.jpg"],
    [1, "b/c.jpg"],
  ];

  it.each([
    ["no header", "0,a.jpg\n1,b/c.jpg\n"],
    ["a header", "label,location\n0,a.jpg\n1,b/c.jpg\n"],
    ["another header", "class,image\n0,a.jpg\n1,b/c.jpg\n"],
    ["columns in another order, and more of them", "Location,id,LABEL\na.jpg,x,0\nb/c.jpg,y,1\n"],
    ["pandas' index", ",label,location\n0,0,a.jpg\n1,1,b/c.jpg\n"],
    ["a byte order mark", "\ufeff0,a.jpg\n1,b/c.jpg\n"],
    ["a byte order mark before a header", "\ufefflabel,location\n0,a.jpg\n1,b/c.jpg\n"],
    ["CRLF", "label,location\r\n0,a.jpg\r\n1,b/c.jpg\r\n"],
    ["quotes", '"label","location"\n"0","a.jpg"\n1,"b/c.jpg"\n'],
    ["empty lines, and none at the end", "\n0,a.jpg\n\n\n1,b/c.jpg"],
    ["spaces around labels", " 0 ,a.jpg\n1 ,b/c.jpg\n"],
  ])("reads a list with %s", async (_, csv) => {
    expect(await trainOf({ "train.csv": csv })).toEqual(two);
  });

  it("keeps commas, quotes and line breaks of a quoted location", async () => {
    const csv = '0,"a,b.jpg"\n0,"say ""cheese"".jpg"\n1,"two\nlines.jpg"\n';
    expect(await trainOf({ "train.csv": csv })).toEqual([
      [0, "a,b.jpg"],
      [0, 'say "cheese".jpg'],
      [1, "two\nlines.jpg"],
    ]);
  });

  it("gives sizes, and none for files that are not there", async () => {
    const { train, test } = await listCsv(await make({ "train.csv": "0,a.jpg\n0,no.jpg\n", "a.jpg": "12345" }));
    expect(train.map(({ size }) => size)).toEqual([5, undefined]);
    expect(train[0].modifiedMs).toBeGreaterThan(0);
    expect(test.map(({ label, size }) => [label, size])).toEqual([[0, undefined]]);
  });

  it("looks beside the list first, then in the data folder", async () => {
    const files = {
      "fMoW/train.csv": "0,a.jpg\n0,b.jpg\n0,c.jpg\n0,../d.jpg\n",
      "fMoW/test.csv": "61,t.jpg\n",
      "fMoW/a.jpg": "beside",
      "a.jpg": "above",
      "b.jpg": "above",
    };
    expect(await trainOf(files)).toEqual([
      [0, "fMoW/a.jpg"],
      [0, "b.jpg"],
      [0, "fMoW/c.jpg"],
      [0, "d.jpg"],
    ]);
  });

  it("finds what is written with a space behind the comma, with backslashes, or with other accents", async () => {
    const files = {
      "train.csv": "label, location\n0, a.jpg\n0,b\\c.jpg\n0, b\\d.jpg\n0,for\u00eat.jpg\n0,mare\u0301e.jpg\n",
      ...{ "a.jpg": "1", "b/c.jpg": "1", "b/d.jpg": "1", "fore\u0302t.jpg": "1", "mar\u00e9e.jpg": "1" },
    };
    const found = ["a.jpg", "b/c.jpg", "b/d.jpg", "fore\u0302t.jpg", "mar\u00e9e.jpg"];
    expect(await trainOf(files)).toEqual(found.map((name) => [0, name]));
  });

  it("takes a name as it is written first, and never leaves the folder for another spelling", async () => {
    const files = {
      "train.csv": "0, a.jpg\n0,b\\c.jpg\n0,..\\t.jpg\n0, ../t.jpg\n",
      ...{ " a.jpg": "1", "a.jpg": "1", "b\\c.jpg": "1", "b/c.jpg": "1" },
    };
    const outside = join(folder, "t.jpg");
    await writeFile(outside, "");
    expect(await trainOf(files)).toEqual([
      [0, " a.jpg"],
      [0, "b\\c.jpg"],
      [0, "..\\t.jpg"],
      [0, " ../t.jpg"],
    ]);
    await rm(outside);
  });

  it("takes the lists of the folder itself before those of fMoW/", async () => {
    const files = { "train.csv": "0,a.jpg\n", "fMoW/train.csv": "0,b.jpg\n", "fMoW/test.csv": "0,b.jpg\n" };
    expect(await trainOf(files)).toEqual([[0, "a.jpg"]]);
    expect(await isCsvList(await make({}))).toBe(false);
    expect(await isCsvList(await make({ "train.csv": "" }))).toBe(true);
  });

  it("takes val.csv beside the others as the validation split", async () => {
    const files = { "train.csv": "0,a.jpg\n", "val.csv": "label,location\n1,v.jpg\n0,w.jpg\n", "v.jpg": "123" };
    const { classes, test, val } = await listCsv(await make(files));
    expect(val?.map(({ label, size }) => [label, size])).toEqual([
      [1, 3],
      [0, undefined],
    ]);
    expect([classes, test.length]).toEqual([["0", "1"], 1]);
    expect((await listCsv(await make({ "train.csv": "0,a.jpg\n" }))).val).toBeUndefined();
    const { lines } = await refusal({ "train.csv": "x,a.jpg\n", "val.csv": "0,../v.jpg\n" });
    expect(lines).toEqual([
      "D/train.csv:1, column 1 (label): must be a whole number, got x",
      "D/val.csv:1, column 2 (location): must not lead out of the data folder, got ../v.jpg",
    ]);
  });

  it("refuses an image under two labels, with both lines, whichever way it is spelled", async () => {
    const files = {
      "train.csv": "label,location\n0,a.jpg\n1,b.jpg\n1,./a.jpg\n0,a.jpg\n",
      "test.csv": "0,b.jpg\n",
      "a.jpg": "",
    };
    const next = "correct one of the two lines";
    expect((await refusal(files)).lines).toEqual([
      `D/train.csv:4: must give D/a.jpg the label 0, as D/train.csv:2 does, got 1; ${next}`,
      `D/test.csv:1: must give D/b.jpg the label 1, as D/train.csv:3 does, got 0; ${next}`,
    ]);
  });

  describe("classes", () => {
    const classesOf = async (files: Record<string, string>) => (await listCsv(await make(files))).classes;

    it("are as many as the largest label of both lists tells", async () => {
      expect(await classesOf({ "train.csv": "1,a.jpg\n0,b.jpg\n", "test.csv": "2,c.jpg\n" })).toEqual(["0", "1", "2"]);
    });

    it("are fMoW's where there are 62", async () => {
      const lines = Array.from({ length: 62 }, (_, label) => `${label},${label}.jpg\n`);
      expect(await classesOf({ "train.csv": lines.join("") })).toEqual(fmowCategories);
      expect((await classesOf({ "train.csv": lines.slice(1).join("") })).length).toBe(62);
      expect((await classesOf({ "train.csv": lines.slice(0, 61).join("") }))[60]).toBe("60");
    });

    it("are fMoW's in a folder of that name, however few occur", async () => {
      expect(await classesOf({ "fMoW/train.csv": "5,a.jpg\n", "fMoW/test.csv": "7,b.jpg\n" })).toEqual(fmowCategories);
    });

    it("are those of classes.txt, also where some do not occur", async () => {
      const files = { "train.csv": "2,a.jpg\n", "classes.txt": "\ufeffcat\r\ndog\r\nbig eel\r\nfore\u0302t\r\n" };
      expect(await classesOf(files)).toEqual(["cat", "dog", "big eel", "for\u00eat"]);
    });

    it("must not have gaps", async () => {
      const { lines, exitCode } = await refusal({ "train.csv": "3,a.jpg\n1,b.jpg\n" });
      expect(lines).toEqual([
        "D: must have every label from 0 to the largest, got no 2; number the labels without gaps, or name the classes in classes.txt",
      ]);
      expect(exitCode).toBe(3);
      expect((await refusal({ "train.csv": "9007199254740990,a.jpg\n" })).lines[0]).toContain("got no 1;");
    });

    it("must all have a name in classes.txt", async () => {
      const { lines } = await refusal({ "train.csv": "0,a.jpg\n", "classes.txt": "cat\n\ndog\n" });
      expect(lines).toEqual(["D/classes.txt:2: must name a class"]);
    });

    it("must each have a name of their own there, however it is spelled", async () => {
      const { lines } = await refusal({ "train.csv": "0,a.jpg\n", "classes.txt": "for\u00eat\ndog\nfore\u0302t\n" });
      expect(lines).toEqual([
        "D/classes.txt:3: must name another class than line 1, got for\u00eat; give each label its own name",
      ]);
    });
  });

  describe("warns", () => {
    const warningsOf = async (files: Record<string, string>) => {
      const dataDir = await make(files);
      return (await listCsv(dataDir)).warnings?.map((text) => text.replaceAll(dataDir, "D"));
    };

    it("of nothing where each image is in one list, and training has all classes", async () => {
      expect(await warningsOf({ "train.csv": "0,a.jpg\n0,a.jpg\n" })).toBeUndefined();
    });

    it("of classes that training lacks", async () => {
      expect(await warningsOf({ "train.csv": "0,a.jpg\n", "test.csv": "1,b.jpg\n" })).toEqual([
        "warning: D/train.csv has no image of 1 of the 2 classes: 1",
      ]);
      const names = "a\nb\nc\nd\ne\n";
      expect(await warningsOf({ "train.csv": "1,a.jpg\n", "classes.txt": names })).toEqual([
        "warning: D/train.csv has no image of 4 of the 5 classes: a, c, d, …",
      ]);
    });

    it("of images that stand in two lists, however they are written", async () => {
      const lists = {
        "train.csv": "0,a.jpg\n0,b.jpg\n",
        "test.csv": "0,./b.jpg\n0,c.jpg\n0,d.jpg\n",
        "val.csv": "0,c.jpg\n",
      };
      expect(await warningsOf(lists)).toEqual([
        "warning: 1 of the 3 images of D/test.csv stand in train.csv too",
        "warning: 1 of the 1 images of D/val.csv stand in test.csv too",
      ]);
    });
  });

  describe("refuses", () => {
    it("to test on what was learned from", async () => {
      const { lines, exitCode } = await refusal({ "train.csv": "0,a.jpg\n0,t.jpg\n", "test.csv": "0,t.jpg\n" });
      expect(lines).toEqual([
        "D/test.csv: must list images that D/train.csv does not, but all are in both; list images that were held out: `patchdrop data split` divides a folder of class folders",
      ]);
      expect(exitCode).toBe(3);
    });

    it.each([
      ["label;location\n0;a.jpg\n1;b.jpg\n", "semicolons"],
      ["0\ta.jpg\n1\tb.jpg\n", "tabs"],
    ])("other separators than commas, in one line: %j", async (csv, got) => {
      expect((await refusal({ "train.csv": csv })).lines).toEqual([
        `D/train.csv:1: must have its columns separated by commas, got ${got}; save the list with commas`,
      ]);
    });

    it("a folder without both lists", async () => {
      const { lines, exitCode } = await refusal({});
      expect(lines).toEqual(["D: must hold train.csv and test.csv, or fMoW/ with both; check --data_dir"]);
      expect(exitCode).toBe(3);
    });

    it("labels that are none, with line and column, all together", async () => {
      const { lines, exitCode } = await refusal({
        "train.csv": 'label,location\n0,a.jpg\nairport,b.jpg\n"-1",c.jpg\n\n1.0,d.jpg\n,e.jpg\n1e0,f.jpg\n',
        "test.csv": "x,t.jpg\n99999999999999999999,u.jpg\n",
      });
      const where = (file: string, line: number) => `D/${file}:${line}, column 1 (label): must be a whole number`;
      expect(lines).toEqual([
        `${where("train.csv", 3)}, got airport`,
        `${where("train.csv", 4)}, got -1`,
        `${where("train.csv", 6)}, got 1.0`,
        `${where("train.csv", 7)}, got nothing`,
        `${where("train.csv", 8)}, got 1e0`,
        `${where("test.csv", 1)}, got x`,
        `${where("test.csv", 2)}, got 99999999999999999999`,
      ]);
      expect(exitCode).toBe(3);
    });

    it("a label beyond the named classes", async () => {
      const { lines } = await refusal({ "fMoW/train.csv": "61,a.jpg\n62,b.jpg\n", "fMoW/test.csv": "0,a.jpg\n" });
      expect(lines).toEqual(["D/fMoW/train.csv:2, column 1 (label): must be a whole number from 0 to 61, got 62"]);
    });

    it("lists the first ten", async () => {
      const { lines } = await refusal({ "train.csv": "0,a.jpg\n".concat("x,b.jpg\n".repeat(50)) });
      expect(lines.length).toBe(10);
      expect(lines[9]).toBe(
        "D/train.csv:11, column 1 (label): must be a whole number, got x; there may be more: only the first ten are listed",
      );
    });

    it("missing columns", async () => {
      expect((await refusal({ "train.csv": "label,path\n0,a.jpg\n" })).lines).toEqual([
        "D/train.csv:1: must name the columns label and location, got label,path",
      ]);
      expect((await refusal({ "train.csv": "0,a.jpg\n1\n0,b.jpg,c\n" })).lines).toEqual([
        "D/train.csv:2: must have 2 columns, got 1",
        "D/train.csv:3: must have 2 columns, got 3",
      ]);
    });

    it("a location that is empty, or no path", async () => {
      const { lines } = await refusal({ "train.csv": '0,a.jpg\n0,\n0,"x\0y"\n' });
      expect(lines).toEqual([
        "D/train.csv:2, column 2 (location): must be the path of an image, got nothing",
        "D/train.csv:3, column 2 (location): must be the path of an image, got x\\u0000y",
      ]);
    });

    it("empty lists", async () => {
      expect((await refusal({ "train.csv": "label,location\n", "test.csv": "" })).lines).toEqual([
        "D/train.csv: must list at least one image",
        "D/test.csv: must list at least one image",
      ]);
    });

    it("what is not CSV, with its line", async () => {
      expect((await refusal({ "train.csv": '0,a.jpg\n0,"b.jpg\n' })).lines[0]).toMatch(
        /^D\/train\.csv:\d: must be CSV, /,
      );
      expect((await refusal({ "train.csv": '0,a.jpg\n0,b"c.jpg\n' })).lines[0]).toMatch(
        /^D\/train\.csv:2: must be CSV, /,
      );
      const long = await refusal({ "train.csv": `0,a.jpg\n0,${"x".repeat(100_000)}\n` });
      expect(long.lines[0]).toMatch(/^D\/train\.csv:2: must be CSV, got Max Record Size/);
      expect(long.exitCode).toBe(3);
    });

    it("locations outside the data folder, as unsafe, unless they are allowed", async () => {
      const csv = "0,../x.jpg\n0,b/../../y.jpg\n0,/etc/passwd\n0,b/../a.jpg\n0,..a.jpg\n";
      const { lines, exitCode } = await refusal({ "train.csv": csv });
      expect(lines).toEqual([
        "D/train.csv:1, column 2 (location): must not lead out of the data folder, got ../x.jpg",
        "D/train.csv:2, column 2 (location): must not lead out of the data folder, got b/../../y.jpg",
        "D/train.csv:3, column 2 (location): must not lead out of the data folder, got /etc/passwd",
      ]);
      expect(exitCode).toBe(4);
      const { train } = await listCsv(await make({ "train.csv": csv }), { allowOutside: true });
      expect(train[0].path).toBe(join(folder, "x.jpg"));
      expect(train[2]).toMatchObject({ path: "/etc/passwd", size: expect.any(Number) });
    });
  });

  it("reads or refuses whatever the lists hold, and never leaves the folder", async () => {
    const field = fc.oneof(
      fc.nat({ max: 2 }).map(String),
      fc.constantFrom("label", "location", "a.jpg", "../a.jpg", "/a.jpg", '"a,b.jpg"', '"', "\ufeff", ""),
      fc.string(),
    );
    const line = fc.array(field, { maxLength: 3 }).map((fields) => fields.join(","));
    const eol = fc.constantFrom("\n", "\r\n");
    const csv = fc.tuple(fc.array(line, { maxLength: 5 }), eol).map(([lines, end]) => lines.join(end));
    const dataDir = await make({});
    const holds = async (train: string): Promise<void> => {
      await writeFile(join(dataDir, "train.csv"), train);
      const read: ImageList | PatchDropError = await listCsv(dataDir).catch((error: unknown) => {
        if (error instanceof PatchDropError && [3, 4].includes(error.exitCode)) return error;
        throw error;
      });
      if (read instanceof PatchDropError) return;
      expect(read.train.length).toBeGreaterThan(0);
      for (const { path, label } of read.train) {
        expect(path.startsWith(`${dataDir}/`) || path === dataDir).toBe(true);
        expect(read.classes[label]).toBeTypeOf("string");
      }
    };
    await fc.assert(fc.asyncProperty(csv, holds), { numRuns: Math.ceil(mutations / 10) });
  });
});
