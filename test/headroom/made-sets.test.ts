/**
 * Data in which the truth is known: made classifiers that are right where, and as often as, the set says. What looking can
 * gain is then a calculation, and the verdict must find it, or that there is nothing.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { SubsetDataset } from "../../src/data/subset.ts";
import { headroomOf } from "../../src/headroom/headroom.ts";
import { countPatches } from "../../src/method/grid.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { images, madeRun, right, wrong } from "../evaluation/made-run.ts";

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});

describe("a set in which the low resolution shows where to look", () => {
  // Of four patches one tells the class, and the low resolution, which has another class for each, shows which one.
  const run = madeRun(4, (truth, mask) => {
    if (countPatches(mask) === 0) return { taken: truth.hidden, confidence: 0.7 };
    return mask[5 * truth.hidden] === 1 ? right(truth, 0.9) : wrong(truth, 0.5);
  });

  it("gains by where: three quarters at one patch, a half at two", async () => {
    const { budgets, verdict } = await headroomOf(run, [1, 2]);
    const [one, two] = budgets;
    expect(one.fixed).toBeCloseTo(0.25, 1);
    expect(two.fixed).toBeCloseTo(0.5, 1);
    // The library holds the right patch for an image, or it does not: 33 masks of one patch hold each of them by 88 %.
    expect(one.where.accuracy).toBeGreaterThan(0.7);
    expect(two.where.accuracy).toBeGreaterThan(0.95);
    expect(verdict.best).toMatchObject({ way: "where" });
    expect(verdict.best!.gain.low).toBeGreaterThan(0.4);
  });
});

describe("a set in which images differ in how many patches they need", () => {
  // Half of the images need none and look it; the others need eight, whichever they are.
  const run = madeRun(2, (truth, mask) => {
    if (truth.hidden === 0) return right(truth, 0.9);
    return countPatches(mask) >= 8 ? right(truth, 0.9) : wrong(truth, 0.5);
  });

  it("gains by how many, all that there is at four patches, and nothing by where", async () => {
    const { budgets, verdict } = await headroomOf(run, [4]);
    const [{ fixed, many, rounds, where }] = budgets;
    expect(fixed).toBeCloseTo(0.5, 1);
    expect(many.accuracy).toBeGreaterThan(0.97);
    expect(many.patches).toBeCloseTo(4, 0);
    expect(rounds.accuracy).toBeGreaterThan(0.97);
    expect(where.gain.mean).toBeCloseTo(0, 1);
    expect(["many", "rounds"]).toContain(verdict.best?.way);
  });
});

describe("a set in which only the number of patches counts, and nothing shows who needs them", () => {
  // Each image needs a number of patches of its own, between 0 and 16, and always looks the same.
  const run = madeRun(17, (truth, mask) =>
    countPatches(mask) >= truth.hidden ? right(truth, 0.6) : wrong(truth, 0.6),
  );

  it("has no headroom", async () => {
    const { budgets, verdict } = await headroomOf(run, [2, 4, 8]);
    for (const { budget, fixed, many, rounds, where } of budgets) {
      expect(fixed).toBeCloseTo((budget + 1) / 17, 1);
      for (const { gain } of [many, rounds, where]) expect(gain.low).toBeLessThanOrEqual(0);
    }
    expect(verdict.best).toBeUndefined();
    expect(verdict.sentence).toMatch(/^A fixed mask is enough: at most \d\.\d points are there/);
  });
});

describe("a set in which only the label tells where to look", () => {
  // Of four patches one tells the class, and all images look alike.
  const run = madeRun(4, (truth, mask) => (mask[5 * truth.hidden] === 1 ? right(truth, 0.9) : wrong(truth, 0.5)));

  it("has nothing by where, and all by the label, as far as another classifier agrees", async () => {
    const { budgets, verdict } = await headroomOf(run, [2], run.run);
    const [{ fixed, where, label }] = budgets;
    expect(fixed).toBeCloseTo(0.5, 1);
    expect(where.gain.high).toBeLessThan(0.1);
    // The library of 25 masks of two of 16 patches holds the patch of each image by 96 %.
    expect(label!.accuracy).toBeGreaterThan(0.9);
    expect(label!.gain.mean).toBeCloseTo(label!.accuracy - fixed, 6);
    expect(verdict.best).toBeUndefined();
    // One that is right whatever the mask finds nothing in it.
    const other = madeRun(4, (truth) => right(truth, 0.9));
    const [{ label: judged }] = (await headroomOf(run, [2], other.run)).budgets;
    expect(judged).toEqual({ patches: 2, accuracy: 1, gain: { mean: 0, low: 0, high: 0 } });
  });
});

it("without a patch and with all of them, it is what the classifier has", async () => {
  const run = madeRun(4, (truth, mask) => (countPatches(mask) > truth.hidden ? right(truth, 0.9) : wrong(truth, 0.4)));
  const { none, all, images: judged } = await headroomOf(run, [1]);
  expect([none, all, judged]).toEqual([0, 1, images / 2]);
});

it("too few images are refused: they can't tell a gain from chance", async () => {
  const run = madeRun(4, (truth) => right(truth, 0.9));
  const few = {
    ...run,
    split: new SubsetDataset(
      run.split,
      Uint32Array.from({ length: 199 }, (_, i) => i),
    ),
  };
  await expect(headroomOf(few, [1])).resolves.toMatchObject({ images: 100 });
  const fewer = {
    ...run,
    split: new SubsetDataset(
      run.split,
      Uint32Array.from({ length: 198 }, (_, i) => i),
    ),
  };
  await expect(headroomOf(fewer, [1])).rejects.toMatchObject({ kind: "input" });
});
