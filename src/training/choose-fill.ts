/** What dropped patches are filled with when no flag says it: what the classifier that a stage starts from was shown. */
import { configOfCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { fillOf } from "../checkpoints/run-config.ts";
import type { Fill } from "../method/images.ts";
import type { StageName, StageOptions } from "../options/stage-options.ts";
import type { Reporter } from "../utils/reporter.ts";

interface Starting {
  readonly fill?: Fill;
  readonly ckpt_hr_cl?: string;
  readonly load?: string;
}

/** @throws input: a checkpoint that can't be read */
export function withFill<S extends StageName>(options: StageOptions<S>, { note }: Reporter): StageOptions<S> {
  const { fill, ckpt_hr_cl, load }: Starting = options as Starting;
  const from = ckpt_hr_cl ?? load;
  if (fill !== undefined || from === undefined) return options;
  const found = fillOf(configOfCheckpoint(from));
  if (found === "lr") note(`--fill ${found}, as in ${from}`);
  if (found === undefined) note(`--fill zero, since ${from} does not say what it was shown in dropped patches`);
  return { ...options, fill: found ?? "zero" };
}
