/**
 * The classifiers of `--judges`: one for each fold of the training images, which learned from all others. They are no part of
 * a checkpoint, so that a resumed run opens them again.
 */
import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import { savedNetwork } from "../checkpoints/open-checkpoint.ts";
import type { DataSplits } from "../data/dataset.ts";
import { parseFold, withoutFold } from "../data/folds.ts";
import { type Fault, fault } from "../errors.ts";
import { loadNetwork } from "../models/networks.ts";
import { FrozenNetwork } from "../nn/frozen.ts";
import { FoldJudges } from "./fold-judges.ts";
import { classifierAt, type Setting } from "./setting.ts";

type JudgesSetting = Pick<Setting, "model" | "data" | "classes" | "device" | "precision">;

/** A classifier, and the fold that it says it left out. */
interface Found {
  readonly path: string;
  readonly checkpoint: Checkpoint;
  readonly said: string;
}

/**
 * Judges in the order of their folds, in whatever order they are named.
 * @param val_fraction of the run, which must have been theirs
 * @throws input: classifiers of another model or of other images, or not one of each fold
 */
export function openJudges(paths: readonly string[], val_fraction: number, setting: JudgesSetting): FoldJudges {
  const found = paths.map((path): Found => {
    const checkpoint = classifierAt({ flag: "--judges", path }, setting);
    return { path, checkpoint, said: String(checkpoint.config.options.fold ?? "no --fold") };
  });
  const faults = faultsOf(found, setting.data, val_fraction);
  if (faults.length > 0) throw fault("input", faults);
  const numberOf = ({ said }: Found) => parseFold(said)!.number;
  const opened: FrozenNetwork[] = [];
  try {
    for (const { checkpoint } of found.toSorted((a, b) => numberOf(a) - numberOf(b)))
      opened.push(frozen(checkpoint, setting));
    return new FoldJudges(opened);
  } catch (error) {
    for (const judge of opened) judge.free();
    throw error;
  }
}

/** One at most of each classifier. */
function faultsOf(found: readonly Found[], data: DataSplits, val_fraction: number): Fault[] {
  const count = found.length;
  return found.flatMap(({ path, checkpoint: { config }, said }, i): Fault[] => {
    const where = `--judges ${path}`;
    if (parseFold(said)?.count !== count) {
      const next = `give one classifier of each fold: classifier_training --fold 1/${count} … ${count}/${count}`;
      return [{ where, rule: `must be of one of ${count} folds, as many as there are judges`, got: said, next }];
    }
    const twin = found.slice(0, i).find((other) => other.said === said);
    if (twin !== undefined) {
      const next = "give one classifier of each fold";
      return [{ where, rule: `must be of another fold than ${twin.path}`, got: said, next }];
    }
    if (withoutFold(data, said).train.fingerprint === config.dataset.fingerprint) return [];
    const rule = "must have learned from all training images of this run but its fold's";
    const got = `${config.dataset.name} with --val_fraction ${config.options.val_fraction ?? 0}`;
    const next = `train it on the same data with --fold ${said} --val_fraction ${val_fraction}`;
    return [{ where, rule, got, next }];
  });
}

function frozen(checkpoint: Checkpoint, setting: JudgesSetting): FrozenNetwork {
  const { network, parameters } = loadNetwork(setting, "resnet_hr", savedNetwork(checkpoint, "resnet_hr"));
  try {
    return new FrozenNetwork(network, parameters, setting.precision);
  } finally {
    parameters.free();
  }
}
