/** Reads a network for training: every layer by libtorch's differentiable operators. */
import { onEveryRun } from "../tensor/captured.ts";
import * as networkOps from "../tensor/network-ops.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import {
  batchNormOf,
  type ConvolutionNames,
  type ConvolutionSpec,
  type Layers,
  type Network,
  slidingOf,
  type WhiteningSpec,
  whiteningSliding,
} from "./layers.ts";
import type { Parameters, Weights } from "./parameters.ts";
import { type Precision, precisionDType } from "./precision.ts";
import { TensorLayers } from "./tensor-layers.ts";

/**
 * How batch norm treats a pass:
 * - "train": normalize by the batch's statistics and move the running ones;
 * - "batch": normalize by the batch's statistics and leave the running ones alone;
 * - "eval": normalize by the running ones.
 */
export type BatchNormMode = "train" | "batch" | "eval";

/**
 * Images [B, 3, H, W] of any float type → logits float32 [B, outputs], computed in `precision`; recorded if gradients are on.
 */
export function forward(
  { network, parameters }: { readonly network: Network; readonly parameters: Parameters },
  images: Tensor,
  precision: Precision,
  asked: BatchNormMode,
): Tensor {
  const mode = asked === "train" && !parameters.tracks ? "batch" : asked;
  if (mode === "train") {
    onEveryRun(() => {
      parameters.batchesTracked += 1;
    });
  }
  return scope(() =>
    network(new Training(parameters.weights(precision), mode), ops.cast(images, precisionDType(precision))),
  );
}

class Training extends TensorLayers implements Layers<Tensor> {
  readonly #weights: Weights;
  readonly #mode: BatchNormMode;

  constructor(weights: Weights, mode: BatchNormMode) {
    super();
    this.#weights = weights;
    this.#mode = mode;
  }

  whitened(x: Tensor, name: string, _spec: WhiteningSpec): Tensor {
    return scope(() => {
      const bias = ops.cast(this.weight(`${name}.bias`), x.dtype);
      const white = networkOps.conv2d(x, this.weight(`${name}.weight`), { ...whiteningSliding, bias });
      return ops.activate(white, "gelu");
    });
  }

  convBnRelu(x: Tensor, names: ConvolutionNames, spec: ConvolutionSpec): Tensor {
    return scope(() => ops.activate(this.convBn(x, names, spec), spec.activation));
  }

  convBnAdd(x: Tensor, shortcut: Tensor, names: ConvolutionNames, spec: ConvolutionSpec): Tensor {
    return scope(() => ops.subtract(shortcut, this.#negatedConvBn(x, names, spec)));
  }

  convBnAddRelu(x: Tensor, shortcut: Tensor, names: ConvolutionNames, spec: ConvolutionSpec): Tensor {
    return scope(() => ops.activate(this.convBnAdd(x, shortcut, names, spec), spec.activation));
  }

  convBn(x: Tensor, names: ConvolutionNames, spec: ConvolutionSpec): Tensor {
    return scope(() =>
      this.#convBn(x, names, spec, {
        weight: this.weight(`${names.bn}.weight`),
        bias: this.weight(`${names.bn}.bias`),
      }),
    );
  }

  /**
   * −convBn(x), to the bit, by −γ and −β. The C interface has a subtraction and no addition: taking away the negated
   * branch costs the backward pass one pass over the activations, α = −1 costs it two.
   */
  #negatedConvBn(x: Tensor, names: ConvolutionNames, spec: ConvolutionSpec): Tensor {
    return scope(() =>
      this.#convBn(x, names, spec, {
        weight: ops.neg(this.weight(`${names.bn}.weight`)),
        bias: ops.neg(this.weight(`${names.bn}.bias`)),
      }),
    );
  }

  #convBn(
    x: Tensor,
    { conv, bn }: ConvolutionNames,
    spec: ConvolutionSpec,
    affine: { weight: Tensor; bias: Tensor },
  ): Tensor {
    const convolved = convolve(x, this.weight(`${conv}.weight`), slidingOf(spec, x.shape[2]));
    const y = spec.pool === undefined ? convolved : networkOps.maxPool(convolved, spec.pool, spec.pool, 0);
    const { epsilon, momentum } = batchNormOf(spec);
    const runningMean = this.weight(`${bn}.running_mean`);
    const runningVar = this.weight(`${bn}.running_var`);
    return networkOps.batchNorm(
      y,
      { ...affine, runningMean, runningVar },
      { training: this.#mode !== "eval", momentum: this.#mode === "train" ? momentum : 0, eps: epsilon },
    );
  }

  protected weight(name: string): Tensor {
    return this.#weights.get(name)!;
  }
}

/**
 * One whose channels are convolved in groups goes by way of float32 on a CPU: its backward pass in bfloat16 takes up to ten times as long
 * (docs/performance.md).
 */
function convolve(x: Tensor, weight: Tensor, sliding: networkOps.Sliding): Tensor {
  if (sliding.groups === 1 || x.dtype === "float32" || x.device !== "cpu") return networkOps.conv2d(x, weight, sliding);
  return ops.cast(networkOps.conv2d(ops.cast(x, "float32"), ops.cast(weight, "float32"), sliding), x.dtype);
}
