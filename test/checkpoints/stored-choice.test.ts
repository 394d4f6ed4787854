import { createHash } from "node:crypto";
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { writeCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import { readChoice, writeChoice } from "../../src/checkpoints/stored-choice.ts";
import { calibratedChoice, choiceOf, choiceText } from "../../src/options/choice-options.ts";
import { save, savedConfig } from "../run/example.ts";
import { temporaryFolder } from "../temporary-folder.ts";

let folder: string;
const record = { sequence: 1, logs: {}, config: savedConfig };
const at = (name: string) => join(folder, name);
const measured = { images: 4, accuracy: 0.75, patches: 6.25 };
const choice = {
  target: { patches: 6 },
  policy: "threshold" as const,
  threshold: 0.4375,
  budget: 8,
  dataset: "CIFAR-10",
  seed: 1,
  calibrated: { split: "train" as const, ...measured },
  evaluated: { split: "test" as const, ...measured },
};

beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
  for (const step of [1, 2]) writeCheckpoint(at(String(step)), save(step), record);
});

describe("a stored choice", () => {
  it("is read as it was written, for the weights beside it", () => {
    expect(readChoice(at("1"))).toBeUndefined();
    expect(writeChoice(at("1"), choice)).toBe(join(at("1"), "choice.json"));
    const hash = createHash("sha256");
    for (const name of ["agent.safetensors", "resnet_hr.safetensors"]) {
      const file = createHash("sha256")
        .update(readFileSync(join(at("1"), name)))
        .digest("hex");
      hash.update(`${file}  ${name}\n`);
    }
    expect(readChoice(at("1"))).toEqual({ format: 1, ...choice, checkpoint: hash.digest("hex") });
    expect(readChoice(at("2"))).toBeUndefined();
  });

  it("goes where the checkpoint goes, and holds for no other", () => {
    writeChoice(at("1"), choice);
    cpSync(at("1"), at("moved"), { recursive: true });
    expect(readChoice(at("moved"))?.threshold).toBe(0.4375);
    cpSync(join(at("1"), "choice.json"), join(at("2"), "choice.json"));
    expect(() => readChoice(at("2"))).toThrow(
      /^.*choice\.json: must have been calibrated for the weights beside it; calibrate again: /,
    );
  });

  it("of a checkpoint in one file lies beside it", () => {
    writeFileSync(at("policy.pth"), "weights");
    writeChoice(at("policy.pth"), choice);
    expect(existsSync(at("policy.pth.choice.json"))).toBe(true);
    expect(readChoice(at("policy.pth"))?.budget).toBe(8);
    writeFileSync(at("policy.pth"), "other weights");
    expect(() => readChoice(at("policy.pth"))).toThrow("must have been calibrated for the weights beside it");
  });

  it("that is damaged is refused, naming each field", () => {
    writeChoice(at("1"), choice);
    const file = join(at("1"), "choice.json");
    const { sha256: _, ...older } = JSON.parse(readFileSync(file, "utf8"));
    writeFileSync(file, JSON.stringify({ ...older, threshold: -1, policy: "topk" }));
    expect(() => readChoice(at("1"))).toThrow(/choice\.json: policy: .*\n.*choice\.json: threshold: /);
    writeFileSync(file, "{");
    expect(() => readChoice(at("1"))).toThrow(/choice\.json: must be JSON, got /);
    writeFileSync(file, "null");
    expect(() => readChoice(at("1"))).toThrow(/choice\.json: Invalid input: expected object/);
  });

  it("has a checksum, which those of 0.1 lack", () => {
    const file = writeChoice(at("1"), choice);
    const text = readFileSync(file, "utf8");
    const { sha256, ...older } = JSON.parse(text);
    expect(sha256).toBe(createHash("sha256").update(JSON.stringify(older)).digest("hex"));
    const stored = readChoice(at("1"));
    writeFileSync(file, JSON.stringify(older));
    expect(readChoice(at("1"))).toEqual(stored);
    writeFileSync(file, text.replace("0.4375", "0.4376"));
    expect(() => readChoice(at("1"))).toThrow(
      /choice\.json: does not match its own checksum; calibrate again: patchdrop eval with --target_patches or /,
    );
  });
});

describe("the fields of a stored choice", () => {
  /** Stores the choice as 0.1 did, without a checksum, and with these fields in the place of its own. */
  function change(fields: Record<string, unknown>): string {
    const file = writeChoice(at("1"), choice);
    const { sha256: _, ...older } = JSON.parse(readFileSync(file, "utf8"));
    writeFileSync(file, JSON.stringify({ ...older, ...fields }));
    return file;
  }

  it.each([
    ["format", 2],
    ["target", { patches: 6, accuracy: 0.9 }],
    ["target", {}],
    ["target", { patches: "6" }],
    ["policy", "topk"],
    ["threshold", -0.25],
    ["threshold", "0.5"],
    ["budget", -1],
    ["budget", 1.5],
    ["dataset", 1],
    ["seed", 0.5],
    ["calibrated", { split: "all", ...measured }],
    ["calibrated", { split: "train", ...measured, images: 0 }],
    ["calibrated", { split: "train", ...measured, images: 1.5 }],
    ["evaluated", { split: "test", ...measured, accuracy: "0.9" }],
    ["evaluated", { split: "test", images: 4, accuracy: 0.9 }],
    ["evaluated", undefined],
    ["checkpoint", "0".repeat(63)],
    ["checkpoint", "0".repeat(65)],
    ["checkpoint", `x${"0".repeat(64)}`],
    ["checkpoint", "g".repeat(64)],
  ])("refuse %s: %j", (field, value) => {
    const file = change({ [field]: value });
    expect(() => readChoice(at("1"))).toThrow(
      expect.objectContaining({ kind: "input", message: expect.stringContaining(`${file}: ${field}`) }),
    );
  });

  it.each([
    ["target", { accuracy: 0.9 }],
    ["threshold", 0],
    ["budget", 0],
    ["budget", undefined],
    ["seed", -1],
    ["calibrated", { split: "test", ...measured, images: 1 }],
    ["evaluated", { split: "train", ...measured }],
  ])("take %s: %j", (field, value) => {
    change({ [field]: value });
    const { format: _, checkpoint: __, ...read } = readChoice(at("1"))!;
    expect(read).toEqual({ ...choice, [field]: value });
  });

  it("say what to do about other weights", () => {
    const file = change({ checkpoint: "0".repeat(64) });
    const message =
      `${file}: must have been calibrated for the weights beside it; ` +
      "calibrate again: patchdrop eval with --target_patches or --target_accuracy";
    expect(() => readChoice(at("1"))).toThrow(expect.objectContaining({ kind: "input", message }));
  });

  it("are lines of JSON, for people and version control", () => {
    const text = readFileSync(writeChoice(at("1"), choice), "utf8");
    expect(text.split("\n").slice(0, 2)).toEqual(["{", '  "format": 1,']);
    expect(text.endsWith("\n}\n")).toBe(true);
  });
});

describe("choiceOf", () => {
  it.each([
    [{}, { policy: "threshold", threshold: 0.5 }, "threshold 0.5"],
    [{ budget: 4 }, { policy: "threshold", threshold: 0.5, budget: 4 }, "threshold 0.5, at most 4"],
    [{ threshold: 0.25 }, { policy: "threshold", threshold: 0.25 }, "threshold 0.25"],
    [{ policy: "topk" as const, budget: 16 }, { policy: "topk", budget: 16 }, "the 16 likeliest"],
    [{ policy: "sample" as const, budget: 3 }, { policy: "sample", budget: 3 }, "sampled, at most 3"],
    [{ policy: "sample" as const }, { policy: "sample" }, "sampled"],
  ])("reads the flags %j", (flags, choice, text) => {
    const read = choiceOf(flags, 16, () => calibratedChoice(at("1"), {}));
    expect(read).toEqual(choice);
    expect(choiceText(read)).toBe(text);
  });

  it("takes what was calibrated from the checkpoint", () => {
    expect(() => choiceOf({ policy: "calibrated" }, 16, () => calibratedChoice(at("1"), {}))).toThrow(
      /must have a choice that was calibrated; /,
    );
    writeChoice(at("1"), choice);
    expect(choiceOf({ policy: "calibrated" }, 16, () => calibratedChoice(at("1"), {}))).toEqual({
      policy: "threshold",
      threshold: 0.4375,
      budget: 8,
    });
  });

  it.each([
    [{ budget: 17 }, "--budget: must be at most the model's 16 patches, got 17"],
    [{ policy: "topk" as const }, "--budget: must be given with --policy topk, got nothing"],
    [{ policy: "topk" as const, budget: 3, threshold: 0.5 }, "--threshold: must go with --policy threshold, got topk"],
    [{ policy: "calibrated" as const, budget: 3 }, "--budget: must be left to what was calibrated, got 3"],
  ])("refuses the flags %j", (flags, message) => {
    expect(() => choiceOf(flags, 16, () => calibratedChoice(at("1"), {}))).toThrow(message);
  });
});
