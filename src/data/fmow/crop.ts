/**
 * Makes a data set of crops from fMoW's large images: `train.csv` lists those of `train/`, `test.csv` those of `val/`,
 * `test/` and `seq/`, `unlabelled.csv` those of unknown category. A run that was stopped is continued by the next: a crop
 * that has its final name is complete, and the lists come out the same. Memory does not grow with the number of images.
 */

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Fault, fault, type PatchDropError, sentence } from "../../errors.ts";
import { makeMissing } from "../../utils/make-missing.ts";
import { inOrder } from "../in-order.ts";
import { existing } from "../open.ts";
import { type Crop, cropImage, type Outcome, type SkipReason } from "./crop-image.ts";
import { CropLists } from "./lists.ts";
import { type FmowImage, fmowImages, fmowSplits } from "./tree.ts";

export interface CropCounts {
  images: number;
  /** Crops in the lists, `kept` of them from an earlier run. */
  crops: number;
  kept: number;
  /** Rows of each list. */
  train: number;
  test: number;
  unlabelled: number;
  /** Boxes that reach beyond the image's edge and were cut off there. */
  overhanging: number;
  skipped: Partial<Record<SkipReason, number>>;
  /** Boxes and files that can't be used. */
  bad: number;
}

export interface CropFmowOptions {
  /** The folder with `train/`, `val/`, … */
  input: string;
  output: string;
  /** Number of unusable boxes or files to leave out before giving up. */
  skipBad?: number;
  /** Number of images that are worked on at the same time. */
  parallel?: number;
  /** Called after each image; `name` is that image's. */
  onProgress?: (counts: Readonly<CropCounts>, name: string) => void;
}

/** Enough to keep libuv's four threads busy. */
const defaultParallel = 8;
const mostListed = 10;

/**
 * @throws input: no images, more than `skipBad` boxes or files that can't be used; system: a disk that can't be read or
 *   written. What has been cut stays for the next run; the lists stay as they were.
 */
export async function cropFmow(options: CropFmowOptions): Promise<CropCounts> {
  const { output, input, parallel = defaultParallel } = options;
  const unfinished = join(output, ".unfinished");
  await existing(input, "--input");
  try {
    await rm(unfinished, { recursive: true, force: true });
    makeMissing(unfinished);
    const lists = await CropLists.start(unfinished);
    try {
      const work = async (image: FmowImage) => ({ image, outcomes: await cropImage(image, { output, unfinished }) });
      const counts = await record(inOrder(fmowImages(input), parallel, work), lists, options);
      await lists.publish(output);
      return counts;
    } finally {
      await lists.close();
      await rm(unfinished, { recursive: true, force: true });
    }
  } catch (error) {
    throw isSystemError(error) ? diskFault(output, error) : error;
  }
}

interface CroppedImage {
  readonly image: FmowImage;
  readonly outcomes: readonly Outcome[];
}

/** Writes the rows of each image, and stops at one bad box or file too many. */
async function record(
  images: AsyncIterable<CroppedImage>,
  lists: CropLists,
  { input, skipBad = 0, onProgress }: CropFmowOptions,
): Promise<CropCounts> {
  const counts: CropCounts = {
    images: 0,
    crops: 0,
    kept: 0,
    train: 0,
    test: 0,
    unlabelled: 0,
    overhanging: 0,
    skipped: {},
    bad: 0,
  };
  const firstBad: Fault[] = [];
  for await (const { image, outcomes } of images) {
    if (image.image !== undefined) counts.images++;
    for (const outcome of outcomes) {
      await add(outcome, image, lists, counts);
      if (!("fault" in outcome)) continue;
      if (firstBad.length < mostListed) firstBad.push(outcome.fault);
      if (counts.bad > skipBad) throw tooManyBad(firstBad, counts.bad, skipBad);
    }
    onProgress?.(counts, image.name);
  }
  if (counts.images > 0) return counts;
  const rule = `must hold ${fmowSplits.map((split) => `${split}/`).join(", ")} with images named …_rgb.jpg`;
  throw fault("input", { where: input, rule, next: "check --input" });
}

async function add(outcome: Outcome, image: FmowImage, lists: CropLists, counts: CropCounts): Promise<void> {
  if ("location" in outcome) return addCrop(outcome, image, lists, counts);
  if ("fault" in outcome) {
    counts.bad++;
    return lists.add("skipped", [image.name, sentence(outcome.fault)]);
  }
  counts.skipped[outcome.skipped] = (counts.skipped[outcome.skipped] ?? 0) + 1;
  return lists.add("skipped", [image.name, outcome.skipped]);
}

async function addCrop(crop: Crop, image: FmowImage, lists: CropLists, counts: CropCounts): Promise<void> {
  const { label, location, kept, overhanging } = crop;
  counts.crops++;
  if (kept) counts.kept++;
  if (overhanging) counts.overhanging++;
  const list = label === undefined ? "unlabelled" : image.split === "train" ? "train" : "test";
  counts[list]++;
  await lists.add(list, label === undefined ? [location] : [label, location]);
}

function tooManyBad(faults: readonly Fault[], count: number, skipBad: number): PatchDropError {
  const rest = count > faults.length ? `these and ${count - faults.length} more so far, ` : "";
  const next = `${rest}--skip_bad allows ${skipBad}: replace the files, or raise --skip_bad`;
  return fault("input", [...faults.slice(0, -1), { ...faults[faults.length - 1], next }]);
}

/** Whether Node says that a system call failed: anything else has nothing to do with the disk. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}

function diskFault(output: string, error: NodeJS.ErrnoException): PatchDropError {
  const { path = output, message } = error;
  const next = "check the disk, then continue with the same command";
  return fault("system", { where: path, rule: "must be readable and writable", got: message, next }, error);
}
