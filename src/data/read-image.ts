/** One image file as a network gets it outside training. Many files go through decode-pool.ts, on threads of their own. */
import { type Fault, fault } from "../errors.ts";
import { newPixels, type PixelArray, type PixelType } from "../utils/pixel-array.ts";
import { decodePixels } from "./decode.ts";
import { DecodeMemory } from "./decode-memory.ts";
import { fillMissing } from "./normalizations.ts";
import { namesOf, type RenderingOptions } from "./rendering.ts";
import { type TransformName, transforms } from "./transforms.ts";

/** What an image is for, such as an opened run's `description`. */
export interface ImageTarget {
  /** Side in pixels. */
  readonly imageSize: number;
  readonly transform: TransformName;
  /** Which bands of a TIFF are taken, and which values are black and white; as the file says when absent. */
  readonly rendering?: RenderingOptions | undefined;
  /** Bytes when absent. */
  readonly pixelType?: PixelType | undefined;
  /** Of measured values, for what stands where there are none. */
  readonly normalization?: { readonly mean: readonly number[] } | undefined;
}

/**
 * Decodes a file and applies the test form of a model's transform.
 * @param target what the image is for; S is its size
 * @param maxImageBytes most bytes that decoding may take; 512 MiB when absent
 * @returns [S, S, bands]
 * @throws usage: a target that is none; input: not an image, cut off, too large, not bytes of RGB or grey and no rendering that fits
 */
export async function readImage(path: string, target: ImageTarget, maxImageBytes?: number): Promise<PixelArray> {
  const faults = targetFaults(target ?? {});
  if (faults.length > 0) throw fault("usage", faults);
  const { imageSize, transform, rendering = {}, pixelType = "uint8", normalization } = target;
  const decoding = { rendering, pixelType };
  const image = await decodePixels(path, new DecodeMemory(maxImageBytes), decoding).catch((error: Error) => {
    throw fault("input", { where: path, rule: "must be an image that can be read", got: error.message }, error);
  });
  const pixels = newPixels(pixelType, imageSize * imageSize * namesOf(rendering).length);
  transforms[transform](image, imageSize, pixels);
  fillMissing(pixels, normalization?.mean ?? []);
  return pixels;
}

/** A program's target may be anything, whatever its type promises. */
function targetFaults({ imageSize, transform }: Partial<ImageTarget>): Fault[] {
  const faults: Fault[] = [];
  const next = "give an opened run's description";
  if (imageSize === undefined || !Number.isSafeInteger(imageSize) || imageSize < 1) {
    faults.push({ where: "readImage: imageSize", rule: "must be a whole number of at least 1", got: imageSize, next });
  }
  if (transform === undefined || !Object.hasOwn(transforms, transform)) {
    const rule = `must be one of ${Object.keys(transforms).join(", ")}`;
    faults.push({ where: "readImage: transform", rule, got: transform, next });
  }
  return faults;
}
