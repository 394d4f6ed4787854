import { describe, expect, it } from "vitest";
import type { Dataset } from "../../src/data/dataset.ts";
import { checkClasses, checkDataset, checkLearnable, checkSplits } from "../../src/data/dataset-rules.ts";
import { rgb } from "../../src/data/rendering.ts";
import { refusal } from "../refusal.ts";

/** A data set that is no class of ours. */
const plain: Dataset = {
  name: "plain",
  classes: ["cat", "dog"],
  length: 3,
  imageSize: 2,
  bands: ["red", "green", "blue"],
  labels: Int32Array.of(0, 1, 1),
  normalization: { mean: [0.5, 0.4, 0.3], std: [0.2, 0.2, 0.2] },
  transform: "cifar",
  fingerprint: "ab".repeat(32),
  read: (indices) => indices,
};

function failure(check: () => void): { kind: string; lines: string[] } {
  const { kind, message } = refusal(check);
  return { kind, lines: message.split("\n") };
}

const units = { mean: "from 0 to 1", std: "above 0 and at most 1" };
const range = (name: "mean" | "std") =>
  `normalization.${name}: must be one number per band (3), ${units[name]}: divide values in units of bytes by 255`;

describe("checkDataset", () => {
  it("takes a plain object", () => {
    checkDataset(plain);
    checkDataset({ ...plain, normalization: { mean: [0, 1, 0], std: [1, 1, 1] } });
  });

  it.each<[string, Partial<Dataset>, string]>([
    ["no images", { length: 0, labels: new Int32Array() }, "length: must be a whole number of at least 1, got 0"],
    ["half a pixel", { imageSize: 1.5 }, "imageSize: must be a whole number of at least 1, got 1.5"],
    ["a number as classes", { classes: 2 as never }, "classes: must be a list, got number"],
    ["no function to read", { read: 1 as never }, "read: must be a function, got number"],
    ["no classes", { classes: [], labels: new Int32Array(3) }, "classes: must name at least one"],
    ["a class twice", { classes: ["cat", "cat"] }, "classes[1]: must be a name that no other has, got cat"],
    ["a class without name", { classes: ["", "dog"] }, "classes[0]: must be a name that no other has, got nothing"],
    ["a label less", { labels: Int32Array.of(0, 1) }, "labels: must be one per image, 3, got 2"],
    ["a label below", { labels: Int32Array.of(0, -1, 1) }, "labels[1]: must be in 0..1, got -1"],
    ["a label above", { labels: Int32Array.of(0, 1, 2) }, "labels[2]: must be in 0..1, got 2"],
    ["a mean less", { normalization: { ...plain.normalization, mean: [0.5, 0.4] } }, `${range("mean")}, got 0.5, 0.4`],
    [
      "a mean in bytes",
      { normalization: { ...plain.normalization, mean: [125, 0.4, 0.3] } },
      `${range("mean")}, got 125, 0.4, 0.3`,
    ],
    [
      "a mean that is none",
      { normalization: { ...plain.normalization, mean: [0.5, Number.NaN, 0.3] } },
      `${range("mean")}, got 0.5, NaN, 0.3`,
    ],
    [
      "no deviation",
      { normalization: { ...plain.normalization, std: [0.2, 0, 0.2] } },
      `${range("std")}, got 0.2, 0, 0.2`,
    ],
    [
      "an infinite deviation",
      { normalization: { ...plain.normalization, std: [0.2, 0.2, Number.POSITIVE_INFINITY] } },
      `${range("std")}, got 0.2, 0.2, Infinity`,
    ],
  ])("refuses %s", (_, changed, line) => {
    const error = failure(() => checkDataset({ ...plain, ...changed }));
    expect(error).toEqual({ kind: "usage", lines: [`data set plain: ${line}`] });
  });

  it("refuses what only types forbid: other arrays, unknown transforms", () => {
    const untyped = JSON.parse('{"labels": [0, 1, 1], "transform": "toString"}');
    expect(failure(() => checkDataset({ ...plain, ...untyped })).lines).toEqual([
      "data set plain: labels: must be an Int32Array",
      "data set plain: transform: must be cifar, imagenet, fmow, got toString",
    ]);
  });

  it("says all at once", () => {
    const changed = { imageSize: 0, classes: ["a", "a"], labels: Int32Array.of(9, 0, 0) };
    const { lines } = failure(() => checkDataset({ ...plain, ...changed }));
    expect(lines.map((line) => line.split(": ")[1])).toEqual(["imageSize", "classes[1]", "labels[0]"]);
  });
});

describe("checkSplits", () => {
  const model = { imageSize: 2, bands: rgb };

  it("takes two that belong together", () => {
    checkSplits({ train: plain, test: { ...plain, length: 1, labels: Int32Array.of(1) } }, model);
  });

  it("refuses splits that do not", () => {
    const test: Dataset = { ...plain, classes: ["dog", "cat"], normalization: { mean: [0, 0, 0], std: [1, 1, 1] } };
    expect(failure(() => checkSplits({ train: plain, test }, model))).toEqual({
      kind: "usage",
      lines: [
        "data set plain: classes: must be the same for training and test",
        "data set plain: normalization: must be the same for training and test",
      ],
    });
  });

  it("refuses a fingerprint that is none, by which no resumed run could know the data", () => {
    const test = { ...plain, fingerprint: 7 as never };
    const { lines } = failure(() => checkSplits({ train: plain, test }, model));
    expect(lines).toEqual(["data set plain: test.fingerprint: must be text, got number"]);
  });

  it("refuses images that the model does not take", () => {
    const infrared: Dataset = {
      ...plain,
      bands: [...plain.bands, "infrared"],
      normalization: { mean: [0.5, 0.4, 0.3, 0.2], std: [0.2, 0.2, 0.2, 0.2] },
    };
    const { lines } = failure(() => checkSplits({ train: infrared, test: infrared }, { ...model, imageSize: 32 }));
    expect(lines).toEqual([
      "data set plain: has images of 2 × 2, the model takes 32 × 32; choose another model or data set",
      "data set plain: must have the bands that the run has learned from: red, green, blue, got red, green, blue, infrared; give --bands",
    ]);
  });
});

describe("checkLearnable", () => {
  it("takes two classes, also where the test has one", () => {
    checkLearnable({ train: plain, test: { ...plain, labels: Int32Array.of(1, 1, 1) } });
  });

  it("refuses training images of one class, however many have names", () => {
    const train = { ...plain, labels: Int32Array.of(1, 1, 1) };
    expect(failure(() => checkLearnable({ train, test: plain }))).toEqual({
      kind: "input",
      lines: [
        "data set plain: must have training images of two classes or more, else there is nothing to learn, got 3 of dog alone; give a folder, or a label in the lists, to each of the things that are to be told apart",
      ],
    });
  });
});

describe("checkClasses", () => {
  const next = "give the data that the run was trained on, or train a classifier on these";
  const aid = { name: "AID", classes: ["Airport", "BareLand", "Beach", "Bridge"] };
  const cifar = ["airplane", "automobile"];
  const refused = (known: readonly string[] | number) => failure(() => checkClasses(known, aid, "--load runs/hr"));

  it("takes the same classes, and as many where one side only numbers them", () => {
    for (const known of [aid.classes, 4, ["0", "1", "2", "3"]]) checkClasses(known, aid, "--load");
    checkClasses(aid.classes, { name: "lists", classes: ["0", "1", "2", "3"] }, "--load");
    checkClasses(["fore\u0302t"], { name: "folders", classes: ["for\u00eat"] }, "--load");
  });

  it("says how many there are, and some of those that differ", () => {
    const rule = "--load runs/hr: must know the 4 classes of AID and no others";
    expect(refused(cifar)).toEqual({
      kind: "input",
      lines: [`${rule}, got 2, without Airport, BareLand, Beach, … and with airplane, automobile; ${next}`],
    });
    expect(refused(["Airport", "BareLand", "Bridge"]).lines).toEqual([`${rule}, got 3, without Beach; ${next}`]);
    expect(refused([...aid.classes, "for\u00eat"]).lines).toEqual([`${rule}, got 5, with for\u00eat; ${next}`]);
    expect(refused(10).lines).toEqual([`${rule}, got 10 classes; ${next}`]);
  });

  it("says the first that differs: in another order a label means another class", () => {
    expect(refused(["Airport", "Beach", "BareLand", "Bridge"]).lines).toEqual([
      `--load runs/hr: must call class 1 BareLand, as AID, got Beach; ${next}`,
    ]);
  });
});
