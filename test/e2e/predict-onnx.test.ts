/** `patchdrop predict --engine onnx` as a user meets it, where there is no libtorch: on the models of the browser page. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import type { SetDescription } from "../../demo/description.ts";
import type { Prediction } from "../../src/predict/lines.ts";
import { patchdrop, runTimeoutMs } from "./program.ts";

const models = fileURLToPath(new URL("../../demo/models/scenes", import.meta.url));
const { samples, checkpoint, classes } = JSON.parse(readFileSync(join(models, "model.json"), "utf8")) as SetDescription;
const noLibtorch = { PATCHDROP_TORCH: "/nonexistent" };
const onnx = ["predict", "--engine", "onnx", "--quiet"];

it("classifies the synthetic scenes without libtorch", { timeout: runTimeoutMs }, async () => {
  const files = samples.map(({ file }) => join(models, file));
  const { code, stdout, stderr } = await patchdrop([...onnx, "--load", models, ...files], noLibtorch);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const said = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Prediction);
  // These networks classify 99.9 % of the test scenes rightly (model.json): with ten of them, all but one at the least.
  const right = said.filter((one, at) => one.class === samples[at].label).length;
  expect(right).toBeGreaterThanOrEqual(samples.length - 1);
  for (const [at, one] of said.entries()) {
    expect(one).toMatchObject({ path: files[at], checkpoint, pixels: 64 + 64 * one.patches });
    expect(one.patches).toBe(one.patch_probabilities!.filter((p) => p >= 0.5).length);
    expect(classes).toContain(one.class);
  }
});

it("says what is wrong with what it is given", { timeout: runTimeoutMs }, async () => {
  const [image] = samples.map(({ file }) => join(models, file));
  expect(await patchdrop([...onnx, "--load", "/nonexistent", image], noLibtorch)).toMatchObject({
    code: 3,
    stdout: "",
    stderr:
      "error: /nonexistent: must be a folder with classifier.onnx or lr_classifier.onnx; give a folder that `patchdrop export` made of a run\n",
  });
  const next = "see `patchdrop predict --help`";
  expect(await patchdrop([...onnx, "--load", models, "--precision", "bf16", "--device", "cuda", image])).toMatchObject({
    code: 2,
    stdout: "",
    stderr: [
      `error: --precision: must be fp32 with --engine onnx, got bf16; ${next}`,
      `error: --device: must be cpu with --engine onnx, got cuda; ${next}\n`,
    ].join("\n"),
  });
  expect(await patchdrop(["predict", "--engine", "torch", "--load", models, image])).toMatchObject({
    code: 2,
    stdout: "",
    stderr: `error: --engine: must be one of libtorch, onnx, got torch; ${next}\n`,
  });
});
