/**
 * Writes the networks of a checkpoint as ONNX models: one file a network, each with all that its user must know to feed it.
 * Every model is run and compared with libtorch before the folder appears, so that no unverified model is written.
 */

import { existsSync } from "node:fs";
import { dirname } from "node:path";
import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import type { RunDescription } from "../checkpoints/description.ts";
import { openCheckpoint, savedNetwork } from "../checkpoints/open-checkpoint.ts";
import { readChoice } from "../checkpoints/stored-choice.ts";
import { readConfidence } from "../checkpoints/stored-confidence.ts";
import { type Dataset, pixelStatistics } from "../data/dataset.ts";
import { isGenerated } from "../data/dataset-registry.ts";
import { pairFaults } from "../data/dataset-rules.ts";
import { type DataFlags, datasetFor, openDataFor } from "../data/open.ts";
import { fault } from "../errors.ts";
import { assertNew, makeFolder, writeFolderAtomic } from "../files/atomic.ts";
import { describeRun, isOnGivenData, modelOf, unfinishedCurriculum } from "../inference/describe-run.ts";
import { type ChannelStatistics, Normalizer } from "../method/images.ts";
import { acquiredPlanes, dropPatches, roundPlanes } from "../method/planes.ts";
import { declaredNetwork, type NetworkName, networkNames, networkOf } from "../models/networks.ts";
import type { Model } from "../models/registry.ts";
import { refuseSixViews, sixViews } from "../models/six-views.ts";
import type { ExportOptions } from "../options/export-options.ts";
import { scope } from "../tensor/scope.ts";
import { startLibtorch } from "../tensor/start.ts";
import { splitPair } from "../utils/pairs.ts";
import { newPixels, type PixelArray } from "../utils/pixel-array.ts";
import { Random } from "../utils/random.ts";
import { exportNetwork, type Role } from "./export-network.ts";
import { acquiredInput, imageInput, roundInput } from "./graph.ts";
import { metadataOf } from "./metadata.ts";

/** One model that was written. */
export interface ExportedNetwork {
  readonly file: string;
  readonly network: string;
  readonly outputs: number;
  /** Largest difference of a probability between ONNX Runtime and libtorch. */
  readonly difference: number;
}

/** What an export wrote, and what it was compared on. */
export interface RunExport {
  readonly checkpoint: string;
  /** The images that the networks were compared on. */
  readonly images: { readonly count: number; readonly of: string };
  readonly networks: readonly ExportedNetwork[];
  /** What the user must know of the run. */
  readonly warning: string | undefined;
}

/** What the networks of a model with so many bands become. */
function roleOf(name: NetworkName, { rounds, channels, seesMask }: Model): Role {
  const input = imageInput(channels);
  if (name === "resnet_hr" && seesMask) {
    return { file: "classifier.onnx", input: acquiredInput(channels), seesLow: false, output: "logits" };
  }
  // Between rounds the low resolution is filled with what was acquired, outside the graph.
  if (name === "agent" && rounds > 1) {
    return { file: "policy.onnx", input: roundInput(channels), seesLow: false, output: "probabilities" };
  }
  if (name === "agent") return { file: "policy.onnx", input, seesLow: true, output: "probabilities" };
  const isHigh = name === "resnet_hr";
  return { file: isHigh ? "classifier.onnx" : "lr_classifier.onnx", input, seesLow: !isHigh, output: "logits" };
}

/** Exports the checkpoint of `given.load` into the new folder `given.out`. @throws kinds "input", "usage", "system" */
export async function exportRun(given: ExportOptions): Promise<RunExport> {
  assertNew(given.out);
  const checkpoint = openCheckpoint(given.load);
  const names = networkNames.filter((name) => checkpoint.networks.has(name));
  if (names.length === 0) {
    const got = [...checkpoint.networks.keys()].join(", ");
    throw fault("input", { where: checkpoint.path, rule: `must hold ${networkNames.join(", ")}`, got });
  }
  startLibtorch({ ...given, device: "cpu" });
  const model = modelOf(checkpoint, given);
  if (given.tta && names.includes("resnet_hr")) refuseSixViews(model.arch);
  const test = await testSetOf(checkpoint, given, model);
  const description = describeRun(checkpoint, given, test ?? { classes: numberedClasses(checkpoint, model) });
  const count = wholeRuns(given.images, given.batch_size ?? 1);
  const views = normalized(description, await pixelsOf(test, description, count));
  const exported: ExportedNetwork[] = [];
  const files = new Map<string, Uint8Array>();
  const calibrated = readChoice(checkpoint.path);
  const confidence = readConfidence(checkpoint.path);
  for (const name of names) {
    const { state, where } = savedNetwork(checkpoint, name);
    const network = networkOf(name, model, description.classes.length);
    const reading = given.tta && name !== "agent" ? sixViews : undefined;
    const metadata = metadataOf({ checkpoint, name, description, calibrated, confidence, tta: given.tta });
    const role = roleOf(name, model);
    const images = planesFor(name, role, views, model);
    const setting = { model, images, batch: given.batch_size };
    const { bytes, ...verified } = await exportNetwork({ network, reading, state, where, metadata }, role, setting);
    files.set(role.file, bytes);
    exported.push({ file: role.file, network: name, ...verified });
  }
  assertNew(given.out); // by another export meanwhile
  makeFolder(dirname(given.out));
  writeFolderAtomic(given.out, files);
  const of = test === undefined ? "random pixels" : `${test.name}, test`;
  const warning = unfinishedCurriculum(checkpoint, model.grid);
  return { checkpoint: checkpoint.path, images: { count, of }, networks: exported, warning };
}

/** What graphs take, [B, C, S, S] each. */
interface Planes {
  readonly images: Float32Array;
  /** What the low resolution is made of: the images themselves, or the low pictures of pairs. */
  readonly low: Float32Array;
}

function normalized(description: RunDescription, pixels: PixelArray): Planes {
  const { normalization, low, bands, imageSize, pixelType } = description;
  const planesOf = (part: PixelArray, statistics: ChannelStatistics): Float32Array => {
    const normalizer = new Normalizer(statistics, "cpu", pixelType);
    try {
      return scope(() => normalizer.images(part, imageSize).toFloat32());
    } finally {
      normalizer.free();
    }
  };
  if (low === undefined) {
    const images = planesOf(pixels, normalization);
    return { images, low: images };
  }
  const pair = splitPair(pixels, bands.length);
  return { images: planesOf(pair.image, normalization), low: planesOf(pair.low, low) };
}

/** What a network is compared on. */
function planesFor(name: NetworkName, { seesLow }: Role, views: Planes, model: Model): Float32Array {
  if (name === "agent" && model.rounds > 1) return inSomeRound(views, model);
  if (name === "resnet_hr" && model.seesMask) return underSomeMasks(views, model);
  return seesLow ? views.low : views.images;
}

/** Some patches of images [B, C, S, S] by chance, the low resolution in place of the others; of the first image, none. */
function someOf({ images, low }: Planes, { imageSize, lowSize, grid, channels }: Model, random: Random) {
  const count = images.length / (channels * imageSize * imageSize);
  const masks = new Uint8Array(count * grid.patches).map((_, at) => (at < grid.patches ? 0 : random.integer(2)));
  return { masks, seen: dropPatches(images, masks, grid, lowSize, low) };
}

/** What a policy may see of images [B, C, S, S] in a round, [B, C + 2, S, S]: patches that are there by chance, and any doubt. */
function inSomeRound(views: Planes, model: Model): Float32Array {
  const random = new Random(1, "export", "rounds");
  const doubts = random.uniforms(new Float32Array(views.images.length / (model.channels * model.imageSize ** 2)));
  const { masks, seen } = someOf(views, model, random);
  return roundPlanes(seen, masks, doubts, model.grid);
}

/** What a classifier may see that works on the patches that are there, [B, C + 1, S, S]. */
function underSomeMasks(views: Planes, model: Model): Float32Array {
  const { masks, seen } = someOf(views, model, new Random(1, "export", "masks"));
  return acquiredPlanes(seen, masks, model.grid);
}

/** The run's test set; none where the data that it was trained on are not here and no others are named. */
async function testSetOf(checkpoint: Checkpoint, given: ExportOptions, model: Model): Promise<Dataset | undefined> {
  if (isOnGivenData(checkpoint, given)) return undefined;
  const { data_dir: trainedOn, ...options } = checkpoint.config.options;
  const there = typeof trainedOn === "string" && existsSync(trainedOn) ? trainedOn : undefined;
  const data_dir = given.data_dir ?? there;
  if (typeof trainedOn === "string" && data_dir === undefined) return undefined;
  const flags: DataFlags = {
    ...options,
    data_dir,
    dataset: given.dataset ?? (options.dataset as DataFlags["dataset"]),
    // Where the scenes are asked for, the run's own images are not meant.
    ...(isGenerated(given.dataset) ? { bands: undefined, scale: undefined } : {}),
  };
  if (!isGenerated(datasetFor(model, flags)) && data_dir === undefined) return undefined;
  const stated = checkpoint.config.description;
  const { test } = await openDataFor(model, flags, undefined, stated);
  const faults = stated === undefined ? [] : pairFaults(test, stated.low !== undefined);
  if (faults.length > 0) throw fault("usage", faults);
  return test;
}

/** The first images of the test set, again from its start when it has fewer; without one, random pixels. */
async function pixelsOf(test: Dataset | undefined, description: RunDescription, count: number): Promise<PixelArray> {
  const { imageSize, pixelType } = description;
  const { mean, std } = pixelStatistics(description);
  const pixels = newPixels(pixelType, count * imageSize * imageSize * mean.length);
  if (test !== undefined) {
    await test.read(
      Uint32Array.from({ length: count }, (_, i) => i % test.length),
      pixels,
    );
    return pixels;
  }
  const random = new Random(1, "export");
  const drawn = (channel: number) => mean[channel] + std[channel] * (4 * random.uniform() - 2);
  for (let at = 0; at < pixels.length; at++) {
    pixels[at] = pixelType === "uint8" ? random.integer(256) : drawn(at % mean.length);
  }
  return pixels;
}

/** The number of images, rounded up to runs of `batch`. */
function wholeRuns(images: number, batch: number): number {
  return Math.ceil(images / batch) * batch;
}

/** Of a checkpoint that does not name them: one for each output of its classifier. */
function numberedClasses({ networks }: Checkpoint, model: Model): string[] {
  const name = networks.has("resnet_hr") ? "resnet_hr" : "resnet_lr";
  const [head] = declaredNetwork(name, model, 1).linears;
  const bias = networks.get(name)?.get(`${head}.bias`);
  return Array.from({ length: bias?.shape[0] ?? 1 }, (_, label) => String(label));
}
