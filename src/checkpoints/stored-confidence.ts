/** How sure a checkpoint's classifier may say it is: `confidence.json`, beside the weights that it was calibrated for. */
import { z } from "zod";
import { aboutWeights, besideWeights, readBesideWeights, writeBesideWeights } from "./beside-weights.ts";

const share = z.number().min(0).max(1);
/** What whoever uses it must know; exported models say it too. */
export const confidenceSchema = z.strictObject({
  /** By which logits are divided. */
  temperature: z.number().min(0.01).max(100),
  /** What stood in dropped patches, and whether the answers were means over six views: with others the classifier is another. */
  fill: z.enum(["zero", "lr"]),
  tta: z.boolean(),
});
export type Confidence = z.infer<typeof confidenceSchema>;

const schema = confidenceSchema.extend({
  ...aboutWeights,
  /** What it was fitted to: images as the classifier saw them when it was asked whether they leave. */
  calibrated: z.strictObject({
    split: z.enum(["train", "test", "val"]),
    images: z.int().positive(),
    /** Share of these answers that are right. */
    accuracy: share,
    /** Mean confidence in them, as the classifier has it, and calibrated. */
    said: share,
    confidence: share,
  }),
  dataset: z.string(),
  seed: z.int(),
});

/** A calibrated confidence, as it is stored beside a checkpoint. */
export type StoredConfidence = Omit<z.infer<typeof schema>, keyof typeof aboutWeights>;

const kind = {
  name: "confidence.json",
  schema,
  made: "calibrated for",
  again: "calibrate again: patchdrop eval with --exit",
} as const;

/**
 * What is stored with a checkpoint; undefined where nothing is.
 * @throws input: a file that is damaged, or of other weights; system
 */
export function readConfidence(path: string): StoredConfidence | undefined {
  return readBesideWeights(path, kind)?.own;
}

/** Stores it with its checkpoint, in place of what was there, and returns the file. @throws system */
export function writeConfidence(path: string, confidence: StoredConfidence): string {
  return writeBesideWeights(path, kind, confidence);
}

/** Where a checkpoint's confidence is stored. */
export function confidenceFile(path: string): string {
  return besideWeights(path, kind.name);
}
