/** What a measured headroom says, in a sentence. */
import type { Interval } from "../utils/bootstrap.ts";

const wayWords = {
  rounds: "by looking in rounds",
  many: "by how many patches",
  where: "by where they lie",
} as const;
type WayName = keyof typeof wayWords;

export interface Verdict {
  /** The way that gains most, and at which budget; none where a fixed mask is enough. */
  readonly best:
    | { readonly way: WayName; readonly budget: number; readonly patches: number; readonly gain: Interval }
    | undefined;
  readonly sentence: string;
}

interface Gains extends Readonly<Record<WayName, { readonly patches: number; readonly gain: Interval }>> {
  readonly budget: number;
}

/** What was measured; accuracies without a patch and with all of them. */
export interface Measured {
  readonly none: number;
  readonly all: number;
  readonly budgets: readonly Gains[];
}

/** A gain of less than this is not worth a policy, even where it is certain. */
const worthwhile = 0.01;

/** The largest gain whose interval lies above 0, of all ways and budgets. */
export function verdictOf({ none, all: whole, budgets }: Measured): Verdict {
  if (whole - none < worthwhile) {
    const told = `with all patches it has ${points(whole)} %, without any ${points(none)} %`;
    return {
      best: undefined,
      sentence: `Patches add nothing for this classifier: ${told}. Train it longer, then ask again.`,
    };
  }
  const ways = Object.keys(wayWords) as WayName[];
  const all = budgets.flatMap(({ budget, ...of }) => ways.map((way) => ({ way, budget, ...of[way] })));
  const certain = all.filter(({ gain }) => gain.low > 0 && gain.mean >= worthwhile);
  const [best] = certain.toSorted((a, b) => b.gain.mean - a.gain.mean);
  if (best === undefined) {
    const most = Math.max(...all.map(({ gain }) => gain.high));
    const bound = `at most ${points(Math.max(most, 0))} points are there, at 95 %`;
    return {
      best,
      sentence: `A fixed mask is enough: ${bound}. If that surprises, try a larger low resolution (--lr_size).`,
    };
  }
  const others = ways.filter((way) => way !== best.way);
  const also = others.map((way) => {
    const { gain } = budgets.find(({ budget }) => budget === best.budget)![way];
    return `${wayWords[way]} ${points(gain.mean)}`;
  });
  const range = `${points(best.gain.low)} to ${points(best.gain.high)}`;
  const found = `${points(best.gain.mean)} points (${range}) ${wayWords[best.way]}, at ${best.patches.toFixed(1)} patches`;
  return { best, sentence: `Looking can pay: ${found}; ${also.join(", ")}.` };
}

function points(share: number): string {
  return (100 * share).toFixed(1);
}
