/** `patchdrop data stats`: what the bands of a data set's training images hold. */

import { fault } from "../errors.ts";
import type { BandStatistics } from "./dataset.ts";
import { statisticsOf } from "./image-form.ts";
import { type DataFlags, existing, imageCache, namedOrFound, unneeded } from "./open.ts";
import { refuseRendering } from "./rendering.ts";

/** Of the bands that flags name, over the training images of a folder or of lists. @throws what opening and measuring throw */
export async function statisticsOfData(flags: DataFlags, say?: (text: string) => void): Promise<BandStatistics[]> {
  const { num_workers: parallel, max_image_bytes: maxImageBytes, bands, scale } = flags;
  const { name, reader } = await namedOrFound({ dataset: flags.dataset, dataDir: flags.data_dir });
  if (reader.measure !== undefined) {
    refuseRendering({ bands, scale }, `must be left out for ${name}, whose bands are known`);
    if (flags.data_dir !== undefined) throw unneeded(name, flags.data_dir);
    return reader.measure({});
  }
  if (reader.list === undefined) {
    refuseRendering({ bands, scale }, `must be left out for ${name}, whose images are RGB`);
    throw inColour(name);
  }
  const dataDir = await existing(flags.data_dir);
  const { train } = await reader.list(dataDir);
  return statisticsOf(train, { rendering: { bands, scale }, maxImageBytes, parallel, cacheDir: imageCache(), say });
}

function inColour(name: string) {
  const rule = "must have bands to measure: of colours, the statistics in common use are taken";
  return fault("usage", { where: "--dataset", rule, got: name });
}
