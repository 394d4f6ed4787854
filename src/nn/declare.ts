/** Reads a network for its parameters: names, shapes and order as in PyTorch's state dict, and multiply-adds. */
import { fault, type PatchDropError } from "../errors.ts";
import {
  batchNormOf,
  type ConvolutionNames,
  type ConvolutionSpec,
  convolutionShapes,
  type FlowShape,
  type Layers,
  type Network,
  type Parts,
  type PatchesSpec,
  type WhiteningSpec,
  whiteningShapes,
} from "./layers.ts";

/** What an entry is for. Those of {@link isLearned} are learned; the others are PyTorch's buffers, and what a network keeps as it is. */
export type Role =
  | "convWeight"
  | "convBias"
  | "bnWeight"
  | "bnBias"
  | "linearWeight"
  | "linearBias"
  | "runningMean"
  | "runningVar"
  | "fixedScale"
  | "whitening";

const kept: ReadonlySet<Role> = new Set(["runningMean", "runningVar", "fixedScale", "whitening"]);

/** One parameter or buffer, in PyTorch's naming; convolution weights are [O, I, h, w]. */
export interface Declared {
  readonly name: string;
  readonly shape: readonly number[];
  readonly role: Role;
  /** Inputs that one output sums over. */
  readonly fanIn: number;
  /** Outputs that one input is part of. */
  readonly fanOut: number;
  /** By which the learning rate is multiplied; 1 when absent. */
  readonly rate?: number;
  /** Of a convolution's weights: see `start` of {@link ConvolutionSpec}. */
  readonly start?: ConvolutionSpec["start"];
}

export const isLearned = ({ role }: Pick<Declared, "role">): boolean => !kept.has(role);

/** A whitening convolution, and what flows into it. */
export interface DeclaredWhitening {
  readonly name: string;
  readonly kernel: number;
  readonly input: FlowShape;
}

/** A convolution with its batch norm, and what flows into it. */
export interface DeclaredConvolution {
  readonly names: ConvolutionNames;
  readonly spec: ConvolutionSpec;
  readonly input: FlowShape;
}

export interface Declaration {
  /** Of one image. */
  readonly input: FlowShape;
  readonly entries: readonly Declared[];
  readonly convolutions: readonly DeclaredConvolution[];
  readonly whitenings: readonly DeclaredWhitening[];
  /** Names of the linear layers. */
  readonly linears: readonly string[];
  /** What flows into the layers that cut a map into parts, by their names. */
  readonly cut: ReadonlyMap<string, FlowShape>;
  /** Multiply-adds of convolutions and linear layers for one image, with all its patches. */
  readonly multiplyAdds: number;
  /** By how much a patch that is not there makes them fewer: 0 of a network that computes on the image as a whole. */
  readonly multiplyAddsPerPatch: number;
  readonly outputs: number;
}

/**
 * Declares `network` for images of `imageSize` × `imageSize`.
 * @param channels more than 3 of what a policy sees that decides in rounds
 */
export function declare(network: Network, imageSize: number, channels = 3): Declaration {
  const layers = new Declaring(imageSize);
  const input: FlowShape = [channels, imageSize, imageSize];
  const output = network(layers, input);
  const { entries, convolutions, whitenings, linears, cut, multiplyAdds, multiplyAddsPerPatch } = layers;
  const work = { multiplyAdds, multiplyAddsPerPatch };
  return { input, entries, convolutions, whitenings, linears, cut, ...work, outputs: output[0] };
}

/** Multiply-adds for one image of which `taken` of `patches` patches are there. */
export function multiplyAddsWith(
  { multiplyAdds, multiplyAddsPerPatch }: Pick<Declaration, "multiplyAdds" | "multiplyAddsPerPatch">,
  taken: number,
  patches: number,
): number {
  return multiplyAdds - (patches - taken) * multiplyAddsPerPatch;
}

/** @param map what the layers before leave of the image @param window what the largest is taken of */
function tooSmall(imageSize: number, map: string, window: string): PatchDropError {
  const rule = `must be larger for this network, which has maps of ${map} left where it takes the largest of ${window}`;
  const next = "give a larger --img_size (of a low resolution, --lr_size), or another --arch";
  return fault("usage", { where: "--img_size", rule, got: imageSize, next });
}

class Declaring implements Layers<FlowShape> {
  readonly #imageSize: number;
  readonly entries: Declared[] = [];
  readonly convolutions: DeclaredConvolution[] = [];
  readonly whitenings: DeclaredWhitening[] = [];
  readonly linears: string[] = [];
  readonly cut = new Map<string, FlowShape>();
  multiplyAdds = 0;
  multiplyAddsPerPatch = 0;

  constructor(imageSize: number) {
    this.#imageSize = imageSize;
  }

  whitened(input: FlowShape, name: string, spec: WhiteningSpec): FlowShape {
    const { weight, output } = whiteningShapes(spec, input);
    const [outputs, height, width] = output;
    const fanIn = weight[1] * spec.kernel ** 2;
    const fans = { fanIn, fanOut: outputs };
    this.whitenings.push({ name, kernel: spec.kernel, input });
    this.entries.push(
      { name: `${name}.weight`, shape: weight, role: "whitening", ...fans },
      { name: `${name}.bias`, shape: [outputs], role: "convBias", rate: spec.biasRate, ...fans },
    );
    this.multiplyAdds += outputs * fanIn * height * width;
    return output;
  }

  convBnRelu(x: FlowShape, names: ConvolutionNames, spec: ConvolutionSpec): FlowShape {
    return this.convBn(x, names, spec);
  }

  convBn(input: FlowShape, names: ConvolutionNames, spec: ConvolutionSpec): FlowShape {
    const { weight, convolved, output } = convolutionShapes(spec, input);
    const { scales, biasRate } = batchNormOf(spec);
    const [channels, inputs, kernelHeight, kernelWidth] = weight;
    const fanIn = inputs * kernelHeight * kernelWidth;
    const fanOut = (channels / (spec.groups ?? 1)) * kernelHeight * kernelWidth;
    const perChannel = { shape: [channels], fanIn, fanOut };
    this.convolutions.push({ names, spec, input });
    this.entries.push(
      { name: `${names.conv}.weight`, shape: weight, role: "convWeight", fanIn, fanOut, start: spec.start },
      { name: `${names.bn}.weight`, role: scales ? "bnWeight" : "fixedScale", ...perChannel },
      { name: `${names.bn}.bias`, role: "bnBias", rate: biasRate, ...perChannel },
      { name: `${names.bn}.running_mean`, role: "runningMean", ...perChannel },
      { name: `${names.bn}.running_var`, role: "runningVar", ...perChannel },
    );
    const [, height, width] = convolved;
    this.multiplyAdds += channels * fanIn * height * width;
    return output;
  }

  convBnAddRelu(x: FlowShape, shortcut: FlowShape, names: ConvolutionNames, spec: ConvolutionSpec): FlowShape {
    return this.convBnAdd(x, shortcut, names, spec);
  }

  convBnAdd(x: FlowShape, shortcut: FlowShape, names: ConvolutionNames, spec: ConvolutionSpec): FlowShape {
    const result = this.convBn(x, names, spec);
    if (String(result) !== String(shortcut)) {
      throw fault("internal", {
        where: names.conv,
        rule: `needs a shortcut of shape [${result}]`,
        got: `[${shortcut}]`,
      });
    }
    return result;
  }

  averagePool([channels, height, width]: FlowShape, size: number): FlowShape {
    return [channels, Math.floor(height / size), Math.floor(width / size)];
  }

  maxPool([channels, height, width]: FlowShape, size: number, stride: number, padding: number): FlowShape {
    const after = (side: number) => Math.floor((side + 2 * padding - size) / stride) + 1;
    const output = [channels, after(height), after(width)];
    if (Math.min(...output) < 1) throw tooSmall(this.#imageSize, `${height} × ${width}`, `${size} × ${size}`);
    return output;
  }

  padChannels([channels, height, width]: FlowShape, added: number): FlowShape {
    return [channels + added, height, width];
  }

  globalAveragePool([channels]: FlowShape): FlowShape {
    return [channels];
  }

  linear([features]: FlowShape, name: string, outputs: number, rate = 1): FlowShape {
    this.linears.push(name);
    const fans = { fanIn: features, fanOut: outputs };
    this.entries.push(
      { name: `${name}.weight`, shape: [outputs, features], role: "linearWeight", rate, ...fans },
      { name: `${name}.bias`, shape: [outputs], role: "linearBias", ...fans },
    );
    this.multiplyAdds += outputs * features;
    return [outputs];
  }

  linearOfParts(input: FlowShape, name: string, { rows, columns }: Parts): FlowShape {
    const [channels] = input;
    this.cut.set(name, input);
    const fans = { fanIn: channels, fanOut: 1 };
    this.entries.push({ name: `${name}.weight`, shape: [1, channels], role: "linearWeight", ...fans });
    this.multiplyAdds += channels * rows * columns;
    return [rows * columns];
  }

  ofPatches(x: FlowShape, name: string, spec: PatchesSpec, body: (patches: FlowShape) => FlowShape): FlowShape {
    const { rows, columns, channels, shrink } = spec;
    const [all, height, width] = x;
    this.cut.set(name, x);
    const before = this.multiplyAdds;
    const made = body([all - 1, height / rows, width / columns]);
    const expected = [channels, height / rows / shrink, width / columns / shrink];
    if (String(made) !== String(expected)) {
      throw fault("internal", { where: name, rule: `must make [${expected}] of a patch`, got: `[${made}]` });
    }
    const each = this.multiplyAdds - before;
    this.multiplyAddsPerPatch += each;
    this.multiplyAdds = before + rows * columns * each;
    return [channels, height / shrink, width / shrink];
  }

  add(x: FlowShape, y: FlowShape): FlowShape {
    if (String(x) !== String(y)) {
      throw fault("internal", { where: "a network", rule: `needs a second term of shape [${x}]`, got: `[${y}]` });
    }
    return x;
  }

  scaled(x: FlowShape): FlowShape {
    return x;
  }

  mirrored(x: FlowShape): FlowShape {
    return x;
  }

  shifted(x: FlowShape): FlowShape {
    return x;
  }

  block(body: () => FlowShape): FlowShape {
    return body();
  }
}
