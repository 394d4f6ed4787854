/** Opening a trained run for images: a checkpoint in libtorch, or an exported folder in ONNX Runtime. */

import { weightsHash } from "../checkpoints/beside-weights.ts";
import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import type { RunDescription } from "../checkpoints/description.ts";
import { unnamedNetwork } from "../checkpoints/foreign-checkpoint.ts";
import { shortLength } from "../checkpoints/networks-hash.ts";
import { openCheckpoint, savedNetwork } from "../checkpoints/open-checkpoint.ts";
import { isPackaged } from "../checkpoints/packaged.ts";
import { asTested, type Choice } from "../method/budget.ts";
import { makeGrid } from "../method/grid.ts";
import type { Exit } from "../method/leave-early.ts";
import { type Learner, loadNetwork, type NetworkName, networkNames } from "../models/networks.ts";
import { refuseSixViews, sixViews } from "../models/six-views.ts";
import { choosePrecision } from "../nn/precision.ts";
import {
  calibratedChoice,
  calibratedConfidence,
  choiceOf,
  exitOf,
  mustGoWith,
  notCalibrated,
  refuseChoice,
  unsureOfItself,
} from "../options/choice-options.ts";
import { parseWith } from "../options/parse.ts";
import { type PredictOptions, predictSchema } from "../options/predict-options.ts";
import type { Device } from "../tensor/device.ts";
import { startLibtorch } from "../tensor/start.ts";
import { refuseUnknown } from "../utils/refuse-unknown.ts";
import { type Reporter, silentReporter } from "../utils/reporter.ts";
import { describeRun, modelIn, unfinishedCurriculum } from "./describe-run.ts";
import { LibtorchEngine, type Place } from "./libtorch-engine.ts";
import { assertOnnxRuntime } from "./onnx-runtime.ts";
import { areTwoStreams, OpenedRun } from "./opened-run.ts";

const openOptionNames = [
  ...(["engine", "policy", "budget", "threshold", "exit", "fill"] as const),
  ...(["device", "precision", "threads", "torch", "tta"] as const),
];

/** Which run, how it chooses, and what computes it. */
export type OpenOptions = Pick<PredictOptions, "load" | (typeof openOptionNames)[number]>;

/**
 * Opens a trained run: `await openPredictor("runs/finetune")`.
 * @param load run folder or checkpoint; with `engine: "onnx"`, a folder of `patchdrop export`
 * @throws usage: options that cannot be; and as {@link openRun}
 */
export async function openPredictor(
  load: string,
  options: Partial<Omit<OpenOptions, "load">> = {},
): Promise<OpenedRun> {
  refuseUnknown(options, openOptionNames, "openPredictor");
  return openRun(parseWith(predictSchema, { ...options, load }, "predict"));
}

/**
 * @param reporter hears what the user must know of the run
 * @throws input: a checkpoint that is damaged or does not say its classes, no libtorch; usage: options that cannot be
 */
export function openRun(options: OpenOptions, reporter: Reporter = silentReporter): Promise<OpenedRun> {
  return options.engine === "onnx" ? openExportedRun(options) : openTrainedRun(options, reporter);
}

async function openTrainedRun(options: OpenOptions, { note }: Reporter): Promise<OpenedRun> {
  const checkpoint = openCheckpoint(options.load, note);
  const description = describeRun(checkpoint, { fill: options.fill });
  const { grid } = modelIn(description);
  if (!networksIn(checkpoint).includes("agent")) refuseChoice(options, checkpoint.path);
  const unfinished = unfinishedCurriculum(checkpoint, grid);
  if (unfinished !== undefined) note(`${checkpoint.path}: ${unfinished}, and decides all here`);
  const choice = choiceOf(options, grid.patches, () => calibratedChoice(checkpoint.path, options));
  const hash = weightsHash(checkpoint.path).slice(0, shortLength);
  const { tta } = options;
  const leaving = { fill: description.fill, tta, hasTwoStreams: areTwoStreams(checkpoint.networks) };
  const again = isPackaged(options.load) ? "calibrate a copy of these weights: patchdrop eval with --exit" : undefined;
  const exit = exitOf(options, leaving, () => calibratedConfidence(checkpoint.path, options), again);
  return openSaved(
    { sources: sourcesOf(checkpoint), description, choice, exit, checkpoint: hash, tta },
    placeOf(options, note),
  );
}

/** libtorch, opened once a process, and how networks compute in it. @throws input: no libtorch; usage */
export function placeOf(
  options: Pick<OpenOptions, "device" | "precision" | "threads" | "torch">,
  note: Reporter["note"] = silentReporter.note,
): Place {
  const device = options.device as Device;
  const { cuda } = startLibtorch(options, note);
  return { device, cuda, precision: choosePrecision(options.precision, device) };
}

/** The networks that a checkpoint holds: two streams where both classifiers are there. */
export function networksIn({ networks }: Checkpoint): NetworkName[] {
  const named = networkNames.filter((name) => networks.has(name));
  // A file that does not say what its network is for holds a high-resolution classifier.
  return named.length === 0 && networks.has(unnamedNetwork) ? ["resnet_hr"] : named;
}

/** Which checkpoint each network of a run comes from: all from one, unless some are replaced. */
export function sourcesOf(
  checkpoint: Checkpoint,
  replaced: Partial<Record<NetworkName, Checkpoint>> = {},
): Map<NetworkName, Checkpoint> {
  return new Map(networksIn(checkpoint).map((name) => [name, replaced[name] ?? checkpoint] as const));
}

export interface SavedRun {
  readonly sources: ReadonlyMap<NetworkName, Checkpoint>;
  readonly description: RunDescription;
  readonly choice?: Choice;
  readonly exit?: Exit | undefined;
  /** Names the run's weights. */
  readonly checkpoint?: string;
  /** Classifiers look at six views of each image. */
  readonly tta?: boolean | undefined;
}

/** @throws input: a checkpoint without the network that is taken from it, or with one of another shape */
export function openSaved({ sources, description, tta = false, ...rest }: SavedRun, place: Place): OpenedRun {
  const setting = { model: modelIn(description), classes: description.classes.length, device: place.device };
  const learners = new Map<NetworkName, Learner>();
  if (tta && sources.has("resnet_hr")) refuseSixViews(description.arch);
  try {
    for (const [name, from] of sources) {
      const { network, parameters } = loadNetwork(setting, name, savedNetwork(from, name));
      learners.set(name, { network: tta && name !== "agent" ? sixViews(network) : network, parameters });
    }
    return openLearners({ learners, description, ...rest }, place);
  } finally {
    for (const { parameters } of learners.values()) parameters.free();
  }
}

export interface LearningRun extends Omit<SavedRun, "sources" | "tta"> {
  readonly learners: ReadonlyMap<NetworkName, Learner>;
}

/** Networks as they are now, such as those of a training, as a run. */
export function openLearners(
  { learners, description, choice = asTested, exit, checkpoint = "" }: LearningRun,
  place: Place,
): OpenedRun {
  const engine = new LibtorchEngine(learners, { ...description, model: modelIn(description) }, place);
  const networks = new Set(learners.keys());
  return new OpenedRun({ description, networks, engine, choice, exit, precision: place.precision, checkpoint });
}

/** ONNX Runtime is loaded only where it computes, and libtorch is not opened then. */
async function openExportedRun({ load, fill, threads, ...flags }: OpenOptions): Promise<OpenedRun> {
  assertOnnxRuntime();
  const [{ openExported }, { OnnxEngine }] = await Promise.all([import("./exported.ts"), import("./onnx-engine.ts")]);
  const exported = openExported(load);
  if (!exported.networks.has("agent")) refuseChoice(flags, load);
  const description = { ...exported.description, fill: fill ?? exported.description.fill };
  const { patches } = makeGrid(description.imageSize, description.patchSize);
  const choice = choiceOf(flags, patches, () => {
    if (exported.calibrated !== undefined) {
      mustGoWith(exported.calibratedExit, flags.exit);
      return exported.calibrated;
    }
    throw notCalibrated(load, "calibrate the run (patchdrop eval --target_patches S), then export it again");
  });
  const { networks, checkpoint, confidence, tta } = exported;
  const leaving = { fill: description.fill, tta, hasTwoStreams: areTwoStreams(networks) };
  const again = `calibrate the run (patchdrop eval --exit ${flags.exit}), then export it again`;
  const calibrated = () => {
    if (confidence !== undefined) return confidence;
    throw unsureOfItself(load, again);
  };
  const exit = exitOf(flags, leaving, calibrated, again);
  const engine = await OnnxEngine.open(exported.models, description, { where: load, threads });
  return new OpenedRun({ description, networks, engine, choice, exit, precision: "fp32", checkpoint });
}
