/** Stage 1: a classifier, by cross-entropy, on high-resolution images or on the low-resolution view of them. */
import { lowResolution } from "../method/images.ts";
import { classification } from "../method/task.ts";
import type { Learner, NetworkName } from "../models/networks.ts";
import { Optimizer, type Rate } from "../nn/optimizer.ts";
import { forward } from "../nn/training.ts";
import type { ClassifierOptions } from "../options/stage-options.ts";
import { withGradients } from "../tensor/autograd.ts";
import type { Batch, Learning, StepNumbers } from "./learning.ts";
import { startPretrained } from "./pretrained.ts";
import { type Setting, startNetworks } from "./setting.ts";

export async function classifierTraining(options: ClassifierOptions, setting: Setting): Promise<Learning> {
  const name: NetworkName = options.stream_id === "LR" ? "resnet_lr" : "resnet_hr";
  const { [name]: classifier } = startNetworks(setting, options.seed, { [name]: "fresh" } as Record<
    typeof name,
    "fresh"
  >);
  try {
    if (setting.checkpoint === undefined) await startPretrained(classifier, options.pretrained, setting);
  } catch (error) {
    classifier.parameters.free();
    throw error;
  }
  const { momentum, wd: weightDecay, clip } = options;
  const learned = new Map([[name, classifier.parameters]]);
  const optimizer = new Optimizer(learned, { kind: "sgd", momentum, weightDecay, clip });
  return {
    networks: new Map([[name, classifier]]),
    optimizer,
    uniformsPerImage: 0,
    rewarding: undefined,
    step: (batch, lr) => classifierStep(classifier, batch, { setting, options, optimizer, lr }),
  };
}

interface StepContext {
  setting: Pick<Setting, "model" | "precision">;
  options: Pick<ClassifierOptions, "stream_id" | "label_smoothing">;
  optimizer: Optimizer;
  lr: Rate;
}

/** One update of the classifier, on a batch of B images: the loss, a scalar, and which images were right, [B]. */
export function classifierStep(
  { network, parameters }: Learner,
  { images, labels }: Batch,
  { setting: { model, precision }, options, optimizer, lr }: StepContext,
): StepNumbers {
  const seen = options.stream_id === "LR" ? lowResolution(images, model) : images;
  const { loss, logits } = withGradients(() => {
    const logits = forward({ network, parameters }, seen, precision, "train");
    return { logits, loss: classification.loss(logits, labels, options.label_smoothing) };
  });
  optimizer.step(loss, lr);
  return { loss, correct: classification.right(logits, labels) };
}
