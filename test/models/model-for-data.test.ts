import { describe, expect, it } from "vitest";
import { modelForData } from "../../src/models/model-for-data.ts";

const square = (side: number) => ({ width: side, height: side });

describe("modelForData", () => {
  it.each([
    ["cifar10", "R32_C10"],
    ["cifar100", "R32_C100"],
    ["cifar100_coarse", "R32_C100"],
    ["synthetic_bands", "R8_Scenes"],
    ["synthetic", "R8_Scenes"],
  ])("takes for %s the model made for it, %s", (dataset, model) => {
    expect(modelForData({ dataset, pictures: square(32) })).toEqual({ model, note: undefined });
  });

  it("takes CIFAR's for images up to 64 pixels, and says so", () => {
    const note = "--model R32_C10, of 32 pixels, is taken for images of 64 × 20";
    const pictures = { width: 64, height: 20 };
    expect(modelForData({ dataset: "folder", pictures })).toEqual({ model: "R32_C10", note });
  });

  it("asks where images are larger on either side", () => {
    const asked = (width: number, height: number) => () =>
      modelForData({ dataset: "csv", pictures: { width, height } });
    expect(asked(600, 450)).toThrow(
      "--model: must be given for images of 600 × 450 pixels; R34_fMoW (112 pixels) or EffLite0 (112 pixels) or R34_ImgNet (224 pixels) suit them, R32_C10 trains on thumbnails of 32",
    );
    expect(asked(20, 65)).toThrow("must be given for images of 20 × 65 pixels");
  });

  it("tells the sizes of the form that is asked for", () => {
    const asked = () => modelForData({ dataset: "folder", pictures: square(600) }, "2020");
    expect(asked).toThrow("R34_fMoW (224 pixels) or R34_ImgNet (224 pixels) suit them");
  });
});
