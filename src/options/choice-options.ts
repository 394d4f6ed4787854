/** What the options of choice-group.ts come to: which patches are chosen. */
import type { z } from "zod";
import { readChoice } from "../checkpoints/stored-choice.ts";
import { type Confidence, readConfidence } from "../checkpoints/stored-confidence.ts";
import { fault } from "../errors.ts";
import { asTested, type Choice } from "../method/budget.ts";
import type { Fill } from "../method/images.ts";
import type { Exit } from "../method/leave-early.ts";
import type { choiceGroup } from "./choice-group.ts";

export type ChoiceFlags = z.infer<z.ZodObject<typeof choiceGroup>>;

/**
 * How the flags say that patches are chosen; as policies are tested where they say nothing.
 * @param patches P of the model
 * @param calibrated gives the stored choice, which is asked for by "calibrated" only
 * @throws usage: flags that do not go together or not with the model; what `calibrated` throws
 */
export function choiceOf(flags: ChoiceFlags, patches: number, calibrated: () => Choice): Choice {
  const { policy = "threshold", budget, threshold } = flags;
  if (budget !== undefined && budget > patches) {
    throw wrong("--budget", `must be at most the model's ${patches} patches`, budget);
  }
  if (threshold !== undefined && policy !== "threshold") {
    throw wrong("--threshold", "must go with --policy threshold", policy);
  }
  if (policy === "threshold") return { policy, threshold: threshold ?? asTested.threshold, budget };
  if (policy === "sample") return { policy, budget };
  if (policy === "calibrated") {
    if (budget !== undefined) throw wrong("--budget", "must be left to what was calibrated", budget);
    return calibrated();
  }
  if (budget === undefined) throw wrong("--budget", "must be given with --policy topk", "nothing");
  return { policy, budget };
}

/** What chooses nothing takes no flag that says how to choose. @param where the run @throws usage */
export function refuseChoice(
  flags: Readonly<Record<string, unknown>>,
  where: string,
  more: readonly string[] = [],
): void {
  const isGiven = (flag: string) => flags[flag] !== undefined && flags[flag] !== false;
  const given = ["policy", "budget", "threshold", "exit", ...more].find(isGiven);
  if (given === undefined) return;
  const next = "leave it out, or give a run of pretrain or finetune";
  throw fault("usage", { where: `--${given}`, rule: "needs a run with a policy", got: where, next });
}

function wrong(where: string, rule: string, got: unknown) {
  return fault("usage", { where, rule, got });
}

/** The choice that is stored with a checkpoint. @throws input: nothing stored, or damaged; usage: one that goes with another --exit */
export function calibratedChoice(checkpoint: string, { exit }: Pick<ChoiceFlags, "exit">): Choice {
  const stored = readChoice(checkpoint);
  if (stored === undefined) {
    throw notCalibrated(checkpoint, "calibrate: patchdrop eval with --target_patches or --target_accuracy");
  }
  mustGoWith(stored.exit, exit);
  return { policy: stored.policy, threshold: stored.threshold, budget: stored.budget };
}

/** A threshold that was calibrated for the images that stay takes other numbers of patches of others. @throws usage */
export function mustGoWith(calibrated: number | undefined, exit: number | undefined): void {
  if (calibrated === exit) return;
  const rule =
    calibrated === undefined
      ? "must be left out with --policy calibrated, which was calibrated without it"
      : `must be ${calibrated} with --policy calibrated, which was calibrated with it`;
  const next = "give the --threshold itself, or calibrate anew: patchdrop eval with --exit and a --target_…";
  throw fault("usage", { where: "--exit", rule, got: exit ?? "nothing", next });
}

/** How a run sees images that may leave. */
export interface Leaving {
  readonly fill: Fill;
  readonly tta?: boolean | undefined;
  /** Whether logits of a low-resolution classifier are added. */
  readonly hasTwoStreams: boolean;
}

/** @throws usage: a run that sees nothing of an image without a patch */
export function mustSeeSomething({ fill, hasTwoStreams }: Leaving): void {
  if (fill === "lr" || hasTwoStreams) return;
  const rule = "needs a classifier that sees the low resolution where no patch is there";
  const next =
    "give --fill lr, best of a run that was trained so (--random_masks, --arch patches), or a run of two streams";
  throw fault("usage", { where: "--exit", rule, got: "--fill zero", next });
}

/**
 * When images leave early.
 * @param calibrated gives the stored confidence, which is asked for where images may leave only
 * @param again how to calibrate for what this run sees
 * @throws usage: a run that sees nothing, or not what was calibrated with; what `calibrated` throws
 */
export function exitOf(
  { exit }: Pick<ChoiceFlags, "exit">,
  leaving: Leaving,
  calibrated: () => Confidence,
  again = "calibrate again: patchdrop eval with --exit",
): Exit | undefined {
  if (exit === undefined) return undefined;
  mustSeeSomething(leaving);
  const stored = calibrated();
  const words = ({ fill, tta = false }: Pick<Leaving, "fill" | "tta">) => `--fill ${fill}${tta ? " --tta" : ""}`;
  if (words(stored) === words(leaving)) return { confidence: exit, temperature: stored.temperature };
  const rule = `was calibrated with ${words(stored)}`;
  throw fault("usage", { where: "--exit", rule, got: words(leaving), next: `give the same, or ${again}` });
}

/** The confidence that is stored with a checkpoint. @throws input: nothing stored, or damaged */
export function calibratedConfidence(checkpoint: string, { exit }: Pick<ChoiceFlags, "exit">): Confidence {
  const stored = readConfidence(checkpoint);
  if (stored !== undefined) return stored;
  throw unsureOfItself(checkpoint, `calibrate: patchdrop eval with --exit ${exit}`);
}

export function unsureOfItself(where: string, next: string) {
  return fault("input", { where, rule: "must have a calibrated confidence for --exit", next });
}

export function notCalibrated(where: string, next: string) {
  return fault("input", { where, rule: "must have a choice that was calibrated", next });
}

/** A choice in a few words, for a table's row or a sentence. */
export function choiceText(choice: Choice): string {
  const { policy, budget } = choice;
  const most = budget === undefined ? "" : `, at most ${budget}`;
  if (policy === "topk") return `the ${budget} likeliest`;
  if (policy === "sample") return `sampled${most}`;
  return `threshold ${Number(choice.threshold.toPrecision(4))}${most}`;
}
