/** The stages by name. */
import {
  type ClassifierOptions,
  type FinetuneOptions,
  type PretrainOptions,
  type StageName,
  type StageOptions,
  type TwoStreamOptions,
  withModelDefaults,
} from "../options/stage-options.ts";
import { type Reporter, silentReporter } from "../utils/reporter.ts";
import { classifierTraining } from "./classifier-training.ts";
import type { StageResult } from "./epochs.ts";
import { finetune, finetune2stream } from "./finetune.ts";
import { pretrain } from "./pretrain.ts";

/** Runs one stage; `given` is what its schema gave. */
export function train(
  stage: StageName,
  given: StageOptions,
  reporter: Reporter = silentReporter,
): Promise<StageResult> {
  const options = withModelDefaults(stage, given, given.model);
  switch (stage) {
    case "classifier_training":
      return classifierTraining(options as ClassifierOptions, reporter);
    case "pretrain":
      return pretrain(options as PretrainOptions, reporter);
    case "finetune":
      return finetune(options as FinetuneOptions, reporter);
    case "finetune2stream":
      return finetune2stream(options as TwoStreamOptions, reporter);
  }
}
