/** A picture file for the decoder (libvips), if it is one of the formats that are read (formats/picture-format.ts). */

import { statSync } from "node:fs";
import sharp, { type Sharp } from "sharp";
import { readBeginning } from "../files/read.ts";
import { beginningBytes, pictureFormatOf, pictureFormats } from "../formats/picture-format.ts";

// Several images are decoded at the same time, each once: more threads for each, and a cache, would only cost.
sharp.concurrency(1);
sharp.cache(false);

/** Files of up to so many bytes are read whole: most of the time that a small picture took went into opening it again and again. */
const readWhole = 2 ** 18;

/**
 * A picture of which nothing has been decoded, to be read row by row.
 * @param mostPixels none where bytes are limited instead
 * @throws an Error whose message is the reason
 */
export async function openPicture(path: string, mostPixels: number | false): Promise<Sharp> {
  const bytes = assertFile(path);
  const isSmall = bytes <= readWhole;
  const read = readBeginning(path, isSmall ? bytes : beginningBytes);
  if (pictureFormatOf(read) === undefined) {
    const beginning = read.subarray(0, beginningBytes);
    const shown = beginning.toString("latin1").replaceAll(/[^ -~]/g, ".");
    throw new Error(`not ${pictureFormats}, since it begins with ${shown}; convert it to one of them`);
  }
  return sharp(isSmall ? read : path, { limitInputPixels: mostPixels, failOn: "error", sequentialRead: true });
}

/**
 * A pipe may never end, and a device never does.
 * @returns the file's size in bytes
 * @throws an Error whose message is the reason
 */
export function assertFile(path: string): number {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new Error("there is no such file");
  if (!found.isFile()) throw new Error("not a file, but a folder, a pipe or a device");
  if (found.size === 0) throw new Error("an empty file");
  return found.size;
}
