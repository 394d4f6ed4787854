/** What the values of image files mean when no flag says it: what they meant to the classifier that a stage starts from. */
import { configOfCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { isChosen, overRendering, type RenderingOptions } from "../data/rendering.ts";
import type { StageName, StageOptions } from "../options/stage-options.ts";
import type { Reporter } from "../utils/reporter.ts";

interface Starting extends RenderingOptions {
  readonly ckpt_hr_cl?: string;
  readonly load?: string;
}

/** @throws input: a checkpoint that can't be read */
export function withRendering<S extends StageName>(options: StageOptions<S>, { note }: Reporter): StageOptions<S> {
  const { bands, scale, ckpt_hr_cl, load }: Starting = options as Starting;
  const from = ckpt_hr_cl ?? load;
  if ((bands !== undefined && scale !== undefined) || from === undefined) return options;
  const own = configOfCheckpoint(from).description?.rendering ?? {};
  if (!isChosen(own)) return options;
  const rendering = overRendering({ bands, scale }, own);
  const taken = Object.entries(rendering).filter(([, values]) => values !== undefined);
  note(`${taken.map(([flag, values]) => `--${flag} ${values}`).join(" ")}, as in ${from}`);
  return { ...options, ...rendering };
}
