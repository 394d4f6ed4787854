/** The stages by name. */
import type {
  ClassifierOptions,
  FinetuneOptions,
  PretrainOptions,
  StageName,
  StageOptions,
  TwoStreamOptions,
} from "../options/stage-options.ts";
import { type Reporter, silentReporter } from "../utils/reporter.ts";
import { classifierTraining } from "./classifier-training.ts";
import type { StageResult } from "./epochs.ts";
import { finetune, finetune2stream } from "./finetune.ts";
import { pretrain } from "./pretrain.ts";

/** Runs one stage; `options` are those that its schema gave. */
export function train(
  stage: StageName,
  options: StageOptions,
  reporter: Reporter = silentReporter,
): Promise<StageResult> {
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
