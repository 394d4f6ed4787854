/**
 * This program's side of the benchmark: one stage's step, timed each time that a line "step" arrives on stdin. Protocol,
 * weights, images and uniforms are those of peer.py; the steps are those of src/stages, with the stages' own defaults.
 * Started by mpirun, it is one of the ranks that take each step together; the first one speaks, of its own share's loss, and
 * also says how long the rank that came last spent adding up the gradients.
 * With --unit epoch a "step" is a whole epoch of src/training/train-epoch.ts, with loader, augmentation and metrics.
 *
 *     yes step | npx tsx bench/ours.ts --stage pretrain --model R32_C10 --precision auto --batch 256 --steps 10 --warmup 2 --threads 2
 *
 * A step goes from the batch's bytes and its uniforms to the updated weights.
 */
import { on } from "node:events";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { z } from "zod";
import { finish } from "../src/cli/exit.ts";
import type { Dataset } from "../src/data/dataset.ts";
import { Loader } from "../src/data/loader.ts";
import { MemoryDataset } from "../src/data/memory-dataset.ts";
import { cifarNormalization } from "../src/data/normalizations.ts";
import { join } from "../src/distributed/join.ts";
import { ofFirst, type ProcessGroup } from "../src/distributed/process-group.ts";
import { evaluateMasks } from "../src/evaluation/evaluate-masks.ts";
import { decidedBy, masksBy } from "../src/evaluation/masks.ts";
import { openLearners } from "../src/inference/open-run.ts";
import { Normalizer } from "../src/method/images.ts";
import type { Learner, NetworkName } from "../src/models/networks.ts";
import { findModel } from "../src/models/registry.ts";
import { library } from "../src/native/library.ts";
import { FrozenNetwork } from "../src/nn/frozen.ts";
import { Optimizer, type Rate } from "../src/nn/optimizer.ts";
import { choosePrecision } from "../src/nn/precision.ts";
import { parseOptions, type StageName, withModelDefaults } from "../src/options/stage-options.ts";
import { CapturedStep, kept } from "../src/tensor/captured.ts";
import { Inputs } from "../src/tensor/inputs.ts";
import { scope } from "../src/tensor/scope.ts";
import { startLibtorch } from "../src/tensor/start.ts";
import { fromArray, type Tensor } from "../src/tensor/tensor.ts";
import { classifierPass } from "../src/training/classifier-training.ts";
import { finetunePass } from "../src/training/finetune.ts";
import type { Batch, Learning, StepNumbers } from "../src/training/learning.ts";
import { adam, pretrainPass } from "../src/training/pretrain.ts";
import { describeSetting, type Setting } from "../src/training/setting.ts";
import { Sharding } from "../src/training/sharding.ts";
import { stepRunner } from "../src/training/step-runner.ts";
import { type Stepping, takeStep } from "../src/training/take-step.ts";
import { stepsBetweenLooks, trainEpoch } from "../src/training/train-epoch.ts";
import { silentReporter } from "../src/utils/reporter.ts";
import { SlowWatch } from "../src/utils/slow-watch.ts";
import { type FormulaNetwork, filled } from "../test/golden/filled.ts";
import { formulaImages, formulaUniforms, hashUniform, salts } from "../test/golden/formula.ts";
import { loadGolden } from "../test/golden/load.ts";
import { type BenchModel, benchModels, type Stage, stages, stepsAfterRest, stepsAnEpoch, units } from "./side.ts";

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

/** Finetuning's, as peer.py has it. */
const evaluationPenalty = -5;
/** The step functions get their networks directly; the schemas want them named. */
const unread = { load: "unread", ckpt_hr_cl: "unread" };

/** A stage's options by default; of every model with the rates and penalties that peer.py has for all. */
function optionsOf<S extends StageName>(stage: S, given: Record<string, unknown>) {
  return withModelDefaults(stage, parseOptions(stage, { ...given, model: "R32_C10", variant: "2019" }));
}

/** How long this rank's steps have spent in all-reduce. */
const adding = { seconds: 0 };

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
  unit: z.enum(units).default("step"),
});

try {
  await serve();
} catch (error) {
  finish(error);
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
    unit,
  } = argumentsSchema.parse(values);
  const { version: torch, cuda } = startLibtorch({ threads, device, torch: undefined });
  const precision = choosePrecision(asked, device);
  const images = { batch, all: batch * (unit === "epoch" ? stepsAnEpoch : 1) };
  const { group: joined, leave } = join();
  const setting = makeSetting(model, images, { precision, device, cuda, group: timedGroup(joined) });
  const work = makeWork(stage, model, { ...setting, batch, captured: graph === "on" });
  const step = unit === "step" ? work.step : work.epoch;
  for (let n = 0; n < warmup; n++) await step();
  const { group } = setting;
  const report = group.rank === 0 ? print : () => undefined;
  report({ ready: stage, precision, batch, threads: libtorchThreads(), torch });
  let done = 0;
  for await (const line of linesOf(group)) {
    if (line !== "step") break;
    adding.seconds = 0;
    if (unit === "epoch") for (let n = 0; n < stepsAfterRest; n++) await work.step();
    const began = performance.now();
    const value = await step();
    const seconds = (performance.now() - began) / 1000;
    done += 1;
    const ownSteps = unit === "epoch" && { stepsSeconds: await secondsOfSteps(work.step) };
    const reduced = group.size > 1 && { reduceSeconds: Math.min(...group.exchange(adding.seconds)) };
    report({ step: done, seconds, ...ownSteps, ...reduced, [stage === "eval" ? "reward" : "loss"]: value });
    if (done === steps) break;
  }
  report({ done, peakRssBytes: Math.max(...group.exchange(process.resourceUsage().maxRSS * 1024)) });
  process.stdin.destroy();
  leave();
}

/**
 * The lines of stdin, which the first rank has, on all ranks. The others sleep until it wakes them by a signal: one that waits by MPI
 * keeps a processor busy, while another side is timed.
 */
async function* linesOf(group: ProcessGroup): AsyncGenerator<string | undefined> {
  const wakes = on(process, "SIGUSR2");
  const [, ...others] = group.exchange(process.pid);
  const lines = group.rank === 0 ? createInterface({ input: process.stdin })[Symbol.asyncIterator]() : undefined;
  const read = async () => {
    const { value } = await lines!.next();
    for (const pid of others) process.kill(pid, "SIGUSR2");
    return value as string | undefined;
  };
  // Waiting for a signal does not keep a process alive.
  const living = setInterval(() => undefined, 1000);
  try {
    while (true) {
      if (group.rank > 0) await wakes.next();
      yield await ofFirst(group, read);
    }
  } finally {
    clearInterval(living);
  }
}

function timedGroup(group: ProcessGroup): ProcessGroup {
  if (group.size === 1) return group;
  const { rank, size } = group;
  return {
    rank,
    size,
    deviceFor: (told) => group.deviceFor(told),
    allReduce: (tensor) => {
      const began = performance.now();
      group.allReduce(tensor);
      adding.seconds += (performance.now() - began) / 1000;
    },
    allGather: (own, all) => group.allGather(own, all),
    broadcast: (tensor) => group.broadcast(tensor),
    exchange: (value) => group.exchange(value),
  };
}

/** The number of steps of an epoch, on one batch. */
async function secondsOfSteps(step: () => number | Promise<number>): Promise<number> {
  const began = performance.now();
  for (let n = 0; n < stepsAnEpoch; n++) await step();
  return (performance.now() - began) / 1000;
}

function print(values: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(values)}\n`);
}

function libtorchThreads(): number {
  const threads = new Int32Array(1);
  library().symbols.torch_get_num_threads(threads);
  return threads[0];
}

/** A setting as a stage has it, the images per step, and whether a step on a GPU is captured. */
type BenchSetting = Setting & { batch: number; captured: boolean };
type Place = Pick<Setting, "precision" | "device" | "cuda" | "group">;

/** A setting whose data are the formula's first images: `test` the one batch of every step, `train` all of an epoch. */
function makeSetting(name: BenchModel, { batch, all }: { batch: number; all: number }, place: Place): Setting {
  const model = findModel({ model: name });
  const classes = classCounts[name];
  const images = formulaImages(all, model.imageSize);
  const first = (count: number) =>
    new MemoryDataset({
      name: "formula",
      classes: Array.from({ length: classes }, (_, label) => String(label)),
      imageSize: model.imageSize,
      labels: Int32Array.from({ length: count }, (_, i) => Math.floor(classes * hashUniform(i, labelSalt))),
      images: images.subarray(0, count * model.imageSize ** 2 * 3),
      normalization: cifarNormalization,
    });
  return {
    model,
    data: { train: first(all), test: first(batch) },
    classes,
    ...place,
    normalizer: new Normalizer(cifarNormalization, place.device),
    reporter: silentReporter,
    description: describeSetting(model, { train: first(all), test: first(batch) }, "zero"),
    versions: {},
    checkpoint: undefined,
  };
}

/** What is timed. Gives the loss, of eval the mean reward. */
interface TimedWork {
  step(): number | Promise<number>;
  epoch(): Promise<number>;
}

/** A stage from the formula's weights. */
function makeWork(stage: Stage, name: BenchModel, setting: BenchSetting): TimedWork {
  const { model, classes, device } = setting;
  const of = formulaNetworks(stage, name);
  const classifier = filled(model.classifier(classes), { ...of.classifier, inputSize: model.imageSize }, device);
  if (stage === "classifier") return training(classifierCase(classifier, setting), setting);
  const policy = filled(model.policy, { ...of.policy, inputSize: model.lowInput }, device);
  if (stage === "pretrain") return training(pretrainCase(policy, classifier, setting), setting);
  if (stage === "eval") return evaluation(policy, classifier, setting);
  const low = filled(model.classifier(classes), { ...of.lowClassifier, inputSize: model.lowInput }, device);
  return training(finetuneCase(stage, { policy, classifier, low }, setting), setting);
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

/** What a stage learns, and at which rate. */
type Case = Pick<Learning, "networks" | "optimizer" | "pass"> & { lr: number };

function classifierCase(classifier: Learner, setting: BenchSetting): Case {
  const options = optionsOf("classifier_training", {});
  const { momentum, wd: weightDecay, lr } = options;
  const networks = new Map<NetworkName, Learner>([["resnet_hr", classifier]]);
  const optimizer = optimizerOf(networks, { kind: "sgd", momentum, weightDecay });
  const context = { setting, options, optimizer };
  return { networks, optimizer, lr, pass: (batch) => classifierPass(classifier, batch, context) };
}

function pretrainCase(policy: Learner, classifier: Learner, setting: BenchSetting): Case {
  const options = optionsOf("pretrain", { ...unread, curriculum: false });
  const judge = frozen(classifier, setting);
  const networks = new Map<NetworkName, Learner>([["agent", policy]]);
  const optimizer = optimizerOf(networks, adam(options));
  const context = { setting, options, optimizer };
  const pass: Case["pass"] = (batch) => pretrainPass(policy, judge, batch, context);
  return { networks, optimizer, lr: options.lr, pass };
}

function finetuneCase(
  stage: "finetune" | "finetune2stream",
  { policy, classifier, low }: Record<"policy" | "classifier" | "low", Learner>,
  setting: BenchSetting,
): Case {
  const options = optionsOf(stage, stage === "finetune" ? unread : { ...unread, ckpt_lr_cl: "unread" });
  const networks = { policy, classifier, low: stage === "finetune2stream" ? frozen(low, setting) : undefined };
  const learned = new Map<NetworkName, Learner>([
    ["agent", policy],
    ["resnet_hr", classifier],
  ]);
  const optimizer = optimizerOf(learned, adam(options));
  const context = { setting, options, optimizer };
  const pass: Case["pass"] = (batch) => finetunePass(networks, batch, context);
  return { networks: learned, optimizer, lr: options.lr, pass };
}

function optimizerOf(networks: Case["networks"], rule: ConstructorParameters<typeof Optimizer>[1]): Optimizer {
  return new Optimizer(new Map([...networks].map(([name, { parameters }]) => [name, parameters] as const)), rule);
}

/** The evaluation as it runs, its loader included; over one batch, or over all images. */
function evaluation(policy: Learner, classifier: Learner, setting: BenchSetting): TimedWork {
  const { data, description, reporter, group } = setting;
  const learners = new Map<NetworkName, Learner>([
    ["agent", policy],
    ["resnet_hr", classifier],
  ]);
  const run = openLearners({ learners, description }, setting);
  const rewarding = { kind: "quadratic", penalty: evaluationPenalty } as const;
  const mask = masksBy(decidedBy(run, description.choice, 0));
  const rewardOn = async (split: Dataset) => {
    const [{ metrics }] = await evaluateMasks(split, { run, rewarding, reporter, group }, [mask]);
    return metrics.metrics().reward!;
  };
  return { step: () => rewardOn(data.test), epoch: () => rewardOn(data.train) };
}

function training({ lr, ...learned }: Case, setting: BenchSetting): TimedWork {
  const learning: Learning = {
    ...learned,
    uniformsPerImage: setting.model.grid.patches,
    rewarding: undefined,
  };
  return { step: onBatch(setting, lr, learned), epoch: onAll(setting, lr, learning) };
}

/** An epoch as a stage trains it: reading in a new order, augmentation, steps, metrics. Gives the mean loss. */
function onAll(setting: BenchSetting, lr: number, learning: Learning): () => Promise<number> {
  const { data, batch: batchSize, cuda, captured, reporter, group } = setting;
  const sharding = new Sharding(group, undefined, batchSize);
  const share = (images: number) => sharding.share(images);
  const loader = new Loader(data.train, { batchSize, shuffle: true, augment: true, seed: 1, share });
  const window = stepsBetweenLooks[cuda === undefined ? "cpu" : "cuda"];
  const runner = stepRunner({ learning, setting, loader, sharding, seed: 1, captured, window });
  const all = {
    learning,
    runner,
    loader,
    sharding,
    schedule: () => lr,
    reporter,
    epochs: 1,
    saveInterval: "10m",
    slow: new SlowWatch(),
  };
  let epoch = 0;
  return async () => {
    return (await trainEpoch(all, epoch++, { step: 0 }, () => undefined)).metrics.loss!;
  };
}

/** A step from bytes to the loss's value, as src/training/step-runner.ts takes it on a CPU or on a GPU. */
function onBatch(setting: BenchSetting, lr: number, learned: Stepping): () => number {
  const { data, model, normalizer, device, cuda, captured, group } = setting;
  const { length: all } = data.test;
  const sharding = new Sharding(group, undefined, all);
  const { first, count: length } = sharding.share(all);
  const learn = (own: Batch, rate: Rate) => takeStep(learned, sharding, { images: all, epoch: 0, own }, rate);
  const { imageSize } = model;
  /** This rank's share of values, `each` for an image. */
  const share = <T extends { subarray(from: number, to: number): T }>(values: T, each: number) =>
    values.subarray(first * each, (first + length) * each);
  const values = {
    images: share(data.test.inMemory!.images, imageSize ** 2 * 3),
    labels: share(BigInt64Array.from(data.test.labels, BigInt), 1),
    uniforms: share(formulaUniforms(all, model.grid.patches, salts.uniforms), model.grid.patches),
  };
  if (cuda === undefined) {
    const onCpu = () => ({
      images: normalizer.images(values.images, imageSize),
      labels: fromArray(values.labels, [length]),
      uniforms: fromArray(values.uniforms, [length, model.grid.patches]),
      epoch: 0,
    });
    return () => takenLoss(scope(() => kept(learn(onCpu(), lr))));
  }
  const inputs = new Inputs(
    {
      images: { dtype: "uint8", shape: [length, imageSize, imageSize, 3] },
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
    return takenLoss(step.run());
  };
}

/** The loss; frees all numbers. */
function takenLoss(numbers: StepNumbers): number {
  const loss = numbers.loss.item();
  for (const tensor of Object.values(numbers)) (tensor as Tensor).free();
  return loss;
}

function frozen({ network, parameters }: Learner, { precision }: Setting): FrozenNetwork {
  return new FrozenNetwork(network, parameters, precision);
}
