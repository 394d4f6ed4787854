/** What a user should know of the checkpoints that a stage starts from before it begins. */

import { configOfCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { checkpointOptionNames } from "../checkpoints/run-config.ts";
import { lastState } from "../checkpoints/saved-checkpoints.ts";
import type { ResolvedStageOptions } from "../options/stage-options.ts";
import type { Reporter } from "../utils/reporter.ts";
import { isOver } from "./epochs.ts";

/** Says which of them held out another share of the training images, and which are of runs that have not ended. */
export function noteStart(options: ResolvedStageOptions, { note }: Reporter): void {
  for (const flag of checkpointOptionNames) {
    const path: unknown = options[flag as keyof ResolvedStageOptions];
    if (typeof path !== "string") continue;
    for (const said of [heldOut(path, options.val_fraction), unfinished(path)]) {
      if (said !== undefined) note(`--${flag} ${path}: ${said}`);
    }
  }
}

/** A stage chooses on images that it holds out; what it starts from should not have learned from them. */
function heldOut(path: string, own: number): string | undefined {
  const theirs = Number(configOfCheckpoint(path).options.val_fraction ?? 0);
  if (theirs === own) return undefined;
  const why =
    own > theirs
      ? "it has learned from images that are held out here"
      : `give --val_fraction ${theirs} to choose on images that it has not learned from`;
  return `held out ${theirs} of the training images, this stage ${own}: ${why}`;
}

/** Of a run folder; whoever names a single checkpoint means that one. */
function unfinished(path: string): string | undefined {
  const last = lastState(path);
  if (last === undefined) return undefined;
  const { progress, config } = last;
  const { epoch, sinceBest = 0, max_epochs, patience = Number.POSITIVE_INFINITY } = { ...config.options, ...progress };
  const done = { epoch: Number(epoch), sinceBest: Number(sinceBest) };
  if (isOver(done, { max_epochs: Number(max_epochs), patience: Number(patience) })) return undefined;
  return `has trained ${epoch} of its ${max_epochs} epochs: patchdrop ${config.stage} --cv_dir ${path} --resume trains the others`;
}
