/** What a run's networks cost: `compute.json`, beside the weights that it was measured with. Reports of the run draw it. */
import { z } from "zod";
import { aboutWeights, besideWeights, readBesideWeights, writeBesideWeights } from "../checkpoints/beside-weights.ts";
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
  ...aboutWeights,
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
  rows: z.array(rowSchema).readonly(),
  noJoules: z.string().optional(),
});

/** As it is stored: where it lies says whose it is. */
export type StoredCompute = Omit<Compute, "checkpoint">;

const kind = {
  name: "compute.json",
  schema: computeSchema,
  made: "measured with",
  again: "measure again: patchdrop profile",
} as const;

/** Stores it with its checkpoint, in place of one that was there, and returns the file. @throws system */
export function writeCompute({ checkpoint, ...found }: Compute): string {
  return writeBesideWeights(checkpoint, kind, found);
}

/**
 * What was measured with a checkpoint; undefined where nothing was.
 * @param checkpoint its folder
 * @throws input: one that is damaged, or of other weights; system
 */
export function readCompute(checkpoint: string): StoredCompute | undefined {
  return readBesideWeights(checkpoint, kind)?.own;
}

/** Where what a checkpoint's networks cost is stored. */
export function computeFile(checkpoint: string): string {
  return besideWeights(checkpoint, kind.name);
}
