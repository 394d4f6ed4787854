/** The masks that a choice makes, and the baselines that take the same number of patches of each image. */
import type { Decided } from "../inference/look-in-rounds.ts";
import type { OpenedRun } from "../inference/opened-run.ts";
import type { Choice } from "../method/budget.ts";
import { centrePatches, countPatches, fixedColumns, fixedRows, type Grid, randomMask } from "../method/grid.ts";
import { Random } from "../utils/random.ts";
import { row } from "../utils/rows.ts";
import { imageByImage, type LookedBatch, type MasksOf } from "./evaluate-masks.ts";

/** What a policy decides about a batch. */
export type Deciding = (batch: LookedBatch) => Promise<Decided>;

/**
 * What a run decides by a choice; each batch is decided on once. Random patches depend on the seed and the image's position
 * `positionOf(i)` in its split.
 */
export function decidedBy(
  run: OpenedRun,
  choice: Choice,
  seed: number,
  positionOf: (i: number) => number = (i) => i,
): Deciding {
  let last: { batch: LookedBatch; decided: Promise<Decided> } | undefined;
  return (batch) => {
    if (last?.batch === batch) return last.decided;
    const { held, first, count, patches } = batch;
    const drawn = (b: number) =>
      new Random(seed, "sampled patches", positionOf(first + b)).uniforms(new Float32Array(patches));
    const decided = run.decideOn(held, count, choice, choice.policy === "sample" ? drawn : undefined);
    last = { batch, decided };
    return decided;
  };
}

/** The masks of it. */
export function masksBy(deciding: Deciding): MasksOf {
  return async (batch) => (await deciding(batch)).mask;
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
  /** The best of each number of patches, none first, [P + 1]. */
  readonly fixedMasks: readonly Uint8Array[];
}

/** For each image the same number of patches as `policy` takes of it, in the order of {@link baselineNames}. */
export function baselinesOf({ grid, seed, fixedMasks }: BaselineSource, policy: MasksOf): MasksOf[] {
  const withCountOf = (mask: (count: number, i: number) => Uint8Array): MasksOf => {
    return async (batch) => {
      const taken = await policy(batch);
      return imageByImage((i) => mask(countPatches(row(taken, i - batch.first, batch.patches)), i))(batch);
    };
  };
  return [
    withCountOf((count) => fixedMasks[count]),
    withCountOf((count, i) => randomMask(grid, count, new Random(seed, "random patches", i))),
    withCountOf((count) => centrePatches(grid, count)),
    withCountOf((count) => fixedColumns(grid, count)),
    withCountOf((count) => fixedRows(grid, count)),
  ];
}
