/**
 * SGD and Adam as PyTorch computes them, by libtorch's fused kernels: one call per step for all networks that learn.
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
import type { Parameters } from "./parameters.ts";

export interface OptimizerOptions {
  kind: "sgd" | "adam";
  /** L2 penalty, added to the gradient. */
  weightDecay?: number;
  /** SGD only. */
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
    const { kind, weightDecay = 0, momentum = 0, clip } = this.#options;
    const handles = (tensor: (l: Learned) => Tensor) => this.#learned.map((l) => tensor(l).handle);
    const values = handles((l) => l.parameters.flat);
    const gradients = handles((l) => l.parameters.gradient!);
    const first = handles((l) => l.first);
    const divisor = clip === undefined ? null : this.#clipDivisor(clip).handle;
    if (kind === "sgd") {
      // A momentum buffer of zeros makes the first step the same as any other.
      const buffers = momentum === 0 ? [] : first;
      const before = [values, gradients, buffers, weightDecay, momentum] as const;
      const after = [0, false, false, false, divisor, null] as const;
      if (typeof lr === "number") fusedSgdInPlace(...before, lr, ...after);
      else fusedSgdInPlaceTensorLr(...before, lr.handle, ...after);
      return;
    }
    const steps = this.#learned.map((l) => l.steps);
    for (const count of steps) ops.copyInto(count, ops.shift(count, 1));
    const moments = [first, handles((l) => l.second!), [], handles((l) => l.steps)] as const;
    const [beta1, beta2] = adamBetas;
    const after = [beta1, beta2, weightDecay, adamEpsilon, false, false, divisor, null] as const;
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
