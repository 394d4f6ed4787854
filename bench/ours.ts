/**
 * This program's side of the benchmark: one stage's step, timed each time that a line "step" arrives on stdin. Protocol,
 * weights, images and uniforms are those of peer.py; the steps are those of src/stages, with the stages' own defaults.
 *
 *     yes step | npx tsx bench/ours.ts --stage pretrain --model R32_C10 --precision auto --batch 256 --steps 10 --warmup 2 --threads 2
 *
 * A step goes from the batch's bytes and its uniforms to the updated weights.
 */
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { z } from "zod";
import { finish } from "../src/cli/exit.ts";
import { MemoryDataset } from "../src/data/memory-dataset.ts";
import { cifarNormalization } from "../src/data/normalizations.ts";
import { Normalizer } from "../src/method/images.ts";
import { findModel } from "../src/models/registry.ts";
import { library } from "../src/native/library.ts";
import { FrozenNetwork } from "../src/nn/frozen.ts";
import { Optimizer } from "../src/nn/optimizer.ts";
import { schemas } from "../src/run/options.ts";
import { silentReporter } from "../src/run/reporter.ts";
import { classifierStep } from "../src/stages/classifier-training.ts";
import { evaluate, greedyChoice } from "../src/stages/evaluate.ts";
import { finetuneStep } from "../src/stages/finetune.ts";
import type { Learning } from "../src/stages/learning.ts";
import { adam, pretrainStep } from "../src/stages/pretrain.ts";
import { choosePrecision, type Learner, type Setting, startLibtorch } from "../src/stages/setting.ts";
import { CapturedStep } from "../src/tensor/captured.ts";
import { Inputs } from "../src/tensor/inputs.ts";
import { scope } from "../src/tensor/scope.ts";
import { fromArray, type Tensor } from "../src/tensor/tensor.ts";
import { type FormulaNetwork, filled } from "../test/golden/filled.ts";
import { formulaImages, formulaUniforms, hashUniform, salts } from "../test/golden/formula.ts";
import { loadGolden } from "../test/golden/load.ts";
import { type BenchModel, benchModels, type Stage, stages } from "./side.ts";

/** Classes of the classifiers that peer.py has. */
const classCounts: Record<BenchModel, number> = { R32_C10: 10, R34_fMoW: 7 };
/** The salt of the labels in peer.py. */
const labelSalt = 50;
const goldenFiles = {
  classifier: "classifier-training",
  pretrain: "pretrain",
  finetune: "finetune",
  finetune2stream: "finetune2stream",
  eval: "evaluate",
} as const;

/** The step functions get their networks directly; the schemas want them named. */
const unread = { load: "unread", ckpt_hr_cl: "unread" };

const argumentsSchema = z.object({
  stage: z.enum(stages),
  model: z.enum(benchModels),
  precision: z.enum(["auto", "fp32", "bf16"]),
  batch: z.coerce.number().int().min(2),
  steps: z.coerce.number().int().min(1),
  warmup: z.coerce.number().int().min(0),
  threads: z.coerce.number().int().min(1),
  device: z.enum(["cpu", "cuda"]).default("cpu"),
  graph: z.enum(["on", "off"]).default("on"),
});

try {
  await serve();
} catch (error) {
  finish(error, false);
}

async function serve(): Promise<void> {
  const flags = Object.keys(argumentsSchema.shape).map((name) => [name, { type: "string" }] as const);
  const { values } = parseArgs({ options: Object.fromEntries(flags) });
  const {
    stage,
    model,
    precision: asked,
    batch,
    steps,
    warmup,
    threads,
    device,
    graph,
  } = argumentsSchema.parse(values);
  const { version: torch, cuda } = startLibtorch({ threads, device, torch: undefined });
  const precision = choosePrecision(asked, device);
  const setting = makeSetting(model, batch, { precision, device, cuda });
  const step = makeStep(stage, model, { ...setting, captured: graph === "on" });
  for (let n = 0; n < warmup; n++) await step();
  report({ ready: stage, precision, batch, threads: libtorchThreads(), torch });
  let done = 0;
  for await (const line of createInterface({ input: process.stdin })) {
    if (line !== "step") break;
    const began = performance.now();
    const value = await step();
    const seconds = (performance.now() - began) / 1000;
    done += 1;
    report({ step: done, seconds, [stage === "eval" ? "reward" : "loss"]: value });
    if (done === steps) break;
  }
  report({ done, peakRssBytes: process.resourceUsage().maxRSS * 1024 });
  process.stdin.destroy();
}

function report(values: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(values)}\n`);
}

function libtorchThreads(): number {
  const threads = new Int32Array(1);
  library().symbols.torch_get_num_threads(threads);
  return threads[0];
}

/** A setting as a stage has it, and whether a step on a GPU is captured. */
type BenchSetting = Setting & { captured: boolean };
type Place = Pick<Setting, "precision" | "device" | "cuda">;

/** A setting whose data set is the batch that every step takes. */
function makeSetting(name: BenchModel, batch: number, place: Place): Setting {
  const model = findModel({ model: name });
  const classes = classCounts[name];
  const split = new MemoryDataset({
    name: "formula",
    classes: Array.from({ length: classes }, (_, label) => String(label)),
    imageSize: model.imageSize,
    labels: Int32Array.from({ length: batch }, (_, i) => Math.floor(classes * hashUniform(i, labelSalt))),
    images: formulaImages(batch, model.imageSize),
    normalization: cifarNormalization,
  });
  return {
    model,
    data: { train: split, test: split },
    classes,
    ...place,
    normalizer: new Normalizer(cifarNormalization, place.device),
    reporter: silentReporter,
    versions: {},
  };
}

/** One step of a stage from the formula's weights. Gives the loss, of eval the mean reward. */
function makeStep(stage: Stage, name: BenchModel, setting: BenchSetting): () => number | Promise<number> {
  const { model, classes, device } = setting;
  const of = formulaNetworks(stage, name);
  const classifier = filled(model.classifier(classes), { ...of.classifier, inputSize: model.imageSize }, device);
  if (stage === "classifier") return classifierCase(classifier, setting);
  const policy = filled(model.policy, { ...of.policy, inputSize: model.lowInput }, device);
  if (stage === "pretrain") return pretrainCase(policy, classifier, setting);
  if (stage === "eval") return evaluationCase(policy, classifier, setting);
  const low = filled(model.classifier(classes), { ...of.lowClassifier, inputSize: model.lowInput }, device);
  return finetuneCase(stage, { policy, classifier, low }, setting);
}

type NetworkFormula = Omit<FormulaNetwork, "inputSize">;

/** Shapes and salts that peer.py has. */
function formulaNetworks(
  stage: Stage,
  name: BenchModel,
): Record<"classifier" | "policy" | "lowClassifier", NetworkFormula> {
  if (name === "R34_fMoW") {
    const { base, networks } = loadGolden("resnets");
    const classifier = { shapes: networks.resnet34.shapes, base };
    return { classifier, lowClassifier: classifier, policy: { shapes: networks.policy2019.shapes, base } };
  }
  const { bases } = loadGolden(goldenFiles[stage]);
  const { classifier, policy } = loadGolden("states").networks;
  return {
    classifier: { shapes: classifier.shapes, base: bases.classifier },
    lowClassifier: { shapes: classifier.shapes, base: bases.lowClassifier },
    policy: { shapes: policy.shapes, base: bases.policy },
  };
}

function classifierCase(classifier: Learner, setting: BenchSetting): () => number {
  const options = schemas.classifier_training.parse({});
  const { momentum, wd: weightDecay, lr } = options;
  const optimizer = new Optimizer(new Map([["c", classifier.parameters]]), { kind: "sgd", momentum, weightDecay });
  return onBatch(setting, lr, (batch, lr) => classifierStep(classifier, batch, { setting, options, optimizer, lr }));
}

function pretrainCase(policy: Learner, classifier: Learner, setting: BenchSetting): () => number {
  const options = schemas.pretrain.parse({ ...unread, curriculum: false });
  const judge = frozen(classifier, setting);
  const optimizer = new Optimizer(new Map([["agent", policy.parameters]]), adam(options));
  const context = { setting, options, optimizer };
  return onBatch(setting, options.lr, (batch, lr) => pretrainStep(policy, judge, batch, { ...context, lr }));
}

function finetuneCase(
  stage: "finetune" | "finetune2stream",
  { policy, classifier, low }: Record<"policy" | "classifier" | "low", Learner>,
  setting: BenchSetting,
): () => number {
  const options = schemas[stage].parse(stage === "finetune" ? unread : { ...unread, ckpt_lr_cl: "unread" });
  const networks = { policy, classifier, low: stage === "finetune2stream" ? frozen(low, setting) : undefined };
  const learned = new Map([policy, classifier].map(({ parameters }, i) => [String(i), parameters] as const));
  const context = { setting, options, optimizer: new Optimizer(learned, adam(options)) };
  return onBatch(setting, options.lr, (batch, lr) => finetuneStep(networks, batch, { ...context, lr }));
}

/** The evaluation as it runs, its loader included. */
function evaluationCase(policy: Learner, classifier: Learner, setting: Setting): () => Promise<number> {
  const evaluation = {
    high: frozen(classifier, setting),
    choose: greedyChoice(frozen(policy, setting), setting.model.grid.patches),
    fill: "zero",
    reward: { kind: "quadratic", penalty: schemas.finetune.parse(unread).penalty },
  } as const;
  return async () => (await evaluate(setting.data.test, setting, evaluation)).metrics().reward!;
}

/** A step from bytes to the loss's value, as src/stages/step-runner.ts takes it on a CPU or on a GPU. */
function onBatch(setting: BenchSetting, lr: number, learn: Learning["step"]): () => number {
  const { data, model, normalizer, device, cuda, captured } = setting;
  const { length, labels } = data.train;
  const values = {
    images: data.train.inMemory!.images,
    labels: BigInt64Array.from(labels, BigInt),
    uniforms: formulaUniforms(length, model.grid.patches, salts.uniforms),
  };
  if (cuda === undefined) {
    const onCpu = () => ({
      images: normalizer.images(values.images, model.imageSize),
      labels: fromArray(values.labels, [length]),
      uniforms: fromArray(values.uniforms, [length, model.grid.patches]),
      epoch: 0,
    });
    return () => scope(() => learn(onCpu(), lr).loss.item());
  }
  const inputs = new Inputs(
    {
      images: { dtype: "uint8", shape: [length, model.imageSize, model.imageSize, 3] },
      labels: { dtype: "int64", shape: [length] },
      uniforms: { dtype: "float32", shape: [length, model.grid.patches] },
      rate: { dtype: "float32", shape: [] },
    },
    device,
    cuda,
  );
  const { images, rate, ...others } = inputs.tensors;
  const body = () => learn({ images: normalizer.normalized(images), ...others, epoch: 0 }, rate);
  const step = new CapturedStep(body, { stream: captured ? cuda.compute : undefined, window: 1 });
  return () => {
    inputs.put({ ...values, rate: Float32Array.of(lr) });
    const numbers = step.run();
    const loss = numbers.loss.item();
    for (const tensor of Object.values(numbers)) (tensor as Tensor).free();
    return loss;
  };
}

function frozen({ network, parameters }: Learner, { precision }: Setting): FrozenNetwork {
  return new FrozenNetwork(network, parameters, precision);
}
