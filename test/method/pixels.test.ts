/** Images as bytes, worked by hand, and equal to what images.ts makes of tensors. */
import { expect, it } from "vitest";
import { makeGrid } from "../../src/method/grid.ts";
import { lowResolution, maskPatches, Normalizer } from "../../src/method/images.ts";
import { enlargePixels, fillDropped, lowPixels } from "../../src/method/pixels.ts";
import { toBytes } from "../../src/method/planes.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray } from "../../src/tensor/tensor.ts";
import { Random } from "../../src/utils/random.ts";

openLibtorch(findLibtorch(), { threads: 1 });

/** Grey pixels as RGB. */
const grey = (...values: number[]) => Uint8Array.from(values.flatMap((value) => [value, value, value]));

it("the low resolution is the top left pixel of each block, of every image", () => {
  const first = grey(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
  const images = Uint8Array.of(...first, ...first.map((value) => value + 100));
  expect(lowPixels(images, 4, 2, 3)).toEqual(grey(1, 3, 9, 11, 101, 103, 109, 111));
});

it("enlarged, each pixel is repeated over its block", () => {
  expect(enlargePixels(grey(1, 2, 3, 4), 2, 4, 3)).toEqual(grey(1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4));
});

it("keeps the channels of a pixel together", () => {
  const image = Uint8Array.of(1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  expect(lowPixels(image, 2, 1, 3)).toEqual(Uint8Array.of(1, 2, 3));
  expect(enlargePixels(Uint8Array.of(1, 2, 3), 1, 2, 3)).toEqual(Uint8Array.of(1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3));
});

it("fills dropped patches with a colour or with other pixels, image by image", () => {
  const images = grey(1, 2, 3, 4, 5, 6, 7, 8);
  const grid = makeGrid(2, 1);
  const masks = Uint8Array.of(1, 0, 1, 1, 0, 1, 1, 0);
  expect(fillDropped(images, masks, grid, [9, 9, 9])).toEqual(grey(1, 9, 3, 4, 9, 6, 7, 9));
  const other = grey(11, 12, 13, 14, 15, 16, 17, 18);
  expect(fillDropped(images, masks, grid, other)).toEqual(grey(1, 12, 3, 4, 15, 6, 7, 18));
});

it.each([8, "4x16", "16x2"] as const)("is what networks see, with patches of %s", (patchSize) => {
  const grid = makeGrid(32, patchSize);
  const random = new Random(1, "pixels");
  const bytes = new Uint8Array(2 * 32 * 32 * 3).map(() => random.integer(256));
  const masks = new Uint8Array(2 * grid.patches).map(() => random.integer(2));
  const statistics = { mean: [0.2, 0.4, 0.6], std: [0.25, 0.5, 0.125] };
  const normalizer = new Normalizer(statistics, "cpu");
  scope(() => {
    const images = normalizer.images(bytes, 32);
    const mask = fromArray(Float32Array.from(masks), [2, grid.patches]);
    const low = lowResolution(images, { lowSize: 8, lowInput: 32 });
    const shown = (tensor: { toFloat32(): Float32Array }) => toBytes(tensor.toFloat32(), 32, statistics);
    const blocks = enlargePixels(lowPixels(bytes, 32, 8, 3), 8, 32, 3);
    expect(shown(low)).toEqual(blocks);
    expect(fillDropped(bytes, masks, grid, blocks)).toEqual(shown(maskPatches(images, mask, grid, low)));
    const meanColour = statistics.mean.map((mean) => 255 * mean);
    expect(fillDropped(bytes, masks, grid, meanColour)).toEqual(shown(maskPatches(images, mask, grid)));
  });
  normalizer.free();
});
