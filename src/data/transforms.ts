/**
 * What is done to a decoded image before it is normalized: the transforms of the three kinds of data, as
 * torchvision's on Pillow images. Each has a training form, whose crops and flips are random, and a test form.
 *
 * | transform | resize (shorter side) | training | test |
 * | --- | --- | --- | --- |
 * | cifar | to the size, the middle | pad 4 with black (or fewer), random crop, random flip | – |
 * | imagenet | to 256/224 of the size | random crop, random flip | the middle |
 * | fmow | to the size | random crop, along the longer side | the middle |
 *
 * Of a pair, the low picture is stretched over the image and goes through the same, but its pixels are taken as they are (nearest), as
 * the low resolution is.
 */

import { joinPair } from "../utils/pairs.ts";
import type { PixelArray } from "../utils/pixel-array.ts";
import { Random } from "../utils/random.ts";
import { middleOf, type Pixels, type Region, resizeBilinear, type Size, shorterSideTo, takeNearest } from "./resize.ts";

/** How a picture of any size becomes the image of a network. */
export type TransformName = "cifar" | "imagenet" | "fmow";

/** Where an image's random numbers come from: the stream of the epoch, at the image's own block. */
export interface Draws extends Pick<Random, "integer"> {
  /** Pixels by which it is shifted at most. */
  readonly padding: number;
  /** Whether the image is mirrored; to be asked last. */
  flip(): boolean;
}

/**
 * Writes an image into `out`, [size, size, bands], of a pair [size, size, 2 bands]: its training form if draws are given, else its test form.
 */
type Transform = (image: Pixels, size: number, out: PixelArray, draws?: Draws) => void;

export const transforms: Readonly<Record<TransformName, Transform>> = {
  cifar: (image, size, out, draws) => {
    const middle = middlePart(image, size);
    if (draws === undefined) out.set(middle);
    else padCropFlip(middle, out, size, draws);
  },
  imagenet: (image, size, out, draws) => {
    out.set(resizedCrop(image, Math.round((size * 256) / 224), size, draws));
    if (draws?.flip()) mirror(out, size);
  },
  fmow: (image, size, out, draws) => {
    out.set(resizedCrop(image, size, size, draws));
  },
};

/** All that the random transforms of a batch depend on: with the same values here an image comes out the same, to the bit. */
export interface Augmentation {
  readonly seed: number;
  readonly epoch: number;
  /** Position of the batch's first image in the epoch's order. */
  readonly firstPosition: number;
  /** Pixels by which an image is shifted at most, up to {@link mostPadding}; that many when absent. */
  readonly padding?: number | undefined;
  /** 1 for each image of the batch that is mirrored, by slot; drawn when absent. */
  readonly mirrored?: Uint8Array | undefined;
}

/** The random numbers of each image of a batch, by slot: position n of the epoch's order owns block n of its stream. */
export function drawsOf({
  seed,
  epoch,
  firstPosition,
  padding = mostPadding,
  mirrored,
}: Augmentation): (slot: number) => Draws {
  const stream = new Random(seed, "augment", epoch);
  return (slot) => {
    const own = stream.seek(firstPosition + slot);
    return {
      integer: (below) => own.integer(below),
      padding,
      flip: () => (mirrored === undefined ? own.uniform() < 0.5 : mirrored[slot] === 1),
    };
  };
}

/** torchvision's `RandomCrop(32, padding=4)` is what ResNets are trained with. */
export const mostPadding = 4;

/** A shift and perhaps a flip: out[y, x] = image[y + down, x + right], nothing outside, then left and right swapped. */
export interface Move {
  readonly down: number;
  readonly right: number;
  readonly flip: boolean;
}

/** Every move that can be drawn, by its number; {@link stay} leaves the image as it is. */
const shifts = 2 * mostPadding + 1;
export const moves: readonly Move[] = Array.from({ length: 2 * shifts ** 2 }, (_, number) => ({
  down: Math.floor(number / 2 / shifts) - mostPadding,
  right: (Math.floor(number / 2) % shifts) - mostPadding,
  flip: number % 2 === 1,
}));
export const stay = moves.findIndex(({ down, right, flip }) => down === 0 && right === 0 && !flip);

/** The number of a move, drawn as torchvision's RandomCrop(size, padding) and RandomHorizontalFlip do. */
export function drawMove(draws: Draws): number {
  const { padding } = draws;
  const shift = () => draws.integer(2 * padding + 1) + mostPadding - padding;
  const down = shift();
  const right = shift();
  return 2 * (shifts * down + right) + Number(draws.flip());
}

/**
 * Writes a shifted and perhaps mirrored copy of an image.
 * @param image [size, size, bands]
 * @param out the same shape; not the same memory. What was outside is black, or of measured values missing (NaN)
 */
export function padCropFlip(image: PixelArray, out: PixelArray, size: number, draws: Draws): void {
  const { down, right, flip } = moves[drawMove(draws)];
  shift(image, out, size, down, right);
  if (flip) mirror(out, size);
}

/**
 * Resizes an image's shorter side to `shorter` pixels and cuts a square out: anywhere if draws are given, else the middle.
 * @returns [size, size, bands]
 */
function resizedCrop(image: Pixels, shorter: number, size: number, draws: Draws | undefined): PixelArray {
  const to = shorterSideTo(image, shorter);
  const region = draws === undefined ? middleOf(to, size) : anywhere(to, size, draws);
  return part(image, to, region);
}

/**
 * The middle of an image, its shorter side resized, as torchvision's `Resize(size)` and `CenterCrop(size)` do on a PIL image.
 * @returns [size, size, bands], of a pair [size, size, 2 bands]
 */
export function middlePart(image: Pixels, size: number): PixelArray {
  const to = shorterSideTo(image, size);
  return part(image, to, middleOf(to, size));
}

function part(image: Pixels, to: Size, region: Region): PixelArray {
  const { pixels, width, height, low } = image;
  const own = resizeBilinear(pixels, image, to, region);
  return low === undefined ? own : joinPair(own, takeNearest(low, to, region), pixels.length / (width * height));
}

function anywhere({ width, height }: Size, size: number, draws: Draws): Region {
  const top = draws.integer(height - size + 1);
  const left = draws.integer(width - size + 1);
  return { left, top, width: size, height: size };
}

/** out[y, x] = image[y + down, x + right], and nothing where that lies outside. */
function shift(image: PixelArray, out: PixelArray, size: number, down: number, right: number): void {
  const bands = image.length / size ** 2;
  const rowLength = size * bands;
  const from = bands * Math.max(right, 0);
  const to = bands * Math.max(-right, 0);
  const length = rowLength - bands * Math.abs(right);
  out.fill(out instanceof Uint8Array ? 0 : Number.NaN);
  if (length <= 0) return;
  for (let y = Math.max(-down, 0); y < Math.min(size, size - down); y++) {
    const row = (y + down) * rowLength + from;
    out.set(image.subarray(row, row + length), y * rowLength + to);
  }
}

/** Swaps left and right, in place. */
function mirror(image: PixelArray, size: number): void {
  const bands = image.length / size ** 2;
  for (let row = 0; row < image.length; row += bands * size) {
    for (let left = row, right = row + bands * (size - 1); left < right; left += bands, right -= bands) {
      for (let band = 0; band < bands; band++) {
        const swapped = image[left + band];
        image[left + band] = image[right + band];
        image[right + band] = swapped;
      }
    }
  }
}
