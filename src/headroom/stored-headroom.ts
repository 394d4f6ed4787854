/**
 * A measured headroom beside the weights that it was measured with: `headroom.json` inside the checkpoint's folder, or, of a
 * checkpoint that is one file, `<file>.headroom.json`. Reports of the run draw it.
 */
import { statSync } from "node:fs";
import { z } from "zod";
import { parseAs, readJson, verifyChecksum, withChecksum } from "../checkpoints/checkpoint.ts";
import { besideWeights, weightsHash } from "../checkpoints/stored-choice.ts";
import { fault } from "../errors.ts";
import { writeFileAtomic } from "../files/atomic.ts";
import type { Headroom } from "./headroom.ts";

const interval = z.object({ mean: z.number(), low: z.number(), high: z.number() });
const way = z.object({ patches: z.number(), accuracy: z.number(), gain: interval });
const best = z.object({
  way: z.enum(["rounds", "many", "where"]),
  budget: z.number(),
  patches: z.number(),
  gain: interval,
});

const headroomSchema = z.object({
  format: z.literal(1),
  dataset: z.string(),
  split: z.enum(["train", "val", "test"]),
  images: z.int().positive(),
  none: z.number(),
  all: z.number(),
  budgets: z.array(
    z.object({ budget: z.number(), fixed: z.number(), many: way, rounds: way, where: way, label: way.optional() }),
  ),
  verdict: z.object({ best: best.optional(), sentence: z.string() }),
  /** SHA-256, see `weightsHash`. */
  weights: z.string(),
});

type StoredHeadroom = Omit<Headroom, "checkpoint">;

const again = "measure again: patchdrop headroom";

/** Stores it with its checkpoint, in place of one that was there, and returns the file. @throws system */
export function writeHeadroom({ checkpoint, ...found }: Headroom): string {
  const file = headroomFile(checkpoint);
  const stored = withChecksum({ format: 1, ...found, weights: weightsHash(checkpoint) });
  writeFileAtomic(file, new TextEncoder().encode(`${JSON.stringify(stored, null, 2)}\n`));
  return file;
}

/**
 * What was measured with a checkpoint; undefined where nothing was.
 * @param checkpoint its folder or file
 * @throws input: one that is damaged, or of other weights; system
 */
export function readHeadroom(checkpoint: string): StoredHeadroom | undefined {
  const file = headroomFile(checkpoint);
  if (statSync(file, { throwIfNoEntry: false }) === undefined) return undefined;
  const value = readJson(file, again);
  verifyChecksum(value, file, again);
  const { format: _, weights, verdict, ...found } = parseAs(headroomSchema, value, file);
  if (weights === weightsHash(checkpoint)) return { ...found, verdict: { best: undefined, ...verdict } };
  throw fault("input", { where: file, rule: "must have been measured with the weights beside it", next: again });
}

/** Where a checkpoint's headroom is stored. */
export function headroomFile(checkpoint: string): string {
  return besideWeights(checkpoint, "headroom.json");
}
