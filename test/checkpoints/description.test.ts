/** What a checkpoint may say of its run: a description that contradicts itself is not believed. */
import { describe, expect, it } from "vitest";
import { descriptionSchema } from "../../src/checkpoints/description.ts";

const sound = {
  model: "R32_C10",
  variant: "2019",
  imageSize: 32,
  lowSize: 8,
  patchSize: 8,
  bands: ["red", "green", "blue"],
  transform: "cifar",
  normalization: { mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] },
  fill: "zero",
  classes: ["cat", "dog"],
  choice: { policy: "threshold", threshold: 0.5 },
};

function faultsOf(changed: Record<string, unknown>): string[] {
  const { error } = descriptionSchema.safeParse({ ...sound, ...changed });
  return (error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);
}

const square = "patchSize: must be a whole number of pixels above 0, or width x height such as 28x56";

describe("a description", () => {
  it.each([[{}], [{ patchSize: "16x8" }], [{ fill: "lr", lowSize: 32 }]])("is taken with %j", (changed) => {
    expect(faultsOf(changed)).toEqual([]);
  });

  it.each<[Record<string, unknown>, string]>([
    [{ patchSize: 5 }, "patchSize: must divide imageSize"],
    [{ patchSize: "8x5" }, "patchSize: must divide imageSize"],
    [{ patchSize: "-8x8" }, "patchSize: must have a width and a height above 0"],
    [{ patchSize: "8" }, square],
    [{ lowSize: 7 }, "lowSize: must divide imageSize"],
    [{ classes: ["cat", "cat"] }, "classes: must be names that differ"],
    [{ bands: ["red"] }, "normalization: must have one mean and one std per band"],
    [{ normalization: { mean: [125, 0.4, 0.3], std: [0.2, 0.3, 0.4] } }, "normalization: must be in units of 0..1"],
  ])("is refused with %j", (changed, fault) => {
    expect(faultsOf(changed)).toEqual([fault]);
  });
});
