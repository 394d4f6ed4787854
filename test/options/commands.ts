/** The commands that take options, by name. A schema is loaded when a test asks for it. */
import type { z } from "zod";
import { PatchDropError } from "../../src/errors.ts";

const stage = async () => (await import("../../src/options/stage-options.ts")).schemas;
const data = () => import("../../src/options/data-options.ts");
const run = () => import("../../src/options/run-options.ts");

const loaders = {
  classifier_training: async () => (await stage()).classifier_training,
  pretrain: async () => (await stage()).pretrain,
  finetune: async () => (await stage()).finetune,
  finetune2stream: async () => (await stage()).finetune2stream,
  eval: async () => (await import("../../src/options/eval-options.ts")).evalSchema,
  headroom: async () => (await import("../../src/options/headroom-options.ts")).headroomSchema,
  predict: async () => (await import("../../src/options/predict-options.ts")).predictSchema,
  acquire: async () => (await import("../../src/options/acquire-options.ts")).acquireSchema,
  demo: async () => (await import("../../src/options/demo-options.ts")).demoSchema,
  export: async () => (await import("../../src/options/export-options.ts")).exportSchema,
  report: async () => (await import("../../src/options/report-options.ts")).reportSchema,
  run: async () => (await run()).runSchema,
  quickstart: async () => (await run()).quickstartSchema,
  "data fmow": async () => (await data()).fmowSchema,
  "data check": async () => (await data()).checkSchema,
} satisfies Record<string, () => Promise<z.ZodObject>>;

export type CommandName = keyof typeof loaders;
export const commandNames = Object.keys(loaders) as CommandName[];

export function schemaOf(command: CommandName): Promise<z.ZodObject> {
  return loaders[command]();
}

/** What each command cannot do without. */
export const needed: Readonly<Record<CommandName, Readonly<Record<string, string>>>> = {
  classifier_training: {},
  pretrain: { ckpt_hr_cl: "hr" },
  finetune: { load: "policy", ckpt_hr_cl: "hr" },
  finetune2stream: { load: "policy", ckpt_lr_cl: "lr" },
  eval: { load: "run" },
  headroom: { load: "run" },
  predict: { load: "run" },
  acquire: { load: "run", out: "results" },
  export: { load: "run", out: "models" },
  demo: {},
  report: {},
  run: {},
  quickstart: {},
  "data fmow": { input: "fmow-rgb", output: "crops" },
  "data check": { data_dir: "images" },
};

/** The options of a command as it gets them, from these beside those that it needs. */
export async function parsed(command: CommandName, given: Record<string, unknown>): Promise<Record<string, unknown>> {
  const { parseWith } = await import("../../src/options/parse.ts");
  return parseWith(await schemaOf(command), { ...needed[command], ...given }, command);
}

/** Kind and whole message of what is refused; undefined where nothing is. */
export async function refusal(work: () => unknown): Promise<string | undefined> {
  try {
    await work();
  } catch (error) {
    if (error instanceof PatchDropError) return `${error.kind}: ${error.message}`;
    throw error;
  }
  return undefined;
}
