import { evalSchema } from "../options/eval-options.ts";
import type { Experiment, ExperimentStage } from "./experiment-file.ts";

/** How a stage of the experiment is evaluated: on the test set, with the low-resolution classifier of the file if any. */
export function evalOptions({ options }: ExperimentStage, { stages }: Experiment) {
  const low = stages.find(
    (other) =>
      other.stage === "classifier_training" && "stream_id" in other.options && other.options.stream_id === "LR",
  );
  const { device, precision, threads, torch } = options;
  const given = {
    load: options.cv_dir,
    device,
    precision,
    threads,
    torch,
    ...(low && { ckpt_lr_cl: low.options.cv_dir }),
  };
  return evalSchema.parse(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)));
}
