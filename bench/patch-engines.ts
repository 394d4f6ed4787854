/** What computes in bench/patches.ts besides a browser: libtorch, and ONNX Runtime's WebAssembly in Node. */
import { env } from "onnxruntime-web";
import { OnnxNetworks } from "../src/inference/onnx-networks.ts";
import { FrozenNetwork } from "../src/nn/frozen.ts";
import type { Precision } from "../src/nn/precision.ts";
import * as ops from "../src/tensor/ops.ts";
import { keep, scope } from "../src/tensor/scope.ts";
import { fromArray } from "../src/tensor/tensor.ts";
import { type Classifiers, onnxOf, planesOf, type Seen, sizesOf } from "./patch-networks.ts";
import type { TimedSide } from "./patch-times.ts";
import { type Pass, passOf } from "./timed-pass.ts";

/** Something that computes both classifiers. */
export interface PatchEngine {
  readonly name: string;
  readonly batches: readonly number[];
  /** What one pass is: made once, so that it has all that is not to be timed. */
  prepare(side: TimedSide, seen: Seen): Pass;
  free(): Promise<void>;
}

const batches = [1, 64];

/** @param threads that libtorch is open with */
export function libtorchEngine(classifiers: Classifiers, precision: Precision, threads: number): PatchEngine {
  const freeze = ({ learner }: Classifiers[TimedSide]) =>
    new FrozenNetwork(learner.network, learner.parameters, precision);
  const networks = { dense: freeze(classifiers.dense), patches: freeze(classifiers.patches) };
  return {
    name: `libtorch, ${precision}, ${threads} ${threads === 1 ? "thread" : "threads"}`,
    batches,
    prepare(side, seen) {
      const { imageSize } = classifiers[side].model;
      const planes = planesOf(seen, classifiers[side]);
      const shape = [seen.batch, planes.length / (seen.batch * imageSize ** 2), imageSize, imageSize];
      const images = scope(() => keep(ops.channelsLast(fromArray(planes, shape))));
      return passOf(async () => scope(() => networks[side].forward(images).toFloat32()));
    },
    async free() {
      for (const network of Object.values(networks)) network.free();
    },
  };
}

export async function onnxEngine(classifiers: Classifiers, threads: number): Promise<PatchEngine> {
  env.wasm.numThreads = threads;
  env.logLevel = "error";
  const open = (side: TimedSide) => {
    const models = new Map([["classifier.onnx", onnxOf(classifiers[side])]] as const);
    return OnnxNetworks.open(models, sizesOf(classifiers[side]), side);
  };
  const networks = { dense: await open("dense"), patches: await open("patches") };
  return {
    name: `ONNX Runtime, ${threads} ${threads === 1 ? "thread" : "threads"}`,
    batches,
    prepare(side, seen) {
      const planes = planesOf(seen, classifiers[side]);
      return passOf(() => networks[side].logits(planes, planes));
    },
    async free() {
      for (const network of Object.values(networks)) await network.free();
    },
  };
}
