/**
 * Muon: momentum whose direction is made orthogonal, for the filters of convolutions. Each step moves a filter bank, as a matrix of one
 * row a filter, by the nearest matrix whose singular values are equal, so that no direction of the gradient drowns the others.
 * Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024).
 *
 * Shapes: O filters, N numbers of each.
 */
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import { full, type Tensor } from "../tensor/tensor.ts";

/** Of the filters' moments; steps are few and batches large, so that an old gradient tells little. */
const momentum = 0.6;
const iterations = 3;
/** Coefficients of the fifth-degree polynomial of an iteration: steep at 0, and near 1 on [0.7, 1.2]. */
const [a, b, c] = [3.4445, -4.775, 2.0315];

/** Views of one filter bank, [O, N] each. */
export interface FilterBank {
  readonly values: Tensor;
  readonly gradient: Tensor;
  readonly moment: Tensor;
}

/**
 * One step with Nesterov's momentum. Before it, the bank is brought to the norm sqrt(O): behind it stands a batch norm, which sees no
 * scale, and the step then turns filters of any age by the same angle.
 * @param lr [] or a number
 */
export function muonStep({ values, gradient, moment }: FilterBank, lr: number | Tensor): void {
  scope(() => {
    ops.copyInto(moment, ops.add(gradient, moment, momentum));
    const direction = orthogonal(ops.add(gradient, moment, momentum));
    const [filters] = values.shape;
    const normed = ops.div(ops.scale(values, Math.sqrt(filters)), norm(values));
    const step = typeof lr === "number" ? ops.scale(direction, lr) : ops.mul(direction, lr);
    ops.copyInto(values, ops.subtract(normed, step));
  });
}

/** About U·Vᵀ of a matrix U·S·Vᵀ, by Newton and Schulz's iteration: singular values of 1 ± 0.3. [O, N] → [O, N] */
export function orthogonal(matrix: Tensor): Tensor {
  return scope(() => {
    const [rows, columns] = matrix.shape;
    // The smaller side is multiplied with itself.
    const lies = rows <= columns;
    let x = ops.div(lies ? matrix : ops.transpose(matrix), ops.shift(norm(matrix), 1e-7));
    for (let n = 0; n < iterations; n++) {
      const square = ops.matmul(x, ops.transpose(x));
      const factor = ops.add(ops.scale(square, b), ops.matmul(square, square), c);
      x = ops.add(ops.matmul(factor, x), x, a);
    }
    return lies ? x : ops.transpose(x);
  });
}

/** Never 0, so that what is 0 stays so. […] → [] */
function norm(x: Tensor): Tensor {
  const length = ops.sqrt(ops.sum(ops.mul(x, x)));
  return ops.maximum(length, full([], 1e-12, "float32", x.device));
}
