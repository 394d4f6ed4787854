/** What a stage's policy is like when no flag says it: as the one that it starts from. */
import { configOfCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { fault } from "../errors.ts";
import type { StageName, StageOptions } from "../options/stage-options.ts";
import { defined } from "../utils/defined.ts";
import type { Reporter } from "../utils/reporter.ts";

interface Starting {
  readonly load?: string;
  readonly resume: boolean;
}

/** What needs no flag. */
const usual = { policy_head: "mean", rounds: 1 } as const;

/** @throws input: a checkpoint that can't be read, or whose policy the stage can't train */
export function withPolicy<S extends StageName>(
  stage: S,
  options: StageOptions<S>,
  { note }: Reporter,
): StageOptions<S> {
  const { load, resume }: Starting = options as Starting;
  // A run that goes on has them already, and what it started from may be gone.
  if (load === undefined || resume) return options;
  const { description } = configOfCheckpoint(load);
  const { policyHead: policy_head = usual.policy_head, rounds = usual.rounds } = description ?? {};
  if (stage !== "pretrain" && rounds > 1) {
    throw fault("input", {
      where: `--load ${load}`,
      rule: "must be a policy that decides once: those that decide in rounds learn in pretrain alone, by --estimator values",
      got: `${rounds} rounds`,
      next: "use it as it is; a classifier that was trained with --random_masks needs no finetuning to read masks",
    });
  }
  const given: Record<string, unknown> = defined(options);
  const missing = Object.entries({ policy_head, rounds }).filter(
    ([name, value]) => value !== usual[name as keyof typeof usual] && given[name] === undefined,
  );
  for (const [name, value] of missing) note(`--${name} ${value}, as in ${load}`);
  return { ...options, ...Object.fromEntries(missing) };
}
