/**
 * Makes the weights of a checkpoint that comes with the program, models/NAME/, from a trained run:
 *
 *   npx tsx scripts/make-packaged-model.ts --load runs/cifar10-rounds/policy --name cifar10
 *   npx tsx scripts/make-packaged-model.ts --load runs/aid-rounds/policy --name aid --half --data_dir data/aid
 *
 * Writes the networks, without the optimizer's state and the logs, and state.json with their hashes and without the folder of
 * the data. A stored choice and a stored confidence come along. --half stores weights of convolutions and of linear layers in 16 bits: the
 * choice keeps its threshold, and what comes of it is measured with these weights, on the images of --data_dir that are held out and on the
 * test images; the confidence is calibrated with them, whether one was stored or not.
 * The model card, README.md, is written by hand and stays as it is.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { weightsHash } from "../src/checkpoints/beside-weights.ts";
import { type Checkpoint, writeCheckpoint } from "../src/checkpoints/checkpoint.ts";
import { openCheckpoint } from "../src/checkpoints/open-checkpoint.ts";
import { type PackagedName, packagedFolder, packagedNames } from "../src/checkpoints/packaged.ts";
import { type Measured, readChoice, type StoredChoice, writeChoice } from "../src/checkpoints/stored-choice.ts";
import { readConfidence, type StoredConfidence, writeConfidence } from "../src/checkpoints/stored-confidence.ts";
import { fail } from "../src/cli/failure.ts";
import type { Dataset } from "../src/data/dataset.ts";
import { type DataFlags, openDataFor } from "../src/data/open.ts";
import { withValidation } from "../src/data/validation.ts";
import { fault } from "../src/errors.ts";
import { calibrateConfidence } from "../src/evaluation/calibrate-confidence.ts";
import { withEvaluatedRun } from "../src/evaluation/evaluated-run.ts";
import { makeFolder, writeFileAtomic } from "../src/files/atomic.ts";
import { toHalf } from "../src/formats/half.ts";
import { asFloat32, type StateDict, type TensorData } from "../src/formats/safetensors.ts";
import { modelOf } from "../src/inference/describe-run.ts";
import { openPredictor } from "../src/inference/open-run.ts";
import type { OpenedRun } from "../src/inference/opened-run.ts";
import { asTested } from "../src/method/budget.ts";
import { countPatches } from "../src/method/grid.ts";
import { parseEvalOptions } from "../src/options/eval-options.ts";
import { silentReporter } from "../src/utils/reporter.ts";
import { row } from "../src/utils/rows.ts";

const imagesAtOnce = 50;

interface Given {
  readonly load: string;
  readonly name: PackagedName;
  /** Of the data, to measure with weights in 16 bits. */
  readonly half: string | undefined;
}

try {
  await makePackagedModel(given());
} catch (error) {
  fail(error);
}

function given(): Given {
  const text = { type: "string" } as const;
  const options = { load: text, name: text, half: { type: "boolean" }, data_dir: text } as const;
  const { load, name, half = false, data_dir } = parseArgs({ options }).values;
  if (load === undefined) throw fault("usage", { where: "--load", rule: "must be given" });
  if (half && data_dir === undefined) throw fault("usage", { where: "--data_dir", rule: "must go with --half" });
  const own = packagedNames.find((one) => one === name);
  if (own !== undefined) return { load, name: own, half: half ? data_dir : undefined };
  const next = "name a new one in src/checkpoints/packaged.ts first";
  throw fault("usage", { where: "--name", rule: `must be ${packagedNames.join(" or ")}`, got: name, next });
}

async function makePackagedModel({ load, name, half }: Given): Promise<void> {
  const checkpoint = openCheckpoint(load);
  const folder = packagedFolder(name);
  const scratch = mkdtempSync(join(tmpdir(), "patchdrop-packaged-"));
  try {
    const made = join(scratch, name);
    writePlain(made, half === undefined ? checkpoint : halved(checkpoint), name);
    const choice = readChoice(checkpoint.path);
    if (choice !== undefined) writeChoice(made, half === undefined ? choice : await measuredAnew(made, choice, half));
    const confidence = half === undefined ? readConfidence(checkpoint.path) : await calibratedAnew(made, half);
    if (confidence !== undefined) writeConfidence(made, confidence);
    makeFolder(folder);
    for (const file of readdirSync(made)) writeFileAtomic(join(folder, file), readFileSync(join(made, file)));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  process.stdout.write(`${folder}: ${[...checkpoint.networks.keys()].join(" and ")}, weights ${weightsHash(folder)}\n`);
}

/** The checkpoint without what only training needs, and without anything of the machine that made it. */
function writePlain(folder: string, { networks, progress, config }: Checkpoint, name: PackagedName): void {
  const { epoch, step, tested } = progress;
  const options = { ...config.options, cv_dir: `runs/${name}`, data_dir: `data/${name}` };
  const record = { sequence: 0, logs: {}, config: { ...config, options } };
  writeCheckpoint(folder, { networks, optimizer: new Map(), progress: { epoch, step, tested } }, record);
}

/** The choice, with what it gives with the weights at `path`. */
async function measuredAnew(path: string, choice: StoredChoice, data_dir: string): Promise<StoredChoice> {
  const { config } = openCheckpoint(path);
  const opened = await openDataFor(modelOf(openCheckpoint(path), {}), { ...(config.options as DataFlags), data_dir });
  const { val, test } = withValidation(opened, Number(config.options.val_fraction ?? 0));
  if (val === undefined)
    throw fault("usage", { where: "--load", rule: "must be a run with images that were held out" });
  const run = await openPredictor(path, { threshold: choice.threshold, precision: "fp32", threads: 1 });
  try {
    const calibrated: Measured = { split: "val", ...(await measured(run, val)) };
    return { ...choice, calibrated, evaluated: { split: "test", ...(await measured(run, test)) } };
  } finally {
    await run.free();
  }
}

/** How sure the classifier with the weights at `path` may say it is. */
function calibratedAnew(path: string, data_dir: string): Promise<StoredConfidence> {
  const options = parseEvalOptions({ load: path, data_dir, split: "val", precision: "fp32", threads: 1 });
  return withEvaluatedRun(openCheckpoint(path), options, { reporter: silentReporter }, (evaluated) =>
    calibrateConfidence(evaluated, asTested, options.tta),
  );
}

async function measured(run: OpenedRun, data: Dataset): Promise<Omit<Measured, "split">> {
  const size = data.imageSize ** 2 * 3;
  let [right, patches] = [0, 0];
  for (let first = 0; first < data.length; first += imagesAtOnce) {
    const count = Math.min(imagesAtOnce, data.length - first);
    const images = new Uint8Array(count * size);
    await data.read(
      Uint32Array.from({ length: count }, (_, i) => first + i),
      images,
    );
    const { classes, mask } = await run.predict(images);
    patches += countPatches(mask);
    for (let i = 0; i < count; i++) {
      const own = row(classes, i, run.classes.length);
      if (own.indexOf(Math.max(...own)) === data.labels[first + i]) right++;
    }
  }
  return { images: data.length, accuracy: right / data.length, patches: patches / data.length };
}

function halved(checkpoint: Checkpoint): Checkpoint {
  const networks = [...checkpoint.networks].map(([name, state]): [string, StateDict] => {
    return [name, new Map([...state].map(([tensor, data]) => [tensor, halvedTensor(data)]))];
  });
  return { ...checkpoint, networks: new Map(networks) };
}

/** Biases and what batch norm knows are few, and some are too small or too large. */
function halvedTensor(tensor: TensorData): TensorData {
  if (tensor.dtype !== "F32" || tensor.shape.length < 2) return tensor;
  const bits = toHalf(asFloat32(tensor));
  return { dtype: "F16", shape: tensor.shape, data: new Uint8Array(bits.buffer) };
}
