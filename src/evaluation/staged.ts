/**
 * How many patches an image gets, by how sure the classifier is of it: decided at once from the low resolution, or in
 * rounds, in which the classifier looks again after each and stops when it is sure. Where the patches lie is fixed, and each
 * stage's lie within the next one's, so that whatever is gained is gained by their number.
 *
 * Plans are fitted to some images at a price per patch and applied to others. Shapes: N images.
 */

/** What is known of N images with the patches of one stage. */
export interface Stage {
  /** Patches acquired by then. */
  readonly patches: number;
  /** The largest class probability, [N]. */
  readonly confidence: ArrayLike<number>;
  /** 1 for an image that is classified correctly, [N]. */
  readonly right: ArrayLike<number>;
}

/** Shares of all patches: the stages among which one decision chooses. */
export const atOnceShares = [0, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1];

/** Shares of all patches as whole numbers of patches, each once. */
export function countsOf(shares: readonly number[], patches: number): number[] {
  return [...new Set(shares.map((share) => Math.round(share * patches)))];
}

/** Of each image, the stage at which it ends, [N]. */
export type Plan = (stages: readonly Stage[]) => Uint8Array;
/** The plan that pays best at a price per patch, of images of which these stages are known. */
export type PlanAt = (stages: readonly Stage[], price: number) => Plan;

/** Groups of images of similar confidence, of which each gets a number of patches of its own. */
const groups = 20;

/**
 * One decision: each group of images, by their confidence without patches, gets the stage that pays best at this price; a
 * surer group never gets more patches than a less sure one.
 */
export function decideAtOnce(stages: readonly Stage[], price: number): Plan {
  const [{ confidence }] = stages;
  const order = indicesBy(confidence);
  const ends = Array.from({ length: groups }, (_, g) => Math.round(((g + 1) * order.length) / groups));
  const values = ends.map((end, g) => {
    const members = order.slice(g === 0 ? 0 : ends[g - 1], end);
    return stages.map(({ right, patches }) => sum(members, (i) => right[i] - price * patches));
  });
  const chosen = fallingPath(values);
  const limits = ends.slice(0, -1).map((end) => confidence[order[Math.min(end, order.length - 1)]]);
  return ([{ confidence: sure }]) =>
    Uint8Array.from({ length: sure.length }, (_, i) => chosen[limits.filter((limit) => sure[i] >= limit).length]);
}

/**
 * Rounds: an image goes on to the next stage unless the classifier is surer than that stage's limit. The limits are
 * optimal stopping, from the last stage backwards: each is the one that pays best given those after it.
 */
export function decideInRounds(stages: readonly Stage[], price: number): Plan {
  const last = stages.length - 1;
  let later = Float64Array.from(stages[last].right, (right) => right - price * stages[last].patches);
  // What reaches the last stage ends there, however sure the classifier is.
  const limits = Array<number>(last + 1).fill(Number.NEGATIVE_INFINITY);
  for (let r = last - 1; r >= 0; r--) {
    const { confidence, right, patches } = stages[r];
    const now = Float64Array.from(right, (one) => one - price * patches);
    limits[r] = bestLimit(confidence, now, later);
    later = later.map((value, i) => (confidence[i] >= limits[r] ? now[i] : value));
  }
  return (others) => {
    const endOf = (i: number) => limits.findIndex((limit, r) => others[r].confidence[i] >= limit);
    return Uint8Array.from(others[0].right, (_, i) => endOf(i));
  };
}

/** The confidence from which on stopping earns most in all: [N] and what stopping and going on are worth [N]. */
function bestLimit(confidence: ArrayLike<number>, stop: Float64Array, goOn: Float64Array): number {
  const order = indicesBy(confidence);
  let value = sum(order, (i) => stop[i]);
  let best = { value, limit: Number.NEGATIVE_INFINITY };
  for (const [n, i] of order.entries()) {
    value += goOn[i] - stop[i];
    const next = n + 1 < order.length ? confidence[order[n + 1]] : Number.POSITIVE_INFINITY;
    // Images that are equally sure stop together.
    if (next > confidence[i] && value > best.value) best = { value, limit: between(confidence[i], next) };
  }
  return best.limit;
}

/** Midway, so that an image of another set falls on the same side. */
function between(below: number, above: number): number {
  return Number.isFinite(above) ? (below + above) / 2 : above;
}

/** For each group the stage, never rising from group to group, that make the largest sum of `values[group][stage]`. */
function fallingPath(values: readonly (readonly number[])[]): number[] {
  const [{ length: stages }] = values;
  let totals = Array<number>(stages).fill(0);
  const from: number[][] = [];
  // From the surest group backwards: a less sure one takes at least as many patches.
  for (const own of values.toReversed()) {
    const best = totals.map((_, stage) => indexOfLargest(totals.slice(0, stage + 1)));
    from.push(best);
    totals = own.map((value, stage) => value + totals[best[stage]]);
  }
  const path = [indexOfLargest(totals)];
  for (const best of from.toReversed().slice(0, -1)) path.push(best[path[path.length - 1]]);
  return path;
}

/** The mean number of patches of images that end at these stages. */
function meanPatches(ends: Uint8Array, stages: readonly Stage[]): number {
  return sum(ends, (stage) => stages[stage].patches) / ends.length;
}

/** What came of a plan: the mean number of patches, and whether each image is right where it ends, as 0..1, [N]. */
export interface Outcome {
  readonly patches: number;
  readonly right: Float64Array;
}

/** Two plans, of which each image gets the one that takes more by this chance, and else the other. */
export interface MixedPlan {
  readonly few: Plan;
  readonly many: Plan;
  readonly share: number;
}

/**
 * The plans that together take `budget` patches on average of the images that they are fitted to: those whose prices lie
 * next to that.
 * @param stages of the images to fit to
 */
export function atBudget(planAt: PlanAt, stages: readonly Stage[], budget: number): MixedPlan {
  const taken = (price: number) => meanPatches(planAt(stages, price)(stages), stages);
  // A patch that costs more than a whole right answer is never worth it.
  let [cheap, dear] = [0, 2];
  for (let n = 0; n < 30; n++) {
    const price = (cheap + dear) / 2;
    if (taken(price) > budget) cheap = price;
    else dear = price;
  }
  const [more, less] = [taken(cheap), taken(dear)];
  // Where even free patches are not worth that many, the plan takes what it takes.
  const share = more > less ? Math.min((budget - less) / (more - less), 1) : 0;
  return { few: planAt(stages, dear), many: planAt(stages, cheap), share };
}

/**
 * The same plans, and where they take fewer patches than `budget`, since even free ones are not worth that many, with all
 * patches for as many images as it takes: what is compared at a number of patches must have that number.
 */
export function filledUp(plans: MixedPlan, stages: readonly Stage[], budget: number): MixedPlan {
  const taken = outcomeOf(plans, stages).patches;
  const last = stages.length - 1;
  if (taken > budget - 0.01) return plans;
  const all: Plan = ([{ confidence }]) => new Uint8Array(confidence.length).fill(last);
  return {
    few: plans.share === 1 ? plans.many : plans.few,
    many: all,
    share: (budget - taken) / (stages[last].patches - taken),
  };
}

/** What comes of plans on images: the weighted mean of the two. */
export function outcomeOf({ few, many, share }: MixedPlan, stages: readonly Stage[]): Outcome {
  const [less, more] = [few, many].map((plan) => plan(stages));
  const mixed = (a: number, b: number) => a + share * (b - a);
  return {
    patches: mixed(meanPatches(less, stages), meanPatches(more, stages)),
    right: Float64Array.from(less, (stage, i) => mixed(stages[stage].right[i], stages[more[i]].right[i])),
  };
}

function indicesBy(values: ArrayLike<number>): Uint32Array {
  return Uint32Array.from({ length: values.length }, (_, i) => i).sort((a, b) => values[a] - values[b] || a - b);
}

function indexOfLargest(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}

function sum(items: Iterable<number>, value: (item: number) => number): number {
  let total = 0;
  for (const item of items) total += value(item);
  return total;
}
