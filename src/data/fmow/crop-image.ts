/**
 * Cuts the boxes out of one large image. libvips reads the image row by row, as far as a crop needs, and writes the crop's
 * rows as they come: an image of 10,000 × 10,000 pixels takes some 50 MB, not 300.
 */

import { randomUUID } from "node:crypto";
import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Sharp } from "sharp";
import type { Fault } from "../../errors.ts";
import { makeMissing } from "../../utils/make-missing.ts";
import { reasonToRefuse } from "../byte-pictures.ts";
import { openPicture } from "../open-picture.ts";
import type { Region, Size } from "../resize.ts";
import { type Box, isFault, readBoxes } from "./annotation.ts";
import { cropRegion, isTiny, overhangs, overlaps } from "./boxes.ts";
import { falseDetection, fmowCategories } from "./categories.ts";
import type { FmowImage } from "./tree.ts";

export interface Crop {
  /** Path from the output folder, with "/". */
  readonly location: string;
  /** undefined where the category is unknown. */
  readonly label: number | undefined;
  /** Whether the box itself, without its context, reaches beyond the image's edge. */
  readonly overhanging: boolean;
  /** Whether an earlier run had made it. */
  readonly kept: boolean;
}

/** Why a usable box, or an annotation without its image, is skipped. */
export type SkipReason = "2 pixels or less" | "false detection" | "no object (ID -1)" | "no image";

/** What became of a box: cut out, skipped, or refused. */
export type Outcome = Crop | { readonly skipped: SkipReason } | { readonly fault: Fault };

export interface CropFolders {
  readonly output: string;
  /** Where a crop is written before it gets its name; on the same disk. */
  readonly unfinished: string;
}

/** Many times the size of the largest annotation. */
const largestAnnotation = 4 << 20;
/** About sharp's own limit: squares of 16,384. */
const mostPixels = 2 ** 28;
const jpegQuality = 95;

/** @returns what became of each box, in their order; a disk that can't be written is thrown as Node's error */
export async function cropImage(
  { name, image, annotation }: FmowImage,
  folders: CropFolders,
): Promise<readonly Outcome[]> {
  if (image === undefined) return [{ skipped: "no image" }];
  const picture = await openPicture(image, mostPixels).catch(() => undefined);
  const size = await picture?.metadata().catch(() => undefined);
  if (picture === undefined || size === undefined) return [{ fault: notAnImage(image) }];
  const refused = reasonToRefuse(size);
  if (refused !== undefined) return [{ fault: { where: image, rule: "must be a picture", got: refused } }];
  const boxes = await readAnnotation(annotation, size);
  const whole = { image, picture, name, size, folders };
  const outcomes: Outcome[] = [];
  for (const [index, box] of boxes.entries()) {
    const reason = isFault(box) ? undefined : reasonToSkip(box);
    if (isFault(box)) outcomes.push({ fault: box });
    else if (reason !== undefined) outcomes.push({ skipped: reason });
    else if (overlaps(box, size)) outcomes.push(await cropBox(box, index, whole));
    else outcomes.push({ fault: outside(box, size, `${annotation}: bounding_boxes[${index}].box`) });
  }
  return outcomes;
}

async function readAnnotation(file: string, whole: Size): Promise<readonly (Box | Fault)[]> {
  try {
    const { size } = await stat(file);
    if (size > largestAnnotation) {
      return [{ where: file, rule: `must have at most ${largestAnnotation} bytes`, got: size }];
    }
    return readBoxes(await readFile(file, "utf8"), file, whole);
  } catch (error) {
    return [{ where: file, rule: "must be readable", got: (error as Error).message }];
  }
}

function reasonToSkip(box: Box): SkipReason | undefined {
  if (box.id === -1) return "no object (ID -1)";
  if (box.category === falseDetection) return "false detection";
  return isTiny(box) ? "2 pixels or less" : undefined;
}

/** Of the box's category, or else of the image's folder. */
function labelOf({ category }: Box, name: string): number | undefined {
  const label = fmowCategories.indexOf(category ?? name.split("/")[1]);
  return label === -1 ? undefined : label;
}

/** The image that boxes are cut out of. */
interface Source {
  readonly image: string;
  readonly picture: Sharp;
  readonly name: string;
  readonly size: Size;
  readonly folders: CropFolders;
}

/** The crop's name says which pixels it holds: where the box changes, a crop of an earlier run is not taken for it. */
async function cropBox(box: Box, index: number, { image, picture, name, size, folders }: Source): Promise<Outcome> {
  const { output, unfinished } = folders;
  const region = cropRegion(box, size);
  const location = `${name}_${index}_${region.left}_${region.top}_${region.width}x${region.height}.jpg`;
  const target = join(output, location);
  const crop = { location, label: labelOf(box, name), overhanging: overhangs(box, size) };
  if (await exists(target)) return { ...crop, kept: true };
  const bytes = await cut(picture, region).catch(() => undefined);
  if (bytes === undefined) return { fault: notAnImage(image) };
  makeMissing(dirname(target));
  // Forced to the disk before it gets its name: what has a name is whole.
  const temporary = join(unfinished, randomUUID());
  await writeFile(temporary, bytes, { flush: true });
  await rename(temporary, target);
  return { ...crop, kept: false };
}

/** Without optimized tables (PIL and OpenCV have none either): they would need all of the crop in memory at once. */
function cut(picture: Sharp, region: Region): Promise<Uint8Array> {
  return picture.clone().extract(region).jpeg({ quality: jpegQuality, optimiseCoding: false }).toBuffer();
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

/** Not in libvips' words: it has one error text for all threads, and the reason must be the same in every run. */
function notAnImage(where: string): Fault {
  return { where, rule: `must be a whole image of at most ${mostPixels} pixels` };
}

function outside({ left, top, width, height }: Region, image: Size, where: string): Fault {
  const rule = `must overlap the image of ${image.width} × ${image.height}`;
  return { where, rule, got: `[${left}, ${top}, ${width}, ${height}]` };
}
