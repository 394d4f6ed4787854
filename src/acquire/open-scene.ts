/** What is acquired from: an image with a low resolution of its own, or one with another image's, which may not exist yet. */

import type { SceneFile } from "../archive/assets.ts";
import { imageNetNormalization } from "../data/normalizations.ts";
import type { BandChoice } from "../data/rendering.ts";
import { overRendering } from "../data/rendering.ts";
import { CoarseImage } from "./coarse-image.ts";
import { openFiles, openSource, type SourceOptions } from "./open-source.ts";
import { PairedSource } from "./paired-source.ts";
import type { LowResolution, PatchSource, SharpSource } from "./patch-source.ts";
import { PlannedScene } from "./planned-scene.ts";

/** The other image that is looked at: its path or address, and what its bands mean. */
export interface LowOptions {
  readonly low?: string | undefined;
  readonly low_bands?: readonly BandChoice[] | undefined;
  readonly low_scale?: readonly [number, number] | undefined;
  /** What stands for a missing value of each of its bands; as in the image when absent. */
  readonly missingLow?: readonly number[] | undefined;
}

/** Path or http(s) address, or the files of an item; undefined where only another image is there. */
export type NamedScene = string | readonly SceneFile[] | undefined;

/**
 * @throws what openSource, openFiles, CoarseImage.open and PairedSource.over throw
 */
export async function openScene(
  scene: NamedScene,
  sizes: LowResolution,
  options: SourceOptions & LowOptions,
): Promise<PatchSource> {
  const { low, pixelType: type = "uint8", missing = imageNetNormalization.mean, missingLow = missing } = options;
  if (low === undefined) return openSharp(scene!, sizes, options);
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
        : await openSharp(scene, sizes, { ...options, isLookedAtElsewhere: true });
    const fill = type === "uint8" ? missingLow.map((mean) => Math.round(255 * mean)) : missingLow;
    return await PairedSource.over(sharp, coarse, { sizes, form: { type, fill }, signal: options.signal });
  } catch (error) {
    await coarse.close();
    await sharp?.close();
    throw error;
  }
}

function openSharp(
  scene: string | readonly SceneFile[],
  sizes: LowResolution,
  options: SourceOptions,
): Promise<PatchSource> {
  return typeof scene === "string" ? openSource(scene, sizes, options) : openFiles(scene, sizes, options);
}
