/** What an experiment is told of all its stages before the first one trains. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { sentence } from "../../src/errors.ts";
import { parseOptions, type StageName } from "../../src/options/stage-options.ts";
import { optionFaults } from "../../src/training/option-faults.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const faultsOf = async (stage: StageName, given: Record<string, unknown>) =>
  (await optionFaults(parseOptions(stage, given))).map(sentence);

const policy = { ckpt_hr_cl: "hr" };
const scenes = { model: "R8_Scenes" };
const heldOut =
  "--patience: needs images that are held out to choose by, got 3; give --val_fraction 0.1, or data with val/";

it.each<[StageName, Record<string, unknown>, string[]]>([
  ["classifier_training", {}, []],
  ["classifier_training", { ...scenes, patience: 3, val_fraction: 0.1, pretrained: undefined }, []],
  ["pretrain", { ...policy, ...scenes, estimator: "values", rounds: 16 }, []],
  ["classifier_training", { model: "R9" }, ["--model: must be one of"]],
  // 32 pixels
  [
    "finetune",
    { ...policy, ...scenes, load: "p", patch_size: 5 },
    ["--patch_size: must divide the image size of 32 pixels, got 5"],
  ],
  // 4 × 4 patches
  [
    "pretrain",
    { ...policy, ...scenes, estimator: "values", rounds: 17 },
    ["--rounds: must be at most the 16 patches, got 17"],
  ],
  [
    "classifier_training",
    { ...scenes, pretrained: "nowhere.pth" },
    ["--pretrained: must be a file that is there, got nowhere.pth"],
  ],
  ["classifier_training", { ...scenes, pretrained: "auto" }, ["--pretrained auto: works only for models that"]],
  ["classifier_training", { ...scenes, patience: 3 }, [heldOut]],
  [
    "classifier_training",
    { dataset: "synthetic", patience: 3, pretrained: "nowhere.pth" },
    ["--pretrained: must", heldOut],
  ],
])("%s with %j", async (stage, given, said) => {
  const faults = await faultsOf(stage, given);
  expect(faults).toHaveLength(said.length);
  for (const [i, words] of said.entries()) expect(faults[i]).toContain(words);
});

it("looks whether class folders have images to choose by", async () => {
  const data_dir = temporaryFolder(onTestFinished);
  const add = (split: string) => {
    mkdirSync(join(data_dir, split, "cat"), { recursive: true });
    writeFileSync(join(data_dir, split, "cat", "1.png"), "");
  };
  for (const split of ["train", "test"]) add(split);
  const given = { ...scenes, data_dir };
  expect(await faultsOf("classifier_training", { ...given, patience: 3 })).toEqual([heldOut]);
  add("val");
  expect(await faultsOf("classifier_training", { ...given, patience: 3 })).toEqual([]);
  expect(await faultsOf("classifier_training", { ...given, val_fraction: 0.1 })).toEqual([
    "--val_fraction: must be 0 for data with a validation split of their own, got 0.1; leave out the flag, or the split",
  ]);
});
