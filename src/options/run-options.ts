/** The options of `patchdrop run` and `patchdrop quickstart`, which override what the experiment file says. */

import { z } from "zod";
import { checkpointOptionNames } from "../checkpoints/run-config.ts";
import { dataGroup } from "./data-group.ts";
import { deviceGroup } from "./device-group.ts";
import { distinctNumbers, folder } from "./option.ts";
import { parseWith } from "./parse.ts";
import { schemas, stageNames } from "./stage-options.ts";
import { seed } from "./training-group.ts";

const { data_dir } = dataGroup;
const { threads, torch } = deviceGroup;
/** Absent rather than off: a file may ask for it. */
const profile = z.boolean().optional();

const notSeeds = "must be two seeds or more, each once, such as 1,2,3";
const seeds = distinctNumbers("n,n,…", notSeeds, { fewest: 2 });

export const runSchema = z
  .strictObject({
    out: folder("folder of the results (default: runs/<name of the file>)").optional(),
    data_dir: data_dir.describe("folder of the data set; overrides the file's"),
    seed: seed.optional().describe("seed; overrides the file's"),
    seeds: seeds
      .optional()
      .describe("several seeds, each in a folder of its own, seed<n>, and a table of means and intervals over them"),
    threads: threads.describe("number of libtorch's threads; overrides the file's"),
    torch: torch.describe("folder of the PyTorch to use; overrides the file's"),
    profile: profile.describe("measure what each stage's time goes to, and what the evaluations and the page take"),
    dry_run: z
      .boolean()
      .default(false)
      .describe(
        "train nothing: print what would be, the number of steps, the disk needed, and an estimate of the time",
      ),
  })
  .refine(({ seed, seeds }) => seed === undefined || seeds === undefined, {
    path: ["seeds"],
    message: "can't be combined with --seed",
  });
export type RunOptions = z.infer<typeof runSchema>;

/** Of options that stages have under one name, the schema of the first; those that name checkpoints are the file's. */
const ofStages: Record<string, z.ZodType> = Object.assign(
  {},
  ...stageNames.toReversed().map((name) => schemas[name].shape),
);
const fixed: readonly string[] = ["cv_dir", "resume", ...checkpointOptionNames, ...Object.keys(runSchema.shape)];

/** The flags of `patchdrop run` that are options of stages: over the file's, and checked where its stages are known. */
export const overridesSchema = z.strictObject(
  Object.fromEntries(Object.entries(ofStages).filter(([name]) => !fixed.includes(name))),
);

/** Which of the flags of `patchdrop run` are its own, checked, and which are options of stages. @throws usage */
export function parseRunOptions(given: Record<string, unknown>): {
  own: RunOptions;
  overrides: Record<string, unknown>;
} {
  const isOverride = ([name]: [string, unknown]) => Object.hasOwn(overridesSchema.shape, name);
  const entries = Object.entries(given);
  const own = parseWith(runSchema, Object.fromEntries(entries.filter((entry) => !isOverride(entry))), "run");
  return { own, overrides: Object.fromEntries(entries.filter(isOverride)) };
}

export const quickstartSchema = z.strictObject({
  out: folder("folder of the results").default("runs/quickstart"),
  seed: seed.optional().describe("seed of data and training"),
  threads,
  torch,
  profile: profile.describe("measure what the time goes to, and show it on the page"),
});
