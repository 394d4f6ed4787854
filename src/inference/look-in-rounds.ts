/**
 * What a run decides about a batch: it looks once, or in rounds, in each of which it sees what was acquired so far and asks for
 * more, or stops.
 *
 * Shapes: B batch, P patches.
 */
import { row } from "../utils/rows.ts";
import type { HeldBatch } from "./engine.ts";

/** Row by row. */
export interface Decided {
  /** 1 for a patch that is acquired, [B, P]. */
  readonly mask: Uint8Array;
  /** The probability of each patch when it was last decided on, [B, P]. */
  readonly probabilities: Float32Array;
  /** Number of rounds in which something was asked for, [B]. */
  readonly rounds: Uint8Array;
}

/**
 * The mask [P] of further patches of image `b`, none where it stops.
 * @param probabilities [P]
 * @param acquired [P], 1 for a patch that is there already
 */
export type Further = (b: number, probabilities: Float32Array, acquired: Uint8Array) => Uint8Array;

/** @param rounds at most; with one, what is there already is not looked at */
export async function lookInRounds(
  held: HeldBatch,
  { rounds, count, patches }: { readonly rounds: number; readonly count: number; readonly patches: number },
  further: Further,
): Promise<Decided> {
  const decided = {
    mask: new Uint8Array(count * patches),
    probabilities: new Float32Array(count * patches),
    rounds: new Uint8Array(count),
  };
  for (let round = 1; round <= rounds; round++) {
    const { mask } = decided;
    const seen = rounds === 1 ? undefined : { mask, logits: await held.logits(mask) };
    const wanted = await held.probabilities(seen);
    // Those that asked for nothing have stopped.
    const going = Array.from(decided.rounds.keys()).filter((b) => decided.rounds[b] === round - 1);
    for (const b of going) {
      const [own, acquired] = [row(wanted, b, patches), row(mask, b, patches)];
      const more = further(b, own, acquired);
      for (let k = 0; k < patches; k++) {
        if (acquired[k] === 0) decided.probabilities[b * patches + k] = own[k];
        acquired[k] |= more[k];
      }
      if (more.includes(1)) decided.rounds[b] = round;
    }
    if (!decided.rounds.includes(round)) break;
  }
  return decided;
}
