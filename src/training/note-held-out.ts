/** A stage chooses on images that it holds out; what it starts from should not have learned from them. */
import { configOfCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { checkpointOptionNames, type ResolvedStageOptions } from "../options/stage-options.ts";
import type { Reporter } from "../utils/reporter.ts";

/** Says where a checkpoint that a stage starts from held out another share of the training images. */
export function noteHeldOut(options: ResolvedStageOptions, { note }: Reporter): void {
  const own = options.val_fraction;
  for (const flag of checkpointOptionNames) {
    const path: unknown = options[flag as keyof ResolvedStageOptions];
    if (typeof path !== "string") continue;
    const theirs = Number(configOfCheckpoint(path).options.val_fraction ?? 0);
    if (theirs === own) continue;
    const why =
      own > theirs
        ? "it has learned from images that are held out here"
        : `give --val_fraction ${theirs} to choose on images that it has not learned from`;
    note(`--${flag} ${path}: held out ${theirs} of the training images, this stage ${own}: ${why}`);
  }
}
