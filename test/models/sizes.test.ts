/** Sizes that do not go together: the refusal names what was given, and what to give. */
import { expect, it } from "vitest";
import { findModel, type ModelOptions } from "../../src/models/registry.ts";
import { refusal } from "../refusal.ts";

it.each<[string, Omit<ModelOptions, "model">, string]>([
  [
    "an image that has no quarter",
    { img_size: 30 },
    "--img_size: must be a multiple of 4 unless --lr_size and --patch_size are given, got 30; give 32, or both sizes, which must divide it",
  ],
  [
    "a tiny one",
    { img_size: 1, lr_size: 1 },
    "--img_size: must be a multiple of 4 unless --lr_size and --patch_size are given, got 1; give 4, or both sizes, which must divide it",
  ],
  [
    "patches that do not divide the image",
    { img_size: 24, patch_size: 16 },
    "--patch_size: must divide the image size of 24 pixels, got 16; give one that does, or another --img_size",
  ],
  [
    // A quarter of 24 are 6 pixels, and one pixel of the low resolution, a quarter of the image, stands for 4. Of 24 pixels 4, 8, 12
    // and 24 are multiples of 4 that divide it.
    "an image whose quarter is no patch of --arch patches",
    { img_size: 24, arch: "patches" },
    "--arch patches: needs patches of a multiple of 4 pixels, which one of the low resolution stands for, got 6x6 of an image of 24; give another --img_size, or a --patch_size of 4, 8, 12, 24",
  ],
  [
    "a grid of patches of 4 x 2 pixels",
    { grid: "8x16", arch: "patches" },
    "--arch patches: needs patches of a multiple of 4 pixels, which one of the low resolution stands for, got 4x2 of an image of 32; give another --img_size, or a --patch_size of 4, 8, 16, 32",
  ],
])("%s is refused by what was given", (_, given, message) => {
  expect(refusal(() => findModel({ model: "R32_C10", ...given })).message).toBe(message);
});

it("what is told to give is taken", () => {
  const of = (given: Omit<ModelOptions, "model">) => findModel({ model: "R32_C10", ...given }).grid.patches;
  expect(of({ img_size: 32 })).toBe(16);
  expect(of({ img_size: 30, lr_size: 10, patch_size: 15 })).toBe(4);
  expect([4, 8, 12, 24].map((patch_size) => of({ img_size: 24, arch: "patches", patch_size }))).toEqual([36, 9, 4, 1]);
});
