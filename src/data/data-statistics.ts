/** `patchdrop data stats`: what the bands of a data set's training images hold. */
import type { BandStatistics } from "./band-statistics.ts";
import { statisticsOf } from "./image-form.ts";
import { type DataFlags, existing, imageCache, namedOrFound } from "./open.ts";
import { refuseRendering } from "./rendering.ts";

/** Of the bands that flags name, over the training images of a folder or of lists. @throws what opening and measuring throw */
export async function statisticsOfData(flags: DataFlags, say?: (text: string) => void): Promise<BandStatistics[]> {
  const { num_workers: parallel, max_image_bytes: maxImageBytes, bands, scale } = flags;
  const dataDir = await existing(flags.data_dir);
  const { name, reader } = await namedOrFound({ dataDir });
  if (reader.list === undefined)
    refuseRendering({ bands, scale }, `must be left out for ${name}, whose images are RGB`);
  const { train } = await reader.list!(dataDir);
  return statisticsOf(train, { rendering: { bands, scale }, maxImageBytes, parallel, cacheDir: imageCache(), say });
}
