/** Finds the images of a data set that can't be read: decodes every one as a training would, and keeps none. */

import type { SkippedFile } from "./bad-files.ts";
import { splitsOf } from "./dataset.ts";
import { findDataset, readersFrom } from "./dataset-registry.ts";
import { type Decoding, decodeImage } from "./decode.ts";
import { DecodeMemory } from "./decode-memory.ts";
import { type LeftOut, type ListedImage, lookAt } from "./image-list.ts";
import { inOrder } from "./in-order.ts";
import { existing } from "./open.ts";
import type { RenderingOptions } from "./rendering.ts";

export interface CheckedData extends LeftOut {
  readonly images: number;
  /** In the list's order: training, test, validation. */
  readonly unreadable: readonly SkippedFile[];
}

export interface CheckDataOptions {
  /** Of class folders, or of lists. */
  dataDir: string;
  /** Number of images that are decoded at the same time. */
  parallel?: number;
  /** Most bytes that decoding one image may take, and all under way together. */
  maxImageBytes?: number | undefined;
  /** What the values of the files mean; as the files say when absent. */
  rendering?: RenderingOptions | undefined;
  onProgress?: (done: number, total: number) => void;
}

/** Enough to keep libuv's four threads busy. */
const defaultParallel = 8;
/** The pixels are thrown away: a size that costs little. */
const decodedSize = 8;

/** @throws input, unsafe: a data set that can't be listed */
export async function checkData(options: CheckDataOptions): Promise<CheckedData> {
  const { dataDir, parallel = defaultParallel, maxImageBytes, rendering, onProgress } = options;
  const decoding = { memory: new DecodeMemory(maxImageBytes), rendering };
  const { reader } = await findDataset(
    await existing(dataDir),
    (await readersFrom()).filter(({ reader }) => reader.list !== undefined),
  );
  const files = await reader.list!(dataDir);
  const listed = splitsOf(await lookAt(files)).flat();
  const failed: ListedImage[] = [];
  const work = async (image: ListedImage) => ({ image, reason: await reasonUnreadable(image, decoding) });
  let done = 0;
  for await (const { image, reason } of inOrder(listed, parallel, work)) {
    if (reason !== undefined) failed.push(image);
    onProgress?.(++done, listed.length);
  }
  const { passedOver, otherFolders, warnings } = files;
  return { images: listed.length, unreadable: await withReasons(failed, decoding), passedOver, otherFolders, warnings };
}

/** One after the other: libvips has one error text for all threads, so the reason is only sure when a file is alone. */
async function withReasons(failed: readonly ListedImage[], decoding: Decoding): Promise<SkippedFile[]> {
  const unreadable: SkippedFile[] = [];
  for (const image of failed) {
    const reason = await reasonUnreadable(image, decoding);
    if (reason !== undefined) unreadable.push({ path: image.path, reason });
  }
  return unreadable;
}

async function reasonUnreadable({ path, size, low }: ListedImage, decoding: Decoding): Promise<string | undefined> {
  if (size === undefined) return "there is no such file";
  return decodeImage(path, decodedSize, decoding, low?.path).then(
    () => undefined,
    (error: Error) => error.message,
  );
}
