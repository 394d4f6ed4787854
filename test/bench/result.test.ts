/** Time to a result: what counts as reached, and what is counted of predictions. */
import { expect, it } from "vitest";
import { commandOf, recipes } from "../../bench/recipes.ts";
import { countLines, isAt, type Reached, resultTable, testsOf } from "../../bench/result.ts";
import { sameClasses } from "../../bench/same-classes.ts";
import { schemas } from "../../src/options/stage-options.ts";

it("asks a classifier for the accuracy, and not for less", () => {
  expect(isAt({ accuracy: 0.94 }, { accuracy: 0.94 }, 10_000)).toBe(true);
  expect(isAt({ accuracy: 0.9399 }, { accuracy: 0.94 }, 10_000)).toBe(false);
});

it("asks a policy for no more patches, and an accuracy within the interval of the goal's", () => {
  // 1.96 · √(0.9 · 0.1 / 10,000) = 0.00588
  const goal = { accuracy: 0.9, patches: 8 };
  expect(isAt({ accuracy: 0.8942, sparsity: 8 }, goal, 10_000)).toBe(true);
  expect(isAt({ accuracy: 0.8941, sparsity: 8 }, goal, 10_000)).toBe(false);
  expect(isAt({ accuracy: 0.95, sparsity: 8.01 }, goal, 10_000)).toBe(false);
  expect(isAt({ accuracy: 0.95 }, goal, 10_000)).toBe(false);
});

const line = (path: string, name: string, mask: string) => `${JSON.stringify({ path, class: name, mask })}\n`;

it("counts an image as right whose folder is its class, and the patches of its mask", () => {
  const lines = line("a/test/cat/1.jpg", "cat", "0110") + line("a/test/dog/1.jpg", "cat", "1111");
  expect(countLines(lines)).toEqual({ images: 2, accuracy: 0.5, patches: 3 });
});

it("takes the tests alone of a run's metrics", () => {
  const metrics = ['{"epoch":1,"split":"train","time":1}', '{"epoch":1,"split":"test","accuracy":0.5,"time":2}', ""];
  expect(testsOf(metrics.join("\n"))).toEqual([{ epoch: 1, accuracy: 0.5, time: 2 }]);
});

it("has the seconds of the others over this program's, where both reached the goal", () => {
  const reached = { images: 100, accuracy: 0.94, epoch: 2, seconds: 100, isReached: true };
  const results: Reached[] = [
    { ...reached, side: "airbench", seconds: 150 },
    { ...reached, side: "other", isReached: false },
    { ...reached, side: "patchdrop" },
  ];
  const [, , airbench, other, own] = resultTable(results).split("\n");
  expect(airbench).toMatch(/\| +150 \| +1\.50 \|$/);
  expect(other).toMatch(/\| no .*– \|$/);
  expect(own).toMatch(/\| +100 \| +1\.00 \|$/);
});

it("makes flags of a recipe that the stage has", () => {
  for (const recipe of Object.values(recipes)) {
    const [stage, ...words] = commandOf(recipe, { data_dir: "data" });
    const flags = words.filter((word) => word.startsWith("--")).map((word) => word.replace(/^--(no-)?/, ""));
    const known = Object.keys(schemas[stage as keyof typeof schemas].shape);
    expect(known).toEqual(expect.arrayContaining(flags));
  }
  expect(commandOf(recipes.pretrain, { seed: 7 })).toEqual(
    expect.arrayContaining(["pretrain", "--no-curriculum", "7"]),
  );
});

it("holds two files of predictions against each other by path, in any order", () => {
  const one = line("t/a/1.jpg", "a", "01") + line("t/a/2.jpg", "a", "01");
  const other = line("t/a/2.jpg", "b", "01") + line("t/a/1.jpg", "a", "11");
  expect(sameClasses(one, other)).toEqual({ images: 2, share: 0.5, shareOfMasks: 0.5 });
  expect(() => sameClasses(one, line("t/a/1.jpg", "a", "01"))).toThrow(/2\.jpg: must have a line of both sides/);
});
