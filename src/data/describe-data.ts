/** What can be said about a data set before it is opened: enough to choose a model for it. Only image headers are read. */

import { fault } from "../errors.ts";
import type { DatasetName } from "./dataset-registry.ts";
import type { FileList } from "./file-list.ts";
import { type DataFlags, existing, namedOrFound } from "./open.ts";
import { openPicture } from "./open-picture.ts";
import { isChosen, type RenderingOptions } from "./rendering.ts";
import type { Size } from "./resize.ts";
import { openTiff } from "./tiff-picture.ts";

export interface DataFacts {
  readonly dataset: DatasetName;
  /** Number of classes. */
  readonly classes: number;
  /** A typical image, as it lies in its file, in pixels. */
  readonly pictures: Size;
}

/** Number of images that are looked at, spread over the training split. */
const mostLookedAt = 64;

/**
 * Describes the data set that a command's flags name, or the one in their folder. The typical image is the median by its
 * longer side: half of those looked at are as large or larger.
 * @throws as `openDataSplits`; input: none of the images looked at can be read
 */
export async function describeData(
  flags: Pick<DataFlags, "dataset" | "data_dir" | "download" | "bands" | "scale">,
): Promise<DataFacts> {
  const { dataset, data_dir: dataDir, download } = flags;
  const { name, reader } = await namedOrFound({ dataset, dataDir, download });
  if (reader.list === undefined) {
    const { classes, imageSize } = reader;
    return { dataset: name, classes: classes.length, pictures: { width: imageSize, height: imageSize } };
  }
  const folder = await existing(dataDir);
  const { classes, train } = await reader.list(folder);
  return { dataset: name, classes: classes.length, pictures: await typicalSize(train, folder, flags) };
}

async function typicalSize(files: FileList, dataDir: string, rendering: RenderingOptions): Promise<Size> {
  const count = Math.min(files.length, mostLookedAt);
  const paths = Array.from({ length: count }, (_, n) => files.path(Math.floor((n * files.length) / count)));
  const sizes = (await Promise.all(paths.map((path) => sizeOf(path, rendering)))).filter((size) => size !== undefined);
  const sorted = sizes.toSorted((a, b) => longerSide(a) - longerSide(b));
  const typical = sorted[Math.floor(sorted.length / 2)];
  if (sorted.length > 0) return typical;
  const next = "`patchdrop data check` names all that can't";
  throw fault("input", { where: dataDir, rule: "must hold images that can be read", got: `none of ${count}`, next });
}

/** From the header, turned as EXIF says; undefined where it can't be read. */
async function sizeOf(path: string, rendering: RenderingOptions): Promise<Size | undefined> {
  if (isChosen(rendering)) return sizeOfTiff(path, rendering).catch(() => undefined);
  return openPicture(path, false)
    .then((image) => image.metadata())
    .then(
      ({ autoOrient: { width, height } }) => ({ width, height }),
      () => undefined,
    );
}

async function sizeOfTiff(path: string, rendering: RenderingOptions): Promise<Size> {
  const { width, height, close } = await openTiff(path, rendering);
  await close();
  return { width, height };
}

function longerSide({ width, height }: Size): number {
  return Math.max(width, height);
}
