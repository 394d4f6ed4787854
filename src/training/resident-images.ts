/**
 * A data set's images on the device, which shifts and flips them there: a batch is two numbers per image, which one and
 * how it is moved. The pixels are those that the loader would have made.
 *
 * A move is a table of where each pixel comes from, so that all of it is exact integer work of three operators.
 *
 * Shapes: N images of side S and C numbers a pixel (of pairs twice the bands), B batch, M moves.
 */
import { type Dataset, pixelStatistics } from "../data/dataset.ts";
import type { Move } from "../data/transforms.ts";
import type { Device } from "../tensor/device.ts";
import * as ops from "../tensor/ops.ts";
import { keep, scope } from "../tensor/scope.ts";
import { empty, fromArray, type Tensor } from "../tensor/tensor.ts";
import { newPixels, type PixelArray, pixelTypeOf } from "../utils/pixel-array.ts";

export class ResidentImages {
  readonly #size: number;
  readonly #channels: number;
  /** [N, S² + 1, C]: each image's pixels, and after them what is seen where there are none. */
  readonly #pixels: Tensor;
  /** int64 [M, S²]: by move, the pixel that stands at each place. */
  readonly #sources: Tensor;

  /** @param images those of the data set, [N, S, S, C] */
  constructor(
    dataset: Pick<Dataset, "imageSize" | "bands" | "normalization" | "low">,
    images: PixelArray,
    moves: readonly Move[],
    device: Device,
  ) {
    const { imageSize: size } = dataset;
    const { mean } = pixelStatistics(dataset);
    this.#size = size;
    this.#channels = mean.length;
    const nothing = images instanceof Uint8Array ? mean.map(() => 0) : mean;
    this.#pixels = keep(withPixelOfNothing(images, size * size, nothing, device));
    const table = moves.flatMap((move) => sourcesOf(move, size));
    this.#sources = keep(fromArray(BigInt64Array.from(table, BigInt), [moves.length, size * size], device));
  }

  /** Images `indices`, each moved by `moves` (its number in the list), both int64 [B]: [B, S, S, C]. */
  batch(indices: Tensor, moves: Tensor): Tensor {
    const area = this.#size * this.#size;
    const [count] = indices.shape;
    return scope(() => {
      const chosen = ops.indexSelect(this.#pixels, 0, indices); // [B, S² + 1, C]
      const sources = ops.view(ops.indexSelect(this.#sources, 0, moves), [count, area, 1]);
      const moved = ops.gather(chosen, 1, ops.expand(sources, [count, area, this.#channels]));
      return ops.view(moved, [count, this.#size, this.#size, this.#channels]);
    });
  }

  free(): void {
    this.#pixels.free();
    this.#sources.free();
  }
}

function withPixelOfNothing(images: PixelArray, area: number, nothing: readonly number[], device: Device): Tensor {
  const channels = nothing.length;
  const count = images.length / (area * channels);
  return scope(() => {
    const pixels = empty([count, area + 1, channels], pixelTypeOf(images), device);
    ops.copyInto(ops.slice(pixels, 1, 0, area), fromArray(images, [count, area, channels]));
    const last = newPixels(pixelTypeOf(images), channels);
    last.set(nothing);
    ops.copyInto(ops.slice(pixels, 1, area, area + 1), fromArray(last, [1, 1, channels], device));
    return pixels;
  });
}

/** Where the pixel at each place comes from, row by row; size² is the one of nothing. */
function sourcesOf({ down, right, flip }: Move, size: number): number[] {
  const inside = (at: number) => at >= 0 && at < size;
  return Array.from({ length: size * size }, (_, place) => {
    const row = Math.floor(place / size) + down;
    const x = place % size;
    const column = (flip ? size - 1 - x : x) + right;
    return inside(row) && inside(column) ? row * size + column : size * size;
  });
}
