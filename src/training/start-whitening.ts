/**
 * The first convolution of a network that whitens its images, before anything is learned: its weights are the directions in which the
 * pixels of small squares of training images vary, each divided by how much, and their negatives.
 * Source: Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", arXiv 2404.00498, section 3.2.
 *
 * Shapes: B images, C channels, k the kernel's side, N = C·k² pixels of a square.
 */
import { readImages, roomFor } from "../data/dataset.ts";
import type { Learner } from "../models/networks.ts";
import { eigenvectors } from "../tensor/network-ops.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Random } from "../utils/random.ts";
import type { Setting } from "./setting.ts";

/** Enough for a covariance of a dozen numbers, at some thousand squares an image. */
const images = 2000;
/** Added to each variance: what hardly varies, as the difference of two pixels of a flat sky, is noise. */
const epsilon = 5e-4;

/** @param seen what the network is shown of normalized pixels [B, …] */
export async function startWhitening(
  { parameters }: Learner,
  { data: { train }, normalizer, model }: Pick<Setting, "data" | "normalizer" | "model">,
  seed: number,
  seen: (pixels: Tensor) => Tensor,
): Promise<void> {
  for (const { name, kernel } of parameters.declaration.whitenings) {
    const all = Uint32Array.from({ length: train.length }, (_, index) => index);
    const some = new Random(seed, "whiten").shuffle(all).slice(0, images);
    const pixels = roomFor(train, some.length);
    await readImages(train, some, pixels);
    const shown = () => seen(normalizer.images(pixels, model.imageSize));
    parameters.setFixed(`${name}.weight`, scope(() => whiteningWeights(shown(), kernel)).toFloat32());
  }
}

/** [B, C, H, W] → [2·N, N], rows in the order of a convolution's weights */
export function whiteningWeights(shown: Tensor, kernel: number): Tensor {
  return scope(() => {
    const squares = squaresOf(shown, kernel);
    const [, count] = squares.shape;
    const covariance = ops.scale(ops.matmul(squares, ops.transpose(squares)), 1 / count);
    const [variances, directions] = eigenvectors(covariance);
    const white = ops.transpose(ops.div(directions, ops.sqrt(ops.shift(variances, epsilon))));
    return ops.concat([white, ops.neg(white)], 0);
  });
}

/** All squares of the images, one a column. [B, C, H, W] → [N, B·(H − k + 1)·(W − k + 1)] */
function squaresOf(shown: Tensor, kernel: number): Tensor {
  const [, channels, height, width] = shown.shape;
  const rows: Tensor[] = [];
  for (let channel = 0; channel < channels; channel++) {
    for (let down = 0; down < kernel; down++) {
      for (let right = 0; right < kernel; right++) {
        const one = ops.select(shown, 1, channel);
        const shifted = ops.slice(
          ops.slice(one, 1, down, height - kernel + 1 + down),
          2,
          right,
          width - kernel + 1 + right,
        );
        rows.push(ops.reshape(shifted, [1, -1]));
      }
    }
  }
  return ops.concat(rows, 0);
}
