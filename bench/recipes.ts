/** How each side is trained where time to an accuracy is measured (`--unit result`): the one place where that is said. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { z } from "zod";

export const resultStages = ["classifier", "pretrain"] as const;
export type ResultStage = (typeof resultStages)[number];

/** This program's: an experiment file, and the stage in it. PyTorch's: flags of its command. */
interface Recipe {
  readonly file: string;
  readonly stage: string;
  readonly peer: readonly string[];
}

export const recipes: Readonly<Record<ResultStage, Recipe>> = {
  classifier: { file: "configs/cifar10-speedrun.yaml", stage: "hr", peer: ["--net", "94"] },
  pretrain: { file: "configs/cifar10-minutes.yaml", stage: "pretrain", peer: ["--epochs", "4", "--alpha", "0.9"] },
};

const scalars = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));
const fileSchema = z.object({ common: scalars.default({}), stages: z.record(z.string(), scalars) });

/** The command and flags of a stage of an experiment file; those of `over` in place of its own. */
export function commandOf(recipe: Recipe, over: Readonly<Record<string, string | number>>): string[] {
  const text = readFileSync(fileURLToPath(new URL(`../${recipe.file}`, import.meta.url)), "utf8");
  const { common, stages } = fileSchema.parse(parse(text));
  const { stage, ...options } = { ...common, ...stages[recipe.stage], ...over };
  const flags = Object.entries(options).flatMap(([name, value]) => {
    if (typeof value === "boolean") return [value ? `--${name}` : `--no-${name}`];
    return [`--${name}`, String(value)];
  });
  return [String(stage), ...flags];
}
