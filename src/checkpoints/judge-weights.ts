/** What names the judges of a run in its configuration: the weights of each, by the fold that it did not learn from. */
import { configOfCheckpoint, pathOfCheckpoint } from "./open-checkpoint.ts";
import { weightsHash } from "./stored-choice.ts";

/** @param paths of run folders or checkpoints, in any order; none of a run without judges @throws input */
export function weightsByFold(paths: readonly string[] | undefined): Record<string, string> | undefined {
  if (paths === undefined) return undefined;
  const foldOf = (path: string) => String(configOfCheckpoint(path).options.fold ?? "(none)");
  return Object.fromEntries(paths.map((path) => [foldOf(path), weightsHash(pathOfCheckpoint(path))]));
}
