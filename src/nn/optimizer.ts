/**
 * SGD and Adam as PyTorch computes them, by libtorch's fused kernels: one call per step for all networks that learn, or one for each
 * learning rate where a network has several. Muon for filters, with SGD for the rest, is SGD with another rule for some parts.
 * Source: torch.optim.SGD, torch.optim.Adam, torch.nn.utils.clip_grad_norm_.
 */
import { fault } from "../errors.ts";
import { finiteFloat32, float32Tensor, type StateDict } from "../formats/safetensors.ts";
import {
  fusedAdamInPlace,
  fusedAdamInPlaceTensorLr,
  fusedSgdInPlace,
  fusedSgdInPlaceTensorLr,
} from "../native/operators.generated.ts";
import { backward, noGradients } from "../tensor/autograd.ts";
import * as ops from "../tensor/ops.ts";
import { keep, scope } from "../tensor/scope.ts";
import { full, type Tensor, zeros } from "../tensor/tensor.ts";
import { type Declared, isLearned } from "./declare.ts";
import { type FilterBank, muonStep } from "./muon.ts";
import type { Parameters } from "./parameters.ts";

export interface OptimizerOptions {
  /** "muon" moves the filters of convolutions by muon.ts, and the rest by SGD with Nesterov's momentum. */
  kind: "sgd" | "adam" | "muon";
  /** L2 penalty, added to the gradient; with Muon not of filters, whose norm is fixed. */
  weightDecay?: number;
  /** SGD only, or of what Muon leaves to it. */
  momentum?: number;
  /** Upper bound of the gradients' common L2 norm; none when absent. */
  clip?: number;
}

/**
 * A learning rate: a number; or a float32 scalar on the device, which a captured step reads at each replay, whereas a number
 * would keep its value from the capture.
 */
export type Rate = number | Tensor;

interface Learned {
  readonly name: string;
  readonly parameters: Parameters;
  /** SGD's momentum, or Adam's first moment. [N] */
  readonly first: Tensor;
  /** Adam's second moment. [N] */
  readonly second: Tensor | undefined;
  /** Adam's step count, as the kernel expects it: float32 []. */
  readonly steps: Tensor;
}

const adamBetas = [0.9, 0.999] as const;
const adamEpsilon = 1e-8;

export class Optimizer {
  readonly #options: OptimizerOptions;
  readonly #learned: readonly Learned[];

  /** Makes `networks` learnable; the names are those under which the moments are saved. */
  constructor(networks: ReadonlyMap<string, Parameters>, options: OptimizerOptions) {
    this.#options = options;
    this.#learned = [...networks].map(([name, parameters]) => {
      parameters.requireGradient();
      const like = () => keep(zeros(parameters.flat.shape, "float32", parameters.device));
      const second = options.kind === "adam" ? like() : undefined;
      return { name, parameters, first: like(), second, steps: keep(zeros([], "float32", parameters.device)) };
    });
  }

  /** Backward pass of `loss` []: its gradients, [N] each, take the place of those before. */
  backward(loss: Tensor): void {
    for (const gradient of this.gradients) ops.zeroInPlace(gradient);
    backward(
      loss,
      this.#learned.map(({ parameters }) => parameters.flat),
    );
  }

  /** The gradients of the networks that learn, [N] each, which {@link update} reads. */
  get gradients(): Tensor[] {
    return this.#learned.map(({ parameters }) => parameters.gradient!);
  }

  /** One update of all parameters, [N] each, by their gradients, at learning rate `lr` (a number, or []). */
  update(lr: Rate): void {
    noGradients(() => scope(() => this.#update(lr)));
  }

  #update(lr: Rate): void {
    const { kind, clip } = this.#options;
    const divisor = clip === undefined ? null : this.#clipDivisor(clip);
    if (kind === "adam") this.#updateByAdam(lr, divisor);
    else if (kind === "sgd") this.#updateBySgd(this.#learned.flatMap(byRate), lr, divisor);
    else {
      const parts = this.#learned.flatMap(cut);
      const scaled =
        divisor === null ? parts : parts.map((part) => ({ ...part, gradient: ops.div(part.gradient, divisor) }));
      for (const { entry, ...part } of scaled) if (entry.role === "convWeight") muonStep(asMatrices(part, entry), lr);
      const rest = scaled.filter(({ entry }) => entry.role !== "convWeight");
      this.#updateBySgd(rest, lr, null);
    }
  }

  /** @param pieces that have moments of their own, and perhaps a rate */
  #updateBySgd(pieces: readonly Piece[], lr: Rate, divisor: Tensor | null): void {
    const { kind, weightDecay = 0, momentum = 0 } = this.#options;
    for (const rate of new Set(pieces.map((piece) => piece.rate))) {
      const own = pieces.filter((piece) => piece.rate === rate);
      const handles = (name: "values" | "gradient" | "moment") => own.map((piece) => piece[name].handle);
      // A momentum buffer of zeros makes the first step the same as any other.
      const buffers = momentum === 0 ? [] : handles("moment");
      const before = [handles("values"), handles("gradient"), buffers, weightDecay, momentum] as const;
      const after = [0, kind === "muon" && momentum > 0, false, false, divisor?.handle ?? null, null] as const;
      if (typeof lr === "number") fusedSgdInPlace(...before, lr * rate, ...after);
      else fusedSgdInPlaceTensorLr(...before, (rate === 1 ? lr : ops.scale(lr, rate)).handle, ...after);
    }
  }

  #updateByAdam(lr: Rate, divisor: Tensor | null): void {
    const { weightDecay = 0 } = this.#options;
    const handles = (tensor: (l: Learned) => Tensor) => this.#learned.map((l) => tensor(l).handle);
    const values = handles((l) => l.parameters.flat);
    const gradients = handles((l) => l.parameters.gradient!);
    const steps = this.#learned.map((l) => l.steps);
    for (const count of steps) ops.copyInto(count, ops.shift(count, 1));
    const moments = [handles((l) => l.first), handles((l) => l.second!), [], handles((l) => l.steps)] as const;
    const [beta1, beta2] = adamBetas;
    const after = [beta1, beta2, weightDecay, adamEpsilon, false, false, divisor?.handle ?? null, null] as const;
    if (typeof lr === "number") fusedAdamInPlace(values, gradients, ...moments, lr, ...after);
    else fusedAdamInPlaceTensorLr(values, gradients, ...moments, lr.handle, ...after);
  }

  /** The kernels divide gradients by this: max(1, (norm + 1e-6) / clip), so that their norm is at most `clip`. */
  #clipDivisor(clip: number): Tensor {
    const squares = this.#learned.map(({ parameters: { gradient } }) => ops.sum(ops.mul(gradient!, gradient!)));
    const norm = ops.sqrt(squares.reduce((total, square) => ops.add(total, square)));
    return ops.maximum(ops.scale(ops.shift(norm, 1e-6), 1 / clip), full([], 1, "float32", norm.device));
  }

  /** Moments and step counts, for a checkpoint. */
  state(): StateDict {
    const state: StateDict = new Map();
    for (const { name, first, second, steps } of this.#learned) {
      state.set(`${name}.first`, float32Tensor(first.shape, first.toFloat32()));
      if (second !== undefined) state.set(`${name}.second`, float32Tensor(second.shape, second.toFloat32()));
      state.set(`${name}.steps`, float32Tensor([], steps.toFloat32()));
    }
    return state;
  }

  /** @throws kind "input" if a moment is missing or of another size, "notFinite" for one with NaN or infinity */
  load(state: StateDict, where: string): void {
    for (const { name, first, second, steps } of this.#learned) {
      const moments = [
        ["first", first],
        ["second", second],
        ["steps", steps],
      ] as const;
      for (const [key, target] of moments) {
        if (target === undefined) continue;
        const saved = state.get(`${name}.${key}`);
        const place = `${where}: ${name}.${key}`;
        if (saved === undefined || String(saved.shape) !== String(target.shape)) {
          const got = saved === undefined ? "nothing" : `[${saved.shape}]`;
          throw fault("input", { where: place, rule: `must have shape [${target.shape}]`, got });
        }
        target.upload(finiteFloat32(saved, place));
      }
    }
  }

  /** All tensors that a step changes besides the parameters: moments [N] and step counts []. */
  tensors(): Tensor[] {
    const all = this.#learned.flatMap(({ first, second, steps }) => [first, second, steps]);
    return all.filter((tensor) => tensor !== undefined);
  }

  free(): void {
    for (const tensor of this.tensors()) tensor.free();
  }
}

/** A part of a network's flat vectors, [N] each, with the learning rate of its own by which the common one is multiplied. */
interface Piece extends FilterBank {
  readonly rate: number;
}

/** A network's entries, as views of its flat vectors. */
function cut({ parameters, first }: Learned): (Piece & { readonly entry: Declared })[] {
  const [gradients, moments] = [parameters.parts(parameters.gradient!), parameters.parts(first)];
  return parameters.parts(parameters.flat).map(({ entry, view: values }, i) => {
    return { entry, rate: entry.rate ?? 1, values, gradient: gradients[i].view, moment: moments[i].view };
  });
}

/** The whole network as one piece where all of it learns at one rate. */
function byRate(learned: Learned): Piece[] {
  const { parameters, first: moment } = learned;
  const rates = new Set(parameters.declaration.entries.filter(isLearned).map(({ rate = 1 }) => rate));
  if (rates.size > 1) return cut(learned);
  const [rate] = rates;
  return [{ rate, values: parameters.flat, gradient: parameters.gradient!, moment }];
}

/** Filters as they lie, [O, h, w, I], one a row. */
function asMatrices({ values, gradient, moment }: FilterBank, { shape: [filters] }: Declared): FilterBank {
  const matrix = (tensor: Tensor) => ops.view(tensor, [filters, -1]);
  return { values: matrix(values), gradient: matrix(gradient), moment: matrix(moment) };
}
