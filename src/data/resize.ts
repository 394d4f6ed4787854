/**
 * Bilinear resize with antialiasing, bit for bit as Pillow's `Image.resize(size, BILINEAR)`: weights of a triangle as wide as the scale, rows
 * first, then columns. Of bytes the weights are in fixed point and what lies in between is rounded to bytes; of measured values both are floating
 * point. One resize for all inputs, since classifiers lose accuracy when another kernel prepares their images than in training.
 * Source: the algorithm of Pillow's src/libImaging/Resample.c; torchvision's `Resize` and `CenterCrop` for the sizes.
 */
import { newPixels, type PixelArray, pixelTypeOf } from "../utils/pixel-array.ts";

/**
 * Fractional bits of a weight: 32, less 8 for the byte and 2 for the sum. An output's weights are not negative and sum to
 * one, up to half a unit each: a sum of bytes stays within a byte and 32 bits.
 */
const precisionBits = 32 - 8 - 2;
const half = 1 << (precisionBits - 1);

/** Up to a scale of 1.5 no more input positions count for an output: the case that is written out below. */
const fewTaps = 3;
/** Rows that are resized together: a weight is loaded once for all of them, and they stay in the processor's nearest cache. */
const rowsTogether = 32;

/** Of less than this, nothing is said of an output: what is left of 1 by rounding would be divided by. */
const leastShare = 1e-6;

/** For each output position: the first of the input positions that count, `taps` in number, and their weights. */
interface Weights {
  /** The first input position that any output needs, and the one after the last. */
  readonly start: number;
  readonly end: number;
  /** Counted from `start`. */
  readonly first: Int32Array;
  /** [outputs, taps], filled up with zeros: their sum is one. */
  readonly shares: Float64Array;
  /** The same in fixed point, for bytes. */
  readonly values: Int32Array;
  readonly taps: number;
}

/** Weights for the outputs `outputStart` to `outputStart + length` of an axis that is resized to `outputSize`. */
function bilinearWeights(inputSize: number, outputSize: number, outputStart: number, length: number): Weights {
  const scale = inputSize / outputSize;
  const support = Math.max(scale, 1); // half the triangle's base, in input pixels
  const taps = Math.min(Math.max(Math.ceil(2 * support), fewTaps), inputSize);
  const first = new Int32Array(length);
  const values = new Int32Array(length * taps);
  const shares = new Float64Array(length * taps);
  const exact = new Float64Array(taps);
  for (let output = 0; output < length; output++) {
    const center = (output + outputStart + 0.5) * scale;
    const begin = Math.max(Math.trunc(center - support + 0.5), 0);
    const end = Math.min(Math.trunc(center + support + 0.5), inputSize);
    let sum = 0;
    for (let i = 0; i < end - begin; i++) {
      exact[i] = Math.max(1 - Math.abs((i + begin - center + 0.5) * (1 / support)), 0);
      sum += exact[i];
    }
    first[output] = Math.min(begin, inputSize - taps);
    const at = output * taps + begin - first[output];
    for (let i = 0; i < end - begin; i++) {
      shares[at + i] = exact[i] / sum;
      values[at + i] = Math.trunc(0.5 + shares[at + i] * (1 << precisionBits));
    }
  }
  const start = first[0];
  const counted = first.map((position) => position - start);
  return { start, end: first[length - 1] + taps, first: counted, shares, values, taps };
}

/** A size in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A decoded image: [height, width, bands]. */
export interface Pixels extends Size {
  readonly pixels: PixelArray;
  /** Of a pair: the other picture of the same ground, of the same bands and any size. */
  readonly low?: Pixels;
}

/** A part of an image, in pixels. */
export interface Region extends Size {
  readonly left: number;
  readonly top: number;
}

/**
 * Resizes an image from one size to another, or only a region of the result; what the region does not need is not read. A measured value that
 * is missing (NaN) does not count among those that an output is made of; where all are missing, it is.
 * @param image [from.height, from.width, bands]
 * @returns [region.height, region.width, bands]; a part of the image's own memory if there is nothing to resize
 */
export function resizeBilinear<P extends PixelArray>(
  image: P,
  from: Size,
  to: Size,
  region: Region = { left: 0, top: 0, width: to.width, height: to.height },
): P {
  const bands = image.length / (from.width * from.height);
  const across = bilinearWeights(from.width, to.width, region.left, region.width);
  const down = bilinearWeights(from.height, to.height, region.top, region.height);
  const rows = image.subarray(bands * from.width * down.start, bands * from.width * down.end) as P;
  const sameWidth = to.width === from.width && region.width === from.width;
  const sameHeight = to.height === from.height && region.height === from.height;
  const wide = sameWidth ? rows : resizeRows(rows, bands * from.width, across, bands);
  return sameHeight ? wide : resizeColumns(wide, bands * region.width, down, bands);
}

/** [rows, width, bands] → [rows, outputs, bands] */
function resizeRows<P extends PixelArray>(image: P, rowLength: number, weights: Weights, bands: number): P {
  const rows = image.length / rowLength;
  const outLength = bands * weights.first.length;
  const out = sameKind(image, rows * outLength);
  for (let top = 0; top < rows; top += rowsTogether) {
    const pixels = Math.min(rowsTogether, rows - top);
    const walk = { bands, pixels, step: rowLength, outStep: outLength, tapStep: bands, outputStep: bands };
    blend(image.subarray(top * rowLength + bands * weights.start), out.subarray(top * outLength), weights, walk);
  }
  return out;
}

/** [rows, rowLength] → [outputs, rowLength] */
function resizeColumns<P extends PixelArray>(image: P, rowLength: number, weights: Weights, bands: number): P {
  const out = sameKind(image, weights.first.length * rowLength);
  const steps = { step: bands, outStep: bands, tapStep: rowLength, outputStep: rowLength };
  blend(image, out, weights, { bands, pixels: rowLength / bands, ...steps });
  return out;
}

function sameKind<P extends PixelArray>(image: P, length: number): P {
  return newPixels(image instanceof Uint8Array ? "uint8" : "float32", length) as P;
}

/** How a pass walks over an image. All steps are in numbers. */
interface Walk {
  readonly bands: number;
  /** Pixels across the pass: they have the same weights. */
  readonly pixels: number;
  /** From one of them to the next, in the input and in the output. */
  readonly step: number;
  readonly outStep: number;
  /** Along the pass: from an input pixel to the next, and from an output to the next. */
  readonly tapStep: number;
  readonly outputStep: number;
}

function blend(image: PixelArray, out: PixelArray, weights: Weights, walk: Walk): void {
  if (image instanceof Float32Array || out instanceof Float32Array) blendValues(image, out, weights, walk);
  else if (walk.bands !== 3) blendBytes(image, out, weights, walk);
  else if (weights.taps === fewTaps) blendFew(image, out, weights, walk);
  else blendMany(image, out, weights, walk);
}

/** What the two below do for three bands, for any number of them. */
function blendBytes(image: Uint8Array, out: Uint8Array, { first, values, taps }: Weights, walk: Walk): void {
  const { bands, pixels, step, outStep, tapStep, outputStep } = walk;
  for (let output = 0; output < first.length; output++) {
    for (let pixel = 0; pixel < pixels; pixel++) {
      const from = first[output] * tapStep + pixel * step;
      const at = output * outputStep + pixel * outStep;
      for (let band = 0; band < bands; band++) {
        let sum = half;
        for (let tap = 0; tap < taps; tap++) {
          sum = (sum + Math.imul(image[from + band + tap * tapStep], values[output * taps + tap])) | 0;
        }
        out[at + band] = sum >> precisionBits;
      }
    }
  }
}

function blendValues(image: PixelArray, out: PixelArray, { first, shares, taps }: Weights, walk: Walk): void {
  const { bands, pixels, step, outStep, tapStep, outputStep } = walk;
  for (let output = 0; output < first.length; output++) {
    for (let pixel = 0; pixel < pixels; pixel++) {
      const from = first[output] * tapStep + pixel * step;
      const at = output * outputStep + pixel * outStep;
      for (let band = 0; band < bands; band++) {
        let sum = 0;
        let missing = 0;
        for (let tap = 0; tap < taps; tap++) {
          const value = image[from + band + tap * tapStep];
          const share = shares[output * taps + tap];
          if (Number.isNaN(value)) missing += share;
          else sum += value * share;
        }
        // The shares of those that are there are to sum to one again.
        out[at + band] = missing === 0 ? sum : missing > 1 - leastShare ? Number.NaN : sum / (1 - missing);
      }
    }
  }
}

function blendFew(image: Uint8Array, out: Uint8Array, { first, values }: Weights, walk: Walk): void {
  const { pixels, step, outStep, tapStep, outputStep } = walk;
  for (let output = 0; output < first.length; output++) {
    const weight0 = values[fewTaps * output];
    const weight1 = values[fewTaps * output + 1];
    const weight2 = values[fewTaps * output + 2];
    let a = first[output] * tapStep;
    let at = output * outputStep;
    for (let pixel = 0; pixel < pixels; pixel++, a += step, at += outStep) {
      const b = a + tapStep;
      const c = b + tapStep;
      const red = Math.imul(image[a], weight0) + Math.imul(image[b], weight1) + Math.imul(image[c], weight2);
      const green =
        Math.imul(image[a + 1], weight0) + Math.imul(image[b + 1], weight1) + Math.imul(image[c + 1], weight2);
      const blue =
        Math.imul(image[a + 2], weight0) + Math.imul(image[b + 2], weight1) + Math.imul(image[c + 2], weight2);
      out[at] = (half + red) >> precisionBits;
      out[at + 1] = (half + green) >> precisionBits;
      out[at + 2] = (half + blue) >> precisionBits;
    }
  }
}

function blendMany(image: Uint8Array, out: Uint8Array, { first, values, taps }: Weights, walk: Walk): void {
  const { pixels, step, outStep, tapStep, outputStep } = walk;
  for (let output = 0; output < first.length; output++) {
    const end = (output + 1) * taps;
    let from = first[output] * tapStep;
    let at = output * outputStep;
    for (let pixel = 0; pixel < pixels; pixel++, from += step, at += outStep) {
      let red = half;
      let green = half;
      let blue = half;
      for (let tap = output * taps, source = from; tap < end; tap++, source += tapStep) {
        const weight = values[tap];
        red = (red + Math.imul(image[source], weight)) | 0;
        green = (green + Math.imul(image[source + 1], weight)) | 0;
        blue = (blue + Math.imul(image[source + 2], weight)) | 0;
      }
      out[at] = red >> precisionBits;
      out[at + 1] = green >> precisionBits;
      out[at + 2] = blue >> precisionBits;
    }
  }
}

/** The size in which the shorter side has `shorter` pixels, as torchvision's `Resize(shorter)` has it. */
export function shorterSideTo({ width, height }: Size, shorter: number): Size {
  return width <= height
    ? { width: shorter, height: Math.trunc((shorter * height) / width) }
    : { width: Math.trunc((shorter * width) / height), height: shorter };
}

/** The square in the middle, as torchvision's `CenterCrop(size)` has it. */
export function middleOf({ width, height }: Size, size: number): Region {
  const left = roundHalfToEven((width - size) / 2);
  const top = roundHalfToEven((height - size) / 2);
  return { left, top, width: size, height: size };
}

/**
 * The pixels that lie under the middles of a region's pixels, of an image that is stretched to a size.
 * @returns [region.height, region.width, bands]
 */
export function takeNearest({ pixels, width, height }: Pixels, to: Size, region: Region): PixelArray {
  const bands = pixels.length / (width * height);
  const taken = newPixels(pixelTypeOf(pixels), bands * region.width * region.height);
  const nearest = (at: number, from: number, size: number) => Math.floor(((at + 0.5) * from) / size);
  for (let y = 0, at = 0; y < region.height; y++) {
    const row = width * nearest(region.top + y, height, to.height);
    for (let x = 0; x < region.width; x++, at += bands) {
      const pixel = bands * (row + nearest(region.left + x, width, to.width));
      for (let band = 0; band < bands; band++) taken[at + band] = pixels[pixel + band];
    }
  }
  return taken;
}

/** Python's `round`. */
function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
