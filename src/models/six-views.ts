/**
 * Test-time augmentation: what a network says of an image, averaged over the image and its mirror image, and half as much over both
 * shifted by a pixel up and left, and down and right.
 * Source: Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", arXiv 2404.00498, section 3.5.
 */
import { fault } from "../errors.ts";
import { type Arch, seesMask } from "../method/arch.ts";
import type { Network } from "../nn/layers.ts";

/** Shift in pixels, and the weight of the view and of its mirror image. */
const views = [
  [0, 1 / 4],
  [-1, 1 / 8],
  [1, 1 / 8],
] as const;

/** @throws usage: a classifier that works on patches, each of which a shift would cut elsewhere */
export function refuseSixViews(arch: Arch | undefined): void {
  if (!seesMask(arch)) return;
  const rule = "must be left out with --arch patches: a shifted image has other patches";
  throw fault("usage", { where: "--tta", rule });
}

/** The same parameters under the same names: to be declared of `network` itself, of which this is another reading. */
export function sixViews(network: Network): Network {
  return (layers, x) => {
    const parts = views.flatMap(([by, weight]) => {
      const shifted = () => (by === 0 ? x : layers.shifted(x, by));
      const of = (image: () => typeof x) => layers.block(() => layers.scaled(network(layers, image()), weight));
      return [of(shifted), of(() => layers.mirrored(shifted()))];
    });
    return parts.reduce((sum, part) => layers.add(sum, part));
  };
}
