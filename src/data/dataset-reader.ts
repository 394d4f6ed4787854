/** What a kind of data set is to the program: the registry (dataset-registry.ts) has one reader per name of `--dataset`. */

import type { BandStatistics, DataSplits, ImageForm } from "./dataset.ts";
import type { ListedFiles } from "./image-list.ts";
import type { RenderingOptions } from "./rendering.ts";
import type { TransformName } from "./transforms.ts";

/** What a reader is given; it uses what concerns it. */
export interface ReadOptions {
  /** Folder or archive that has been seen to be there; empty for a data set that needs no files. */
  readonly dataDir: string;
  /** Side of the images that the model takes. */
  readonly imageSize: number;
  /** How image files are made inputs of the model. */
  readonly transform: TransformName;
  /** Of whatever is generated at random. */
  readonly seed?: number | undefined;
  /** Number of unreadable image files to leave out before giving up. */
  readonly skipBad?: number | undefined;
  /** Number of image files that are decoded at the same time. */
  readonly parallel?: number | undefined;
  /** Most bytes that decoding one image may take, and all under way together; 512 MiB when absent. */
  readonly maxImageBytes?: number | undefined;
  /** What the values of image files mean, where they are no colours; as the files say when absent. */
  readonly rendering?: RenderingOptions | undefined;
  /** What the images of files are to be; found out from those of training when absent. */
  readonly form?: ImageForm | undefined;
  /** Where decoded images are kept for the next run. */
  readonly cacheDir?: string | undefined;
  /** Takes a line of text now and then. */
  readonly say?: ((text: string) => void) | undefined;
}

/** What must lie in the data folder. */
export interface DataFiles {
  /** In words, for errors. */
  readonly words: string;
  /** Whether it is there. */
  lieIn(dataDir: string): Promise<boolean>;
}

interface Reader {
  /** Absent: it needs no files. */
  readonly files?: DataFiles;
  /** Opens all splits. @throws input: what is missing or damaged; unsafe: a list that leads out of the folder */
  open(options: ReadOptions): Promise<DataSplits>;
  /** Downloads the files into the folder, unless they are there. @throws system: a download that fails */
  fetch?(dataDir: string, say?: (text: string) => void): Promise<void>;
}

/** Images of a fixed size and fixed classes, whatever the folder. */
interface FixedReader extends Reader {
  /** Side in pixels. */
  readonly imageSize: number;
  readonly classes: readonly string[];
  /** What the bands of the training images hold, where they are measured values. */
  measure?(options: Pick<ReadOptions, "seed">): Promise<BandStatistics[]>;
  readonly list?: undefined;
}

/** Image files of any size, which are resized to what the model takes. */
interface FileReader extends Reader {
  /** Which files there are; none is looked at. @throws as `open` */
  list(dataDir: string): Promise<ListedFiles>;
  readonly measure?: undefined;
  readonly imageSize?: undefined;
  readonly classes?: undefined;
}

export type DatasetReader = FixedReader | FileReader;
