/** Which patches the flags choose, and in which words a choice is said (docs/budget.md). */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import { writeChoice } from "../../src/checkpoints/stored-choice.ts";
import type { Choice } from "../../src/method/budget.ts";
import { type ChoiceFlags, calibratedChoice, choiceOf, choiceText } from "../../src/options/choice-options.ts";
import { config, save } from "../run/example.ts";
import { refusal } from "./commands.ts";

const patches = 16;
/** Where no calibrated choice may be asked for. */
const none = (): Choice => {
  throw new Error("the stored choice was asked for");
};

describe("flags choose", () => {
  it.each<[ChoiceFlags, Choice]>([
    [{}, { policy: "threshold", threshold: 0.5, budget: undefined }],
    [{ budget: 4 }, { policy: "threshold", threshold: 0.5, budget: 4 }],
    [
      { policy: "threshold", threshold: 0 },
      { policy: "threshold", threshold: 0, budget: undefined },
    ],
    [
      { budget: 0, threshold: 1 },
      { policy: "threshold", threshold: 1, budget: 0 },
    ],
    [
      { policy: "topk", budget: 0 },
      { policy: "topk", budget: 0 },
    ],
    [
      { policy: "topk", budget: patches },
      { policy: "topk", budget: patches },
    ],
    [{ policy: "sample" }, { policy: "sample", budget: undefined }],
    [
      { policy: "sample", budget: 3 },
      { policy: "sample", budget: 3 },
    ],
  ])("%j", (flags, choice) => {
    expect(choiceOf(flags, patches, none)).toStrictEqual(choice);
  });

  it("what was calibrated, if asked to", () => {
    const stored: Choice = { policy: "threshold", threshold: 0.25, budget: 8 };
    expect(choiceOf({ policy: "calibrated" }, patches, () => stored)).toBe(stored);
  });
});

describe("flags that are refused", () => {
  it.each<[ChoiceFlags, string]>([
    [{ budget: 17 }, "--budget: must be at most the model's 16 patches, got 17"],
    [{ policy: "topk" }, "--budget: must be given with --policy topk, got nothing"],
    [{ policy: "topk", budget: 3, threshold: 0 }, "--threshold: must go with --policy threshold, got topk"],
    [{ policy: "sample", threshold: 0.5 }, "--threshold: must go with --policy threshold, got sample"],
    [{ policy: "calibrated", budget: 0 }, "--budget: must be left to what was calibrated, got 0"],
  ])("%j", async (flags, message) => {
    expect(await refusal(() => choiceOf(flags, patches, none))).toBe(`usage: ${message}`);
  });
});

describe("the calibrated choice", () => {
  let checkpoint: string;
  beforeEach(() => {
    checkpoint = join(mkdtempSync(join(tmpdir(), "patchdrop-calibrated-")), "1");
    const record = { sequence: 1, logs: {}, config: { format: 1 as const, ...config, created: "now" } };
    writeCheckpoint(checkpoint, save(1), record);
  });
  afterEach(() => rmSync(join(checkpoint, ".."), { recursive: true, force: true }));

  it("is the threshold that is stored with the checkpoint, and its budget", () => {
    const measured = { images: 4, accuracy: 0.75, patches: 6.25 };
    writeChoice(checkpoint, {
      target: { patches: 6 },
      policy: "threshold",
      threshold: 0.4375,
      budget: 8,
      dataset: "CIFAR-10",
      seed: 1,
      calibrated: { split: "train", ...measured },
      evaluated: { split: "test", ...measured },
    });
    expect(calibratedChoice(checkpoint, {})).toStrictEqual({ policy: "threshold", threshold: 0.4375, budget: 8 });
  });

  it("must be there", async () => {
    const next = "calibrate: patchdrop eval with --target_patches or --target_accuracy";
    expect(await refusal(() => calibratedChoice(checkpoint, {}))).toBe(
      `input: ${checkpoint}: must have a choice that was calibrated; ${next}`,
    );
  });
});

it.each<[Choice, string]>([
  [{ policy: "threshold", threshold: 0.5 }, "threshold 0.5"],
  [{ policy: "threshold", threshold: 0.123456, budget: 0 }, "threshold 0.1235, at most 0"],
  [{ policy: "topk", budget: 6 }, "the 6 likeliest"],
  [{ policy: "sample" }, "sampled"],
  [{ policy: "sample", budget: 3 }, "sampled, at most 3"],
])("%j is said as: %s", (choice, words) => {
  expect(choiceText(choice)).toBe(words);
});
