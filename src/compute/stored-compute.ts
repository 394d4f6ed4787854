/**
 * What a run's networks cost, beside their weights: `compute.json` inside the checkpoint's folder. Reports of the run draw it. (A file of
 * weights alone is not measured: it does not say what they are of.)
 */
import { z } from "zod";
import { parseAs, readJson, verifyChecksum, withChecksum } from "../checkpoints/checkpoint.ts";
import { besideWeights, weightsHash } from "../checkpoints/stored-choice.ts";
import { fault } from "../errors.ts";
import { writeFileAtomic } from "../files/atomic.ts";
import { isThere } from "../files/read.ts";
import type { Compute } from "./measure-compute.ts";

const notNegative = z.number().nonnegative();
const count = z.int().positive();
const rowSchema = z.strictObject({
  network: z.enum(["agent", "resnet_hr", "resnet_lr", "dense"]),
  patches: z.int().nonnegative().optional(),
  batch: count,
  multiplyAdds: count,
  milliseconds: z.strictObject({ low: notNegative, median: notNegative, high: notNegative }),
  joules: notNegative.optional(),
  passes: count,
});
const computeSchema = z.strictObject({
  format: z.literal(1),
  machine: z.strictObject({
    processor: z.string(),
    device: z.string(),
    threads: count,
    precision: z.enum(["fp32", "bf16"]),
    libtorch: z.string(),
    date: z.iso.datetime(),
    busyElsewhere: notNegative.optional(),
  }),
  patches: count,
  rounds: count,
  rows: z.array(rowSchema),
  noJoules: z.string().optional(),
  /** SHA-256, see `weightsHash`. */
  weights: z.string(),
  sha256: z.string(),
});

/** As it is stored: where it lies says whose it is. */
export type StoredCompute = Omit<Compute, "checkpoint">;

const again = "measure again: patchdrop profile";

/** Stores it with its checkpoint, in place of one that was there, and returns the file. @throws system */
export function writeCompute({ checkpoint, ...found }: Compute): string {
  const file = computeFile(checkpoint);
  const stored = withChecksum({ format: 1, ...found, weights: weightsHash(checkpoint) });
  writeFileAtomic(file, new TextEncoder().encode(`${JSON.stringify(stored, null, 2)}\n`));
  return file;
}

/**
 * What was measured with a checkpoint; undefined where nothing was.
 * @param checkpoint its folder
 * @throws input: one that is damaged, or of other weights; system
 */
export function readCompute(checkpoint: string): StoredCompute | undefined {
  const file = computeFile(checkpoint);
  if (!isThere(file)) return undefined;
  const value = readJson(file, again);
  verifyChecksum(value, file, again);
  const { format: _, sha256: __, weights, ...found } = parseAs(computeSchema, value, file);
  if (weights === weightsHash(checkpoint)) return found;
  throw fault("input", { where: file, rule: "must have been measured with the weights beside it", next: again });
}

/** Where what a checkpoint's networks cost is stored. */
export function computeFile(checkpoint: string): string {
  return besideWeights(checkpoint, "compute.json");
}
