/** Which patches the flags choose, and in which words a choice is said (docs/budget.md). */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import { writeChoice } from "../../src/checkpoints/stored-choice.ts";
import { type Confidence, writeConfidence } from "../../src/checkpoints/stored-confidence.ts";
import type { Choice } from "../../src/method/budget.ts";
import {
  type ChoiceFlags,
  calibratedChoice,
  calibratedConfidence,
  choiceOf,
  choiceText,
  exitOf,
  type Leaving,
} from "../../src/options/choice-options.ts";
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

let checkpoint: string;
beforeEach(() => {
  checkpoint = join(mkdtempSync(join(tmpdir(), "patchdrop-calibrated-")), "1");
  const record = { sequence: 1, logs: {}, config: { format: 1 as const, ...config, created: "now" } };
  writeCheckpoint(checkpoint, save(1), record);
});
afterEach(() => rmSync(join(checkpoint, ".."), { recursive: true, force: true }));

describe("the calibrated choice", () => {
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

describe("the calibrated confidence", () => {
  it("is the one that is stored with the checkpoint", () => {
    const calibrated = { split: "val" as const, images: 4, accuracy: 0.75, said: 0.9, confidence: 0.75 };
    const confidence = { temperature: 1.5, fill: "lr", tta: true, dataset: "CIFAR-10", seed: 1, calibrated } as const;
    writeConfidence(checkpoint, confidence);
    expect(calibratedConfidence(checkpoint, { exit: 0.9 })).toStrictEqual(confidence);
  });

  it("must be there", async () => {
    expect(await refusal(() => calibratedConfidence(checkpoint, { exit: 0.9 }))).toBe(
      `input: ${checkpoint}: must have a calibrated confidence for --exit; calibrate: patchdrop eval with --exit 0.9`,
    );
  });
});

describe("an image leaves", () => {
  const seen: Leaving = { fill: "lr", hasTwoStreams: false };
  const as = (fill: Confidence["fill"], tta: boolean) => (): Confidence => ({ temperature: 1.5, fill, tta });
  /** Where no confidence may be asked for. */
  const unasked = (): Confidence => {
    throw new Error("the stored confidence was asked for");
  };

  it("where that is asked for, at the calibrated temperature", () => {
    expect(exitOf({}, { ...seen, fill: "zero" }, unasked)).toBeUndefined();
    const exit = { confidence: 0.9, temperature: 1.5 };
    expect(exitOf({ exit: 0.9 }, seen, as("lr", false))).toStrictEqual(exit);
    expect(exitOf({ exit: 0.9 }, { ...seen, tta: true }, as("lr", true))).toStrictEqual(exit);
    expect(exitOf({ exit: 0.9 }, { fill: "zero", hasTwoStreams: true }, as("zero", false))).toStrictEqual(exit);
  });

  it("where the classifier sees something of it, whatever was calibrated", async () => {
    expect(await refusal(() => exitOf({ exit: 0.9 }, { ...seen, fill: "zero" }, unasked))).toMatch(
      /^usage: --exit: needs a classifier that sees the low resolution .*, got --fill zero; give --fill lr/,
    );
  });

  it.each<[Leaving, Confidence["fill"], boolean, string]>([
    [seen, "zero", false, "was calibrated with --fill zero, got --fill lr"],
    [seen, "lr", true, "was calibrated with --fill lr --tta, got --fill lr"],
    [{ ...seen, tta: true }, "lr", false, "was calibrated with --fill lr, got --fill lr --tta"],
  ])("as it was calibrated: %j, not %s and %s", async (leaving, fill, tta, rule) => {
    const leave = (...again: [string?]) => refusal(() => exitOf({ exit: 0.9 }, leaving, as(fill, tta), ...again));
    expect(await leave()).toBe(`usage: --exit: ${rule}; give the same, or calibrate again: patchdrop eval with --exit`);
    expect(await leave("export it again")).toBe(`usage: --exit: ${rule}; give the same, or export it again`);
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
