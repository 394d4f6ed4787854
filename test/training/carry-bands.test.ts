import { expect, it } from "vitest";
import { asFloat32, type StateDict } from "../../src/formats/safetensors.ts";
import { carryBands } from "../../src/training/carry-bands.ts";

/** One filter of 1 × 2 for each of red, green and blue. */
const state: StateDict = new Map([
  [
    "conv1.weight",
    { dtype: "F32", shape: [1, 3, 1, 2], data: new Uint8Array(Float32Array.of(1, 2, 3, 4, 8, 9).buffer) },
  ],
  ["other", { dtype: "F32", shape: [1], data: new Uint8Array(Float32Array.of(7).buffer) }],
]);

it("gives a colour's band its filters and other bands the mean of three, as strong together as three were", () => {
  const carried = carryBands(state, "conv1.weight", ["nir", "Blue", "red", "swir16"]);
  expect(carried.get("conv1.weight")!.shape).toEqual([1, 4, 1, 2]);
  // Means 4 and 5; all times 3 / 4.
  expect([...asFloat32(carried.get("conv1.weight")!)]).toEqual([3, 3.75, 6, 6.75, 0.75, 1.5, 3, 3.75]);
  expect(carried.get("other")).toBe(state.get("other"));
  const grey = carryBands(state, "conv1.weight", ["band 1"]);
  expect([...asFloat32(grey.get("conv1.weight")!)]).toEqual([12, 15]);
});

it("leaves three bands, and a layer of other channels, as they are", () => {
  expect(carryBands(state, "conv1.weight", ["nir", "red", "green"])).toBe(state);
  expect(carryBands(state, "other", ["nir"])).toBe(state);
});
