/** A picture file for the decoder (libvips), if it is one of the formats that are read (formats/picture-format.ts). */

import { open, stat } from "node:fs/promises";
import sharp, { type Sharp } from "sharp";
import { beginningBytes, pictureFormatOf, pictureFormats } from "../formats/picture-format.ts";

// Several images are decoded at the same time, each once: more threads for each, and a cache, would only cost.
sharp.concurrency(1);
sharp.cache(false);

/**
 * A picture of which nothing has been decoded, to be read row by row.
 * @param mostPixels none where bytes are limited instead
 * @throws an Error whose message is the reason
 */
export async function openPicture(path: string, mostPixels: number | false): Promise<Sharp> {
  await assertFile(path);
  const beginning = await beginningOf(path);
  if (pictureFormatOf(beginning) === undefined) {
    const shown = beginning.toString("latin1").replaceAll(/[^ -~]/g, ".");
    throw new Error(`not ${pictureFormats}, since it begins with ${shown}; convert it to one of them`);
  }
  return sharp(path, { limitInputPixels: mostPixels, failOn: "error", sequentialRead: true });
}

/** A pipe may never end, and a device never does. @throws an Error whose message is the reason */
export async function assertFile(path: string): Promise<void> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") throw new Error("there is no such file", { cause: error });
    throw error;
  });
  if (!found.isFile()) throw new Error("not a file, but a folder, a pipe or a device");
  if (found.size === 0) throw new Error("an empty file");
}

async function beginningOf(path: string): Promise<Buffer> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(beginningBytes), 0, beginningBytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
