/**
 * What may stand in an experiment file, as Zod schemas: those that the file is read with, and, of the same pieces, a JSON
 * Schema, by which editors complete and check such files (configs/experiment.schema.json).
 */

import { z } from "zod";
import { namesCheckpoint } from "../checkpoints/run-config.ts";
import { modelDefaultsText } from "../options/described-option.ts";
import { describeOption } from "../options/option.ts";
import { type StageName, schemas, stageNames } from "../options/stage-options.ts";
import { profileName } from "../run/stored-profile.ts";

/** Options of every stage that a file must leave out, since the experiment sets them, and the rule that says so. */
export const setByExperiment: Readonly<Record<string, string>> = {
  cv_dir: "must be left out: the run folder of a stage is its name, in the folder of the experiment",
  resume: "must be left out: a stage that was begun continues by itself",
};

/** Options of the command line that a stage's own go over: a stage that says its data or its seed means them. */
export const belowStages: readonly string[] = ["data_dir", "seed", "threads", "torch"];

/** The options that a file may give to a stage, by name. */
export function optionsOf(stage: StageName): Readonly<Record<string, z.ZodType>> {
  return Object.fromEntries(Object.entries(schemas[stage].shape).filter(([key]) => !(key in setByExperiment)));
}

/** Files that an experiment writes beside the folders of its stages. */
export const resultsName = "results.json";
export const pageName = "index.html";

const stageNameSchema = z
  .string()
  .regex(/^[a-zA-Z0-9][\w.-]*$/, "must be letters, digits, '.', '_' or '-', since it names a folder")
  .max(100, "must be at most 100 characters, since it names a folder")
  // JavaScript's objects have such keys first, whatever the order of the file.
  .regex(/\D/, "must not be a number alone, since the order of stages would be lost")
  .refine(
    (name) => ![resultsName, pageName, profileName].includes(name),
    "must not be the name of a file that the experiment writes",
  );

const stage = z.enum(stageNames);
const common = z.record(z.string(), z.unknown());
const stages = z
  .record(stageNameSchema, z.looseObject({ stage }))
  .refine((given) => Object.keys(given).length > 0, "must hold at least one stage");

/** The keys of an experiment file. Options of stages are checked where all that a stage gets is known. */
export const fileSchema = z.object({
  title: z.string().default("PatchDrop").describe("heading of the page"),
  summary: z.string().default("").describe("a sentence under the heading"),
  common: common.default({}),
  stages,
  gallery: z
    .string()
    .optional()
    .describe("stage whose sweep and images the page shows; the last with a policy when absent"),
});

/** Reads what can be read of a file that {@link fileSchema} may refuse: a stage that is none becomes undefined. */
export const readableParts = z.object({
  title: fileSchema.shape.title.catch(""),
  summary: fileSchema.shape.summary.catch(""),
  common: common.default({}).catch({}),
  stages: z.record(z.string(), z.looseObject({ stage }).optional().catch(undefined)).catch({}),
  gallery: fileSchema.shape.gallery.catch(undefined),
});

/** A stage's options as editors show them, in words by `wordsOf`; any may be left out, since it may stand in the other place. */
function editableOptions(name: StageName, wordsOf: (key: string, option: z.ZodType) => string) {
  const options = Object.entries(optionsOf(name));
  return Object.fromEntries(options.map(([key, option]) => [key, option.describe(wordsOf(key, option)).optional()]));
}

function wordsInCommon(key: string, option: z.ZodType): string {
  const stage = "; the name of an earlier stage of this file stands for its run folder";
  return `${describeOption(option).description}${namesCheckpoint(key) ? stage : ""}`;
}

function wordsInStage(key: string, option: z.ZodType): string {
  const { required, modelDefaults } = describeOption(option);
  const byModel = modelDefaults === undefined ? "" : ` (default: ${modelDefaultsText(modelDefaults)})`;
  return `${wordsInCommon(key, option)}${byModel}${required ? " (required, here or in common)" : ""}`;
}

/** The JSON Schema of experiment files, in draft 7, which all editors know. */
export function experimentJsonSchema(): object {
  const [first, ...others] = stageNames.map((name) =>
    z.strictObject({ stage: z.literal(name).describe("what is trained"), ...editableOptions(name, wordsInStage) }),
  );
  const [classifier, ...policies] = stageNames.map((name) => Object.entries(editableOptions(name, wordsInCommon)));
  // The later of two stages holds: pretraining's words, and not those of the classifier, where a penalty has no effect.
  const anyOption = Object.fromEntries([classifier, ...policies.reverse()].flat());
  const file = z.strictObject({
    ...fileSchema.shape,
    common: z.strictObject(anyOption).optional().describe("options for every stage that takes them"),
    stages: z
      .record(stageNameSchema, z.discriminatedUnion("stage", [first, ...others]))
      .meta({ minProperties: 1, description: "the stages by name, in the order of training" }),
  });
  return z.toJSONSchema(file, { target: "draft-7", io: "input", override: tidy });
}

/** Leaves out what says nothing: that a whole number is one that JavaScript holds, and defaults that depend on the stage. */
function tidy({ jsonSchema, path }: { jsonSchema: z.core.JSONSchema.BaseSchema; path: (string | number)[] }): void {
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
  if (path.at(-1) === "common") {
    for (const option of Object.values(jsonSchema.properties ?? {}))
      if (typeof option === "object") delete option.default;
  }
}
