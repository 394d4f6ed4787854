/**
 * Whether looking can pay on some data: what the best fixed mask gets at each budget, and what could be had beyond it, by
 * deciding how many patches an image needs, by deciding in rounds, and by deciding where. On held-out images, of which
 * some choose and the others judge.
 *
 * Shapes: N images, P patches.
 */
import type { RunDescription } from "../checkpoints/description.ts";
import { openCheckpoint } from "../checkpoints/open-checkpoint.ts";
import type { DataSplits } from "../data/dataset.ts";
import { checkClasses } from "../data/dataset-rules.ts";
import { fault } from "../errors.ts";
import { type BatchBody, evaluateMasks, forEachBatch, imageByImage } from "../evaluation/evaluate-masks.ts";
import { type EvaluatedRun, type EvaluationContext, withEvaluatedRun } from "../evaluation/evaluated-run.ts";
import { labelWorth } from "../evaluation/find-fixed-masks.ts";
import { exchanged, greedyOrder } from "../evaluation/fixed-mask.ts";
import { type Images, type MaskScores, scoreMasks } from "../evaluation/score-masks.ts";
import {
  atBudget,
  atOnceShares,
  countsOf,
  decideAtOnce,
  decideInRounds,
  type Outcome,
  outcomeOf,
  type PlanAt,
} from "../evaluation/staged.ts";
import type { OpenedRun } from "../inference/opened-run.ts";
import { maskOf, randomMask } from "../method/grid.ts";
import { softmax } from "../method/planes.ts";
import { evalSchema } from "../options/eval-options.ts";
import type { HeadroomOptions } from "../options/headroom-options.ts";
import { bootstrapMean, type Interval } from "../utils/bootstrap.ts";
import { defined } from "../utils/defined.ts";
import { meanOf } from "../utils/mean.ts";
import { Random } from "../utils/random.ts";
import { type Reporter, silentReporter, untilStopped } from "../utils/reporter.ts";
import { bestOfNeighbours } from "./neighbours.ts";
import { type Verdict, verdictOf } from "./verdict.ts";

/** One way to choose at one budget, beside the best fixed mask with as many patches. */
export interface Way {
  readonly patches: number;
  readonly accuracy: number;
  /** Accuracy above that of the best fixed mask, in 0..1, with its paired interval of 95 %. */
  readonly gain: Interval;
}

export interface BudgetHeadroom {
  readonly budget: number;
  /** F: the best mask that is the same for every image. */
  readonly fixed: number;
  /** C: how many patches, decided once, from how sure the classifier is of the low resolution. */
  readonly many: Way;
  /** R: in rounds, until the classifier is sure. */
  readonly rounds: Way;
  /** N: which mask, as it served similar images best. */
  readonly where: Way;
  /**
   * O: which mask, by the label itself, as one classifier has it and another judges; none without the other. A bound that no
   * policy reaches, and only as far as the two agree on what masks are worth.
   */
  readonly label?: Way | undefined;
}

export interface Headroom {
  readonly checkpoint: string;
  readonly dataset: string;
  readonly split: keyof DataSplits;
  /** Those that judge. */
  readonly images: number;
  /** Of images without a patch, and with all of them. */
  readonly none: number;
  readonly all: number;
  readonly budgets: readonly BudgetHeadroom[];
  readonly verdict: Verdict;
}

/** Shares of all patches: of the stages of rounds. */
const roundShares = [0, 1 / 4, 1 / 2, 1];
/** Masks of which one is chosen by an image's neighbours, beside the best fixed one. */
const libraryMasks = 24;
/** At most this many images choose; those that search for masks, and an image's neighbours, are among them. */
const most = { choosing: 2000, searching: 1000, known: 800 } as const;

/** At least this many images judge. */
const fewest = 100;

/** @throws input: a run without a classifier of the high resolution; and what withEvaluatedRun throws */
export function measureHeadroom(
  options: HeadroomOptions,
  reporter: Reporter = silentReporter,
  { data }: Pick<EvaluationContext, "data"> = {},
): Promise<Headroom> {
  const { budgets: asked, split: given, judge: other, chart: _, ...rest } = options;
  const checkpoint = openCheckpoint(options.load);
  const { options: trained, dataset } = checkpoint.config;
  const isHeldOut = Number(trained.val_fraction ?? 0) > 0 || dataset.val !== undefined || data?.val !== undefined;
  const split = given ?? (isHeldOut ? "val" : "test");
  const evaluated = evalSchema.parse(defined({ ...rest, split }));
  return withEvaluatedRun(checkpoint, evaluated, { reporter, data }, async (run) => {
    const budgets = checkedBudgets(run, asked);
    if (run.run.description.fill === "zero") {
      reporter.note(
        "dropped patches are zeros, so the classifier may hardly know masks: see --random_masks and --fill",
      );
    }
    const judge = other === undefined ? undefined : openJudge(run, other);
    try {
      const found = await headroomOf(run, budgets, judge);
      return { checkpoint: checkpoint.path, dataset: run.split.name, split, ...found };
    } finally {
      await judge?.free();
    }
  });
}

/** @throws input: a classifier of another model or of other classes */
function openJudge({ openAlone, run, split }: EvaluatedRun, load: string): OpenedRun {
  const checkpoint = openCheckpoint(load);
  const { description } = checkpoint.config;
  const where = `--judge ${load}`;
  const named = ({ model, variant, imageSize }: RunDescription) => `${model} ${variant} at ${imageSize} pixels`;
  if (description !== undefined && named(description) !== named(run.description)) {
    const rule = `must be for the model of --load, ${named(run.description)}`;
    throw fault("input", { where, rule, got: named(description) });
  }
  if (description !== undefined) checkClasses(description.classes, split, where);
  return openAlone("resnet_hr", checkpoint);
}

/**
 * Of a run that is open, on the split that it is evaluated on.
 * @param judge another classifier of the same data
 * @throws Stopped when a signal asks for it
 */
export async function headroomOf(
  run: EvaluatedRun,
  budgets: readonly number[],
  judge?: OpenedRun,
): Promise<Omit<Headroom, "checkpoint" | "dataset" | "split">> {
  const [choosing, judging] = partsOf(run);
  if (judging.indices.length < fewest) {
    throw fault("input", {
      where: run.split.name,
      rule: `must have at least ${2 * fewest} images, of which half judge: fewer can't tell a gain from chance`,
      got: run.split.length,
      next: "give another --split, or train with a larger --val_fraction",
    });
  }
  const found = await new Measure(run, choosing, judging).measured(budgets, judge);
  return { images: judging.indices.length, ...found, verdict: verdictOf(found) };
}

function checkedBudgets({ run, checkpoint }: EvaluatedRun, asked: readonly number[] | undefined): readonly number[] {
  if (!run.seesHigh) {
    const next = "give the run of a high-resolution classifier, best one trained with --random_masks 0.5";
    throw fault("input", { where: checkpoint.path, rule: "must hold a high-resolution classifier", next });
  }
  const { patches } = run.model.grid;
  const usual = [1 / 8, 1 / 4, 3 / 8, 1 / 2].map((share) => Math.max(Math.round(share * patches), 1));
  const budgets = asked ?? [...new Set(usual)];
  const wrong = budgets.find((budget) => budget >= patches);
  if (wrong === undefined) return budgets;
  throw fault("usage", { where: "--budgets", rule: `must be below all ${patches} patches`, got: wrong });
}

/** Those that choose, at most half of the split, and those that judge; drawn by the seed. */
function partsOf({ split, seed }: EvaluatedRun): [choosing: Images, judging: Images] {
  const all = new Random(seed, "headroom").shuffle(Uint32Array.from(split.labels.keys()));
  const count = Math.min(Math.floor(all.length / 2), most.choosing);
  const part = (indices: Uint32Array): Images => ({ split, indices });
  return [part(all.slice(0, count)), part(all.slice(count))];
}

/** The first of some images, whose order is random. */
function firstOf({ split, indices }: Images, count: number): Images {
  return { split, indices: indices.slice(0, count) };
}

/** Chooses on one part of the images, judges on the other. */
class Measure {
  readonly #run: EvaluatedRun;
  readonly #choosing: Images;
  readonly #judging: Images;
  readonly #patches: number;

  constructor(run: EvaluatedRun, choosing: Images, judging: Images) {
    this.#run = run;
    this.#choosing = choosing;
    this.#judging = judging;
    this.#patches = run.run.model.grid.patches;
  }

  async measured(
    budgets: readonly number[],
    judge: OpenedRun | undefined,
  ): Promise<Pick<Headroom, "none" | "all" | "budgets">> {
    const { reporter } = this.#run;
    const { note } = reporter;
    note("headroom: searching the best fixed masks");
    const { order, best } = await this.#findFixedMasks(budgets);
    note("headroom: deciding how many patches, and in rounds");
    const nested = Array.from({ length: order.length + 1 }, (_, k) => maskOf(order.slice(0, k), this.#patches));
    const counts = countsOf([...atOnceShares, ...roundShares], this.#patches);
    const scores = await this.#scores(
      this.#choosing,
      counts.map((k) => nested[k]),
    );
    const chosen = new Map(counts.map((k, n) => [k, scores[n]]));
    const judged = await this.#scores(this.#judging, nested);
    const fixed = fixedCurve(judged, new Map(budgets.map((budget, b) => [budget, best[b].scores])));
    const staged = (planAt: PlanAt, shares: readonly number[], budget: number): Promise<Way> => {
      const stagesOf = (scoresOf: (k: number) => MaskScores) =>
        countsOf(shares, this.#patches).map((k) => ({ patches: k, ...scoresOf(k) }));
      const plans = atBudget(
        planAt,
        stagesOf((k) => chosen.get(k)!),
        budget,
      );
      return wayOf(
        outcomeOf(
          plans,
          stagesOf((k) => judged[k]),
        ),
        fixed,
      );
    };
    note("headroom: deciding where");
    const libraries = budgets.map((budget, b) => this.#library(budget, best[b].mask));
    const where = await this.#byNeighbours(libraries);
    const label = judge && (await this.#byLabel(libraries, judge));
    const waysAt = async (budget: number, b: number): Promise<BudgetHeadroom> => ({
      budget,
      fixed: meanOf(fixed(budget)),
      many: await staged(decideAtOnce, atOnceShares, budget),
      rounds: await staged(decideInRounds, roundShares, budget),
      where: await wayOf({ patches: budget, right: where[b] }, fixed),
      label: label && (await wayOf({ patches: budget, right: label[b].right }, () => label[b].fixed)),
    });
    return {
      none: meanOf(judged[0].right),
      all: meanOf(judged[this.#patches].right),
      budgets: await untilStopped(reporter, Promise.all(budgets.map(waysAt))),
    };
  }

  #scores(images: Images, masks: readonly Uint8Array[], label = "headroom: masks"): Promise<MaskScores[]> {
    return scoreMasks(images, this.#run, masks, label);
  }

  async #findFixedMasks(budgets: readonly number[]) {
    const images = firstOf(this.#choosing, most.searching);
    const worth = labelWorth(this.#run, images, "headroom: looking for the best fixed mask");
    const { order } = await greedyOrder(this.#patches, worth);
    const masks: Uint8Array[] = [];
    for (const budget of budgets) masks.push(await exchanged(maskOf(order.slice(0, budget), this.#patches), worth));
    const scores = await this.#scores(this.#judging, masks);
    return { order, best: masks.map((mask, b) => ({ mask, scores: scores[b] })) };
  }

  /** The classes' probabilities of images of which no patch is acquired, [N, K]: what the low resolution tells. */
  async #lowProbabilities({ split, indices }: Images): Promise<Float32Array> {
    const { length } = this.#run.run.classes;
    const all = new Float32Array(indices.length * length);
    const passing = { images: indices, label: "headroom: low resolution", passes: 1 };
    const classify: BatchBody<Float32Array> = async (held, { labels }, passed) => {
      const none = new Uint8Array(labels.length * this.#patches);
      const probabilities = softmax(await held.logits(none), length);
      await passed();
      return probabilities;
    };
    await forEachBatch(split, this.#run, passing, classify, (own, { first }) => all.set(own, first * length));
    return all;
  }

  /** Right answers at each budget where each image has the mask of a library that served its neighbours best, [N]. */
  async #byNeighbours(libraries: readonly (readonly Uint8Array[])[]): Promise<Float64Array[]> {
    const { run, reporter } = this.#run;
    const known = firstOf(this.#choosing, most.known);
    const [ofKnown, own] = [await this.#lowProbabilities(known), await this.#lowProbabilities(this.#judging)];
    const result: Float64Array[] = [];
    for (const library of libraries) {
      const worth = (await this.#scores(known, library)).map(({ label }) => label);
      const served = { worth, known: ofKnown, classes: run.classes.length };
      const picked = await untilStopped(reporter, bestOfNeighbours(served, own));
      const [right] = await this.#rightWith([(i) => library[picked[i]]], run);
      result.push(right);
    }
    return result;
  }

  /**
   * Right answers of another classifier at each budget, [N]: where each image has the mask of a library under which the first
   * gives its label most, and with the best fixed mask.
   */
  async #byLabel(libraries: readonly (readonly Uint8Array[])[], judge: OpenedRun) {
    const result: { right: Float64Array; fixed: Float64Array }[] = [];
    for (const library of libraries) {
      const worth = (await this.#scores(this.#judging, library)).map(({ label }) => label);
      const bestOf = (i: number) => {
        const own = worth.map((ofMask) => ofMask[i]);
        return library[own.indexOf(Math.max(...own))];
      };
      const [right, fixed] = await this.#rightWith([bestOf, () => library[0]], judge);
      result.push({ right, fixed });
    }
    return result;
  }

  /** The best fixed mask of a budget, and random ones of as many patches. */
  #library(budget: number, best: Uint8Array): Uint8Array[] {
    const { run, seed } = this.#run;
    const draw = (n: number) => randomMask(run.model.grid, budget, new Random(seed, "library", budget, n));
    return [best, ...Array.from({ length: libraryMasks }, (_, n) => draw(n))];
  }

  /** Whether images are right with masks of their own, [N] for each kind of mask. */
  async #rightWith(masks: readonly ((i: number) => Uint8Array)[], run: OpenedRun): Promise<Float64Array[]> {
    const { split, indices } = this.#judging;
    const passing = { images: indices, label: "headroom: where" };
    const verdicts = await evaluateMasks(split, { ...this.#run, run }, masks.map(imageByImage), passing);
    return verdicts.map(({ right }) => Float64Array.from(right));
  }
}

/** Right answers with the best fixed mask of any mean number of patches: between two whole numbers, some images get one more. */
function fixedCurve(nested: readonly MaskScores[], best: ReadonlyMap<number, MaskScores>) {
  const at = (k: number) => (best.get(k) ?? nested[k]).right;
  return (patches: number): Float64Array => {
    const [below, above] = [at(Math.floor(patches)), at(Math.ceil(patches))];
    const more = patches - Math.floor(patches);
    return Float64Array.from(below, (right, i) => (1 - more) * right + more * above[i]);
  };
}

async function wayOf({ patches, right }: Outcome, fixed: (patches: number) => Float64Array): Promise<Way> {
  const rival = fixed(patches);
  return { patches, accuracy: meanOf(right), gain: await bootstrapMean(right.map((one, i) => one - rival[i])) };
}
