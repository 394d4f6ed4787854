/** Which patches are read: in one look of the policy, or in the rounds of one that looks again. */
import type { HeldBatch } from "../src/inference/engine.ts";
import { lookInRounds, wantedOf } from "../src/inference/look-in-rounds.ts";
import { asTested, choosePatches, type Round } from "../src/method/budget.ts";
import { countPatches, makeGrid } from "../src/method/grid.ts";
import { calibratedConfidences, type Exit } from "../src/method/leave-early.ts";
import { mostInRound } from "../src/method/rounds.ts";
import type { SetDescription } from "./description.ts";

/** Left to itself the policy takes the patches that it wants with a probability of at least one half. */
export function isWanted(probability: number): boolean {
  return probability >= asTested.threshold;
}

/**
 * The mask [P] that the policy makes by itself, or, with a budget, that of the `budget` patches that it wants most; of two
 * that it wants equally, the first.
 * @param probabilities the policy's, [P]
 * @param round what it has, when it looks again: the mask is that of further patches
 */
export function choose(probabilities: Float32Array, budget?: number, round?: Round): Uint8Array {
  return choosePatches(probabilities, budget === undefined ? asTested : { policy: "topk", budget }, [], round);
}

/** A look of the policy, and what comes of it. */
export interface Look {
  /** The patches that are there before it and after it, [P]. */
  readonly before: Uint8Array;
  readonly after: Uint8Array;
  /** How much it wants each patch, [P]; of those that were there, how much it did when it took them. */
  readonly probabilities: Float32Array;
  /** How sure the classifier is of what was there, which a policy that decides in rounds is told. */
  readonly sure: number | undefined;
  /** The calibrated confidence with which the picture leaves: the policy is not asked, and nothing is added. */
  readonly leaves?: number | undefined;
}

/** How many patches a look adds. */
export function countAdded({ before, after }: Pick<Look, "before" | "after">): number {
  return countPatches(after) - countPatches(before);
}

type Looking = Pick<SetDescription, "imageSize" | "patchSize" | "rounds">;

export interface How {
  /** Patches that are taken; as many as the policy wants when absent. */
  readonly budget?: number | undefined;
  /** When the picture leaves early; never when absent. */
  readonly exit?: Exit | undefined;
}

/** The policy's looks at a picture: one, or as many as it has rounds. When a budget is spent, or the picture left, it does not look again. */
export async function lookAt(held: HeldBatch, description: Looking, { budget, exit }: How = {}): Promise<Look[]> {
  const { imageSize, patchSize, rounds = 1 } = description;
  const { patches } = makeGrid(imageSize, patchSize);
  const most = mostInRound(patches, rounds);
  const looks: Omit<Look, "sure">[] = [];
  await lookInRounds({ rounds, count: 1, patches }, async (there) => {
    const before = there.slice();
    const last = looks.at(-1);
    const sure = exit && confidenceOf(await held.logits(before), exit.temperature);
    if (sure !== undefined && sure >= exit!.confidence) {
      const probabilities = last?.probabilities ?? new Float32Array(patches);
      looks.push({ before, after: before, probabilities, leaves: sure });
      return { mask: new Uint8Array(patches), patches: new Float32Array(patches), leaves: Uint8Array.of(1) };
    }
    const wanted = await wantedOf(held, rounds, there);
    const mask = choose(wanted, budget, { acquired: there, most });
    const probabilities = wanted.map((one, k) => (before[k] === 1 ? last!.probabilities[k] : one));
    looks.push({ before, after: before.map((one, k) => one | mask[k]), probabilities });
    return { mask, patches: wanted };
  });
  // A budget that is spent ends it, whatever the classifier then thinks.
  const isSpent = ({ before }: Pick<Look, "before">) => countPatches(before) === budget;
  const own = looks.filter((look, round) => budget === undefined || round === 0 || !isSpent(look));
  const isTold = (look: Omit<Look, "sure">) => rounds > 1 && look.leaves === undefined;
  // What it is told is not calibrated.
  const sureOf = async ({ before }: Pick<Look, "before">) => confidenceOf(await held.logits(before), 1);
  return Promise.all(own.map(async (look) => ({ ...look, sure: isTold(look) ? await sureOf(look) : undefined })));
}

function confidenceOf(logits: Float32Array, temperature: number): number {
  return calibratedConfidences(logits, logits.length, temperature)[0];
}
