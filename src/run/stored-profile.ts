/**
 * `profile.json` in the folder of a run or of an experiment: what its time went to (`--profile`), over all its sessions that
 * measured it.
 */
import { join } from "node:path";
import { z } from "zod";
import { parseAs, readJson, verifyChecksum, withChecksum } from "../checkpoints/checkpoint.ts";
import { writeFileAtomic } from "../files/atomic.ts";
import { isThere } from "../files/read.ts";
import { addTimes, type RunTimes, type Times, type TrainingTimes } from "../utils/profile.ts";

export const profileName = "profile.json";

const notNegative = z.number().nonnegative();
const count = z.int().nonnegative();
const kindSchema = z.strictObject({
  kind: z.string().min(1),
  seconds: notNegative,
  calls: count,
  /** Of the seconds in all. */
  share: notNegative.max(1),
});
const trainingSchema = z.strictObject({
  device: z.string(),
  threads: z.int().positive(),
  precision: z.enum(["fp32", "bf16"]),
  images: count,
  images_per_second: notNegative,
});
const profileSchema = z.strictObject({
  format: z.literal(1),
  sessions: z.int().positive(),
  seconds: notNegative,
  training: trainingSchema.optional(),
  kinds: z.array(kindSchema),
  sha256: z.string(),
});

const next = "remove it: nothing else needs it";

/** What is stored in a folder; undefined where nothing is. @throws input: a file that is damaged, or of another version; system */
export function readProfile(folder: string): RunTimes | undefined {
  const file = join(folder, profileName);
  if (!isThere(file)) return undefined;
  const value = readJson(file, next);
  verifyChecksum(value, file, next);
  const { sessions, seconds, training, kinds } = parseAs(profileSchema, value, file);
  const times = { sessions, seconds, kinds: kinds.map(({ share: _, ...time }) => time) };
  if (training === undefined) return times;
  const { images_per_second: imagesPerSecond, ...rest } = training;
  return { ...times, training: { ...rest, imagesPerSecond } };
}

/** Stores it, in place of what was there. @throws system */
export function writeProfile(folder: string, { sessions, seconds, training, kinds }: RunTimes): void {
  const shared = kinds
    .toSorted((a, b) => b.seconds - a.seconds)
    .map((time) => ({ ...time, seconds: rounded(time.seconds, 6), share: shareOf(time.seconds, seconds) }));
  const value = withChecksum({
    format: 1,
    sessions,
    seconds: rounded(seconds, 6),
    ...(training && { training: stored(training) }),
    kinds: shared,
  });
  writeFileAtomic(join(folder, profileName), new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`));
}

/** A session's times, added to those of the sessions before. */
export function withSession(before: RunTimes | undefined, times: Times): RunTimes {
  return before === undefined
    ? { sessions: 1, ...times }
    : { sessions: before.sessions + 1, ...addTimes(before, times) };
}

function stored({ imagesPerSecond, ...rest }: TrainingTimes) {
  return { ...rest, images_per_second: rounded(imagesPerSecond, 2) };
}

/** None of nothing. */
function shareOf(part: number, all: number): number {
  return all === 0 ? 0 : Math.min(1, rounded(part / all, 4));
}

function rounded(value: number, places: number): number {
  return Number(value.toFixed(places));
}
