/** The choices of a selection, and the baselines that take just as many patches of each image. */
import { choosePatches, type Selection } from "../method/budget.ts";
import { centrePatches, countPatches, fixedColumns, fixedRows, type Grid, randomMask } from "../method/grid.ts";
import { Random } from "../utils/random.ts";
import type { Choice } from "./judge.ts";

/** A selection's choice; what is drawn depends on the seed and the image's position `positionOf(i)` in its split alone. */
export function choiceOf(selection: Selection, seed: number, positionOf: (i: number) => number = (i) => i): Choice {
  const drawn = (i: number, patches: number) =>
    new Random(seed, "sampled patches", positionOf(i)).uniforms(new Float32Array(patches));
  return (i, probabilities) =>
    choosePatches(probabilities, selection, selection.policy === "sample" ? drawn(i, probabilities.length) : undefined);
}

export const baselineNames = ["random patches", "centre patches", "central columns", "central rows"] as const;

/** Ends the name of what takes as many patches of each image as a policy. */
export const asMany = ", as many";

/** For each image as many patches as `policy` takes of it, in the order of {@link baselineNames}. */
export function baselinesOf(grid: Grid, policy: Choice, seed: number): Choice[] {
  const asManyBy = (mask: (count: number, i: number) => Uint8Array): Choice => {
    return (i, probabilities) => mask(countPatches(policy(i, probabilities)), i);
  };
  return [
    asManyBy((count, i) => randomMask(grid, count, new Random(seed, "random patches", i))),
    asManyBy((count) => centrePatches(grid, count)),
    asManyBy((count) => fixedColumns(grid, count)),
    asManyBy((count) => fixedRows(grid, count)),
  ];
}
