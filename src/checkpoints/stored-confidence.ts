/**
 * How sure a checkpoint's classifier may say it is: `confidence.json` inside the checkpoint's folder, or `<file>.confidence.json` beside
 * one that is a file. It names the weights that it was calibrated for by their hash, and holds for no others.
 */
import { z } from "zod";
import { fault } from "../errors.ts";
import { writeFileAtomic } from "../files/atomic.ts";
import { isThere } from "../files/read.ts";
import { parseAs, readJson, verifyChecksum, withChecksum } from "./checkpoint.ts";
import { besideWeights, weightsHash } from "./stored-choice.ts";

const share = z.number().min(0).max(1);
const schema = z.strictObject({
  format: z.literal(1),
  /** By which logits are divided. */
  temperature: z.number().min(0.01).max(100),
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
  /** What stood in dropped patches, and whether the answers were means over six views: with others the classifier is another. */
  fill: z.enum(["zero", "lr"]),
  tta: z.boolean(),
  dataset: z.string(),
  seed: z.int(),
  /** SHA-256, see `weightsHash`. */
  checkpoint: z.string().regex(/^[0-9a-f]{64}$/),
  sha256: z.string(),
});
/** A calibrated confidence, as it is stored beside a checkpoint. */
export type StoredConfidence = Omit<z.infer<typeof schema>, "format" | "sha256">;

const again = "calibrate again: patchdrop eval with --exit";

/**
 * What is stored with a checkpoint; undefined where nothing is.
 * @throws input: a file that is damaged, or of other weights; system
 */
export function readConfidence(path: string): StoredConfidence | undefined {
  const file = confidenceFile(path);
  if (!isThere(file)) return undefined;
  const value = readJson(file, again);
  verifyChecksum(value, file, again);
  const { format: _, sha256: __, ...stored } = parseAs(schema, value, file);
  if (stored.checkpoint === weightsHash(path)) return stored;
  throw fault("input", { where: file, rule: "must have been calibrated for the weights beside it", next: again });
}

/** Stores it with its checkpoint, in place of what was there, and returns the file. @throws system */
export function writeConfidence(path: string, confidence: Omit<StoredConfidence, "checkpoint">): string {
  const file = confidenceFile(path);
  const stored = withChecksum({ format: 1, ...confidence, checkpoint: weightsHash(path) });
  writeFileAtomic(file, new TextEncoder().encode(`${JSON.stringify(stored, null, 2)}\n`));
  return file;
}

export function confidenceFile(path: string): string {
  return besideWeights(path, "confidence.json");
}
