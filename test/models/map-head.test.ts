/** How large the last layer of a policy is that keeps where things are: what its map has for each patch. */
import { expect, it } from "vitest";
import { findModel, type ModelOptions } from "../../src/models/registry.ts";
import { declare } from "../../src/nn/declare.ts";

function featuresOf(options: ModelOptions): number {
  const { policy, policyInput } = findModel({ ...options, policy_head: "map" });
  const { entries } = declare(policy, policyInput.size, policyInput.channels);
  return entries.findLast(({ role }) => role === "linearWeight")!.shape[1];
}

it.each<[string, ModelOptions, number]>([
  ["8 × 8 positions of 64 channels, two by two a patch", { model: "R32_C10" }, 4 * 4 * 64],
  ["the same in rounds", { model: "R32_C10", rounds: 4 }, 4 * 4 * 64],
  ["16 × 16 positions, four by four a patch", { model: "R8_Scenes", img_size: 64 }, 4 * 4 * 64],
  ["8 × 8 positions, which 4 × 2 rectangles do not divide alike", { model: "R32_C10", patch_size: "16x8" }, 8 * 8 * 64],
  ["a wide network's 4 × 4 positions of 512 in rounds", { model: "R32_C10", variant: "2020", rounds: 2 }, 4 * 4 * 512],
  ["2 × 2 positions of 512, fewer than patches", { model: "R34_fMoW" }, 2 * 2 * 512],
  [
    "14 × 14 positions of 512 at 448 pixels in rounds",
    { model: "R34_fMoW", variant: "2020", img_size: 448, rounds: 2 },
    14 * 14 * 512,
  ],
])("%s", (_, options, features) => {
  expect(featuresOf(options)).toBe(features);
});

it("the paper's forgets where things are: 64 means", () => {
  const { policy, policyInput } = findModel({ model: "R32_C10" });
  expect(declare(policy, policyInput.size).entries.at(-2)!.shape).toEqual([16, 64]);
});
