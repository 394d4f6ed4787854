/** A classifier of the speed runs' network, from its training to whatever starts from it. */
import { existsSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { readRunConfig } from "../../src/checkpoints/saved-checkpoints.ts";
import { exportRun } from "../../src/export/export-run.ts";
import { asFloat32 } from "../../src/formats/safetensors.ts";
import { openRun } from "../../src/inference/open-run.ts";
import { exportSchema } from "../../src/options/export-options.ts";
import { predictSchema } from "../../src/options/predict-options.ts";
import { evaluate, type Given, listener, SmallRuns, stopAfter } from "./small-runs.ts";

const runs = new SmallRuns();
let data_dir: string;
const classifier = (name: string, more: Given = {}, context = {}) =>
  runs.train("classifier_training", name, { data_dir, arch: "speedrun", lr: 0.05, ...more }, context);

beforeAll(async () => {
  data_dir = await runs.makeFolder();
  await classifier("hr");
  await classifier("lr", { stream_id: "LR", max_epochs: 1 });
  await runs.train("pretrain", "policy", { data_dir, ckpt_hr_cl: runs.at("hr"), model: undefined, max_epochs: 1 });
});

const weightsOf = (name: string, network: "resnet_hr" | "resnet_lr" = "resnet_hr") =>
  openCheckpoint(runs.at(name)).networks.get(network)!;
const whitening = (name: string, network?: "resnet_lr") =>
  asFloat32(weightsOf(name, network).get("whiten.weight")!, "whiten.weight");

describe("a run with --arch speedrun", () => {
  it("has the recipe of that network, but for what is given", () => {
    expect(readRunConfig(runs.at("hr")).options).toMatchObject({
      ...{ arch: "speedrun", optimizer: "muon", flips: "alternating", crop_padding: 4, schedule: "linear" },
      ...{ label_smoothing: 0.2, momentum: 0.85, lr: 0.05, batch_size: 8, max_epochs: 2 },
    });
    expect(readRunConfig(runs.at("hr")).description).toMatchObject({ model: "R8_Scenes", arch: "speedrun" });
  });

  it("whitens what its classifier sees, from before the first step on: the low resolution otherwise than the image", () => {
    const [high, low] = [whitening("hr"), whitening("lr", "resnet_lr")];
    expect(high.length).toBe(24 * 3 * 2 * 2);
    expect(Math.max(...high.map(Math.abs))).toBeGreaterThan(0.1);
    expect(low).not.toEqual(high);
    for (let i = 0; i < 144; i++) expect(high[144 + i]).toBe(-high[i]);
  });

  it("that is stopped inside an epoch and goes on ends with the same bits", async () => {
    const { stopped } = await classifier("cut", {}, { reporter: stopAfter(4) });
    expect(stopped).toBe("SIGTERM");
    await runs.resume("classifier_training", "cut");
    expect(weightsOf("cut")).toEqual(weightsOf("hr"));
  });

  it("is what a policy learns from, finetunes and is evaluated with, without being told again", async () => {
    const { reporter, notes } = listener();
    const given = { data_dir, load: runs.at("policy"), ckpt_hr_cl: runs.at("hr"), model: undefined, max_epochs: 1 };
    await runs.train("finetune", "tuned", given, { reporter });
    expect(notes).toContain(`--model R8_Scenes, as in ${runs.at("policy")}`);
    expect(readRunConfig(runs.at("tuned")).description).toMatchObject({ arch: "speedrun" });
    expect(whitening("tuned")).toEqual(whitening("hr"));
    const two = { ...given, load: runs.at("tuned"), ckpt_hr_cl: undefined, ckpt_lr_cl: runs.at("lr") };
    await runs.train("finetune2stream", "two", two);
    const { rows, tta } = await evaluate(runs.at("two"));
    expect(rows[0].accuracy).toBeGreaterThanOrEqual(0);
    expect(tta).toBeUndefined();
    expect((await evaluate(runs.at("two"), { tta: true })).tta).toBe(true);
  });

  it("is what starts from it where --model is given alone, which says so", async () => {
    const { reporter, notes } = listener();
    const given = { data_dir, ckpt_hr_cl: runs.at("hr"), max_epochs: 1 };
    await runs.train("pretrain", "modelled", given, { reporter });
    expect(readRunConfig(runs.at("modelled")).options).toMatchObject({ model: "R8_Scenes", arch: "speedrun" });
    expect(notes).toContain(`--arch speedrun, as in ${runs.at("hr")}`);
  });

  it("refuses images that its maps leave nothing of", async () => {
    await expect(classifier("tiny", { img_size: 16 })).rejects.toThrow(
      "--img_size: must be larger for this network, which has maps of 1 × 1 left where it takes the largest of 3 × 3, got 16; " +
        "give a larger --img_size (of a low resolution, --lr_size), or another --arch",
    );
    expect(existsSync(runs.at("tiny"))).toBe(false);
  });

  it("says of large images what they cost", async () => {
    const { reporter, notes } = listener();
    await classifier("large", { img_size: 96, max_epochs: 1 }, { reporter });
    expect(notes).toContain("--arch speedrun is for images of CIFAR's size: of 96 pixels one takes 9 times as long");
  });

  it("does not take a ResNet's weights", async () => {
    await runs.train("classifier_training", "resnet", { data_dir, max_epochs: 1 });
    const from = (ckpt_hr_cl: string, more: Given) =>
      runs.train("pretrain", "mixed", { data_dir, ckpt_hr_cl: runs.at(ckpt_hr_cl), max_epochs: 1, ...more });
    await expect(from("resnet", { arch: "speedrun" })).rejects.toThrow(
      `--ckpt_hr_cl ${runs.at("resnet")}: must be for the model R8_Scenes 2019 with --arch speedrun at 32 pixels, got R8_Scenes 2019 at 32 pixels`,
    );
    expect(existsSync(runs.at("mixed"))).toBe(false);
  });

  it("as ONNX models agrees with libtorch, of one view and of six, whose probabilities differ", async () => {
    const pixels = Uint8Array.from({ length: 4 * 32 * 32 * 3 }, (_, i) => (i * 37 + (i >> 5) * 11) % 256);
    const classes = async (load: string, more: Given) => {
      const run = await openRun(predictSchema.parse({ load, threads: 1, precision: "fp32", ...more }));
      try {
        return (await run.predict(pixels)).classes;
      } finally {
        await run.free();
      }
    };
    const found: Float32Array[] = [];
    for (const tta of [false, true]) {
      const out = runs.at(`onnx-${tta}`);
      await exportRun(exportSchema.parse({ load: runs.at("hr"), out, tta, data_dir }));
      const [ours, theirs] = [await classes(runs.at("hr"), { tta }), await classes(out, { engine: "onnx" })];
      for (const [i, value] of ours.entries()) expect(theirs[i]).toBeCloseTo(value, 4);
      found.push(ours);
    }
    expect(found[1]).not.toEqual(found[0]);
    expect(() => predictSchema.parse({ load: "x", engine: "onnx", tta: true })).toThrow("give it to patchdrop export");
  });
});
