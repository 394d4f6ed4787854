/** `--pretrained` on a network of two layers: what is taken over, what is fetched from where, and what is refused in words. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { writeCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import { rgb } from "../../src/data/rendering.ts";
import { fault, PatchDropError } from "../../src/errors.ts";
import { asFloat32, encodeSafetensors, float32Tensor, type StateDict } from "../../src/formats/safetensors.ts";
import type { Learner } from "../../src/models/networks.ts";
import type { PretrainedName } from "../../src/models/registry.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import type { Network } from "../../src/nn/layers.ts";
import { Parameters } from "../../src/nn/parameters.ts";
import { startPretrained } from "../../src/training/pretrained.ts";
import type { Setting } from "../../src/training/setting.ts";
import type { DownloadOptions } from "../../src/utils/download.ts";
import { silentReporter } from "../../src/utils/reporter.ts";
import { tinyModel } from "./cases.ts";
import { refusal } from "./small-runs.ts";

/** What was to be fetched, and what comes of it. */
const script = vi.hoisted(() => ({ asked: [] as DownloadOptions[], fetch: (_path: string) => {} }));
vi.mock(import("../../src/utils/download.ts"), async (original) => ({
  ...(await original()),
  async downloadFile(options) {
    script.asked.push(options);
    script.fetch(options.path);
  },
}));

let folder: string;
let learner: Learner;
let notes: string[];
beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-pretrained-"));
  vi.stubEnv("PATCHDROP_CACHE", join(folder, "cache"));
  learner = ofTwoLayers("fc");
  notes = [];
  script.asked = [];
  script.fetch = () => {};
});
afterEach(() => {
  vi.unstubAllEnvs();
  learner.parameters.free();
  rmSync(folder, { recursive: true, force: true });
});

/** A layer "body" of two outputs and a last one of two classes, all of whose weights are 1. */
function ofTwoLayers(head: string): Learner {
  const network: Network = (layers, x) => layers.linear(layers.linear(layers.globalAveragePool(x), "body", 2), head, 2);
  const parameters = new Parameters(network, tinyModel.imageSize, "cpu");
  const weights = stateOf(2, 1);
  const named = [...weights].map(([name, data]) => [name.replace("fc", head), data] as const);
  parameters.load(new Map(named), "by hand");
  return { network, parameters };
}

/** Weights of that network for so many classes, all of one value. */
function stateOf(classes: number, value: number): StateDict {
  const filled = (...shape: number[]) =>
    float32Tensor(shape, new Float32Array(shape.reduce((product, side) => product * side)).fill(value));
  return new Map([
    ["body.weight", filled(2, 3)],
    ["body.bias", filled(2)],
    ["fc.weight", filled(classes, 2)],
    ["fc.bias", filled(classes)],
  ]);
}

/** A file with these weights. */
function saved(state: StateDict): string {
  const path = join(folder, "weights.safetensors");
  writeFileSync(path, encodeSafetensors(state));
  return path;
}

const start = (asked: string | undefined, pretrained?: PretrainedName) => {
  const model = { ...tinyModel, pretrained };
  const reporter = { ...silentReporter, note: (text: string) => void notes.push(text) };
  return startPretrained(learner, asked, {
    model,
    classes: 2,
    reporter,
    data: { train: { bands: rgb } },
  } as unknown as Setting);
};

/** The value that each tensor is full of. */
function valuesIn({ parameters }: Learner): Record<string, number[]> {
  const state = [...parameters.stateDict()];
  return Object.fromEntries(state.map(([name, data]) => [name, [...new Set(asFloat32(data))]]));
}
const taken = (body: number, fc: number) => ({
  ...{ "body.weight": [body], "body.bias": [body] },
  ...{ "fc.weight": [fc], "fc.bias": [fc] },
});

describe("weights of a file", () => {
  it("are taken over, the last layer too where it has the right classes", async () => {
    const path = saved(stateOf(2, 0.5));
    await start(path);
    expect(valuesIn(learner)).toEqual(taken(0.5, 0.5));
    expect(notes).toEqual([`starting from ${path}`]);
  });

  it("are taken over but for the last layer, where that has other classes", async () => {
    const path = saved(stateOf(1000, 0.5));
    await start(path);
    expect(valuesIn(learner)).toEqual(taken(0.5, 1));
    expect(notes).toEqual([`starting from ${path}, with a new last layer for 2 classes`]);
  });

  it("are taken over where they have no last layer, or only its weights", async () => {
    const { "fc.weight": weight, ...body } = Object.fromEntries(stateOf(2, 0.5));
    delete body["fc.bias"];
    await start(saved(new Map(Object.entries(body))));
    expect(valuesIn(learner)).toEqual(taken(0.5, 1));
    await start(saved(new Map(Object.entries({ ...body, "fc.weight": weight }))));
    expect(valuesIn(learner)).toEqual(taken(0.5, 1));
  });

  it("are taken over as float32 from half precision", async () => {
    // 0x3800 is 0.5 in binary16: exponent 14 − 15, no fraction.
    const halves = [...stateOf(2, 0)].map(([name, { shape, data }]) => {
      const bits = new Uint16Array(data.byteLength / 4).fill(0x3800);
      return [name, { dtype: "F16", shape, data: new Uint8Array(bits.buffer) }] as const;
    });
    await start(saved(new Map(halves)));
    expect(valuesIn(learner)).toEqual(taken(0.5, 0.5));
  });

  it("are refused where the file's last layer has another name", async () => {
    learner.parameters.free();
    learner = ofTwoLayers("classifier");
    const path = saved(stateOf(2, 0.5));
    await expect(start(path)).rejects.toThrow(
      `--pretrained ${path}: must have the tensors of this model and no others, got 2 unknown, e.g. fc.weight; `,
    );
    expect(valuesIn(learner)).toMatchObject({ "classifier.weight": [1] });
  });

  /** A checkpoint of these networks, each full of its own number. */
  function checkpoint(networks: Record<string, number>): string {
    const path = join(folder, "checkpoint");
    const config = { format: 1, stage: "pretrain", options: {}, versions: {}, created: "" } as const;
    const record = { sequence: 1, logs: {}, config: { ...config, dataset: { name: "", fingerprint: "" } } };
    const states = Object.entries(networks).map(([name, value]) => [name, stateOf(2, value)] as const);
    writeCheckpoint(path, { networks: new Map(states), optimizer: new Map(), progress: {} }, record);
    return path;
  }

  it("are taken over of the classifier of high resolution, from a run with several networks", async () => {
    await start(checkpoint({ agent: 0.25, resnet_hr: 0.5, resnet_lr: 0.75 }));
    expect(valuesIn(learner)).toEqual(taken(0.5, 0.5));
  });

  it("are refused where they are those of no classifier", async () => {
    const path = checkpoint({ agent: 0.5, resnet_lr: 0.5 });
    const { kind, faults } = await refusal(() => start(path));
    expect(kind).toBe("input");
    expect(faults).toEqual([
      { where: `--pretrained ${path}`, rule: "must hold a classifier", got: "agent, resnet_lr" },
    ]);
  });
});

describe("without a file", () => {
  it("a network of torchvision's starts from random weights, and is told of others", async () => {
    await start(undefined, "resnet34");
    expect(notes).toEqual(["starting from random weights; --pretrained auto would use ImageNet's"]);
  });

  it("another starts from random weights", async () => {
    await start(undefined);
    expect(notes).toEqual([]);
    expect(valuesIn(learner)).toEqual(taken(1, 1));
  });
});

describe("--pretrained auto", () => {
  // torchvision's IMAGENET1K_V1; a file's name ends with the beginning of its SHA-256.
  it.each([
    ["resnet34", "b627a593"],
    ["resnet50", "0676ba61"],
    ["resnet101", "63fe2227"],
  ] as const)("fetches %s once, and takes it over", async (name, sha256) => {
    const file = `${name}-${sha256}.pth`;
    const path = join(folder, "cache", "pretrained", file);
    const url = `https://download.pytorch.org/models/${file}`;
    // What PyTorch's reader makes of such a file is tested there.
    await expect(start("auto", name)).rejects.toThrow(`${path}: does not exist`);
    expect(script.asked).toEqual([{ url, path, sha256 }]);
    expect(notes).toEqual([`using ${path}, fetched from ${url} if it is not there`]);
  });

  it("says what to do where the file cannot be fetched", async () => {
    script.fetch = () => {
      throw fault("system", { where: "download.pytorch.org", rule: "does not answer", next: "try again" });
    };
    const { kind, message } = await refusal(() => start("auto", "resnet34"));
    const file = "resnet34-b627a593.pth";
    expect(kind).toBe("system");
    expect(message).toBe(
      `--pretrained auto: needs ${file} (download.pytorch.org: does not answer); ` +
        `get https://download.pytorch.org/models/${file} elsewhere and put it at ` +
        `${join(folder, "cache", "pretrained", file)}, or give a file`,
    );
  });

  it("passes an error of another kind on", async () => {
    script.fetch = () => {
      throw new RangeError("no memory");
    };
    const error = await start("auto", "resnet34").catch((thrown: unknown) => thrown);
    expect(error).toEqual(new RangeError("no memory"));
    expect(error).not.toBeInstanceOf(PatchDropError);
  });

  it("is refused for a network that is none of torchvision's", async () => {
    const { kind, faults } = await refusal(() => start("auto"));
    expect(kind).toBe("usage");
    const rule = "works only for models that there are official ImageNet weights for";
    expect(faults).toEqual([{ where: "--pretrained auto", rule, got: "tiny", next: "give a file, or leave it out" }]);
    expect(script.asked).toEqual([]);
  });
});
