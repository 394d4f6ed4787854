/**
 * A policy that decides in rounds, its thresholds and its rivals, on a made set that a pencil knows: an image needs 0, 4, 8 or
 * 12 patches, each as often, whichever they are. The classifier is sure when it has them; the policy wants more while it is not.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { Calibration } from "../../src/evaluation/calibrate.ts";
import { evaluateMasks, type MasksOf } from "../../src/evaluation/evaluate-masks.ts";
import type { EvaluatedRun } from "../../src/evaluation/evaluated-run.ts";
import { baselinesOf, decidedBy, masksBy } from "../../src/evaluation/masks.ts";
import { Rivals } from "../../src/evaluation/rivals.ts";
import { sweepChoices } from "../../src/evaluation/sweep.ts";
import { asTested, type Choice } from "../../src/method/budget.ts";
import { countPatches, maskBits, maskOf } from "../../src/method/grid.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { madeRun, patches, right, type Truth, wrong } from "./made-run.ts";

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});

const needs = ({ hidden }: Truth) => 4 * hidden;
const images = 400;
const answer = (truth: Truth, mask: Uint8Array) =>
  countPatches(mask) >= needs(truth) ? right(truth, 0.9) : wrong(truth, 0.5);
/** The later a patch, the less it is wanted: rounds go row by row. */
const wanting = (truth: Truth, acquired: Uint8Array) => {
  const wanted = countPatches(acquired) < needs(truth) ? 0.9 : 0.2;
  return Array.from({ length: patches }, (_, k) => wanted - k / 100);
};
const run = madeRun(4, answer, { rounds: 4, wanting }, images);
/** A quarter of the images needs each number, but for chance. */
const mean = Array.from(run.split.labels.keys(), (i) => {
  const image = new Uint8Array(48);
  run.split.read(Uint32Array.of(i), image);
  return needs({ label: image[0], hidden: image[1] });
}).reduce((sum, count) => sum + count / images, 0);

async function found(masks: readonly MasksOf[]) {
  const verdicts = await evaluateMasks(run.split, run, masks);
  return verdicts.map(({ metrics }) => {
    const { accuracy, sparsity } = metrics.metrics();
    return { accuracy, patches: sparsity! };
  });
}
const decided = (choice: Choice) => found([masksBy(decidedBy(run.run, choice, 1))]);

describe("a policy that decides in rounds", () => {
  it("acquires until the classifier is sure, and no more: 6 patches on average", async () => {
    expect(mean).toBeCloseTo(6, 0);
    expect(await decided(asTested)).toEqual([{ accuracy: 1, patches: expect.closeTo(mean, 6) }]);
  });

  it("has at most its budget, and exactly K where K is asked for", async () => {
    const [{ patches: most }] = await decided({ ...asTested, budget: 4 });
    expect(most).toBeCloseTo(3, 0);
    expect(await decided({ policy: "topk", budget: 5 })).toEqual([{ accuracy: expect.closeTo(0.5, 1), patches: 5 }]);
  });

  it("takes no more than a quarter of all patches a round", async () => {
    const { rounds, mask } = await run.run.decideOn(run.run.hold({ images: imageOf({ label: 0, hidden: 3 }) }), 1);
    expect(rounds).toEqual(Uint8Array.of(3));
    expect(maskBits(mask)).toBe("1111111111110000");
  });

  it("is calibrated by trying thresholds: to a number of patches, to an accuracy", async () => {
    const calibration = new Calibration(run, undefined);
    const { choice, calibrated } = await calibration.towards({ patches: 6 });
    expect(calibrated).toEqual({ split: "train", images, accuracy: 1, patches: expect.closeTo(mean, 6) });
    // Of a sure classifier's image nothing is wanted by 0.2, of another one all that a round may have by 0.75.
    expect(choice.threshold).toBeGreaterThan(0.2);
    expect(choice.threshold).toBeLessThanOrEqual(0.75);
    const { calibrated: half } = await calibration.towards({ accuracy: 0.5 });
    expect(half.accuracy).toBeGreaterThanOrEqual(0.5);
    expect(half.patches).toBeLessThan(mean);
    await expect(calibration.towards({ patches: 17 })).rejects.toThrow(
      "--target_patches: must be within 0 … 16, got 17",
    );
  });

  it("is swept along thresholds that were tried, from no patches to all", async () => {
    const calibration = new Calibration(run, undefined);
    const points = await sweepChoices(asTested, run.run.model.grid, (means) => calibration.thresholds(means));
    expect(points[0]).toEqual({ choice: { policy: "threshold", threshold: 2, budget: undefined }, patches: 0 });
    expect(points.at(-1)!.patches).toBe(16);
    expect(points.some((point) => Math.abs(point.patches - mean) < 1e-6)).toBe(true);
  });

  it("is not tried again at thresholds that a target has tried, for a sweep behind it", async () => {
    const looked: string[] = [];
    const progress: EvaluatedRun["reporter"]["progress"] = (label, ...rest) => {
      looked.push(label);
      return run.reporter.progress(label, ...rest);
    };
    const calibration = new Calibration({ ...run, reporter: { ...run.reporter, progress } }, undefined);
    await calibration.towards({ patches: 6 });
    expect(looked).toEqual(["calibration", "calibration"]);
    await calibration.thresholds([2, 6]);
    expect(looked.length).toBe(2);
  });
});

function imageOf({ label, hidden }: Truth): Uint8Array {
  return Uint8Array.of(label, hidden, ...Array<number>(46).fill(0));
}

describe("what it must beat", () => {
  /** The first patches. */
  const fixedMasks = Array.from({ length: patches + 1 }, (_, count) => maskOf([...Array(count).keys()], patches));

  it("with as many patches of each image is right wherever it is", async () => {
    const source = { grid: run.run.model.grid, seed: 1, fixedMasks };
    const all = await found(baselinesOf(source, masksBy(decidedBy(run.run, asTested, 1))));
    expect(all).toEqual(Array(5).fill({ accuracy: 1, patches: expect.closeTo(mean, 6) }));
  });

  it("is one mask of the same mean: of six patches, right for the half that needs at most four", async () => {
    const [fixed, between] = await found([
      (await new Rivals(run, fixedMasks).at(6))[0],
      (await new Rivals(run, fixedMasks).at(7.5))[0],
    ]);
    expect(fixed).toEqual({ accuracy: expect.closeTo(0.5, 1), patches: 6 });
    // Half of the images get eight, with which a quarter more is right.
    expect(between.patches).toBeCloseTo(7.5, 1);
    expect(between.accuracy).toBeCloseTo(0.5 + 0.25 / 2, 1);
  });

  it("is a cascade: none for a quarter that seems sure, eight for the others, of which two thirds are right", async () => {
    const [cascade] = await found([(await new Rivals(run, fixedMasks).at(6))[1]]);
    expect(cascade.patches).toBeCloseTo(6, 0);
    expect(cascade.accuracy).toBeCloseTo(0.75, 1);
  });
});
