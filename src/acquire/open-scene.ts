/** What is acquired from: an image with a low resolution of its own, or one with another image's, which may not exist yet. */

import { imageNetNormalization } from "../data/normalizations.ts";
import type { BandChoice } from "../data/rendering.ts";
import { overRendering } from "../data/rendering.ts";
import { CoarseImage } from "./coarse-image.ts";
import { openSource, type SourceOptions } from "./open-source.ts";
import { PairedSource } from "./paired-source.ts";
import type { LowResolution, PatchSource, SharpSource } from "./patch-source.ts";
import { PlannedScene } from "./planned-scene.ts";

/** The other image that is looked at: its path or address, and what its bands mean. */
export interface LowOptions {
  readonly low?: string | undefined;
  readonly low_bands?: readonly BandChoice[] | undefined;
  readonly low_scale?: readonly [number, number] | undefined;
}

/**
 * @param scene path or http(s) address; undefined where only the other image is there
 * @throws what openSource, CoarseImage.open and PairedSource.over throw
 */
export async function openScene(
  scene: string | undefined,
  sizes: LowResolution,
  options: SourceOptions & LowOptions,
): Promise<PatchSource> {
  const { low, pixelType: type = "uint8", missing = imageNetNormalization.mean } = options;
  if (low === undefined) return openSource(scene!, sizes, options);
  const coarse = await CoarseImage.open(low, {
    ...options,
    rendering: overRendering({ bands: options.low_bands, scale: options.low_scale }, options.usual),
    pixelType: type,
    bands: missing.length,
    begun: undefined,
    wholeFile: options.wholeFile && `${options.wholeFile}.low`,
  });
  let sharp: SharpSource | undefined;
  try {
    sharp =
      scene === undefined
        ? new PlannedScene(coarse, sizes)
        : await openSource(scene, sizes, { ...options, isLookedAtElsewhere: true });
    const fill = type === "uint8" ? missing.map((mean) => Math.round(255 * mean)) : missing;
    return await PairedSource.over(sharp, coarse, { sizes, form: { type, fill }, signal: options.signal });
  } catch (error) {
    await coarse.close();
    await sharp?.close();
    throw error;
  }
}
