/** How a run is to choose patches once that was calibrated: `choice.json`, beside the weights that it was calibrated for. */
import { z } from "zod";
import type { ThresholdChoice } from "../method/budget.ts";
import { aboutWeights, besideWeights, readBesideWeights, writeBesideWeights } from "./beside-weights.ts";

const measured = z.object({
  split: z.enum(["train", "test", "val"]),
  images: z.int().positive(),
  accuracy: z.number(),
  /** Mean number of patches per image. */
  patches: z.number(),
});

const choiceSchema = z.object({
  ...aboutWeights,
  sha256: aboutWeights.sha256.optional(),
  /** Mean number of patches, or share of images that are classified correctly. */
  target: z.union([z.strictObject({ patches: z.number() }), z.strictObject({ accuracy: z.number() })]),
  policy: z.literal("threshold"),
  threshold: z.number().min(0),
  budget: z.int().min(0).optional(),
  /** The --exit that it was calibrated with. */
  exit: z.number().optional(),
  dataset: z.string(),
  seed: z.int(),
  /** What the threshold gave on the training images that it was calibrated on. */
  calibrated: measured,
  /** What it then gave on the images of the evaluation. */
  evaluated: measured,
});

/** How patches are to be chosen, as it was calibrated: stored beside the checkpoint. */
export type StoredChoice = Omit<z.infer<typeof choiceSchema>, "sha256"> & ThresholdChoice;
export type Measured = z.infer<typeof measured>;

const kind = {
  name: "choice.json",
  schema: choiceSchema,
  made: "calibrated for",
  again: "calibrate again: patchdrop eval with --target_patches or --target_accuracy",
  mayLackChecksum: true,
} as const;

/**
 * The choice that is stored with a checkpoint; undefined where there is none.
 * @param path the checkpoint's folder or file, as `openCheckpoint` gives it
 * @throws input: one that is damaged, or of other weights; system
 */
export function readChoice(path: string): StoredChoice | undefined {
  const found = readBesideWeights(path, kind);
  return found && { format: 1, ...found.own, checkpoint: found.checkpoint };
}

/** Stores a choice with its checkpoint, in place of one that was there, and returns the file. @throws system */
export function writeChoice(path: string, choice: Omit<StoredChoice, "format" | "checkpoint">): string {
  return writeBesideWeights(path, kind, choice);
}

/** Where a checkpoint's choice is stored. */
export function choiceFile(path: string): string {
  return besideWeights(path, kind.name);
}
