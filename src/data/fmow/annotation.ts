/**
 * Reads the text of an fMoW annotation (`…_rgb.json`): `{"bounding_boxes": [{"ID", "category", "box": [x, y, w, h]}]}`.
 * Test sets have no categories. An unusable box becomes a fault in its place, so that the others can be used.
 */

import type { Fault } from "../../errors.ts";
import { parsePythonJson } from "../../files/json.ts";
import type { Region, Size } from "../resize.ts";
import { falseDetection, fmowCategories } from "./categories.ts";

export interface Box extends Region {
  /** undefined where it is not given. */
  readonly category: string | undefined;
  /** −1 is not an object: the ground-truth files begin with such a box, which the images' own files do not have. */
  readonly id: unknown;
}

/**
 * @param where names the file
 * @param size of the image that the boxes are cut out of, which the annotation may say too
 * @returns a box or a fault for each entry; one fault where there are no entries, or they are of an image of another size
 */
export function readBoxes(text: string, where: string, size?: Size): readonly (Box | Fault)[] {
  let value: unknown;
  try {
    value = parsePythonJson(text);
  } catch (error) {
    return [{ where, rule: "must be JSON", got: (error as Error).message }];
  }
  if (!isObject(value)) return [{ where, rule: "must be an object with bounding_boxes", got: kindOf(value) }];
  const resized = size && resizedFault(value, where, size);
  if (resized !== undefined) return [resized];
  const entries = listOf(value.bounding_boxes);
  if (entries.length === 0) return [{ where: `${where}: bounding_boxes`, rule: "must hold at least one box" }];
  return entries.map((entry, index) => readBox(entry, `${where}: bounding_boxes[${index}]`));
}

/** Boxes are in pixels of the image that was annotated: of a smaller or larger copy they cut out something else. */
function resizedFault(
  { img_width: width, img_height: height }: Readonly<Record<string, unknown>>,
  where: string,
  size: Size,
): Fault | undefined {
  const isSame = (said: unknown, side: number) => typeof said !== "number" || said === side;
  if (isSame(width, size.width) && isSame(height, size.height)) return undefined;
  const rule = `img_width and img_height must be the image's, ${size.width} and ${size.height}`;
  return { where, rule, got: `${width} and ${height}`, next: "use the image that was annotated" };
}

export function isFault(entry: Box | Fault): entry is Fault {
  return "rule" in entry;
}

/** A single box may stand without a list around it. */
function listOf(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

function readBox(entry: unknown, where: string): Box | Fault {
  if (!isObject(entry)) return { where, rule: "must be an object with a box", got: kindOf(entry) };
  const { box, category, ID: id } = entry;
  if (!Array.isArray(box) || box.length !== 4) {
    const got = Array.isArray(box) ? `a list of ${box.length}` : kindOf(box);
    return { where: `${where}.box`, rule: "must be four numbers [x, y, width, height]", got };
  }
  for (const [index, number] of box.entries()) {
    const isSide = index >= 2;
    if (Number.isSafeInteger(number) && !(isSide && number < 0)) continue;
    const rule = `must be a whole number${isSide ? " of pixels, 0 or more" : ""}`;
    return { where: `${where}.box[${index}]`, rule, got: shown(number) };
  }
  if (category !== undefined && category !== null && !isCategory(category)) {
    return { where: `${where}.category`, rule: "must be one of fMoW's 62 categories", got: shown(category) };
  }
  const [left, top, width, height] = box as number[];
  return { left, top, width, height, category: category ?? undefined, id };
}

function isCategory(value: unknown): value is string {
  return typeof value === "string" && (value === falseDetection || fmowCategories.includes(value));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value from the file, for a message: the text "12" must not look like the number. */
function shown(value: unknown): string {
  if (typeof value === "string") return `the text ${value}`;
  return typeof value === "object" ? kindOf(value) : String(value);
}

function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  return Array.isArray(value) ? "a list" : `${typeof value === "object" ? "an" : "a"} ${typeof value}`;
}
