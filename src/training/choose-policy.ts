/** What a stage's policy is like when no flag says it: as the one that it starts from. */
import { configOfCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { fault } from "../errors.ts";
import type { PolicyHead } from "../models/registry.ts";
import type { StageName, StageOptions } from "../options/stage-options.ts";
import { defined } from "../utils/defined.ts";
import type { Reporter } from "../utils/reporter.ts";

interface Starting {
  readonly load?: string;
  readonly policy_head?: PolicyHead;
  readonly rounds?: number;
  readonly resume: boolean;
}

/** @throws input: a checkpoint that can't be read, or whose policy the stage can't train */
export function withPolicy<S extends StageName>(
  stage: S,
  options: StageOptions<S>,
  { note }: Reporter,
): StageOptions<S> {
  const { load, policy_head, rounds, resume }: Starting = options as Starting;
  // A run that goes on has them already, and what it started from may be gone.
  if (load === undefined || resume) return options;
  const { rounds: ofRounds = 1, policyHead = "mean" } = configOfCheckpoint(load).description ?? {};
  if (stage !== "pretrain" && ofRounds > 1) {
    throw fault("input", {
      where: `--load ${load}`,
      rule: "must be a policy that decides once: those that decide in rounds learn in pretrain alone, by --estimator values",
      got: `${ofRounds} rounds`,
      next: "use it as it is; a classifier that was trained with --random_masks needs no finetuning to read masks",
    });
  }
  const found = {
    ...(policyHead !== "mean" && { policy_head: policyHead }),
    ...(ofRounds > 1 && { rounds: ofRounds }),
  };
  const missing = Object.entries(found).filter(
    ([name]) => defined({ policy_head, rounds })[name as "rounds"] === undefined,
  );
  for (const [name, value] of missing) note(`--${name} ${value}, as in ${load}`);
  return { ...options, ...Object.fromEntries(missing) };
}
