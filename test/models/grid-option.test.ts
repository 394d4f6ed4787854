/** `--grid`: patches by their number. */
import { describe, expect, it } from "vitest";
import type { GridSize } from "../../src/method/grid.ts";
import { findModel } from "../../src/models/registry.ts";

describe("a grid of columns and rows", () => {
  it.each<[GridSize, number, string | number, number]>([
    ["3x5", 60, "20x12", 15],
    ["4x4", 32, 8, 16],
    ["1x2", 32, "32x16", 2],
  ])("%s at %i pixels has patches of %s, %i of them", (grid, img_size, patchSize, patches) => {
    const model = findModel({ model: "R32_C10", img_size, grid });
    expect(model.grid).toMatchObject({ patchSize, patches });
    expect([model.grid.columns, model.grid.rows].join("x")).toBe(grid);
  });

  it("must divide the image, and says which size it would divide", () => {
    expect(() => findModel({ model: "R34_fMoW", grid: "3x5" })).toThrow(
      "--grid: must divide the image size of 112 pixels into whole patches, got 3x5; give --img_size 120",
    );
    expect(() => findModel({ model: "R32_C10", grid: "64x1" })).toThrow(/got 64x1; give --img_size 64$/);
  });

  it("stands in place of the patches' size", () => {
    expect(() => findModel({ model: "R32_C10", grid: "4x4", patch_size: 8 })).toThrow(
      "--grid: must not stand beside --patch_size, got 4x4 and 8",
    );
  });
});
