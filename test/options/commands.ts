/** What tests need to know of the commands that take options. A schema is loaded when a test asks for it. */
import { PatchDropError } from "../../src/errors.ts";
import { type CommandName, schemaOf } from "../../src/options/command-schemas.ts";

/** What each command cannot do without. */
export const needed: Readonly<Record<CommandName, Readonly<Record<string, string | number>>>> = {
  classifier_training: {},
  pretrain: { ckpt_hr_cl: "hr" },
  finetune: { load: "policy", ckpt_hr_cl: "hr" },
  finetune2stream: { load: "policy", ckpt_lr_cl: "lr" },
  eval: { load: "run" },
  headroom: { load: "run" },
  profile: { load: "run" },
  predict: { load: "run" },
  acquire: { load: "run", out: "results" },
  gather: {},
  order: { rules: "single-999", price_per_km2: 10 },
  demo: {},
  export: { load: "run", out: "models" },
  report: {},
  run: {},
  quickstart: {},
  "data fmow": { input: "fmow-rgb", out: "crops" },
  "data split": { data_dir: "images" },
  "data check": { data_dir: "images" },
  "data stats": { data_dir: "images" },
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
