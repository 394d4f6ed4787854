/**
 * Gradients by libtorch's own engine. The C interface can run a backward pass but cannot read `.grad`, so the gradient
 * is planted: one backward pass through a view of the parameter, with a buffer of zeros that we keep as the gradient of
 * that view, makes the engine adopt the buffer as `.grad`; from then on it accumulates in place there.
 *
 * Source: torch/csrc/autograd/functions/accumulate_grad.h (a gradient that nobody else holds is adopted, not copied).
 */
import { fault } from "../errors.ts";
import { check } from "../native/call.ts";
import { library } from "../native/library.ts";
import { backward as nativeBackward } from "../native/operators.generated.ts";
import type { Device } from "./device.ts";
import { sum, view, zeroInPlace } from "./ops.ts";
import { keep, scope } from "./scope.ts";
import { fromArray, type Tensor, zeros } from "./tensor.ts";

/** Runs `body` with operations recorded for a backward pass; elsewhere nothing is recorded. */
export function withGradients<T>(body: () => T): T {
  return inGradientMode(true, body);
}

/** Runs `body`, inside {@link withGradients}, without recording. */
export function noGradients<T>(body: () => T): T {
  return inGradientMode(false, body);
}

function inGradientMode<T>(enabled: boolean, body: () => T): T {
  const { symbols } = library();
  const before = symbols.aoti_torch_grad_mode_is_enabled();
  symbols.aoti_torch_grad_mode_set_enabled(enabled);
  try {
    return body();
  } finally {
    symbols.aoti_torch_grad_mode_set_enabled(before);
  }
}

/**
 * Makes `parameter` […] (a leaf) learnable, and returns the buffer […] in which backward passes accumulate its gradient.
 * The caller frees it.
 */
export function plantGradient(parameter: Tensor): Tensor {
  check(library().symbols.torch_set_requires_grad(parameter.handle, true), "requires_grad_");
  const gradient = keep(zeros(parameter.shape, parameter.dtype, parameter.device));
  scope(() => {
    const seen = withGradients(() => view(parameter, parameter.shape));
    // The engine keeps the view of the buffer; no one else holds that view, so it is adopted as it is.
    const seed = view(gradient, gradient.shape);
    const handle = seed.handle;
    nativeBackward(seen.handle, [parameter.handle], handle, false, false);
  });
  return gradient;
}

/** Accumulates the gradients of `loss` [] into the buffers of `parameters`, […] each, and frees the recorded graph. */
export function backward(loss: Tensor, parameters: readonly Tensor[]): void {
  nativeBackward(
    loss.handle,
    parameters.map((p) => p.handle),
    null,
    false,
    false,
  );
}

/**
 * Checks that this libtorch adopts planted gradients: the gradient of sum(x), taken twice, must add up in the buffer.
 * @throws kind "input" naming the version if it does not.
 */
export function checkPlantedGradients(device: Device = "cpu"): void {
  scope(() => {
    const x = fromArray(new Float32Array([1, 2]), [2], device);
    const gradient = plantGradient(x);
    for (let pass = 1; pass <= 2; pass++) {
      backward(
        withGradients(() => sum(x)),
        [x],
      );
      const seen = gradient.toFloat32();
      if (seen[0] !== pass || seen[1] !== pass) {
        const { version } = library().found;
        throw fault("input", {
          where: `libtorch ${version}`,
          rule: `must accumulate gradients into the planted buffer (${pass} expected)`,
          got: `[${seen}]`,
          next: "use PyTorch 2.10 to 2.15 (`patchdrop setup`)",
        });
      }
    }
    zeroInPlace(gradient);
    gradient.free();
  });
}
