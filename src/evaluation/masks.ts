/** The masks of a whole split: those of a selection, and the baselines that take just as many patches of each image. */
import { choosePatchesOf, type Looked, type Selection } from "../method/budget.ts";
import { centrePatches, countPatches, fixedColumns, fixedRows, type Grid, randomMask } from "../method/grid.ts";
import { Random } from "../utils/random.ts";
import type { MaskOf } from "./judge.ts";

/** A selection's mask of each image; what luck there is hangs on the seed and the image alone. */
export function masksOf(looked: Looked, selection: Selection, seed: number): MaskOf {
  const { patches } = looked;
  const drawn = (i: number) => new Random(seed, "sampled patches", i).uniforms(new Float32Array(patches));
  const masks = choosePatchesOf(looked, selection, selection.policy === "sample" ? drawn : undefined);
  return (i) => masks.subarray(i * patches, (i + 1) * patches);
}

export const baselineNames = ["random patches", "centre patches", "central columns", "central rows"] as const;

/** Ends the name of what takes as many patches of each image as a policy. */
export const asMany = ", as many";

/** For each image as many patches as `masks` takes of it, in the order of {@link baselineNames}. */
export function baselinesOf(grid: Grid, masks: MaskOf, seed: number): MaskOf[] {
  const count = (i: number) => countPatches(masks(i));
  return [
    (i) => randomMask(grid, count(i), new Random(seed, "random patches", i)),
    (i) => centrePatches(grid, count(i)),
    (i) => fixedColumns(grid, count(i)),
    (i) => fixedRows(grid, count(i)),
  ];
}
