/**
 * A data set's images on the device, which shifts and flips them there: a batch is two numbers per image, which one and
 * how it is moved. The bytes are those that the loader would have made.
 *
 * A move is a table of where each pixel comes from, so that all of it is exact integer work of three operators.
 *
 * Shapes: N images of side S, B batch, M moves.
 */
import type { Move } from "../data/transforms.ts";
import type { Device } from "../tensor/device.ts";
import * as ops from "../tensor/ops.ts";
import { keep, scope } from "../tensor/scope.ts";
import { empty, fromArray, type Tensor } from "../tensor/tensor.ts";

export class ResidentImages {
  readonly #size: number;
  /** uint8 [N, S² + 1, 3]: each image's pixels, and a black one after them. */
  readonly #pixels: Tensor;
  /** int64 [M, S²]: by move, the pixel that stands at each place. */
  readonly #sources: Tensor;

  /** @param images bytes [N, size, size, 3] */
  constructor(images: Uint8Array, size: number, moves: readonly Move[], device: Device) {
    this.#size = size;
    this.#pixels = keep(withBlackPixel(images, size * size, device));
    const table = moves.flatMap((move) => sourcesOf(move, size));
    this.#sources = keep(fromArray(BigInt64Array.from(table, BigInt), [moves.length, size * size], device));
  }

  /** Images `indices`, each moved by `moves` (its number in the list), both int64 [B]: uint8 [B, S, S, 3]. */
  batch(indices: Tensor, moves: Tensor): Tensor {
    const area = this.#size * this.#size;
    const [count] = indices.shape;
    return scope(() => {
      const chosen = ops.indexSelect(this.#pixels, 0, indices); // [B, S² + 1, 3]
      const sources = ops.view(ops.indexSelect(this.#sources, 0, moves), [count, area, 1]);
      const moved = ops.gather(chosen, 1, ops.expand(sources, [count, area, 3]));
      return ops.view(moved, [count, this.#size, this.#size, 3]);
    });
  }

  free(): void {
    this.#pixels.free();
    this.#sources.free();
  }
}

function withBlackPixel(images: Uint8Array, area: number, device: Device): Tensor {
  const count = images.length / (area * 3);
  return scope(() => {
    const pixels = empty([count, area + 1, 3], "uint8", device);
    ops.copyInto(ops.slice(pixels, 1, 0, area), fromArray(images, [count, area, 3]));
    ops.zeroInPlace(ops.slice(pixels, 1, area, area + 1));
    return pixels;
  });
}

/** Where the pixel at each place comes from, row by row; size² is the black one. */
function sourcesOf({ down, right, flip }: Move, size: number): number[] {
  const inside = (at: number) => at >= 0 && at < size;
  return Array.from({ length: size * size }, (_, place) => {
    const row = Math.floor(place / size) + down;
    const x = place % size;
    const column = (flip ? size - 1 - x : x) + right;
    return inside(row) && inside(column) ? row * size + column : size * size;
  });
}
