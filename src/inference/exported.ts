/**
 * Opens a folder that export-run.ts wrote: the models' bytes, and what one must know to feed them, from their metadata.
 * Needs no libtorch. Whether ONNX Runtime takes the graphs shows when they are run.
 */
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { z } from "zod";
import { parseAs } from "../checkpoints/checkpoint.ts";
import { type RunDescription, renderingSchema } from "../checkpoints/description.ts";
import { shortHash } from "../checkpoints/networks-hash.ts";
import { type Confidence, confidenceSchema } from "../checkpoints/stored-confidence.ts";
import { fault } from "../errors.ts";
import { readBytes } from "../files/read.ts";
import { readOnnxMetadata } from "../formats/onnx-metadata.ts";
import { archNames } from "../method/arch.ts";
import { asTested, type ThresholdChoice } from "../method/budget.ts";
import { type PatchSize, sidesOf } from "../method/grid.ts";
import type { Fill } from "../method/images.ts";
import { type NetworkName, networkNames } from "../models/networks.ts";
import { mostBands, pixelTypes } from "../utils/pixel-array.ts";
import { checkContentHash } from "./content-hash.ts";
import { type ModelFile, type Models, modelFiles } from "./onnx-networks.ts";

/** What dropped patches are filled with, as the metadata say it. */
export const fills: Record<Fill, string> = {
  zero: "dropped patches are 0 after normalization",
  lr: "dropped patches show the low resolution, enlarged",
};

/** What a classifier looks at that was exported with --tta, as its metadata say it. */
export const sixViewsWords = "six: mirrored, and shifted by a pixel; logits are their mean";

export interface Exported {
  readonly models: Models;
  readonly description: RunDescription;
  readonly networks: ReadonlySet<NetworkName>;
  /** How the run's patches were to be chosen, where that was calibrated. */
  readonly calibrated: ThresholdChoice | undefined;
  /** The --exit that it was calibrated with. */
  readonly calibratedExit: number | undefined;
  /** How sure the classifier may say it is, where that was calibrated. */
  readonly confidence: Confidence | undefined;
  /** Classifiers look at six views of each image. */
  readonly tta: boolean;
  /** Names the weights of the checkpoint that was exported, see checkpoints/networks-hash.ts. */
  readonly checkpoint: string;
}

const next = "export the run again (patchdrop export)";
const said = (rule: string) => `${rule}; ${next}`;
const matching = (pattern: RegExp, rule: string) => z.string(said(rule)).regex(pattern, said(rule));
const pixels = matching(/^[1-9]\d{0,4}$/, "must be a number of pixels").transform(Number);
const names = json(z.array(z.string()).min(1), "must be a list of names");
const bandNumbers = z.array(z.number()).min(1).max(mostBands);
const numbers = json(bandNumbers, "must be a number for each band");

const schema = z
  .object({
    model: matching(/^\S+ (2019|2020)$/, "must name the model and its variant").transform(
      (text) => text.split(" ") as [string, RunDescription["variant"]],
    ),
    arch: z.enum(archNames, said("must name the classifier")).optional(),
    network: z.enum(networkNames, said("must name the network")),
    // Exports of before 0.2.0 had three bands without saying so.
    bands: names.default(["red", "green", "blue"]),
    // Of runs on images whose values their files do not explain.
    rendering: json(renderingSchema, "must say which bands and values are which colours").optional(),
    networks: json(z.array(z.enum(networkNames)).min(1), "must be a list of networks"),
    checkpoint_sha256: matching(/^[0-9a-f]{64}$/, "must be a SHA-256"),
    image_size: pixels,
    patch_size: matching(/^[1-9]\d{0,4}(x[1-9]\d{0,4})?$/, "must be a number of pixels, or width x height").transform(
      (text): PatchSize => (text.includes("x") ? (text as PatchSize) : Number(text)),
    ),
    low_size: pixels,
    transform_name: z.enum(["cifar", "imagenet", "fmow"], said("must name a transform")),
    // Older exports took bytes without saying so.
    pixel_type: z.enum(pixelTypes, said("must say what pixels are")).default("uint8"),
    mean: numbers,
    std: numbers,
    // Of measured values, and only for showing them.
    stretch: json(
      z.object({ black: bandNumbers, white: bandNumbers }),
      "must be black and white of each band",
    ).optional(),
    // Of runs that have learned from pairs.
    low_mean: numbers.optional(),
    low_std: numbers.optional(),
    fill: z.enum(Object.values(fills), said("must say what dropped patches are filled with")),
    classes: names,
    // Older exports decide once.
    rounds: matching(/^[1-9]\d{0,3}$/, "must be a number of rounds")
      .transform(Number)
      .default(1),
    threshold: matching(/^\d+(\.\d+)?(e-?\d+)?$/, "must be a number").transform(Number),
    // What the threshold was calibrated for; without it, it is the one that policies are tested with.
    threshold_target: z.string().optional(),
    threshold_exit: matching(/^\d+(\.\d+)?(e-?\d+)?$/, "must be a number")
      .transform(Number)
      .optional(),
    // Of runs whose confidence was calibrated.
    confidence: json(confidenceSchema, "must be a temperature, and what it was calibrated with").optional(),
    // Of classifiers that look at more than the image.
    views: z.literal(sixViewsWords, said("must be six views")).optional(),
    budget: matching(/^\d{1,5}$/, "must be a number of patches")
      .transform(Number)
      .optional(),
  })
  .refine(
    ({ image_size, patch_size, low_size }) =>
      [low_size, ...sidesOf(patch_size)].every((side) => image_size % side === 0),
    {
      path: ["image_size"],
      message: said("must be a multiple of patch_size and low_size"),
    },
  )
  .superRefine((metadata, context) => {
    const { bands, pixel_type: type, mean, std, low_mean = mean, low_std = std } = metadata;
    const refuse = (path: string, rule: string) =>
      context.addIssue({ code: "custom", path: [path], message: said(rule) });
    if ((metadata.low_mean === undefined) !== (metadata.low_std === undefined))
      refuse("low_mean", "must come with low_std");
    const { black, white } = metadata.stretch ?? { black: bands, white: bands };
    if ([black, white].some(({ length }) => length !== bands.length)) {
      refuse("stretch", "must be black and white of each band");
    }
    for (const [prefix, means, stds] of [["", mean, std] as const, ["low_", low_mean, low_std] as const]) {
      if ([means, stds].some(({ length }) => length !== bands.length)) {
        refuse(`${prefix}mean`, `must be one number for each band, as must ${prefix}std`);
      }
      if (type === "uint8" && !means.every((value) => value >= 0 && value <= 1)) {
        refuse(`${prefix}mean`, "must be numbers of 0 to 1");
      }
      if (!stds.every((value) => value >= 1e-6 && (type !== "uint8" || value <= 1))) {
        refuse(`${prefix}std`, "must be numbers of 0.000001 to 1, or above 0 of measured values");
      }
      if (metadata.low_mean === undefined) break;
    }
  });
type Metadata = z.infer<typeof schema>;

function json<T>(schema: z.ZodType<T>, rule: string) {
  return z.string(said(rule)).transform((text, context): T => {
    try {
      return schema.parse(JSON.parse(text));
    } catch {
      context.addIssue({ code: "custom", message: said(rule) });
      return z.NEVER;
    }
  });
}

/** @throws input: a folder without models, a model that has changed, metadata that lack something, models of several exports; system */
export function openExported(folder: string): Exported {
  const models = readModels(folder);
  const all = [...models].map(([file, bytes]) => {
    const where = join(folder, file);
    const metadata = readOnnxMetadata(bytes, where);
    checkContentHash(bytes, metadata, where);
    return { where, ...parseAs(schema, Object.fromEntries(metadata), where) };
  });
  const [first] = all;
  for (const other of all) expectSame(first, other);
  const checkpoint = new Map(all.map(({ network, checkpoint_sha256 }) => [network, checkpoint_sha256]));
  const missing = first.networks.filter((name) => !checkpoint.has(name));
  if (missing.length > 0) {
    throw fault("input", { where: folder, rule: `must hold the models of ${first.networks.join(", ")}`, next });
  }
  const { threshold, threshold_target: target, budget } = first;
  return {
    models,
    description: descriptionOf(first),
    networks: new Set(checkpoint.keys()) as Set<NetworkName>,
    calibrated: target === undefined ? undefined : { policy: "threshold", threshold, budget },
    calibratedExit: first.threshold_exit,
    confidence: first.confidence,
    tta: all.some(({ views }) => views !== undefined),
    checkpoint: shortHash(checkpoint),
  };
}

function descriptionOf(said: Metadata): RunDescription {
  const [model, variant] = said.model;
  return {
    model,
    variant,
    ...(said.arch && { arch: said.arch }),
    imageSize: said.image_size,
    lowSize: said.low_size,
    patchSize: said.patch_size,
    bands: said.bands,
    pixelType: said.pixel_type,
    ...(said.rendering && { rendering: said.rendering }),
    transform: said.transform_name,
    normalization: { mean: said.mean, std: said.std },
    ...(said.stretch && { stretch: said.stretch }),
    ...(said.low_mean && said.low_std && { low: { mean: said.low_mean, std: said.low_std } }),
    fill: said.fill === fills.lr ? "lr" : "zero",
    classes: said.classes,
    rounds: said.rounds,
    // The graph of the policy is whole: what its outputs are made of matters to nobody.
    policyHead: "mean",
    choice: asTested,
  };
}

function readModels(folder: string): Map<ModelFile, Uint8Array> {
  const models = new Map<ModelFile, Uint8Array>();
  for (const file of modelFiles) {
    const path = join(folder, file);
    if (existsSync(path)) models.set(file, readBytes(path));
  }
  if (models.has("classifier.onnx") || models.has("lr_classifier.onnx")) return models;
  const how = "give a folder that `patchdrop export` made of a run";
  throw fault("input", {
    where: folder,
    rule: "must be a folder with classifier.onnx or lr_classifier.onnx",
    next: how,
  });
}

/** T of the classifier as it was exported; undefined where it was not calibrated so. */
export function temperatureOf({ confidence, description, tta }: Exported): number | undefined {
  const isAsExported = confidence?.fill === description.fill && confidence.tta === tta;
  return isAsExported ? confidence.temperature : undefined;
}

/** Models go together when they say the same of everything but themselves. */
function expectSame(one: Metadata & { where: string }, other: Metadata & { where: string }): void {
  const shared = ({ where: _, network: __, checkpoint_sha256: ___, views: ____, ...rest }: typeof one) =>
    JSON.stringify(rest);
  if (shared(one) === shared(other)) return;
  throw fault("input", { where: other.where, rule: `must come from the same export as ${basename(one.where)}`, next });
}
