/** What a scene's files say of a batch of windows: a line for each window, a feature for each cell. */
import { countPatches, maskBits } from "../method/grid.ts";
import { likeliest, rounded } from "../predict/lines.ts";
import { row as rowOf } from "../utils/rows.ts";
import type { SceneOutputs } from "./outputs.ts";
import type { PatchPolicy } from "./patch-policy.ts";
import { areaOf, type Tally } from "./tally.ts";
import type { WindowBatch } from "./window-batch.ts";

interface Describing {
  readonly policy: PatchPolicy;
  /** Counts what is described. */
  readonly tally: Tally;
  /** Whether patches are used that nobody chose. */
  readonly takesFree: boolean;
  /** How many of the likeliest classes a line says. */
  readonly top: number;
}

/** @param classes probabilities, [windows, classes]; none where nothing was classified */
export function describeWindows(
  { windows, isSeen, mask, cells, costs, free, decided: said }: WindowBatch,
  classes: Float32Array | undefined,
  outputs: SceneOutputs,
  { policy, tally, takesFree, top: most }: Describing,
): void {
  const { probabilities, rounds, left } = said!;
  const { checkpoint, classes: names, model } = policy;
  for (const [i, box] of windows.entries()) {
    const window = { column: box.x / model.imageSize, row: box.y / model.imageSize };
    const own = rowOf(mask, i, model.grid.patches);
    const wanted = rowOf(probabilities, i, model.grid.patches);
    const isUnasked = left[i] === 1 && rounds[i] === 0;
    const decided = cells[i].map((cell) => ({
      cell,
      window,
      chosen: own[cell.patch] === 1 && !free.has(cell),
      ...(takesFree ? { free: free.has(cell) } : {}),
      ...(isSeen ? {} : { low: "missing" as const }),
      probability: rounded(wanted[cell.patch]),
      bytes: costs.get(cell) ?? 0,
    }));
    tally.look(isSeen, left[i] === 1);
    for (const one of decided) tally.add(one);
    outputs.cells(decided);
    const top = classes && likeliest(rowOf(classes, i, names.length), names, most);
    outputs.prediction({
      window: [window.column, window.row],
      box,
      low: isSeen ? undefined : "missing",
      class: top?.[0].class,
      top,
      mask: maskBits(own),
      patches: countPatches(own),
      rounds: policy.rounds > 1 ? rounds[i] : undefined,
      left: left[i] === 1 || undefined,
      patch_probabilities: isSeen && !isUnasked ? Array.from(wanted, rounded) : undefined,
      pixels:
        (isSeen ? model.lowSize ** 2 : 0) +
        areaOf(decided.filter(({ chosen, cell }) => chosen || free.has(cell)).map(({ cell }) => cell)),
      bytes: decided.reduce((sum, { bytes }) => sum + bytes, 0),
      checkpoint,
    });
  }
}
