/** The schema of each command that has one. A schema is loaded when it is asked for. */
import type { z } from "zod";
import type { DescribedOptions } from "./described-option.ts";

const stages = async () => (await import("./stage-options.ts")).schemas;
const data = () => import("./data-options.ts");
const run = () => import("./run-options.ts");

const loaders = {
  classifier_training: async () => (await stages()).classifier_training,
  pretrain: async () => (await stages()).pretrain,
  finetune: async () => (await stages()).finetune,
  finetune2stream: async () => (await stages()).finetune2stream,
  eval: async () => (await import("./eval-options.ts")).evalSchema,
  headroom: async () => (await import("./headroom-options.ts")).headroomSchema,
  profile: async () => (await import("./profile-options.ts")).profileSchema,
  predict: async () => (await import("./predict-options.ts")).predictSchema,
  acquire: async () => (await import("./acquire-options.ts")).acquireSchema,
  gather: async () => (await import("./gather-options.ts")).gatherSchema,
  order: async () => (await import("./order-options.ts")).orderSchema,
  demo: async () => (await import("./demo-options.ts")).demoSchema,
  export: async () => (await import("./export-options.ts")).exportSchema,
  report: async () => (await import("./report-options.ts")).reportSchema,
  run: async () => (await run()).runSchema,
  quickstart: async () => (await run()).quickstartSchema,
  "data fmow": async () => (await data()).fmowSchema,
  "data split": async () => (await data()).splitSchema,
  "data check": async () => (await data()).checkSchema,
  "data stats": async () => (await data()).statsSchema,
} satisfies Record<string, () => Promise<z.ZodObject>>;

export type CommandName = keyof typeof loaders;
export const commandNames = Object.keys(loaders) as CommandName[];

export function schemaOf(command: CommandName): Promise<z.ZodObject> {
  return loaders[command]();
}

/** Those of all commands, and the options of stages that `patchdrop run` takes besides its own. */
export type CommandOptions = Readonly<Record<CommandName | "run overrides", DescribedOptions>>;

/** What the flags of all commands are made of. */
export async function describeCommands(): Promise<CommandOptions> {
  const { describeOptions } = await import("./option.ts");
  const described = async (name: CommandName) => [name, describeOptions(await schemaOf(name))] as const;
  const commands = Object.fromEntries(await Promise.all(commandNames.map(described))) as Record<
    CommandName,
    DescribedOptions
  >;
  return { ...commands, "run overrides": describeOptions((await run()).overridesSchema) };
}
