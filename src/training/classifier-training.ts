/** Stage 1: a classifier, by cross-entropy, on high-resolution images or on the low-resolution view of them. */
import { acquiredView, viewsOf } from "../method/images.ts";
import { randomMaskDraws, randomMasks } from "../method/random-masks.ts";
import { classification } from "../method/task.ts";
import type { Learner, NetworkName } from "../models/networks.ts";
import type { Model } from "../models/registry.ts";
import { Optimizer } from "../nn/optimizer.ts";
import { forward } from "../nn/training.ts";
import type { ClassifierOptions } from "../options/stage-options.ts";
import { withGradients } from "../tensor/autograd.ts";
import { scope } from "../tensor/scope.ts";
import { full, type Tensor } from "../tensor/tensor.ts";
import { unprofiled } from "../utils/profile.ts";
import type { Batch, Learning, StepNumbers } from "./learning.ts";
import { startPretrained } from "./pretrained.ts";
import { type Setting, startNetworks } from "./setting.ts";
import type { StageProfile } from "./stage-profile.ts";
import { startWhitening } from "./start-whitening.ts";

/** Side of an image up to which `--arch speedrun` is what its name says. */
const quickSize = 64;

export async function classifierTraining(options: ClassifierOptions, setting: Setting): Promise<Learning> {
  const name: NetworkName = options.stream_id === "LR" ? "resnet_lr" : "resnet_hr";
  const { [name]: classifier } = startNetworks(setting, options.seed, { [name]: "fresh" } as Record<
    typeof name,
    "fresh"
  >);
  const { arch, imageSize } = setting.model;
  if (arch === "speedrun" && imageSize > quickSize) {
    const times = ((imageSize / 32) ** 2).toFixed(0);
    setting.reporter.note(
      `--arch speedrun is for images of CIFAR's size: of ${imageSize} pixels one takes ${times} times as long`,
    );
  }
  try {
    if (setting.checkpoint === undefined) {
      await startPretrained(classifier, options.pretrained, setting);
      await startWhitening(classifier, setting, options.seed, (pixels) => viewOf(pixels, setting.model, options));
    }
  } catch (error) {
    classifier.parameters.free();
    throw error;
  }
  const { optimizer: kind, momentum, wd: weightDecay, clip } = options;
  const learned = new Map([[name, classifier.parameters]]);
  const optimizer = new Optimizer(learned, { kind, momentum, weightDecay, clip });
  return {
    networks: new Map([[name, classifier]]),
    optimizer,
    uniformsPerImage: randomMaskDraws(options.random_masks, setting.model.grid.patches),
    rewarding: undefined,
    pass: (batch, profile) => classifierPass(classifier, batch, { setting, options, optimizer, profile }),
  };
}

interface PassContext {
  setting: Pick<Setting, "model" | "precision">;
  options: Pick<ClassifierOptions, "stream_id" | "label_smoothing" | "random_masks">;
  optimizer: Optimizer;
  profile?: StageProfile | undefined;
}

/** One pass of the classifier over a batch of B images: the loss, a scalar, and which images were right, [B]. */
export function classifierPass(
  { network, parameters }: Learner,
  { images, labels, uniforms }: Batch,
  { setting: { model, precision }, options, optimizer, profile = unprofiled }: PassContext,
): StepNumbers {
  const seen = profile.of("low resolution and masks", () => seenImages(images, uniforms, model, options));
  const { loss, logits } = withGradients(() => {
    const logits = profile.of("classifier", () => forward({ network, parameters }, seen, precision, "train"));
    return { logits, loss: classification.loss(logits, labels, options.label_smoothing) };
  });
  profile.of("backward", () => optimizer.backward(loss));
  return { loss, correct: classification.right(logits, labels) };
}

/** What the classifier is shown of whole images. */
function viewOf(pixels: Tensor, model: Model, { stream_id }: Pick<ClassifierOptions, "stream_id">): Tensor {
  return scope(() => viewsOf(pixels, model)[stream_id === "LR" ? "low" : "images"]);
}

/** What the classifier is shown of a batch's images; `uniforms` as {@link randomMasks} takes them. */
function seenImages(
  pixels: Tensor,
  uniforms: Tensor,
  model: Model,
  { stream_id, random_masks }: Pick<ClassifierOptions, "stream_id" | "random_masks">,
): Tensor {
  const isWhole = random_masks === 0 && !(model.seesMask && stream_id === "HR");
  if (isWhole) return viewOf(pixels, model, { stream_id });
  return scope(() => {
    const { images, low } = viewsOf(pixels, model);
    const whole = () => full([images.shape[0], model.grid.patches], 1, "float32", images.device);
    const mask = random_masks === 0 ? whole() : randomMasks(uniforms, random_masks);
    return acquiredView(images, mask, model, low);
  });
}
