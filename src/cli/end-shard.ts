/** What the commands that take a --manifest have in common: what is said of a shard that is done, and its exit code. */
import { exitCodes, fault, type PatchDropError } from "../errors.ts";

/** A command line with neither an image nor a list of them, or with both. */
export function oneOfBoth(image: string | undefined): PatchDropError {
  const rule = "must be given, or --manifest in its place";
  return fault("usage", { where: "image", rule, got: image === undefined ? "neither" : "both" });
}

/** @param print takes what --json prints, and the lines without it */
export function endShard(
  done: { readonly path: string; readonly scenes: number; readonly failed: number },
  print: (content: object, lines: () => readonly string[]) => void,
): void {
  const { path, scenes, failed } = done;
  print(done, () => [`${scenes} ${scenes === 1 ? "scene" : "scenes"}: see ${path}`]);
  if (failed === 0) return;
  process.stderr.write(`error: ${failed} of ${scenes} scenes could not be read; see their lines in ${path}\n`);
  process.exitCode = exitCodes.input;
}
