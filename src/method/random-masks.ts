/**
 * Masks by chance, for a classifier to learn on: it then reads any mask, and not only those of one policy.
 *
 * Shapes: B batch, P patches.
 */
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import { full, type Tensor } from "../tensor/tensor.ts";

/** Random numbers that an image takes where this share of them gets masks. */
export function randomMaskDraws(share: number, patches: number): number {
  return share === 0 ? 0 : patches + 2;
}

/**
 * Masks [B, P]: of the images that get one, any number of patches from none to all is equally likely, and any choice of that
 * number; the other images keep all patches.
 * @param uniforms [B, P + 2], in [0, 1): whether the image gets a mask, the chance of its patches, and one a patch
 * @param share of the images get a mask, 0 to 1
 */
export function randomMasks(uniforms: Tensor, share: number): Tensor {
  const [, draws] = uniforms.shape;
  return scope(() => {
    const isWhole = ops.atLeast(ops.slice(uniforms, 1, 0, 1), share);
    const one = full([], 1, "float32", uniforms.device);
    const chance = ops.where(isWhole, one, ops.slice(uniforms, 1, 1, 2)); // [B, 1]
    return ops.cast(ops.lessThan(ops.slice(uniforms, 1, 2, draws), chance), "float32");
  });
}
