/**
 * Writes the networks of a checkpoint as ONNX models: one file a network, each with all that its user must know to feed it.
 * Every model is run and compared with libtorch before the folder appears, so that none is there which was not proved.
 */
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import { openCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { readChoice } from "../checkpoints/stored-choice.ts";
import type { Dataset } from "../data/dataset.ts";
import { normalizationFor } from "../data/normalizations.ts";
import { type DataFlags, datasetFor, openDataFor } from "../data/open.ts";
import { fault } from "../errors.ts";
import { systemFault, writeFolderAtomic } from "../files/atomic.ts";
import type { StateDict } from "../formats/safetensors.ts";
import { type Fill, Normalizer } from "../method/images.ts";
import { findModel, type Model, type Variant } from "../models/registry.ts";
import { declare } from "../nn/declare.ts";
import type { ExportOptions } from "../options/export-options.ts";
import { scope } from "../tensor/scope.ts";
import { startLibtorch } from "../tensor/start.ts";
import { Random } from "../utils/random.ts";
import { exportNetwork, type Role } from "./export-network.ts";
import { metadataOf } from "./metadata.ts";

export interface ExportedNetwork {
  readonly file: string;
  readonly network: string;
  readonly outputs: number;
  /** Largest difference of a probability between ONNX Runtime and libtorch. */
  readonly difference: number;
}

export interface RunExport {
  readonly checkpoint: string;
  /** The images that the networks were compared on. */
  readonly images: { readonly count: number; readonly of: string };
  readonly networks: readonly ExportedNetwork[];
}

const roles: ReadonlyMap<string, Role> = new Map([
  ["agent", { file: "policy.onnx", seesLow: true, output: "probabilities" }],
  ["resnet_hr", { file: "classifier.onnx", seesLow: false, output: "logits" }],
  ["resnet_lr", { file: "lr_classifier.onnx", seesLow: true, output: "logits" }],
]);

/** Exports the checkpoint of `given.load` into the new folder `given.out`. @throws kinds "input", "usage", "system" */
export async function exportRun(given: ExportOptions): Promise<RunExport> {
  if (existsSync(given.out)) {
    throw fault("usage", { where: `--out ${given.out}`, rule: "must not exist yet", next: "give another name" });
  }
  const checkpoint = openCheckpoint(given.load);
  const known = [...roles].filter(([name]) => checkpoint.networks.has(name));
  if (known.length === 0) {
    const got = [...checkpoint.networks.keys()].join(", ");
    throw fault("input", { where: checkpoint.path, rule: `must hold ${[...roles.keys()].join(", ")}`, got });
  }
  const options = asTrained(checkpoint, given);
  const model = findModel(options);
  startLibtorch({ torch: given.torch, threads: given.threads, device: "cpu" });
  const test = areDataGone(checkpoint, options) ? undefined : await openTestSet(options, model);
  const classes = test?.classes ?? trainedClasses(checkpoint);
  const normalization = test?.normalization ?? normalizationFor(model.transform);
  const { batch } = given;
  const count = wholeRuns(given.images, batch ?? 1);
  const pixels = await pixelsOf(test, model, count);
  const images = scope(() => new Normalizer(normalization, "cpu").images(pixels, model.imageSize).toFloat32());

  const calibrated = readChoice(checkpoint.path);

  const files = new Map<string, Uint8Array>();
  const networks: ExportedNetwork[] = [];
  for (const [name, role] of known) {
    const state = checkpoint.networks.get(name)!;
    const network = name === "agent" ? model.policy : model.classifier(classes?.length ?? outputsOf(model, state));
    const metadata = metadataOf({ checkpoint, name, model, normalization, classes, fill: options.fill, calibrated });
    const source = { network, state, where: `${checkpoint.path}: ${name}` };
    const { bytes, ...proved } = await exportNetwork(source, role, { model, images, batch, metadata });
    files.set(role.file, bytes);
    networks.push({ file: role.file, network: name, ...proved });
  }
  makeParent(given.out);
  writeFolderAtomic(given.out, files);
  const of = test === undefined ? "random pixels" : `${test.name}, test`;
  return { checkpoint: checkpoint.path, images: { count, of }, networks };
}

/** The options of the run that made the checkpoint, overridden by those that were given. */
function asTrained({ config }: Checkpoint, given: ExportOptions) {
  const { data_dir: trainedOn } = config.options;
  // A checkpoint may have been sent to where its data are not.
  const there = typeof trainedOn === "string" && existsSync(trainedOn) ? trainedOn : undefined;
  const unsaid = { model: "R32_C10", variant: "2019", seed: 1, fill: "zero" };
  return { ...unsaid, ...config.options, ...given, data_dir: given.data_dir ?? there } as DataFlags & {
    model: string;
    variant: Variant;
    fill: Fill;
  };
}

type Trained = ReturnType<typeof asTrained>;

/** Whether the run was trained on a folder that is not here. */
function areDataGone({ config }: Checkpoint, { data_dir }: Trained): boolean {
  return typeof config.options.data_dir === "string" && data_dir === undefined;
}

/** As the run's configuration has them; none where it is unknown. */
function trainedClasses({ config }: Checkpoint): string[] | undefined {
  const { classes } = config.dataset;
  return Array.isArray(classes) ? classes.map(String) : undefined;
}

/** The run's test set; none when there are no data. */
async function openTestSet(trained: Trained, model: Model): Promise<Dataset | undefined> {
  if (datasetFor(model, trained) !== "synthetic" && trained.data_dir === undefined) return undefined;
  return (await openDataFor(model, trained)).test;
}

/** The first images of the test set, again from its start when it has fewer; without one, random pixels. */
async function pixelsOf(test: Dataset | undefined, { imageSize }: Model, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count * imageSize * imageSize * 3);
  if (test !== undefined) {
    await test.read(
      Uint32Array.from({ length: count }, (_, i) => i % test.length),
      bytes,
    );
    return bytes;
  }
  const random = new Random(1, "export");
  return bytes.map(() => random.integer(256));
}

/** The number of images, rounded up to runs of `batch`. */
function wholeRuns(images: number, batch: number): number {
  return Math.ceil(images / batch) * batch;
}

/** Classes of a classifier, by the bias of its last layer. */
function outputsOf(model: Model, state: StateDict): number {
  const [head] = declare(model.classifier(1), model.imageSize).linears;
  return state.get(`${head}.bias`)?.shape[0] ?? 1;
}

function makeParent(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
  } catch (error) {
    throw systemFault("could not be made", dirname(path), 0, error);
  }
}
