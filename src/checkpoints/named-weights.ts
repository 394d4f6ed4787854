/** What names the checkpoints that a run stands on in its configuration, wherever they lie: their weights. */
import { configOfCheckpoint, pathOfCheckpoint } from "./open-checkpoint.ts";
import { weightsHash } from "./stored-choice.ts";

/**
 * The weights of the judges, each by the fold that it did not learn from.
 * @param options of a stage; none of a run without judges, which may be named in any order
 * @throws input
 */
export function weightsByFold(options: object): Record<string, string> | undefined {
  const { judges: paths }: { readonly judges?: readonly string[] } = options;
  if (paths === undefined) return undefined;
  const foldOf = (path: string) => String(configOfCheckpoint(path).options.fold ?? "(none)");
  return Object.fromEntries(paths.map((path) => [foldOf(path), weightsOf(path)]));
}

/** The weights that a stage starts from, by the option that names their checkpoint. @throws input */
export function startWeights(options: object): Record<string, string> {
  const named = Object.entries(checkpointsIn(options));
  return Object.fromEntries(named.map(([name, path]) => [name, weightsOf(path)]));
}

/** The options that name what a stage starts from. */
const startOptions = ["load", "ckpt_hr_cl", "ckpt_lr_cl", "pretrained"];

/** The paths of the checkpoints that a stage starts from, by option; `--pretrained auto` is none. */
export function checkpointsIn(options: object): Record<string, string> {
  const named = Object.entries(options).filter(([name, value]) => startOptions.includes(name) && isPath(value));
  return Object.fromEntries(named);
}

function isPath(value: unknown): boolean {
  return typeof value === "string" && value !== "auto";
}

/** @throws input: no checkpoint there */
export function weightsOf(path: string): string {
  return weightsHash(pathOfCheckpoint(path));
}
