/**
 * A classifier whose work falls with the patches: a residual trunk sees each patch that is there by itself, down to the scale of the
 * low-resolution image, where its maps meet that image's own features; what lies behind is small and sees the whole. Convolutions that
 * end at a patch's edge cost little accuracy (Li et al., "Block Convolution", arXiv 2105.08937), and the low resolution brings the context.
 */
import { fault } from "../errors.ts";
import type { Grid } from "../method/grid.ts";
import type { Layers, Network } from "../nn/layers.ts";
import { cifarBlock } from "./cifar-resnet.ts";

/** The trunk's channels and residual blocks. */
const segments = [
  { channels: 32, blocks: 1 },
  { channels: 64, blocks: 2 },
  { channels: 128, blocks: 1 },
] as const;
/** Channels where both resolutions have met. */
const topChannels = 64;
/** From this side on, in pixels, images are halved before the first segment, and a low resolution before both meet. */
const large = { image: 64, low: 24 } as const;

export interface PatchNetSizes {
  readonly grid: Grid;
  /** Side of the low-resolution image in pixels. */
  readonly lowSize: number;
}

/**
 * What is there of images: the patches, the low resolution in place of the others, and last a plane of ones where patches are there,
 * [B, C + 1, S, S] → [B, outputs]
 * @throws usage: sizes that halving does not bring together
 */
export function patchNet(outputs: number, { grid, lowSize }: PatchNetSizes): Network {
  const { rows, columns } = grid;
  const shrink = grid.imageSize / lowSize;
  const strides = trunkStrides(grid, lowSize);
  const stride = lowSize < large.low ? 1 : 2;
  const { channels } = segments[segments.length - 1];
  return (layers, seen) => {
    const low = lowFeatures(layers, layers.averagePool(seen, shrink), stride);
    const patches = layers.ofPatches(seen, "trunk", { rows, columns, channels, shrink }, (x) =>
      trunk(layers, x, strides),
    );
    const join = { channels: topChannels, kernel: 1, stride };
    const met = layers.convBnAddRelu(patches, low, { conv: "join.conv", bn: "join.bn" }, join);
    const map = cifarBlock(layers, met, { name: "top", channels: topChannels });
    return layers.linear(layers.globalAveragePool(map), "fc", outputs);
  };
}

function lowFeatures<V>(layers: Layers<V>, low: V, stride: number): V {
  const stem = { channels: topChannels, kernel: 3, stride };
  const x = layers.convBnRelu(low, { conv: "low.conv", bn: "low.bn" }, stem);
  return cifarBlock(layers, x, { name: "low.block", channels: topChannels });
}

/** @param strides of the stem, then of each segment */
function trunk<V>(layers: Layers<V>, patches: V, [stem, ...strides]: readonly number[]): V {
  const [{ channels: first }] = segments;
  const names = { conv: "trunk.conv", bn: "trunk.bn" };
  let x = layers.convBnRelu(patches, names, { channels: first, kernel: 3, stride: stem });
  let inputs: number = first;
  for (const [segment, { channels, blocks }] of segments.entries()) {
    for (let block = 0; block < blocks; block++) {
      const stride = block === 0 ? strides[segment] : 1;
      x = cifarBlock(layers, x, { name: `trunk.${segment}.${block}`, inputs, channels, stride });
      inputs = channels;
    }
  }
  return x;
}

/** 2 where a patch is halved on its way to the low resolution's scale: as late as it can be in small images, else as early. */
function trunkStrides({ imageSize, patchWidth, patchHeight }: Grid, lowSize: number): number[] {
  const shrink = imageSize / lowSize;
  const isLarge = imageSize >= large.image;
  const most = isLarge ? segments.length : segments.length - 1;
  const halvings = Math.log2(shrink);
  if (!Number.isInteger(halvings) || halvings > most) {
    const fitting = [...Array(most + 1).keys()].map((n) => imageSize / 2 ** n).filter(Number.isInteger);
    const rule = `must be the image's side, halved at most ${most} times, with --arch patches: here ${fitting.join(", ")}`;
    const next = "choose another, give an --img_size that halves more often, or leave --arch out";
    throw fault("usage", { where: "--lr_size", rule, got: lowSize, next });
  }
  if (patchWidth % shrink !== 0 || patchHeight % shrink !== 0) {
    // No flag need have said how large patches are: a quarter of the image is usual, or --grid divides it.
    const rule = `needs patches of a multiple of ${shrink} pixels, which one of the low resolution stands for`;
    const got = `${patchWidth}x${patchHeight} of an image of ${imageSize}`;
    const fitting = [...Array(lowSize).keys()].filter((n) => lowSize % (n + 1) === 0).map((n) => (n + 1) * shrink);
    const next = `give another --img_size, or a --patch_size of ${fitting.join(", ")}`;
    throw fault("usage", { where: "--arch patches", rule, got, next });
  }
  const steps = Array.from({ length: segments.length }, (_, n) => (n < halvings ? 2 : 1));
  return isLarge ? [steps[0], 1, ...steps.slice(1)] : [1, 1, ...steps.slice(0, -1)];
}
