/**
 * How a run is to choose patches once that was calibrated: `choice.json` inside the checkpoint's folder, or, of a
 * checkpoint that is one file, `<file>.choice.json` beside it. It names the weights that it was calibrated for by their
 * hash, and holds for no others.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { fault } from "../errors.ts";
import { writeFileAtomic } from "../files/atomic.ts";
import { readBytes } from "../files/read.ts";
import type { ThresholdChoice } from "../method/budget.ts";
import { sha256 } from "../utils/sha256.ts";
import { parseAs, readJson, readState } from "./checkpoint.ts";
import { networksHash } from "./networks-hash.ts";

const measured = z.object({
  split: z.enum(["train", "test", "val"]),
  images: z.int().positive(),
  accuracy: z.number(),
  /** Mean number of patches per image. */
  patches: z.number(),
});

const choiceSchema = z.object({
  format: z.literal(1),
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
  /** SHA-256, see `weightsHash`. */
  checkpoint: z.string().regex(/^[0-9a-f]{64}$/),
});

/** How patches are to be chosen, as it was calibrated: stored beside the checkpoint. */
export type StoredChoice = z.infer<typeof choiceSchema> & ThresholdChoice;
export type Measured = z.infer<typeof measured>;

const again = "calibrate again: patchdrop eval with --target_patches or --target_accuracy";

/**
 * The choice that is stored with a checkpoint; undefined where there is none.
 * @param path the checkpoint's folder or file, as `openCheckpoint` gives it
 * @throws input: one that is damaged, or of other weights; system
 */
export function readChoice(path: string): StoredChoice | undefined {
  const file = choiceFile(path);
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return undefined;
  const choice = parseAs(choiceSchema, readJson(file, again), file);
  if (choice.checkpoint === weightsHash(path)) return choice;
  throw fault("input", { where: file, rule: "must have been calibrated for the weights beside it", next: again });
}

/** Stores a choice with its checkpoint, in place of one that was there, and returns the file. @throws system */
export function writeChoice(path: string, choice: Omit<StoredChoice, "format" | "checkpoint">): string {
  const file = choiceFile(path);
  const stored: StoredChoice = { format: 1, ...choice, checkpoint: weightsHash(path) };
  writeFileAtomic(file, new TextEncoder().encode(`${JSON.stringify(stored, null, 2)}\n`));
  return file;
}

/** Names the weights: the networks of a checkpoint's folder, or the bytes of a checkpoint in one file. */
export function weightsHash(path: string): string {
  if (!statSync(path).isDirectory()) return sha256(readBytes(path));
  const files = Object.entries(readState(path).files).filter(([name]) => name !== "optimizer.safetensors");
  return networksHash(new Map(files.map(([name, file]) => [name.replace(".safetensors", ""), file.sha256])));
}

/** Where a checkpoint's choice is stored. */
export function choiceFile(path: string): string {
  return besideWeights(path, "choice.json");
}

/** Where a file that is about a checkpoint's weights lies: within its folder, or beside a checkpoint that is one file. */
export function besideWeights(path: string, name: string): string {
  return statSync(path).isDirectory() ? join(path, name) : `${path}.${name}`;
}
