import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { datasetNames, isDatasetName, readerOf, readersFrom } from "../../src/data/dataset-registry.ts";

describe("the registry of data sets", () => {
  it("knows the names of --dataset, in the order in which a folder is searched", async () => {
    expect(datasetNames).toEqual([
      "synthetic",
      "synthetic_bands",
      "cifar10",
      "cifar100",
      "cifar100_coarse",
      "csv",
      "folder",
    ]);
    expect((await readersFrom("cifar100")).map(({ name }) => name)).toEqual([
      ...["cifar100", "synthetic", "synthetic_bands", "cifar10", "cifar100_coarse", "csv", "folder"],
    ]);
    expect([isDatasetName("csv"), isDatasetName("imagenet"), isDatasetName("toString")]).toEqual([true, false, false]);
  });

  it.each([
    ["synthetic", 32, 10],
    ["cifar10", 32, 10],
    ["cifar100", 32, 100],
    ["cifar100_coarse", 32, 20],
    ["synthetic_bands", 32, 10],
    ["csv", undefined, undefined],
    ["folder", undefined, undefined],
  ] as const)("%s has the reader of images of %s pixels and %s classes", async (name, size, count) => {
    const { imageSize, classes, list } = await readerOf(name);
    expect([imageSize, classes?.length, list === undefined]).toEqual([size, count, size !== undefined]);
  });

  it("loads no reader before it is asked for one: the command line takes its names from here", () => {
    const text = readFileSync(join(import.meta.dirname, "../../src/data/dataset-registry.ts"), "utf8");
    const loaded = Array.from(text.matchAll(/^import (type )?.*? from "([^"]+)";$/gm));
    const paths = loaded.filter(([, type]) => type === undefined).map(([, , path]) => path);
    expect(paths.filter((path) => path.startsWith("."))).toEqual(["../errors.ts"]);
  });
});
