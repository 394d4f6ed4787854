/** The masks that a choice makes, and the baselines that take just as many patches of each image. */
import { type Choice, choosePatches } from "../method/budget.ts";
import { centrePatches, countPatches, fixedColumns, fixedRows, type Grid, randomMask } from "../method/grid.ts";
import { Random } from "../utils/random.ts";
import type { MaskOf } from "./evaluate-masks.ts";

/** The mask that a choice makes; what is drawn depends on the seed and on the image's position `positionOf(i)` in its split. */
export function maskBy(choice: Choice, seed: number, positionOf: (i: number) => number = (i) => i): MaskOf {
  const drawn = (i: number, patches: number) =>
    new Random(seed, "sampled patches", positionOf(i)).uniforms(new Float32Array(patches));
  return (i, probabilities) =>
    choosePatches(probabilities, choice, choice.policy === "sample" ? drawn(i, probabilities.length) : undefined);
}

export const baselineNames = ["random patches", "centre patches", "central columns", "central rows"] as const;

/** Ends the name of what takes as many patches of each image as a policy. */
export const asMany = ", as many";

/** For each image as many patches as `policy` takes of it, in the order of {@link baselineNames}. */
export function baselinesOf(grid: Grid, policy: MaskOf, seed: number): MaskOf[] {
  const asManyBy = (mask: (count: number, i: number) => Uint8Array): MaskOf => {
    return (i, probabilities) => mask(countPatches(policy(i, probabilities)), i);
  };
  return [
    asManyBy((count, i) => randomMask(grid, count, new Random(seed, "random patches", i))),
    asManyBy((count) => centrePatches(grid, count)),
    asManyBy((count) => fixedColumns(grid, count)),
    asManyBy((count) => fixedRows(grid, count)),
  ];
}
