/**
 * The operators of networks: convolutions, pooling, normalization, losses. As in ops.ts, names and meaning are PyTorch's, and what
 * libtorch checks itself is not checked again.
 *
 * Shapes: B batch, C channels, H W, K classes, O output channels.
 */
import { fault } from "../errors.ts";
import * as native from "../native/operators.generated.ts";
import { mean, padBehind } from "./ops.ts";
import { type Shape, Tensor } from "./tensor.ts";

/** How a convolution moves over an image, in pixels of it. */
export interface Sliding {
  readonly stride: number;
  /** Zeros on each side. */
  readonly padding: number;
  /** Rows and columns of zeros that are added at the bottom and on the right. */
  readonly behind: number;
  /** Parts of the channels that are convolved each by itself. */
  readonly groups: number;
}

export interface ConvolutionOptions extends Partial<Sliding> {
  /** [O]; none when absent. */
  bias?: Tensor;
}

/**
 * Cross-correlation with zeros around the image. x [B, C, H, W], weights [O, C / groups, h, w] → [B, O, H', W'] with
 * H' = floor((H + 2·padding + behind − h) / stride) + 1
 */
export function conv2d(
  x: Tensor,
  weight: Tensor,
  { stride = 1, padding = 0, behind = 0, groups = 1, bias }: ConvolutionOptions = {},
): Tensor {
  const sizes = [
    [stride, stride],
    [padding, padding],
    [1, 1],
  ] as const;
  return withZerosBehind(
    x,
    behind,
    (all) => new Tensor(native.conv2d(all.handle, weight.handle, bias?.handle ?? null, ...sizes, groups)),
  );
}

/** Zeros that lie on two sides only are no part of libtorch's convolutions. */
function withZerosBehind(x: Tensor, behind: number, convolve: (x: Tensor) => Tensor): Tensor {
  if (behind === 0) return convolve(x);
  const larger = padBehind(x, behind);
  const result = convolve(larger);
  larger.free();
  return result;
}

export interface BatchNormTensors {
  /** [C] each. */
  weight: Tensor;
  bias: Tensor;
  runningMean: Tensor;
  runningVar: Tensor;
}

export interface BatchNormOptions {
  /** Use the batch's own statistics, and move the running ones by `momentum`. */
  training: boolean;
  momentum?: number;
  eps?: number;
}

/** weight·(x − mean) / sqrt(variance + eps) + bias, by channel. [B, C, H, W] → [B, C, H, W] */
export function batchNorm(
  x: Tensor,
  t: BatchNormTensors,
  { training, momentum = 0.1, eps = 1e-5 }: BatchNormOptions,
): Tensor {
  return new Tensor(
    native.batchNorm(
      x.handle,
      t.weight.handle,
      t.bias.handle,
      t.runningMean.handle,
      t.runningVar.handle,
      training,
      momentum,
      eps,
      true,
    ),
  );
}

/** Mean over adjacent windows of size × size. [B, C, H, W] → [B, C, floor(H / size), floor(W / size)] */
export function averagePool(x: Tensor, size: number): Tensor {
  return new Tensor(native.avgPool2d(x.handle, [size, size], [size, size], [0, 0], false, true, null));
}

/** Mean over each of rows × columns equal parts, which share positions where they cut them. [B, C, H, W] → [B, C, rows, columns] */
export const adaptiveAveragePool = (x: Tensor, rows: number, columns: number): Tensor =>
  new Tensor(native.adaptiveAvgPool2d(x.handle, [rows, columns]));

/** [B, C, H, W] → [B, C]: the mean over all positions. */
export function globalAveragePool(x: Tensor): Tensor {
  return mean(x, [2, 3]);
}

/**
 * Largest in windows of size × size, with −∞ around the image. [B, C, H, W] → [B, C, H', W'] with
 * H' = floor((H + 2·padding − size) / stride) + 1
 */
export function maxPool(x: Tensor, size: number, stride: number, padding: number): Tensor {
  return new Tensor(native.maxPool2d(x.handle, [size, size], [stride, stride], [padding, padding], [1, 1], false));
}

/** x·weightᵀ + bias. x [B, C], weight [O, C], bias [O] → [B, O] */
export const linear = (x: Tensor, weight: Tensor, bias: Tensor | null): Tensor =>
  new Tensor(native.linear(x.handle, weight.handle, bias?.handle ?? null));

/** [B, C, H, W] → [B, C, size, size] by nearest neighbour: output i shows input floor(i·H/size). */
export const resizeNearest = (x: Tensor, size: number): Tensor =>
  new Tensor(native.upsampleNearest2d(x.handle, [size, size], null, null));

/**
 * Eigenvalues, ascending, and eigenvectors, in columns, of a symmetric matrix of which the lower half is read; float32.
 * [N, N] → [N], [N, N]
 */
export const eigenvectors = (a: Tensor): [values: Tensor, vectors: Tensor] => {
  const [values, vectors] = native.linalgEigh(a.handle, "L");
  return [new Tensor(values), new Tensor(vectors)];
};

/** e^x, divided by its sum along `dim`. […] → […]; of logits [B, K] along 1: probabilities [B, K] */
export const softmax = (x: Tensor, dim: number): Tensor => new Tensor(native.softmax(x.handle, dim, null));

const meanReduction = 1;
const noIgnoreIndex = -100;

/** Mean cross-entropy, with PyTorch's label smoothing. Logits [B, K], labels int64 [B] → [] */
export const crossEntropy = (logits: Tensor, labels: Tensor, labelSmoothing = 0): Tensor =>
  new Tensor(native.crossEntropyLoss(logits.handle, labels.handle, null, meanReduction, noIgnoreIndex, labelSmoothing));

// Inference only: oneDNN's fused convolutions, for networks whose batch norm is folded into the weights.

/**
 * Convolution weights [O, C / groups, h, w] in the layout that oneDNN prefers for inputs of `inputShape` [B, C, H, W]; for
 * its calls only.
 */
export function reorderConvolutionWeight(weight: Tensor, sliding: Sliding, inputShape: Shape): Tensor {
  const { behind } = sliding;
  const [batch, channels, height, width] = inputShape;
  const handle = native.mkldnnReorderConvolutionWeight(weight.handle, ...oneDnnSliding(sliding), [
    batch,
    channels,
    height + behind,
    width + behind,
  ]);
  return new Tensor(handle);
}

/** Padding, stride, dilation and groups, as oneDNN's operators take them. */
function oneDnnSliding({ stride, padding, groups }: Sliding) {
  return [[padding, padding], [stride, stride], [1, 1], groups] as const;
}

export interface FusedConvolution extends Sliding {
  /** [O, C / groups, h, w], as {@link reorderConvolutionWeight} gives it. */
  weight: Tensor;
  /** [O] */
  bias: Tensor;
}

/** What oneDNN takes besides an activation's name. */
const algorithms = { none: null, relu: "", gelu: "none" } as const;

/** Convolution + bias, then what `activation` says. x [B, C, H, W] → [B, O, H', W'], as {@link conv2d} */
export function fusedConvolution(x: Tensor, c: FusedConvolution, activation: keyof typeof algorithms): Tensor {
  const convolve = (all: Tensor) =>
    native.mkldnnConvolutionPointwise(
      all.handle,
      c.weight.handle,
      c.bias.handle,
      ...oneDnnSliding(c),
      activation,
      [],
      algorithms[activation],
    );
  return withZerosBehind(x, c.behind, (all) => new Tensor(convolve(all)));
}

/**
 * Convolution + bias + shortcut, then ReLU when `activation` says so. x [B, C, H, W], shortcut [B, O, H', W']
 * → [B, O, H', W']
 */
export function fusedResidual(x: Tensor, shortcut: Tensor, c: FusedConvolution, activation: "none" | "relu"): Tensor {
  if (String(shortcut.shape.slice(0, 1)) !== String(x.shape.slice(0, 1))) {
    throw fault("internal", {
      where: "fusedResidual",
      rule: `needs a shortcut of batch ${x.shape[0]}`,
      got: `[${shortcut.shape}]`,
    });
  }
  const convolve = (all: Tensor) =>
    native.mkldnnConvolutionPointwiseBinary(
      all.handle,
      shortcut.handle,
      c.weight.handle,
      c.bias.handle,
      ...oneDnnSliding(c),
      "add",
      null,
      activation === "relu" ? "relu" : null,
      [],
      null,
    );
  return withZerosBehind(x, c.behind, (all) => new Tensor(convolve(all)));
}
