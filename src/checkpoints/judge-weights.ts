/** What names the judges of a run in its configuration: the weights of each, by the fold that it did not learn from. */
import { configOfCheckpoint, pathOfCheckpoint } from "./open-checkpoint.ts";
import { weightsHash } from "./stored-choice.ts";

/** @param options of a stage; none of a run without judges, which may be named in any order @throws input */
export function weightsByFold(options: object): Record<string, string> | undefined {
  const { judges: paths }: { readonly judges?: readonly string[] } = options;
  if (paths === undefined) return undefined;
  const foldOf = (path: string) => String(configOfCheckpoint(path).options.fold ?? "(none)");
  return Object.fromEntries(paths.map((path) => [foldOf(path), weightsHash(pathOfCheckpoint(path))]));
}
