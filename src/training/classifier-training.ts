/** Stage 1: a classifier, by cross-entropy, on high-resolution images or on the low-resolution view of them. */

import { evaluateClassifier, withFrozen } from "../evaluation/evaluate.ts";
import { prepare, type Setting } from "../inference/setting.ts";
import { lowResolution } from "../method/images.ts";
import { correct } from "../method/reward.ts";
import { freshNetwork, type Learner, type NetworkName } from "../models/networks.ts";
import { Optimizer, type Rate } from "../nn/optimizer.ts";
import { forward } from "../nn/training.ts";
import type { ClassifierOptions } from "../options/stage-options.ts";
import { withGradients } from "../tensor/autograd.ts";
import { crossEntropy } from "../tensor/ops.ts";
import type { Reporter } from "../utils/reporter.ts";
import { runEpochs, type StageResult } from "./epochs.ts";
import type { Batch, StepNumbers } from "./learning.ts";
import { startPretrained } from "./pretrained.ts";

export async function classifierTraining(options: ClassifierOptions, reporter: Reporter): Promise<StageResult> {
  const setting = await prepare(options, reporter);
  const { data } = setting;
  const name: NetworkName = options.stream_id === "LR" ? "resnet_lr" : "resnet_hr";
  const classifier = freshNetwork(setting, options.seed, name);
  if (!options.resume) await startPretrained(classifier, options.pretrained, setting);
  const networks = new Map([[name, classifier]]);
  const { momentum, wd, clip } = options;
  const optimizer = new Optimizer(new Map([[name, classifier.parameters]]), {
    kind: "sgd",
    momentum,
    weightDecay: wd,
    ...(clip && { clip }),
  });
  return runEpochs(
    "classifier_training",
    options,
    setting,
    {
      networks,
      optimizer,
      uniformsPerImage: 0,
      step: (batch, lr) => classifierStep(classifier, batch, { setting, options, optimizer, lr }),
      test: () =>
        withFrozen({ classifier }, setting, async (frozen) =>
          (await evaluateClassifier(data.test, setting, frozen.classifier, options.stream_id)).metrics(),
        ),
      score: ({ accuracy }) => accuracy,
    },
    reporter,
  );
}

interface StepContext {
  setting: Pick<Setting, "model" | "precision">;
  options: Pick<ClassifierOptions, "stream_id" | "label_smoothing">;
  optimizer: Optimizer;
  lr: Rate;
}

/** One update of the classifier. */
export function classifierStep(
  { network, parameters }: Learner,
  { images, labels }: Batch,
  { setting: { model, precision }, options, optimizer, lr }: StepContext,
): StepNumbers {
  const seen = options.stream_id === "LR" ? lowResolution(images, model) : images;
  const { loss, logits } = withGradients(() => {
    const logits = forward(network, parameters, seen, precision, "train");
    return { logits, loss: crossEntropy(logits, labels, options.label_smoothing) };
  });
  optimizer.step(loss, lr);
  return { loss, correct: correct(logits, labels) };
}
