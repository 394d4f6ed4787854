/** Whole networks, and whole runs, as ONNX models that ONNX Runtime computes as libtorch does. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { readState } from "../../src/checkpoints/checkpoint.ts";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { writeConfidence } from "../../src/checkpoints/stored-confidence.ts";
import { exportNetwork, type Role } from "../../src/export/export-network.ts";
import { exportRun } from "../../src/export/export-run.ts";
import { imageInput, roundInput } from "../../src/export/graph.ts";
import { metadataOf } from "../../src/export/metadata.ts";
import { largestDifference, runOnnx, tolerance } from "../../src/export/parity.ts";
import * as onnx from "../../src/formats/onnx.ts";
import { encodeSafetensors, type TensorData } from "../../src/formats/safetensors.ts";
import { openExported } from "../../src/inference/exported.ts";
import { openPredictor } from "../../src/inference/open-run.ts";
import { cifarResNet } from "../../src/models/cifar-resnet.ts";
import type { NetworkName } from "../../src/models/networks.ts";
import { findModel } from "../../src/models/registry.ts";
import { resNet, torchvisionNames } from "../../src/models/resnet.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { declare } from "../../src/nn/declare.ts";
import type { Network } from "../../src/nn/layers.ts";
import { exportSchema } from "../../src/options/export-options.ts";
import { RunFolder } from "../../src/run/run-folder.ts";
import { Random } from "../../src/utils/random.ts";
import { version } from "../../src/utils/version.ts";
import { config } from "../run/example.ts";
import { randomState } from "./random-state.ts";

vi.mock(import("../../src/formats/onnx.ts"), async (original) => {
  const actual = await original();
  return { ...actual, encodeOnnx: vi.fn(actual.encodeOnnx) };
});
const { encodeOnnx } = await vi.importActual<typeof onnx>("../../src/formats/onnx.ts");

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});

const policy: Role = { file: "policy.onnx", input: imageInput(3), seesLow: true, output: "probabilities" };
const inRounds: Role = { ...policy, input: roundInput(3), seesLow: false };
const classifier: Role = { file: "classifier.onnx", input: imageInput(3), seesLow: false, output: "logits" };

const stateOf = (network: Network, size: number, seed = 1, channels = 3) =>
  randomState({ declaration: declare(network, size, channels) }, seed);

function randomImages(count: number, size: number, channels = 3) {
  return new Random(1, "images").normals(new Float32Array(count * channels * size * size));
}

const small = cifarResNet({ blocks: 1, outputs: 16, prefix: "features.", head: "logit" });
const bottleneck = resNet({
  block: "bottleneck",
  blocks: [1, 1, 1, 1],
  stem: "large",
  outputs: 3,
  names: torchvisionNames,
  halved: true,
});
const r32 = findModel({ model: "R32_C10" });
const r32InRounds = findModel({ model: "R32_C10", rounds: 3, policy_head: "map" });

describe("exportNetwork", () => {
  it.each([
    ["R32's policy, on the low resolution enlarged", r32.policy, policy, r32],
    ["a policy on thirds of the image", small, policy, { imageSize: 12, lowSize: 4, lowInput: 12 }],
    ["a policy on the low resolution as it is", small, policy, { imageSize: 40, lowSize: 8, lowInput: 8 }],
    ["a policy that decides in rounds, on five channels", r32InRounds.policy, inRounds, r32InRounds],
    [
      "a classifier with bottlenecks, max-pooling and halving",
      bottleneck,
      classifier,
      { imageSize: 64, lowSize: 16, lowInput: 64 },
    ],
  ] as const)("%s", async (where, network, role, model) => {
    const size = model.imageSize;
    const { channels } = role.input;
    const state = stateOf(network, role.seesLow ? model.lowInput : size, 1, channels);
    const values = randomImages(4, size, channels);
    const common = { model, images: values };
    const source = { network, state, where, metadata: new Map<string, string>() };
    const free = await exportNetwork(source, role, { ...common, batch: undefined });
    expect(free.difference).toBeLessThanOrEqual(tolerance);
    expect(free.difference).toBeGreaterThan(0);
    const fixed = await exportNetwork(source, role, { ...common, batch: 2 });
    const atOnce = await runOnnx(free.bytes, values, 4);
    expect(new Set(atOnce).size).toBe(4 * free.outputs);
    for (const [{ bytes }, batch] of [
      [free, 1],
      [fixed, 2],
    ] as const) {
      const inParts = await runOnnx(bytes, values, batch);
      expect(Math.max(...atOnce.map((value, i) => Math.abs(value - inParts[i])))).toBeLessThan(1e-5);
    }
    await expect(runOnnx(fixed.bytes, values, 4)).rejects.toThrow("must take the model");
  });

  it("takes weights of bfloat16, the upper halves of float32, as their numbers", async () => {
    const size = 12;
    const words = ({ data }: TensorData) => new Uint32Array(data.buffer, data.byteOffset, data.byteLength / 4);
    const exported = async (each: (tensor: TensorData) => TensorData) => {
      const state = new Map([...stateOf(small, size)].map(([name, tensor]) => [name, each(tensor)] as const));
      const source = { network: small, state, where: "test", metadata: new Map<string, string>() };
      const model = { imageSize: size, lowSize: 4, lowInput: 12 };
      return (await exportNetwork(source, policy, { model, images: randomImages(1, size), batch: 1 })).bytes;
    };
    const upper = (tensor: TensorData): TensorData => {
      const halves = Uint16Array.from(words(tensor), (bits) => bits >>> 16);
      return { ...tensor, dtype: "BF16", data: new Uint8Array(halves.buffer) };
    };
    const cut = (tensor: TensorData): TensorData => {
      return { ...tensor, data: new Uint8Array(words(tensor).map((bits) => bits & 0xffff0000).buffer) };
    };
    expect(await exported(upper)).toEqual(await exported(cut));
  });

  it("sees of each block the top-left pixel and nothing else", async () => {
    const size = 12;
    const model = { imageSize: size, lowSize: 4, lowInput: 12 };
    const values = randomImages(1, size);
    const source = { network: small, state: stateOf(small, size), where: "test", metadata: new Map<string, string>() };
    const { bytes } = await exportNetwork(source, policy, { model, images: values, batch: 1 });
    const noise = values.map((value, i) => ((i % size) % 3 === 0 && Math.floor(i / size) % 3 === 0 ? value : -value));
    const seen = await runOnnx(bytes, values, 1);
    expect(await runOnnx(bytes, noise, 1)).toEqual(seen);
    const moved = values.map((value, i) => (i === 3 * size + 3 ? value + 1 : value));
    expect(await runOnnx(bytes, moved, 1)).not.toEqual(seen);
  });
});

describe("parity", () => {
  const list = (...values: number[]) => Float32Array.from(values);

  it("is judged by the largest difference", () => {
    expect(largestDifference("m", list(0.5, 0.25), list(0.5, 0.25 + 2 ** -20))).toBe(2 ** -20);
    expect(() => largestDifference("m", list(0.5, 0.25), list(0.5, 0.25 + 2 ** -16))).toThrow("m: 2 probabilities");
    expect(() => largestDifference("m", list(0.5, Number.NaN), list(0.5, 0.25))).toThrow("got a difference of NaN");
    expect(() => largestDifference("m", list(0.5), list(0.5, 0.25))).toThrow("got 1; ");
  });
});

describe("exportRun", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "patchdrop-export-"));
    const run = RunFolder.create(join(folder, "run"), {
      ...config,
      stage: "finetune2stream",
      options: { model: "R32_C10", variant: "2019", seed: 1, fill: "lr", data_dir: join(folder, "gone") },
    });
    run.save({
      name: "ckpt_E_1_A_0.500_R_0.25",
      isBest: true,
      networks: new Map([
        ["agent", stateOf(r32.policy, 32)],
        ["resnet_hr", stateOf(r32.classifier(7), 32)],
        ["resnet_lr", stateOf(r32.classifier(7), 32, 2)],
      ]),
      optimizer: new Map(),
      progress: {},
    });
    run.close();
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const options = (more: object = {}) =>
    exportSchema.parse({ load: join(folder, "run"), out: join(folder, "onnx"), images: 2, threads: 1, ...more });

  it("writes the three networks of a run whose data are gone, compared on random pixels", async () => {
    const result = await exportRun(options({ batch_size: 3 }));
    expect(result.images).toEqual({ count: 3, of: "random pixels" });
    const shown = result.networks.map(({ file, network, outputs }) => [file, network, outputs]);
    expect(shown).toEqual([
      ["policy.onnx", "agent", 16],
      ["classifier.onnx", "resnet_hr", 7],
      ["lr_classifier.onnx", "resnet_lr", 7],
    ]);
    expect(readdirSync(join(folder, "onnx")).sort()).toEqual(["classifier.onnx", "lr_classifier.onnx", "policy.onnx"]);
  });

  it("says in the file what one must know to use it", async () => {
    const files = vi.mocked(onnx.encodeOnnx);
    files.mockClear();
    await exportRun(options());
    const [graph, origin] = files.mock.calls[0];
    expect([graph.input, graph.output]).toEqual([
      { name: "image", shape: ["batch", 3, 32, 32] },
      { name: "probabilities", shape: ["batch", 16] },
    ]);
    const checkpoint = readState(openCheckpoint(join(folder, "run")).path);
    expect(Object.fromEntries(origin.metadata)).toEqual({
      model: "R32_C10 2019",
      network: "agent",
      networks: '["agent","resnet_hr","resnet_lr"]',
      stage: "finetune2stream",
      checkpoint_sha256: checkpoint.files["agent.safetensors"].sha256,
      patchdrop: version(),
      opset: "17",
      image_size: "32",
      patch_size: "8",
      patches: "4 × 4, row by row",
      low_size: "8",
      low_input: "32",
      resize: "nearest, the top-left pixel of each block; part of the graph",
      transform: "shorter side to 32 pixels (bilinear, antialiased), middle 32 × 32",
      transform_name: "cifar",
      bands: '["red","green","blue"]',
      // The run does not name its classes: they are numbered.
      classes: '["0","1","2","3","4","5","6"]',
      normalization: "(x / 255 - mean) / std, RGB",
      mean: JSON.stringify([125.3 / 255, 123 / 255, 113.9 / 255]),
      std: JSON.stringify([63 / 255, 62.1 / 255, 66.7 / 255]),
      threshold: "0.5",
      fill: "dropped patches show the low resolution, enlarged",
      streams: "the logits of classifier.onnx and lr_classifier.onnx are added",
    });
    const written = readFileSync(join(folder, "onnx", "policy.onnx"));
    for (const part of [...origin.metadata].flat()) expect(written.includes(part)).toBe(true);
  });

  it("says of a policy that decides in rounds in how many, and what it sees in each", async () => {
    const run = RunFolder.create(join(folder, "rounds"), {
      ...config,
      stage: "pretrain",
      options: { model: "R32_C10", variant: "2019", rounds: 3, policy_head: "map", data_dir: join(folder, "gone") },
    });
    const networks = new Map([
      ["agent", stateOf(r32InRounds.policy, 32, 1, 5)],
      ["resnet_hr", stateOf(r32InRounds.classifier(7), 32)],
    ]);
    run.save({ name: "ckpt_E_1", isBest: true, networks, optimizer: new Map(), progress: {} });
    run.close();
    const files = vi.mocked(onnx.encodeOnnx);
    files.mockClear();
    await exportRun(options({ load: join(folder, "rounds") }));
    const [[policyGraph, policySaid], [classifierGraph, classifierSaid]] = files.mock.calls;
    expect(policyGraph.input).toEqual({ name: "seen", shape: ["batch", 5, 32, 32] });
    expect(classifierGraph.input).toEqual({ name: "image", shape: ["batch", 3, 32, 32] });
    // 16 patches in three rounds.
    const inRounds = {
      rounds: "3",
      patches_a_round: "at most 6",
      seen: expect.stringMatching(/^\[batch, 5, .*channel 4 is/),
    };
    const part = "nearest, the top-left pixel of each block";
    const [policyResize, resize] = [`${part}; not part of the graph`, `${part}; part of the graph`];
    expect(Object.fromEntries(policySaid.metadata)).toMatchObject({ ...inRounds, resize: policyResize });
    expect(Object.fromEntries(classifierSaid.metadata)).toMatchObject({ ...inRounds, resize });
    const { description } = openExported(join(folder, "onnx"));
    expect(description.rounds).toBe(3);
    // Of 2020, whose low resolution stays as small as it is.
    const networks2020 = new Map([["agent", new Map()] as const, ["resnet_lr", new Map()] as const]);
    const lowInput = (name: NetworkName) =>
      metadataOf({
        checkpoint: { config: openCheckpoint(join(folder, "rounds")).config, networks: networks2020 },
        name,
        description: { ...description, variant: "2020" },
        calibrated: undefined,
      }).get("low_input");
    expect([lowInput("agent"), lowInput("resnet_lr")]).toEqual(["32", "8"]);
  });

  it("says with what the confidence was calibrated, and images leave with nothing else", async () => {
    const [run, plain, sixViews] = ["run", "plain", "six"].map((name) => join(folder, name));
    const leaving = { engine: "onnx", exit: 0.4, threads: 1 } as const;
    await exportRun(options({ out: plain }));
    await expect(openPredictor(plain, leaving)).rejects.toThrow(
      `${plain}: must have a calibrated confidence for --exit; calibrate the run (patchdrop eval --exit 0.4), then export it again`,
    );
    rmSync(plain, { recursive: true });
    const said = { temperature: 1.5, fill: "zero", tta: false } as const;
    const calibrated = { split: "val", images: 2, accuracy: 0.5, said: 0.75, confidence: 0.5 } as const;
    writeConfidence(openCheckpoint(run).path, { ...said, calibrated, dataset: "made", seed: 1 });
    await exportRun(options({ out: plain }));
    await exportRun(options({ out: sixViews, tta: true }));
    expect([openExported(plain), openExported(sixViews)]).toMatchObject([
      { confidence: said, tta: false },
      { confidence: said, tta: true },
    ]);
    const next = "give the same, or calibrate the run (patchdrop eval --exit 0.4), then export it again";
    const refused = async (out: string, got: string, more: object) =>
      expect(openPredictor(out, { ...leaving, ...more })).rejects.toThrow(
        `--exit: was calibrated with --fill zero, got ${got}; ${next}`,
      );
    await refused(plain, "--fill lr", {});
    await refused(sixViews, "--fill zero --tta", { fill: "zero" });
    const opened = await openPredictor(plain, { ...leaving, fill: "zero" });
    expect(opened.exit).toEqual({ confidence: 0.4, temperature: 1.5 });
    await opened.free();
  });

  it("refuses a graph that computes something else, and leaves nothing", async () => {
    const wrong = (node: onnx.OnnxNode) => (node.operator === "Relu" ? { ...node, operator: "Abs" } : node);
    vi.mocked(onnx.encodeOnnx)
      .mockImplementationOnce(encodeOnnx)
      .mockImplementationOnce((graph, origin) => encodeOnnx({ ...graph, nodes: graph.nodes.map(wrong) }, origin));
    await expect(exportRun(options())).rejects.toThrow(
      /^classifier\.onnx: 14 probabilities must be within 0\.00001 of libtorch's, got a difference of 0\.\d+; nothing/,
    );
    expect(readdirSync(folder)).toEqual(["run"]);
  });

  it("refuses a folder that another export has made meanwhile", async () => {
    const out = join(folder, "onnx");
    vi.mocked(onnx.encodeOnnx).mockImplementationOnce((graph, origin) => {
      mkdirSync(out);
      return encodeOnnx(graph, origin);
    });
    await expect(exportRun(options({ out }))).rejects.toThrow(`--out ${out}: must not exist yet; give another folder`);
    expect(readdirSync(out)).toEqual([]);
  });

  it("refuses a folder that is there, weights of another model, and a file that does not name its network", async () => {
    await expect(exportRun(options({ out: folder }))).rejects.toThrow(`--out ${folder}: must not exist yet`);
    const bare = join(folder, "bare.safetensors");
    writeFileSync(bare, encodeSafetensors(stateOf(r32.policy, 32)));
    await expect(exportRun(options({ load: bare }))).rejects.toThrow(`${bare}: must hold agent, resnet_hr, resnet_lr`);
    await expect(exportRun(options({ model: "R34_fMoW" }))).rejects.toThrow(
      "agent: must have the tensors of this model and no others",
    );
    expect(existsSync(join(folder, "onnx"))).toBe(false);
  });
});
