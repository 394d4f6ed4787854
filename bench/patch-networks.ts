/**
 * What bench/patches.ts compares: a classifier that works on the patches that are there, the model's own, and what both are given.
 *
 * Shapes: B batch, S image size, P patches, K classes.
 */
import type { SetDescription } from "../demo/description.ts";
import { openCheckpoint, savedNetwork } from "../src/checkpoints/open-checkpoint.ts";
import { normalizationFor } from "../src/data/normalizations.ts";
import { fault } from "../src/errors.ts";
import { acquiredInput, graphOf, imageInput } from "../src/export/graph.ts";
import { encodeOnnx } from "../src/formats/onnx.ts";
import { describeRun, modelOf } from "../src/inference/describe-run.ts";
import type { NetworkSizes } from "../src/inference/onnx-networks.ts";
import { masksOfCount } from "../src/method/grid.ts";
import { acquiredPlanes, dropPatches, toPlanes } from "../src/method/planes.ts";
import { freshNetwork, type Learner, loadNetwork } from "../src/models/networks.ts";
import { findModel, type Model } from "../src/models/registry.ts";
import { Random } from "../src/utils/random.ts";
import { version } from "../src/utils/version.ts";
import type { TimedSide } from "./patch-times.ts";

/** Of fresh weights, images and masks, on which the time does not depend. */
const seed = 1;
const freshClasses = 10;

export interface Classifier {
  readonly model: Model;
  readonly classes: number;
  readonly learner: Learner;
}

export type Classifiers = Record<TimedSide, Classifier>;

/** Which classifiers are compared: of a model, or of a run. */
export interface Which {
  /** R32_C10 when neither is given. */
  readonly model?: string | undefined;
  readonly load?: string | undefined;
}

/**
 * Both with fresh weights; of a run, its own and the dense one of its model.
 * @throws usage: both are given; input: a run without such a classifier
 */
export function openClassifiers({ model: name, load }: Which): Classifiers {
  if (name !== undefined && load !== undefined) {
    throw fault("usage", { where: "--model", rule: "must not stand beside --load, which says the model", got: name });
  }
  const run = load === undefined ? undefined : openCheckpoint(load);
  const model = run === undefined ? findModel({ model: name ?? "R32_C10", arch: "patches" }) : modelOf(run, {});
  if (!model.seesMask || model.channels !== 3) {
    const rule = "must be a run with --arch patches on images of three bands";
    throw fault("input", { where: "--load", rule, got: `${load}: --arch ${model.arch}, ${model.channels} bands` });
  }
  const classes = run === undefined ? freshClasses : describeRun(run).classes.length;
  const setting = { model, classes, device: "cpu" } as const;
  const { imageSize: img_size, lowSize: lr_size, variant, grid } = model;
  const dense = findModel({ model: model.name, variant, img_size, lr_size, patch_size: grid.patchSize });
  return {
    patches: {
      ...{ model, classes },
      learner:
        run === undefined
          ? freshNetwork(setting, seed, "resnet_hr")
          : loadNetwork(setting, "resnet_hr", savedNetwork(run, "resnet_hr")),
    },
    dense: { model: dense, classes, learner: freshNetwork({ ...setting, model: dense }, seed, "resnet_hr") },
  };
}

/** The model as `patchdrop export` writes it. */
export function onnxOf({ model, learner }: Classifier): Uint8Array {
  const { channels, imageSize, seesMask } = model;
  const input = seesMask ? acquiredInput(channels) : imageInput(channels);
  const state = learner.parameters.stateDict();
  const graph = graphOf({ network: learner.network, state, imageSize, input, output: "logits" });
  return encodeOnnx(graph, { producer: "patchdrop", producerVersion: version(), metadata: new Map() });
}

export function sizesOf({ model, classes }: Classifier): NetworkSizes {
  const { imageSize, grid, arch, channels } = model;
  return { imageSize, patches: grid.patches, arch, classes, rounds: 1, channels };
}

/** As the page is told of a set of models. */
export function descriptionOf({ model, classes }: Classifier): SetDescription {
  const { name, variant, arch, imageSize, lowSize, grid, transform } = model;
  return {
    ...{ title: name, about: "", model: `${name} ${variant}`, arch, checkpoint: "" },
    ...{ imageSize, lowSize, patchSize: grid.patchSize, transform, fill: "lr", samples: [] },
    ...normalizationFor(transform),
    classes: Array.from({ length: classes }, (_, k) => String(k)),
  };
}

/** Images, and which patches of them are there. */
export interface Seen {
  readonly batch: number;
  readonly count: number;
  /** [B, S, S, 3] */
  readonly bytes: Uint8Array;
  /** [B, P] */
  readonly masks: Uint8Array;
}

/** Images of random bytes, under masks of exactly `count` patches each. A smaller batch has the first ones of a larger. */
export function seenOf({ imageSize, grid }: Model, batch: number, count: number): Seen {
  const random = new Random(seed, "images");
  const bytes = new Uint8Array(batch * imageSize * imageSize * 3).map(() => random.integer(256));
  return { batch, count, bytes, masks: masksOfCount(grid, count, { batch, seed }) };
}

/** What the classifier is given of it: [B, 3, S, S] with the low resolution in dropped patches, and the plane of masks if it sees them. */
export function planesOf({ bytes, masks }: Seen, { model }: Classifier): Float32Array {
  const { imageSize, lowSize, grid, transform, seesMask } = model;
  const seen = dropPatches(toPlanes(bytes, imageSize, normalizationFor(transform)), masks, grid, lowSize);
  return seesMask ? acquiredPlanes(seen, masks, grid) : seen;
}
