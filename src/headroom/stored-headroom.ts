/** A measured headroom: `headroom.json`, beside the weights that it was measured with. Reports of the run draw it. */
import { z } from "zod";
import { aboutWeights, besideWeights, readBesideWeights, writeBesideWeights } from "../checkpoints/beside-weights.ts";
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
  ...aboutWeights,
  dataset: z.string(),
  split: z.enum(["train", "val", "test"]),
  images: z.int().positive(),
  none: z.number(),
  all: z.number(),
  budgets: z
    .array(
      z.object({ budget: z.number(), fixed: z.number(), many: way, rounds: way, where: way, label: way.optional() }),
    )
    .readonly(),
  verdict: z.object({ best: best.optional(), sentence: z.string() }),
});

type StoredHeadroom = Omit<Headroom, "checkpoint">;

const kind = {
  name: "headroom.json",
  schema: headroomSchema,
  made: "measured with",
  again: "measure again: patchdrop headroom",
} as const;

/** Stores it with its checkpoint, in place of one that was there, and returns the file. @throws system */
export function writeHeadroom({ checkpoint, ...found }: Headroom): string {
  return writeBesideWeights(checkpoint, kind, found);
}

/**
 * What was measured with a checkpoint; undefined where nothing was.
 * @param checkpoint its folder or file
 * @throws input: one that is damaged, or of other weights; system
 */
export function readHeadroom(checkpoint: string): StoredHeadroom | undefined {
  const found = readBesideWeights(checkpoint, kind)?.own;
  return found && { ...found, verdict: { best: undefined, ...found.verdict } };
}

/** Where a checkpoint's headroom is stored. */
export function headroomFile(checkpoint: string): string {
  return besideWeights(checkpoint, kind.name);
}
