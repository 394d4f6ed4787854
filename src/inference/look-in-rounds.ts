/**
 * What a policy decides about a batch: it looks once, or in rounds, in each of which it sees what was acquired so far and asks
 * for more, or stops. What looks, and what acquires, is the caller's: a run that has the whole images, or a scene.
 *
 * Shapes: B batch, P patches.
 */
import { row } from "../utils/rows.ts";
import type { HeldBatch, MaybePromise } from "./engine.ts";

/** What a policy says in one round. */
export interface Asked {
  /** 1 for a patch that it asks for, [B, P]. */
  readonly mask: Uint8Array;
  /** The probability of each patch, [B, P]; 0 of an image that leaves. */
  readonly patches: Float32Array;
  /** 1 for an image that leaves, since the classifier is sure enough of it, [B]; none do when absent. */
  readonly leaves?: Uint8Array | undefined;
}

/**
 * The probabilities [B, P] of a policy that has so many rounds.
 * @param there what is there already, [B, P]
 */
export async function wantedOf(held: HeldBatch, rounds: number, there: Uint8Array): Promise<Float32Array> {
  return held.probabilities(rounds === 1 ? undefined : { mask: there, logits: await held.logits(there) });
}

/** Row by row. */
export interface Decided {
  /** 1 for a patch that is acquired, [B, P]. */
  readonly mask: Uint8Array;
  /** The probability of each patch when it was last decided on, [B, P]. */
  readonly probabilities: Float32Array;
  /** Number of rounds in which something was asked for, [B]. */
  readonly rounds: Uint8Array;
  /** 1 for an image that left, since the classifier was sure enough of it, [B]. */
  readonly left: Uint8Array;
}

/** What is looked at, and in how many rounds at most. */
export interface Looking {
  readonly rounds: number;
  readonly count: number;
  readonly patches: number;
}

/** What was asked for in a round (1, 2, …), [B, P]: patches that are not there yet, of images that go on. */
export interface FurtherPatches {
  readonly further: Uint8Array;
  readonly round: number;
}

/**
 * @param look one round's, at what is there already, [B, P]
 * @param acquire brings what was asked for in a round
 */
export async function lookInRounds(
  looking: Looking,
  look: (there: Uint8Array) => MaybePromise<Asked>,
  acquire: (asked: FurtherPatches) => MaybePromise<void> = () => {},
): Promise<Decided> {
  const rounds = askInRounds(looking, look);
  for (;;) {
    const { done, value } = await rounds.next();
    if (done) return value;
    await acquire(value);
  }
}

/** As {@link lookInRounds}, for whoever does something else until what was asked for is there: it is to be when the next round begins. */
export async function* askInRounds(
  { rounds, count, patches }: Looking,
  look: (there: Uint8Array) => MaybePromise<Asked>,
): AsyncGenerator<FurtherPatches, Decided, void> {
  const decided = {
    mask: new Uint8Array(count * patches),
    probabilities: new Float32Array(count * patches),
    rounds: new Uint8Array(count),
    left: new Uint8Array(count),
  };
  for (let round = 1; round <= rounds; round++) {
    const asked = await look(decided.mask);
    const further = new Uint8Array(count * patches);
    for (let b = 0; b < count; b++) {
      const hasStopped = decided.rounds[b] < round - 1;
      if (hasStopped) continue;
      decided.left[b] = asked.leaves?.[b] ?? 0;
      // What the policy said of it is what it said when it was last asked.
      if (decided.left[b] === 1) continue;
      for (let at = b * patches; at < (b + 1) * patches; at++) {
        if (decided.mask[at] === 1) continue;
        decided.probabilities[at] = asked.patches[at];
        further[at] = asked.mask[at];
      }
      if (row(further, b, patches).includes(1)) decided.rounds[b] = round;
    }
    if (!further.includes(1)) break;
    yield { further, round };
    for (const [at, one] of further.entries()) decided.mask[at] |= one;
  }
  return decided;
}
