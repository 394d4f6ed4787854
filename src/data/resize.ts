/**
 * Bilinear resize with antialiasing of 8-bit RGB images, bit for bit as Pillow's `Image.resize(size, BILINEAR)`: weights
 * of a triangle as wide as the scale in fixed point, rows first, then columns, rounded to bytes in between. One resize
 * for all inputs, since classifiers lose accuracy when another kernel prepares their images than in training.
 * Source: the algorithm of Pillow's src/libImaging/Resample.c; torchvision's `Resize` and `CenterCrop` for the sizes.
 */

/** Fractional bits of a weight: 32, less 8 for the byte and 2 for the sum. */
const precisionBits = 32 - 8 - 2;
const half = 1 << (precisionBits - 1);

/** For each output position: the first input position that counts, how many do, and their weights. */
interface Weights {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** [outputs, width], fixed point. */
  readonly values: Int32Array;
  readonly width: number;
}

/** Weights for the outputs `outputStart` to `outputStart + length` of an axis that is resized to `outputSize`. */
function bilinearWeights(inputSize: number, outputSize: number, outputStart: number, length: number): Weights {
  const scale = inputSize / outputSize;
  const support = Math.max(scale, 1); // half the triangle's base, in input pixels
  const width = 2 * Math.ceil(support) + 1;
  const first = new Int32Array(length);
  const count = new Int32Array(length);
  const values = new Int32Array(length * width);
  const exact = new Float64Array(width);
  for (let output = 0; output < length; output++) {
    const center = (output + outputStart + 0.5) * scale;
    const start = Math.max(Math.trunc(center - support + 0.5), 0);
    const end = Math.min(Math.trunc(center + support + 0.5), inputSize);
    let sum = 0;
    for (let i = 0; i < end - start; i++) {
      exact[i] = Math.max(1 - Math.abs((i + start - center + 0.5) * (1 / support)), 0);
      sum += exact[i];
    }
    for (let i = 0; i < end - start; i++) {
      values[output * width + i] = Math.trunc(0.5 + (exact[i] / sum) * (1 << precisionBits));
    }
    first[output] = start;
    count[output] = end - start;
  }
  return { first, count, values, width };
}

/** A size in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A part of an image, in pixels. */
export interface Region extends Size {
  readonly left: number;
  readonly top: number;
}

/**
 * Resizes an image from one size to another, or only a region of the result.
 * @param image bytes [from.height, from.width, 3]
 * @returns bytes [region.height, region.width, 3]
 */
export function resizeBilinear(
  image: Uint8Array,
  from: Size,
  to: Size,
  region: Region = { left: 0, top: 0, width: to.width, height: to.height },
): Uint8Array {
  const wide = resizeRows(image, from, to.width, region);
  return resizeColumns(wide, { width: region.width, height: from.height }, to.height, region);
}

function resizeRows(image: Uint8Array, { width, height }: Size, outWidth: number, region: Region): Uint8Array {
  if (outWidth === width && region.width === width) return image;
  const weights = bilinearWeights(width, outWidth, region.left, region.width);
  const out = new Uint8Array(region.width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < region.width; x++) {
      blend(image, 3 * (y * width + weights.first[x]), 3, weights, x, out, 3 * (y * region.width + x));
    }
  }
  return out;
}

function resizeColumns(image: Uint8Array, { width, height }: Size, outHeight: number, region: Region): Uint8Array {
  if (outHeight === height && region.height === height) return image;
  const weights = bilinearWeights(height, outHeight, region.top, region.height);
  const out = new Uint8Array(width * region.height * 3);
  for (let y = 0; y < region.height; y++) {
    for (let x = 0; x < width; x++) {
      blend(image, 3 * (weights.first[y] * width + x), 3 * width, weights, y, out, 3 * (y * width + x));
    }
  }
  return out;
}

/** One output pixel: the weighted sum of input pixels `step` bytes apart. Weights are not negative, so it fits a byte. */
function blend(
  image: Uint8Array,
  start: number,
  step: number,
  { count, values, width }: Weights,
  output: number,
  out: Uint8Array,
  at: number,
): void {
  let red = half;
  let green = half;
  let blue = half;
  for (let i = 0, from = start; i < count[output]; i++, from += step) {
    const weight = values[output * width + i];
    red += image[from] * weight;
    green += image[from + 1] * weight;
    blue += image[from + 2] * weight;
  }
  out[at] = Math.min(red >> precisionBits, 255);
  out[at + 1] = Math.min(green >> precisionBits, 255);
  out[at + 2] = Math.min(blue >> precisionBits, 255);
}

/**
 * Resizes the shorter side to `size` and cuts a square out of the middle, as torchvision's `Resize(size)` and
 * `CenterCrop(size)` do on a PIL image.
 * @param image bytes [height, width, 3]
 * @returns bytes [size, size, 3]
 */
export function resizeAndCrop(image: Uint8Array, { width, height }: Size, size: number): Uint8Array {
  const to =
    width <= height
      ? { width: size, height: Math.trunc((size * height) / width) }
      : { width: Math.trunc((size * width) / height), height: size };
  const left = roundHalfToEven((to.width - size) / 2);
  const top = roundHalfToEven((to.height - size) / 2);
  return resizeBilinear(image, { width, height }, to, { left, top, width: size, height: size });
}

/** Python's `round`. */
function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
