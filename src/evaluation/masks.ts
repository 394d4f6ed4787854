/** The masks that a choice makes, and the baselines that take the same number of patches of each image. */
import { type Choice, choosePatches } from "../method/budget.ts";
import { centrePatches, countPatches, fixedColumns, fixedRows, type Grid, maskOf, randomMask } from "../method/grid.ts";
import { Random } from "../utils/random.ts";
import type { MaskOf } from "./evaluate-masks.ts";

/** The mask that a choice makes; random ones depend on the seed and the image's position `positionOf(i)` in its split. */
export function maskBy(choice: Choice, seed: number, positionOf: (i: number) => number = (i) => i): MaskOf {
  const drawn = (i: number, patches: number) =>
    new Random(seed, "sampled patches", positionOf(i)).uniforms(new Float32Array(patches));
  return (i, probabilities) =>
    choosePatches(probabilities, choice, choice.policy === "sample" ? drawn(i, probabilities.length) : undefined);
}

export const baselineNames = [
  "best fixed mask",
  "random patches",
  "centre patches",
  "central columns",
  "central rows",
] as const;

/** Suffix of the names of baselines with the policy's number of patches. */
export const sameNumber = ", same number";

/** What baselines are made of besides the policy. */
export interface BaselineSource {
  readonly grid: Grid;
  readonly seed: number;
  /** All patches, those first that the best fixed masks have: its first k are the mask of k patches. */
  readonly fixedOrder: readonly number[];
}

/** For each image the same number of patches as `policy` takes of it, in the order of {@link baselineNames}. */
export function baselinesOf({ grid, seed, fixedOrder }: BaselineSource, policy: MaskOf): MaskOf[] {
  const withCountOf = (mask: (count: number, i: number) => Uint8Array): MaskOf => {
    return (i, probabilities) => mask(countPatches(policy(i, probabilities)), i);
  };
  return [
    withCountOf((count) => maskOf(fixedOrder.slice(0, count), grid.patches)),
    withCountOf((count, i) => randomMask(grid, count, new Random(seed, "random patches", i))),
    withCountOf((count) => centrePatches(grid, count)),
    withCountOf((count) => fixedColumns(grid, count)),
    withCountOf((count) => fixedRows(grid, count)),
  ];
}
