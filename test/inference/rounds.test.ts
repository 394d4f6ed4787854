/** Deciding in rounds: the loop with a pencil, and a run whose rounds are made by hand, from what was acquired alone. */
import { beforeAll, describe, expect, it } from "vitest";
import { descriptionSchema } from "../../src/checkpoints/description.ts";
import { normalizationFor } from "../../src/data/normalizations.ts";
import type { HeldBatch } from "../../src/inference/engine.ts";
import { lookInRounds } from "../../src/inference/look-in-rounds.ts";
import { openPredictor } from "../../src/inference/open-run.ts";
import { OpenedRun } from "../../src/inference/opened-run.ts";
import { asTested } from "../../src/method/budget.ts";
import { countPatches, patchAt } from "../../src/method/grid.ts";
import { lowPixels } from "../../src/method/pixels.ts";
import { exact, memoryData, SmallRuns } from "../training/small-runs.ts";

describe("two images of three patches", () => {
  /** What is asked for and how probable it is, round by round; what was there, and what came. */
  const look = async (rounds: number, said: { mask: number[]; patches: number[] }[]) => {
    const there: string[] = [];
    const brought: [string, number][] = [];
    const decided = await lookInRounds(
      { rounds, count: 2, patches: 3 },
      (mask) => {
        there.push(mask.join(""));
        const { mask: asked, patches } = said[there.length - 1];
        return { mask: Uint8Array.from(asked), patches: Float32Array.from(patches) };
      },
      ({ further, round }) => void brought.push([further.join(""), round]),
    );
    return { ...decided, there, brought };
  };
  const [first, second, third] = [
    { mask: [1, 0, 0, 0, 1, 0], patches: [0.5, 0.25, 0.125, 0, 0.75, 0] },
    // The first image asks again for what it has, and so for nothing.
    { mask: [1, 0, 0, 0, 0, 1], patches: [1, 0.375, 0.25, 0.125, 1, 0.625] },
    // It would ask again, and has stopped.
    { mask: [0, 1, 1, 1, 0, 0], patches: [1, 1, 1, 0.875, 0, 0] },
  ];

  it("have what they asked for; who asks for nothing new has stopped", async () => {
    const decided = await look(3, [first, second, third]);
    expect(decided.there).toEqual(["000000", "100010", "100011"]);
    expect(decided.brought).toEqual([
      ["100010", 1],
      ["000001", 2],
      ["000100", 3],
    ]);
    expect([...decided.mask]).toEqual([1, 0, 0, 1, 1, 1]);
    expect([...decided.rounds]).toEqual([1, 3]);
    // Of a patch, what was said last before it was there or the image had stopped.
    expect([...decided.probabilities]).toEqual([0.5, 0.375, 0.25, 0.875, 0.75, 0.625]);
  });

  it("stop when the rounds are over", async () => {
    const decided = await look(2, [first, second, third]);
    expect([...decided.mask]).toEqual([1, 0, 0, 0, 1, 1]);
    expect([...decided.rounds]).toEqual([1, 2]);
  });

  it("are looked at once more after the last that asked, and no further", async () => {
    const nothing = { mask: [0, 0, 0, 0, 0, 0], patches: [0, 0, 0, 0, 0, 0] };
    const { there, brought } = await look(9, [first, nothing]);
    expect([there.length, brought.length]).toEqual([2, 1]);
  });
});

it("an image that leaves keeps what the policy said of it when it was last asked", async () => {
  const said = [
    { mask: [1, 0, 1, 0], patches: [0.5, 0.25, 0.75, 0.125], leaves: [0, 0] },
    { mask: [0, 0, 0, 1], patches: [0, 0, 1, 0.625], leaves: [1, 0] },
  ];
  let rounds = 0;
  const { left, probabilities, mask } = await lookInRounds({ rounds: 2, count: 2, patches: 2 }, () => {
    const { mask, patches, leaves } = said[rounds++];
    return { mask: Uint8Array.from(mask), patches: Float32Array.from(patches), leaves: Uint8Array.from(leaves) };
  });
  expect([[...left], [...mask], [...probabilities]]).toEqual([
    [1, 0],
    [1, 0, 1, 1],
    [0.5, 0.25, 0.75, 0.625],
  ]);
});

it("the policy is told what the classifier makes of what is there", async () => {
  const description = descriptionSchema.parse({
    ...{ model: "R8_Scenes", variant: "2019", imageSize: 32, lowSize: 8, patchSize: 16, rounds: 2, fill: "lr" },
    ...{ bands: ["red", "green", "blue"], transform: "cifar", normalization: normalizationFor("cifar") },
    ...{ classes: ["few", "many"], choice: asTested },
  });
  // A logit is the number of patches there; of two, the policy no longer wants patch 2.
  const held: HeldBatch = {
    logits: (mask) => Float32Array.of(0, countPatches(mask)),
    probabilities: (acquired) => Float32Array.of(0.75, 0.875, acquired?.logits[1] === 2 ? 0.25 : 0.625, 1),
    free: () => {},
  };
  const engine = { hold: () => held, free: () => {} };
  const networks = new Set(["agent", "resnet_hr"] as const);
  const run = new OpenedRun({
    description,
    networks,
    engine,
    choice: asTested,
    precision: "fp32",
    checkpoint: "by hand",
  });
  const { mask, rounds, patches } = await run.predict(new Uint8Array(32 * 32 * 3));
  // Two a round at most: patches 3 and 1, then 0.
  expect([...mask]).toEqual([1, 1, 0, 1]);
  expect([...rounds!]).toEqual([2]);
  expect([...patches!]).toEqual([0.75, 0.875, 0.25, 1]);

  // With two patches the classifier is sure by e² / (1 + e²) = 0.88; at a budget of two the image could take no more anyway.
  const leftOf = async (budget: number) => {
    const own = {
      networks,
      engine,
      choice: { policy: "topk", budget },
      exit: { confidence: 0.8, temperature: 1 },
    } as const;
    const leaving = new OpenedRun({ description, ...own, precision: "fp32", checkpoint: "by hand" });
    const { mask, left } = await leaving.predict(new Uint8Array(32 * 32 * 3));
    return [countPatches(mask), ...left!];
  };
  expect([await leftOf(2), await leftOf(3)]).toEqual([
    [2, 0],
    [2, 1],
  ]);
});

describe("a run that decides in rounds", () => {
  const runs = new SmallRuns();
  const { images } = memoryData().test.inMemory!;
  const count = images.length / (3 * 32 ** 2);

  beforeAll(async () => {
    const data = memoryData();
    await runs.train("classifier_training", "hr", { random_masks: 0.5, lr: 1e-2 }, { data });
    const given = {
      estimator: "values",
      reward: "priced",
      rounds: 4,
      ckpt_hr_cl: runs.at("hr"),
      max_epochs: 1,
      lr: 1e-2,
    };
    await runs.train("pretrain", "policy", given, { data });
  });

  it("says in rounds by hand, of what was acquired alone, what it predicts", async () => {
    const run = await openPredictor(runs.at("policy"), exact);
    const { grid, lowSize } = run.model;
    const expected = await run.predict(images);
    expect(new Set(expected.rounds).size).toBeGreaterThan(1);

    const low = lowPixels(images, 32, lowSize, 3);
    const [seen, mask] = [new Uint8Array(images.length).fill(99), new Uint8Array(count * grid.patches)];
    for (let round = 1; round <= run.rounds; round++) {
      const further = (await run.decide(low, { images: seen, mask })).mask;
      if (!further.includes(1)) break;
      for (const [at, byte] of images.entries()) {
        const [x, y, image] = [Math.floor(at / 3) % 32, Math.floor(at / 96) % 32, Math.floor(at / 3072)];
        if (further[image * grid.patches + patchAt(grid, x, y)] === 1) seen[at] = byte;
      }
      for (const [at, one] of further.entries()) mask[at] |= one;
    }
    expect(seen).not.toEqual(images);
    expect(mask).toEqual(expected.mask);
    expect(await run.classify(seen, mask, low)).toEqual(expected.classes);
    await run.free();
  });

  it("refuses what is not as much as the low resolution", async () => {
    const run = await openPredictor(runs.at("policy"), exact);
    const low = new Uint8Array(2 * 8 * 8 * 3);
    const [one, two] = [1, 2].map((windows) => new Uint8Array(windows * 32 * 32 * 3));
    await expect(run.decide(low, { images: two, mask: new Uint8Array(16) })).rejects.toMatchObject({
      kind: "usage",
      message: "mask: must have 32 patches, as the images, got 16",
    });
    await expect(run.decide(low, { images: two, mask: new Uint8Array(32).fill(7) })).rejects.toThrow(
      "mask: must be a Uint8Array of 0 and 1, got 7",
    );
    await expect(run.decide(low, { images: one, mask: new Uint8Array(32) })).rejects.toMatchObject({
      kind: "usage",
      message: "low: must be as many images as the others, 1, got 2",
    });
    await run.free();
  });
});
