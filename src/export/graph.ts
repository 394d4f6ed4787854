/**
 * Reads a network for ONNX: each layer becomes nodes of a graph, with batch norm folded into the convolutions and the
 * weights as float32 constants. Needs no libtorch. Whether the graph computes what the network does is checked by parity.ts.
 * Source: onnx/docs/Operators.md, operator set 17.
 */
import { toHalf } from "../formats/half.ts";
import { elementType, type OnnxGraph, type OnnxNode, type OnnxTensor } from "../formats/onnx.ts";
import { asFloat32, type StateDict } from "../formats/safetensors.ts";
import type { LowSizes } from "../method/images.ts";
import { roundChannels } from "../method/rounds.ts";
import { type Declaration, declare } from "../nn/declare.ts";
import {
  type Activation,
  batchNormOf,
  type ConvolutionNames,
  type ConvolutionSpec,
  centredPadding,
  type Layers,
  type Network,
  type Parts,
  type PatchesSpec,
  type WhiteningSpec,
} from "../nn/layers.ts";

/** As the end of a slice: up to the last one. */
const last = Number.MAX_SAFE_INTEGER;

/** What flows between nodes, by its name in the graph. */
export type Value = string;

/** What a graph takes, normalized: [B, channels, imageSize, imageSize] under that name. */
export interface GraphInput {
  readonly name: string;
  readonly channels: number;
}

export function imageInput(channels: number): GraphInput {
  return { name: "image", channels };
}

/** Of a classifier that works on the patches that are there: `acquiredPlanes` of method/planes.ts. */
export function acquiredInput(channels: number): GraphInput {
  return { name: "acquired", channels: channels + 1 };
}

/** Of a policy that decides in rounds: `roundPlanes` of method/planes.ts. */
export function roundInput(channels: number): GraphInput {
  return { name: "seen", channels: roundChannels(channels) };
}

export interface GraphOptions {
  readonly network: Network;
  /** Its parameters and buffers under PyTorch's names. */
  readonly state: StateDict;
  readonly imageSize: number;
  /** An image of three bands when absent. */
  readonly input?: GraphInput;
  /** The network sees the image in this low resolution; absent: as it is. */
  readonly low?: LowSizes | undefined;
  /** "probabilities" are the sigmoids of the logits. */
  readonly output: "logits" | "probabilities";
  /** Images a run; any number when absent. */
  readonly batch?: number | undefined;
  /** Stores weights as halves, for a file of half the size; what is computed stays float32. */
  readonly half?: boolean;
}

/** [B, channels, imageSize, imageSize] → logits or probabilities [B, outputs] */
export function graphOf(options: GraphOptions): OnnxGraph {
  const { network, state, imageSize, input = imageInput(3), low, output, batch, half = false } = options;
  const { name, channels } = input;
  const declaration = declare(network, low?.lowInput ?? imageSize, channels);
  const layers = new Exporting(state, declaration, half);
  const logits = network(layers, low === undefined ? name : layers.lowResolution(name, imageSize, low));
  layers.finish(logits, output);
  const images = batch ?? "batch";
  return {
    name: "patchdrop",
    nodes: layers.nodes,
    initializers: layers.initializers,
    input: { name, shape: [images, channels, imageSize, imageSize] },
    output: { name: output, shape: [images, declaration.outputs] },
  };
}

export class Exporting implements Layers<Value> {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxTensor[] = [];
  readonly #state: StateDict;
  readonly #cut: Declaration["cut"];
  readonly #half: boolean;

  /** @param declaration of the same network, for the sizes of maps */
  constructor(state: StateDict, { cut }: Pick<Declaration, "cut">, half = false) {
    this.#state = state;
    this.#cut = cut;
    this.#half = half;
  }

  whitened(x: Value, name: string, { kernel }: WhiteningSpec): Value {
    const convolved = this.#node("Conv", [x, ...this.#weightAndBias(name)], { kernel_shape: [kernel, kernel] });
    return this.#activated(convolved, "gelu");
  }

  convBnRelu(x: Value, names: ConvolutionNames, spec: ConvolutionSpec): Value {
    const convolved = this.convBn(x, names, spec);
    const { pool, activation } = spec;
    return this.#activated(pool === undefined ? convolved : this.maxPool(convolved, pool, pool, 0), activation);
  }

  convBnAdd(x: Value, shortcut: Value, names: ConvolutionNames, spec: ConvolutionSpec): Value {
    return this.#node("Add", [this.convBn(x, names, spec), shortcut]);
  }

  convBnAddRelu(x: Value, shortcut: Value, names: ConvolutionNames, spec: ConvolutionSpec): Value {
    return this.#activated(this.convBnAdd(x, shortcut, names, spec), spec.activation);
  }

  convBn(x: Value, names: ConvolutionNames, spec: ConvolutionSpec): Value {
    const { kernel, stride = 1, groups = 1 } = spec;
    const { shape, weight, bias } = this.#folded(names, spec);
    const constants = [
      this.#weight(`${names.conv}.weight`, shape, weight),
      this.#constant(`${names.conv}.bias`, [bias.length], bias),
    ];
    return this.#node("Conv", [x, ...constants], {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      ...(spec.padding === "same" ? { auto_pad: "SAME_UPPER" } : { pads: Array(4).fill(centredPadding(spec)) }),
      ...(groups > 1 && { group: groups }),
    });
  }

  #activated(x: Value, activation: Activation = "relu"): Value {
    if (activation === "relu") return this.#node("Relu", [x]);
    if (activation === "gelu") return this.#gelu(x);
    const bounds = [0, 6].map((bound, i) =>
      this.#constant(`bound${i}_${this.nodes.length}`, [], Float32Array.of(bound)),
    );
    return this.#node("Clip", [x, ...bounds]);
  }

  /** x·(1 + erf(x/√2))/2: operator set 17 has no node of its own for it. */
  #gelu(x: Value): Value {
    const scalar = (value: number) => this.#constant(`number_${value}`, [], Float32Array.of(value));
    const erf = this.#node("Erf", [this.#node("Mul", [x, scalar(Math.SQRT1_2)])]);
    const shifted = this.#node("Add", [erf, scalar(1)]);
    return this.#node("Mul", [this.#node("Mul", [x, shifted]), scalar(0.5)]);
  }

  averagePool(x: Value, size: number): Value {
    return this.#node("AveragePool", [x], { kernel_shape: [size, size], strides: [size, size] });
  }

  maxPool(x: Value, size: number, stride: number, padding: number): Value {
    return this.#node("MaxPool", [x], {
      kernel_shape: [size, size],
      strides: [stride, stride],
      pads: [padding, padding, padding, padding],
    });
  }

  /** Pad lists what comes before each of the four dimensions, then what comes behind. */
  padChannels(x: Value, channels: number): Value {
    return this.#node("Pad", [x, this.#integers("pads", [0, 0, 0, 0, 0, channels, 0, 0])], { mode: "constant" });
  }

  globalAveragePool(x: Value): Value {
    return this.#node("Flatten", [this.#node("GlobalAveragePool", [x])], { axis: 1 });
  }

  linear(x: Value, name: string, _outputs: number): Value {
    return this.#node("Gemm", [x, ...this.#weightAndBias(name)], { transB: 1 });
  }

  /** The weights first, since a matrix of shares can then take the means. */
  linearOfParts(x: Value, name: string, parts: Parts): Value {
    const [channels, height, width] = this.#cut.get(name)!;
    const weight = this.#constant(`${name}.weight`, [1, channels, 1, 1], this.#values(`${name}.weight`));
    const positions = this.#node("Flatten", [this.#node("Conv", [x, weight], { kernel_shape: [1, 1] })], { axis: 1 });
    const shape = [height * width, parts.rows * parts.columns];
    return this.#node("MatMul", [
      positions,
      this.#constant(`${name}.shares`, shape, sharesOfParts(height, width, parts)),
    ]);
  }

  ofPatches(x: Value, name: string, spec: PatchesSpec, body: (patches: Value) => Value): Value {
    const { rows, columns, channels, shrink } = spec;
    const [all, height, width] = this.#cut.get(name)!;
    const [h, w] = [height / rows, width / columns];
    const apart = this.#reshaped(x, [-1, all, rows, h, columns, w]);
    const ordered = this.#node("Transpose", [apart], { perm: [0, 2, 4, 1, 3, 5] });
    const patches = this.#reshaped(ordered, [-1, all, h, w]);
    const plane = this.#sliced(this.#reshaped(ordered, [-1, all * h * w]), { from: -1, to: last, axis: 1, step: 1 });
    const there = this.#node("Transpose", [this.#node("NonZero", [this.#reshaped(plane, [-1])])], { perm: [1, 0] });
    const index = this.#node("Squeeze", [there, this.#integers("axes", [1])]);
    const chosen = this.#node("Gather", [patches, index], { axis: 0 });
    const made = body(this.#sliced(chosen, { from: 0, to: all - 1, axis: 1, step: 1 }));
    const sizes = this.#integers("sizes", [channels, h / shrink, w / shrink]);
    const count = this.#sliced(this.#node("Shape", [patches]), { from: 0, to: 1, axis: 0, step: 1 });
    const shape = this.#node("Concat", [count, sizes], { axis: 0 });
    const maps = this.#node("ScatterND", [this.#node("ConstantOfShape", [shape]), there, made]);
    const placed = this.#reshaped(maps, [-1, rows, columns, channels, h / shrink, w / shrink]);
    const together = this.#node("Transpose", [placed], { perm: [0, 3, 1, 4, 2, 5] });
    return this.#reshaped(together, [-1, channels, height / shrink, width / shrink]);
  }

  #reshaped(x: Value, shape: readonly number[]): Value {
    return this.#node("Reshape", [x, this.#integers("shape", shape)]);
  }

  add(x: Value, y: Value): Value {
    return this.#node("Add", [x, y]);
  }

  scaled(x: Value, factor: number): Value {
    return this.#node("Mul", [x, this.#constant(`factor_${this.nodes.length}`, [], Float32Array.of(factor))]);
  }

  /** Backwards, from the last element to the one before the first. */
  mirrored(x: Value): Value {
    return this.#sliced(x, { from: -1, to: Number.MIN_SAFE_INTEGER, axis: 3, step: -1 });
  }

  shifted(x: Value, by: number): Value {
    return [2, 3].reduce((moved, axis) => {
      const edge = by > 0 ? { from: 0, to: 1 } : { from: -1, to: last };
      const rest = by > 0 ? { from: 0, to: -by } : { from: -by, to: last };
      const edges = Array<Value>(Math.abs(by)).fill(this.#sliced(moved, { ...edge, axis, step: 1 }));
      const own = this.#sliced(moved, { ...rest, axis, step: 1 });
      return this.#node("Concat", by > 0 ? [...edges, own] : [own, ...edges], { axis });
    }, x);
  }

  block(body: () => Value): Value {
    return body();
  }

  /**
   * The low-resolution view as `method/images.ts` makes it. The top-left pixel of each block is sliced out, since Resize
   * by a third or a fifth would round to another one; only repeating pixels is left to Resize, where nothing is rounded.
   */
  lowResolution(x: Value, imageSize: number, { lowSize, lowInput }: LowSizes): Value {
    const block = imageSize / lowSize;
    const low = this.#node("Slice", [
      x,
      this.#integers("starts", [0, 0]),
      this.#integers("ends", [imageSize, imageSize]),
      this.#integers("axes", [2, 3]),
      this.#integers("steps", [block, block]),
    ]);
    if (lowInput === lowSize) return low;
    const factor = lowInput / lowSize;
    const scales = this.#constant("scales", [4], Float32Array.of(1, 1, factor, factor));
    const noRegion = "";
    return this.#node("Resize", [low, noRegion, scales], {
      mode: "nearest",
      coordinate_transformation_mode: "asymmetric",
      nearest_mode: "floor",
    });
  }

  #sliced(x: Value, { from, to, axis, step }: Record<"from" | "to" | "axis" | "step", number>): Value {
    const lists = Object.entries({ starts: from, ends: to, axes: axis, steps: step });
    return this.#node("Slice", [x, ...lists.map(([name, value]) => this.#integers(name, [value]))]);
  }

  /** Makes the logits the graph's output, under its name. */
  finish(logits: Value, output: GraphOptions["output"]): void {
    const operator = output === "probabilities" ? "Sigmoid" : "Identity";
    this.nodes.push({ operator, inputs: [logits], output, attributes: {} });
  }

  #node(operator: string, inputs: readonly Value[], attributes: OnnxNode["attributes"] = {}): Value {
    const output = `${operator}_${this.nodes.length}`;
    this.nodes.push({ operator, inputs, output, attributes });
    return output;
  }

  /** A network that is read several times (models/six-views.ts) has its constants once. */
  #constant(name: string, shape: readonly number[], values: OnnxTensor["values"]): Value {
    if (this.initializers.every((one) => one.name !== name)) this.initializers.push({ name, shape, values });
    return name;
  }

  /** A constant, or halves and the node that makes float32 of them, which ONNX Runtime computes once. */
  #weight(name: string, shape: readonly number[], values: Float32Array): Value {
    if (!this.#half) return this.#constant(name, shape, values);
    this.#constant(name, shape, toHalf(values));
    return this.#node("Cast", [name], { to: elementType.float32 });
  }

  /** Of a layer, as its state has them. */
  #weightAndBias(name: string): [Value, Value] {
    const [weight, bias] = [`${name}.weight`, `${name}.bias`];
    return [
      this.#weight(weight, this.#state.get(weight)!.shape, this.#values(weight)),
      this.#constant(bias, this.#state.get(bias)!.shape, this.#values(bias)),
    ];
  }

  /** The list that the next node takes. */
  #integers(name: string, values: readonly number[]): Value {
    return this.#constant(`${name}_${this.nodes.length}`, [values.length], BigInt64Array.from(values, BigInt));
  }

  /** Weights w·γ/σ and bias β − μ·γ/σ, with σ = sqrt(running variance + ε), in double precision until the last. */
  #folded({ conv, bn }: ConvolutionNames, spec: ConvolutionSpec) {
    const { epsilon } = batchNormOf(spec);
    const [gamma, beta, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map((name) =>
      this.#values(`${bn}.${name}`),
    );
    const factor = Array.from(gamma, (g, channel) => g / Math.sqrt(variance[channel] + epsilon));
    const perChannel = this.#values(`${conv}.weight`).length / factor.length;
    return {
      shape: this.#state.get(`${conv}.weight`)!.shape,
      weight: this.#values(`${conv}.weight`).map((w, i) => w * factor[Math.floor(i / perChannel)]),
      bias: beta.map((b, channel) => b - mean[channel] * factor[channel]),
    };
  }

  #values(name: string): Float32Array {
    return asFloat32(this.#state.get(name)!, name);
  }
}

/** Share of each position of a map in the mean of each of its parts, [H·W, rows·columns]. */
function sharesOfParts(height: number, width: number, { rows, columns }: Parts): Float32Array {
  const shares = new Float32Array(height * width * rows * columns);
  for (let part = 0; part < rows * columns; part++) {
    const [top, bottom] = extent(Math.floor(part / columns), rows, height);
    const [left, right] = extent(part % columns, columns, width);
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        shares[(y * width + x) * rows * columns + part] = 1 / ((bottom - top) * (right - left));
      }
    }
  }
  return shares;
}

/** Where the n-th of so many equal parts of a side begins and ends, with the positions that it cuts. */
function extent(n: number, parts: number, side: number): [number, number] {
  return [Math.floor((n * side) / parts), Math.ceil(((n + 1) * side) / parts)];
}
