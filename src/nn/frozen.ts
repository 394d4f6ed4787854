/**
 * Reads a network for inference: batch norm folded into the convolutions, and on a CPU convolution + bias (+ shortcut) +
 * ReLU as one operator of oneDNN. Weights are folded, converted and reordered once, when the network is frozen; later
 * learning does not change it.
 */
import * as networkOps from "../tensor/network-ops.ts";
import * as ops from "../tensor/ops.ts";
import { keep, scope } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { DeclaredConvolution, DeclaredWhitening } from "./declare.ts";
import {
  type Activation,
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

/** How folded convolutions are computed. */
export interface Kernels {
  /** Images per pass. */
  readonly chunk: number;
  /** Weights [O, C / groups, h, w] as the other two take them, for inputs of shape [B, C, H, W]. */
  prepare(weight: Tensor, sliding: networkOps.Sliding, input: readonly number[]): Tensor;
  /** activation(convolution + bias). [B, C, H, W] → [B, O, H', W'] */
  convolution(x: Tensor, c: networkOps.FusedConvolution, activation: Activation | "none"): Tensor;
  /** activation(convolution + bias + shortcut). [B, C, H, W], [B, O, H', W'] → [B, O, H', W'] */
  residual(x: Tensor, shortcut: Tensor, c: networkOps.FusedConvolution, activation: Activation | "none"): Tensor;
}

/** As much as oneDNN's operators do themselves, the rest after them: ReLU6 has numbers that they can't be given from here. */
function finished<F extends Activation | "none">(
  activation: Activation | "none",
  fused: readonly F[],
  compute: (fused: F | "none") => Tensor,
): Tensor {
  const own = fused.find((one) => one === activation);
  if (own !== undefined || activation === "none") return compute(own ?? "none");
  return scope(() => ops.activate(compute("none"), activation));
}

/** One operator each. The activations of a chunk still fit the cache (bench/ measures it). */
const oneDnn: Kernels = {
  chunk: 128,
  prepare: networkOps.reorderConvolutionWeight,
  convolution: (x, c, activation) =>
    finished(activation, ["relu", "gelu"], (fused) => networkOps.fusedConvolution(x, c, fused)),
  // PyTorch 2.11's fused addition can't take a map of 1 × 1 (2.15's can); on such a small map it saves nothing.
  residual: (x, shortcut, c, activation) =>
    shortcut.shape[2] > 1
      ? finished(activation, ["relu"], (fused) => networkOps.fusedResidual(x, shortcut, c, fused))
      : scope(() => activated(ops.add(networkOps.fusedConvolution(x, c, "none"), shortcut), activation)),
};

/** PyTorch's operators, for every device. */
export const plain: Kernels = {
  chunk: Number.POSITIVE_INFINITY,
  prepare: (weight) => weight,
  convolution: (x, { weight, ...options }, activation) =>
    scope(() => activated(networkOps.conv2d(x, weight, options), activation)),
  residual: (x, shortcut, { weight, ...options }, activation) =>
    scope(() => activated(ops.add(networkOps.conv2d(x, weight, options), shortcut), activation)),
};

function activated(x: Tensor, activation: Activation | "none"): Tensor {
  return activation === "none" ? x : ops.activate(x, activation);
}

export class FrozenNetwork {
  readonly #network: Network;
  readonly #precision: Precision;
  readonly #kernels: Kernels;
  readonly #convolutions: ReadonlyMap<string, networkOps.FusedConvolution>;
  /** Weights [O, C] and biases [O] of linear layers, by their names. */
  readonly #linears: ReadonlyMap<string, Tensor>;

  /** @param kernels oneDNN's on a CPU; elsewhere PyTorch's own, since oneDNN has none there */
  constructor(
    network: Network,
    parameters: Parameters,
    precision: Precision,
    kernels: Kernels = parameters.device === "cpu" ? oneDnn : plain,
  ) {
    this.#network = network;
    this.#precision = precision;
    this.#kernels = kernels;
    const { convolutions, whitenings, entries } = parameters.declaration;
    const linears = entries.filter(({ role }) => role === "linearWeight" || role === "linearBias");
    const kept = scope(() => {
      const weights = parameters.weights("fp32");
      return {
        convolutions: [
          ...convolutions.map((c) => [c.names.conv, fold(c, weights, precision, kernels)] as const),
          ...whitenings.map((w) => [w.name, whitening(w, weights, precision, kernels)] as const),
        ],
        linears: linears.map(({ name }) => [name, keep(ops.cast(weights.get(name)!, "float32"))] as const),
      };
    });
    this.#convolutions = new Map(kept.convolutions);
    this.#linears = new Map(kept.linears);
  }

  /** Images [B, 3, H, W] of any float type → logits float32 [B, outputs] */
  forward(images: Tensor): Tensor {
    return scope(() => {
      const layers = new Folded(this.#convolutions, this.#linears, this.#kernels);
      const converted = ops.cast(images, precisionDType(this.#precision));
      const count = images.shape[0];
      const { chunk } = this.#kernels;
      const parts: Tensor[] = [];
      for (let start = 0; start < count; start += chunk) {
        const part = () => ops.slice(converted, 0, start, Math.min(start + chunk, count));
        parts.push(scope(() => this.#network(layers, part())));
      }
      return parts.length === 1 ? parts[0] : ops.concat(parts, 0);
    });
  }

  free(): void {
    for (const { weight, bias } of this.#convolutions.values()) {
      weight.free();
      bias.free();
    }
    for (const tensor of this.#linears.values()) tensor.free();
  }
}

function whitening(
  { name, input }: DeclaredWhitening,
  weights: Weights,
  precision: Precision,
  { prepare, chunk }: Kernels,
): networkOps.FusedConvolution {
  const converted = (part: string) => ops.cast(weights.get(`${name}.${part}`)!, precisionDType(precision));
  return scope(() => {
    const weight = prepare(ops.channelsLast(converted("weight")), whiteningSliding, [chunk, ...input]);
    return { weight: keep(weight), bias: keep(converted("bias")), ...whiteningSliding };
  });
}

/** Weights w·γ/σ and bias β − μ·γ/σ, with σ = sqrt(running variance + ε). */
function fold(
  { names, spec, input }: DeclaredConvolution,
  weights: Weights,
  precision: Precision,
  { prepare, chunk }: Kernels,
): networkOps.FusedConvolution {
  const sliding = slidingOf(spec, input[1]);
  const dtype = precisionDType(precision);
  const of = (name: string) => weights.get(name)!;
  return scope(() => {
    const deviation = ops.sqrt(ops.shift(of(`${names.bn}.running_var`), batchNormOf(spec).epsilon));
    const factor = ops.div(of(`${names.bn}.weight`), deviation);
    const bias = ops.subtract(of(`${names.bn}.bias`), ops.mul(of(`${names.bn}.running_mean`), factor));
    const scaled = ops.mul(of(`${names.conv}.weight`), ops.view(factor, [-1, 1, 1, 1]));
    const weight = ops.channelsLast(ops.cast(scaled, dtype));
    const prepared = keep(prepare(weight, sliding, [chunk, ...input]));
    return { weight: prepared, bias: keep(ops.cast(bias, dtype)), ...sliding };
  });
}

class Folded extends TensorLayers implements Layers<Tensor> {
  readonly #convolutions: ReadonlyMap<string, networkOps.FusedConvolution>;
  readonly #linears: ReadonlyMap<string, Tensor>;
  readonly #kernels: Kernels;

  constructor(
    convolutions: ReadonlyMap<string, networkOps.FusedConvolution>,
    linears: ReadonlyMap<string, Tensor>,
    kernels: Kernels,
  ) {
    super();
    this.#convolutions = convolutions;
    this.#linears = linears;
    this.#kernels = kernels;
  }

  whitened(x: Tensor, name: string, _spec: WhiteningSpec): Tensor {
    return this.#kernels.convolution(x, this.#convolutions.get(name)!, "gelu");
  }

  convBnRelu(x: Tensor, { conv }: ConvolutionNames, { activation = "relu", pool }: ConvolutionSpec): Tensor {
    const convolution = this.#convolutions.get(conv)!;
    if (pool === undefined) return this.#kernels.convolution(x, convolution, activation);
    return scope(() => {
      const convolved = this.#kernels.convolution(x, convolution, "none");
      return ops.activate(networkOps.maxPool(convolved, pool, pool, 0), activation);
    });
  }

  convBn(x: Tensor, { conv }: ConvolutionNames, _spec: ConvolutionSpec): Tensor {
    return this.#kernels.convolution(x, this.#convolutions.get(conv)!, "none");
  }

  convBnAdd(x: Tensor, shortcut: Tensor, { conv }: ConvolutionNames, _spec: ConvolutionSpec): Tensor {
    return this.#kernels.residual(x, shortcut, this.#convolutions.get(conv)!, "none");
  }

  convBnAddRelu(
    x: Tensor,
    shortcut: Tensor,
    names: ConvolutionNames,
    { activation = "relu" }: ConvolutionSpec,
  ): Tensor {
    return this.#kernels.residual(x, shortcut, this.#convolutions.get(names.conv)!, activation);
  }

  protected weight(name: string): Tensor {
    return this.#linears.get(name)!;
  }
}
