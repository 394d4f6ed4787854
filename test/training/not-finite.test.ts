/** Weights with NaN or infinity, or that make a network answer so, are refused wherever a checkpoint is opened to compute with, by file and tensor: exit code 7. */
import { existsSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { readCheckpoint, writeCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { exportRun } from "../../src/export/export-run.ts";
import { asFloat32, encodeSafetensors, float32Tensor, type StateDict } from "../../src/formats/safetensors.ts";
import { writeTorchFile } from "../../src/formats/torch-writer.ts";
import { openPredictor } from "../../src/inference/open-run.ts";
import { liveHandles } from "../../src/native/call.ts";
import { exportSchema } from "../../src/options/export-options.ts";
import { evaluate, type Given, memoryData, refusal, SmallRuns } from "./small-runs.ts";

const runs = new SmallRuns();
const data = memoryData();

/** The same tensors, with `value` as the second element of one of them. */
function spoiled(state: StateDict, name: string, value: number): StateDict {
  const { shape } = state.get(name)!;
  const values = Float32Array.from(asFloat32(state.get(name)!));
  values[1] = value;
  return new Map([...state, [name, float32Tensor(shape, values)]]);
}

/** Copies a run whose last checkpoint is whole by its hashes, and holds what `change` makes of it. */
function copyWith(from: string, to: string, change: (saved: ReturnType<typeof readCheckpoint>) => object): void {
  runs.copy(from, to);
  const saved = readCheckpoint(runs.at(from, "last"));
  const name = saved.path.split("/").at(-1)!;
  const folder = runs.at(to, "checkpoints", `${name}_2`);
  writeCheckpoint(folder, { ...saved, ...change(saved) }, { ...saved, sequence: saved.sequence + 1 });
  for (const link of ["last", "best"]) runs.link(to, link, `checkpoints/${name}_2`);
}

const tensor = "blocks.0.0.conv1.weight";
let classifier: StateDict;

beforeAll(async () => {
  await runs.train("classifier_training", "hr", { max_epochs: 1 }, { data });
  await runs.train("pretrain", "policy", { max_epochs: 1, ckpt_hr_cl: runs.at("hr") }, { data });
  classifier = openCheckpoint(runs.at("hr")).networks.get("resnet_hr")!;
  const bad = spoiled(classifier, tensor, Number.NaN);
  copyWith("hr", "hr nan", () => ({ networks: new Map([["resnet_hr", bad]]) }));
  copyWith("policy", "policy nan", ({ networks }) => {
    return {
      networks: new Map([...networks, ["agent", spoiled(networks.get("agent")!, `features.${tensor}`, Number.NaN)]]),
    };
  });
  copyWith("policy", "moments nan", ({ optimizer }) => {
    return { optimizer: spoiled(optimizer, "agent.second", Number.POSITIVE_INFINITY) };
  });
  for (const [name, of, value] of [
    ["hr huge", tensor, 3e38],
    ["hr negative", "bn1.running_var", -1],
  ] as const) {
    copyWith("hr", name, () => ({ networks: new Map([["resnet_hr", spoiled(classifier, of, value)]]) }));
  }
  copyWith("policy", "policy huge", ({ networks }) => {
    return { networks: new Map([...networks, ["agent", spoiled(networks.get("agent")!, `features.${tensor}`, 3e38)]]) };
  });
  writeFileSync(runs.at("nan.safetensors"), encodeSafetensors(bad));
  writeFileSync(runs.at("inf.pth"), writeTorchFile(spoiled(classifier, tensor, Number.NEGATIVE_INFINITY)));
});

describe("weights that are not finite", () => {
  const pretrain = (more: Given) => runs.train("pretrain", "never", { ckpt_hr_cl: runs.at("hr"), ...more }, { data });
  const evaluated = async (load: string) => {
    return evaluate(runs.at(load), { model: "R8_Scenes", data_dir: await runs.makeFolder() });
  };

  it.each<[string, () => unknown, string, string?]>([
    ["eval of a run", () => evaluated("hr nan"), "_2: resnet_hr: "],
    ["eval of a .safetensors file", () => evaluated("nan.safetensors"), "nan.safetensors: resnet_hr: "],
    ["eval of a PyTorch file", () => evaluated("inf.pth"), "inf.pth: resnet_hr: ", "-Infinity"],
    ["predict", () => openPredictor(runs.at("policy nan"), { threads: 1 }), "_2: agent: features."],
    ["--ckpt_hr_cl", () => pretrain({ ckpt_hr_cl: runs.at("hr nan") }), "_2: resnet_hr: "],
    ["--load", () => finetune({ load: runs.at("policy nan") }), "_2: agent: features."],
    ["--pretrained", () => classified({ pretrained: runs.at("nan.safetensors") }), "nan.safetensors: "],
    [
      "export",
      () => exportRun(exportSchema.parse({ load: runs.at("policy nan"), out: runs.at("never") })),
      "_2: agent: features.",
    ],
    ["--resume", () => runs.resume("pretrain", "policy nan", { max_epochs: 2 }, { data }), "_2: agent: features."],
  ])("are refused by %s", async (_, work, file, value = "NaN") => {
    const before = liveHandles();
    const error = await refusal(work);
    expect(error.message).toMatch(
      new RegExp(
        `${file.replaceAll(".", "\\.")}${tensor.replaceAll(".", "\\.")}: must hold finite numbers, got ${value} as element 1 of \\d+; `,
      ),
    );
    expect(error.exitCode).toBe(7);
    expect(liveHandles()).toBe(before);
    expect(existsSync(runs.at("never"))).toBe(false);
  });

  it.each<[string, () => unknown, RegExp]>([
    [
      "eval",
      () => evaluated("hr huge"),
      /_2: resnet_hr: must answer with finite numbers, got NaN as output 0 of \d+; /,
    ],
    ["predict", () => openPredictor(runs.at("policy huge"), { threads: 1 }), /_2: agent: must answer with finite/],
    ["--ckpt_hr_cl", () => pretrain({ ckpt_hr_cl: runs.at("hr huge") }), /_2: resnet_hr: must answer with finite/],
    [
      "export",
      () => exportRun(exportSchema.parse({ load: runs.at("hr huge"), out: runs.at("never") })),
      /_2: resnet_hr: must answer with finite/,
    ],
    [
      "eval of a variance below 0",
      () => evaluated("hr negative"),
      /_2: resnet_hr: bn1\.running_var: variances must not be below 0, got -1 as element 1 of \d+; /,
    ],
  ])("are refused by %s where only what they compute is not", async (_, work, message) => {
    const before = liveHandles();
    const error = await refusal(work);
    expect(error.message).toMatch(message);
    expect(error.exitCode).toBe(7);
    expect(liveHandles()).toBe(before);
    expect(existsSync(runs.at("never"))).toBe(false);
  });

  const finetune = (more: Given) => runs.train("finetune", "never", { ckpt_hr_cl: runs.at("hr"), ...more }, { data });
  const classified = (more: Given) => runs.train("classifier_training", "never", more, { data });

  it("are refused by --resume among the optimizer's numbers", async () => {
    const error = await refusal(() => runs.resume("pretrain", "moments nan", { max_epochs: 2 }, { data }));
    expect(error.message).toMatch(
      /_2: optimizer: agent\.second: must hold finite numbers, got Infinity as element 1 of /,
    );
    expect(error.exitCode).toBe(7);
  });
});
