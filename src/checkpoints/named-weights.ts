/** What names the checkpoints that a run started from in its configuration, wherever they lie: their weights. */

import { weightsHash } from "./beside-weights.ts";
import { pathOfCheckpoint } from "./open-checkpoint.ts";
import { checkpointOptionNames } from "./run-config.ts";

/** The weights that a stage starts from, by the option that names their checkpoint. @throws input */
export function startWeights(options: object): Record<string, string> {
  const named = Object.entries(checkpointsIn(options));
  return Object.fromEntries(named.map(([name, path]) => [name, weightsOf(path)]));
}

/** The options that name what a stage starts from. */
const startOptions: readonly string[] = [...checkpointOptionNames, "pretrained"];

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
