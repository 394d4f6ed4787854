/**
 * Lists for a folder that is not divided into training and test images, `<class>/…` as many data sets come: which images are
 * which is then written down beside them, to be read, kept and corrected.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fault } from "../errors.ts";
import { writeFileAtomic } from "../files/atomic.ts";
import { csvLine } from "./csv-line.ts";
import type { FileList } from "./file-list.ts";
import { listUndivided } from "./image-list.ts";
import type { PassedOver } from "./image-names.ts";
import { existing } from "./open.ts";
import { heldOut } from "./validation.ts";

/** Number of images in each list, and of classes. */
export interface SplitCounts {
  readonly classes: number;
  readonly train: number;
  readonly test: number;
  /** What lies in the folder and is no image by its name. */
  readonly passedOver: PassedOver;
}

const names = ["classes.txt", "test.csv", "train.csv"] as const;

/**
 * Writes `train.csv`, `test.csv` and `classes.txt` into a folder of class folders; no image is touched. The test images are this
 * share of each class's, the nearest whole number; which, depends on how many images each class has, and nothing else.
 * @param share within 0 and 1
 * @throws input: what `listUndivided` throws; a class without images for one of the two, or with a line break in its name; usage: a folder that has one of the files; system: one that can't be written
 */
export async function splitFolder(dataDir: string, share: number): Promise<SplitCounts> {
  await existing(dataDir);
  const there = names.filter((name) => existsSync(join(dataDir, name)));
  if (there.length > 0) {
    const next = "delete it to divide the folder anew";
    const rule = "must not be there yet";
    throw fault(
      "usage",
      there.map((name) => ({ where: join(dataDir, name), rule, next })),
    );
  }
  const { classes, files, passedOver } = await listUndivided(dataDir);
  const broken = classes.find((name) => /[\r\n]/.test(name));
  if (broken !== undefined) {
    throw fault("input", {
      where: dataDir,
      rule: "names of classes must have no line break",
      got: broken,
    });
  }
  const isTest = heldOut(files.labels, classes.length, share, "test");
  checkDivided(dataDir, { classes, files, isTest, share });
  const list = (kept: (index: number) => boolean) =>
    csvLine(["label", "location"]) +
    [...files.labels.keys()]
      .filter(kept)
      .map((index) => csvLine([files.labels[index], files.name(index)]))
      .join("");
  // With the last of them the folder is a data set.
  const contents = {
    "classes.txt": classes.map((name) => `${name}\n`).join(""),
    "test.csv": list((index) => isTest.has(index)),
    "train.csv": list((index) => !isTest.has(index)),
  };
  for (const name of names) writeFileAtomic(join(dataDir, name), Buffer.from(contents[name]));
  return { classes: classes.length, train: files.length - isTest.size, test: isTest.size, passedOver };
}

interface Divided {
  readonly classes: readonly string[];
  readonly files: FileList;
  readonly isTest: ReadonlySet<number>;
  readonly share: number;
}

/** A class that is never trained on, or never tested, is found here and not in a table of results. */
function checkDivided(dataDir: string, { classes, files, isTest, share }: Divided): void {
  const counts = classes.map(() => ({ all: 0, test: 0 }));
  for (const [index, label] of files.labels.entries()) {
    counts[label].all += 1;
    if (isTest.has(index)) counts[label].test += 1;
  }
  const faults = counts.flatMap(({ all, test }, label) => {
    if (test > 0 && test < all) return [];
    const got = `${test} of ${all} for testing with --test_fraction ${share}`;
    const next = "give another --test_fraction, or the class more images";
    return [
      { where: join(dataDir, classes[label]), rule: "must leave images for training and for testing", got, next },
    ];
  });
  if (faults.length > 0) throw fault("input", faults);
}
