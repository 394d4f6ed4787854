/** What a model's file says about itself: all that one must know to feed the model and to use what it gives. */

import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import type { RunDescription } from "../checkpoints/description.ts";
import type { StoredChoice } from "../checkpoints/stored-choice.ts";
import type { Confidence } from "../checkpoints/stored-confidence.ts";
import { opset } from "../formats/onnx.ts";
import { encodeSafetensors } from "../formats/safetensors.ts";
import { fills, sixViewsWords } from "../inference/exported.ts";
import { areTwoStreams } from "../inference/opened-run.ts";
import { seesMask } from "../method/arch.ts";
import { makeGrid } from "../method/grid.ts";
import { mostInRound, roundChannels } from "../method/rounds.ts";
import type { NetworkName } from "../models/networks.ts";
import { sha256 } from "../utils/sha256.ts";
import { version } from "../utils/version.ts";

export interface Described {
  /** Classifiers look at six views of each image. */
  readonly tta?: boolean;
  readonly checkpoint: Pick<Checkpoint, "config" | "networks">;
  /** Of the network in the checkpoint. */
  readonly name: NetworkName;
  readonly description: RunDescription;
  /** Stored with the checkpoint by `patchdrop eval --target-…`. */
  readonly calibrated: Pick<StoredChoice, "threshold" | "budget" | "exit" | "target"> | undefined;
  /** Stored with the checkpoint by `patchdrop eval --exit`. */
  readonly confidence?: Confidence | undefined;
}

/** How a picture of any size becomes the model's image: the test transforms of data/transforms.ts. */
function transformOf({ transform, imageSize }: RunDescription): string {
  const side = transform === "imagenet" ? Math.round((imageSize * 256) / 224) : imageSize;
  return `shorter side to ${side} pixels (bilinear, antialiased), middle ${imageSize} × ${imageSize}`;
}

/** What a policy that decides in rounds takes: `roundPlanes` of method/planes.ts. */
function seenIn(channels: number): string {
  return [
    `[batch, ${roundChannels(channels)}, image_size, image_size]: channels 0 to ${channels - 1} are the normalized image in the patches that are there and the`,
    `low resolution, enlarged, elsewhere; channel ${channels} is 1 in the patches that are there and 0 elsewhere; channel ${channels + 1} is everywhere 1`,
    "minus the largest probability of a class, as the classifiers see the patches that are there",
  ].join(" ");
}

/** What a classifier takes that works on the patches that are there: `acquiredPlanes` of method/planes.ts. */
function acquiredIn(channels: number): string {
  return [
    `[batch, ${channels + 1}, image_size, image_size]: channels 0 to ${channels - 1} are the normalized image in the patches that are there, and`,
    `what stands in place of the others; channel ${channels} is 1 in the patches that are there and 0 elsewhere`,
  ].join(" ");
}

/** Of a run that decides in rounds; one that decides once says nothing of them. */
function roundsOf(rounds: number, patches: number, channels: number): [string, string][] {
  if (rounds === 1) return [];
  return [
    ["rounds", String(rounds)],
    ["patches_a_round", `at most ${mostInRound(patches, rounds)}`],
    ["seen", seenIn(channels)],
  ];
}

function normalizationText({ pixelType, bands }: RunDescription): string {
  const each = String(bands) === "red,green,blue" ? "RGB" : "band by band";
  return pixelType === "uint8" ? `(x / 255 - mean) / std, ${each}` : `(x - mean) / std, ${each}`;
}

/** Of a run that has learned from pairs. */
function lowOf({ low, rounds }: RunDescription): [string, string][] {
  if (low === undefined) return [];
  const whole = "another picture of the same ground, normalized with low_mean and low_std";
  const how = rounds > 1 ? "lr_classifier.onnx takes it" : "policy.onnx and lr_classifier.onnx take it";
  return [
    ["low_resolution", `of ${whole}; ${how}, enlarged to image_size, in the image's place`],
    ["low_mean", JSON.stringify(low.mean)],
    ["low_std", JSON.stringify(low.std)],
  ];
}

/** Of a run whose confidence was calibrated. */
function confidenceOf(confidence: Confidence | undefined): [string, string][] {
  if (confidence === undefined) return [];
  const { temperature, fill, tta } = confidence;
  return [["confidence", JSON.stringify({ temperature, fill, tta })]];
}

/** Lists are JSON. */
export function metadataOf({
  checkpoint,
  name,
  description,
  calibrated,
  confidence,
  tta = false,
}: Described): Map<string, string> {
  const { model, variant, imageSize, lowSize, patchSize, bands, transform, normalization, fill, classes } = description;
  const { arch, choice, rounds, rendering, pixelType, stretch } = description;
  const inRounds = name === "agent" && rounds > 1;
  const { rows, columns, patches } = makeGrid(imageSize, patchSize);
  return new Map([
    ["model", `${model} ${variant}`],
    ...(arch === undefined ? [] : [["arch", arch] as const]),
    ["network", name],
    ...(tta && name !== "agent" ? [["views", sixViewsWords] as const] : []),
    ...(name === "resnet_hr" && seesMask(arch) ? [["acquired", acquiredIn(bands.length)] as const] : []),
    ["networks", JSON.stringify([...checkpoint.networks.keys()].sort())],
    ["stage", checkpoint.config.stage],
    // The same as the checkpoint's own list of files has for this network.
    ["checkpoint_sha256", sha256(encodeSafetensors(checkpoint.networks.get(name)!, { format: "pt" }))],
    ["patchdrop", version()],
    ["opset", String(opset)],
    ["image_size", String(imageSize)],
    ["patch_size", String(patchSize)],
    ["patches", `${rows} × ${columns}, row by row`],
    ["low_size", String(lowSize)],
    ["low_input", String(variant === "2019" || inRounds ? imageSize : lowSize)],
    ["resize", `nearest, the top-left pixel of each block; ${inRounds ? "not " : ""}part of the graph`],
    ["transform", transformOf(description)],
    ["transform_name", transform],
    ["bands", JSON.stringify(bands)],
    ...(rendering === undefined ? [] : [["rendering", JSON.stringify(rendering)] as const]),
    ...(pixelType === "uint8" ? [] : [["pixel_type", pixelType] as const]),
    ["normalization", normalizationText(description)],
    ["mean", JSON.stringify(normalization.mean)],
    ["std", JSON.stringify(normalization.std)],
    // For whoever shows images to a person.
    ...(stretch === undefined ? [] : [["stretch", JSON.stringify(stretch)] as const]),
    ...lowOf(description),
    ["threshold", String(calibrated?.threshold ?? choice.threshold)],
    ...(calibrated === undefined ? [] : [["threshold_target", JSON.stringify(calibrated.target)] as const]),
    ...(calibrated?.exit === undefined ? [] : [["threshold_exit", String(calibrated.exit)] as const]),
    ...(calibrated?.budget === undefined ? [] : [["budget", String(calibrated.budget)] as const]),
    ...confidenceOf(confidence),
    ["fill", fills[fill]],
    [
      "streams",
      areTwoStreams(checkpoint.networks) ? "the logits of classifier.onnx and lr_classifier.onnx are added" : "one",
    ],
    ["classes", JSON.stringify(classes)],
    ...roundsOf(rounds, patches, bands.length),
  ]);
}
