/** The layers on tensors that training and inference compute alike. Shapes are those of `Layers`. */
import * as networkOps from "../tensor/network-ops.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Parts } from "./layers.ts";

export abstract class TensorLayers {
  /** Of a linear layer, by its PyTorch name; float32. */
  protected abstract weight(name: string): Tensor;

  linear(x: Tensor, name: string, _outputs: number): Tensor {
    return scope(() =>
      networkOps.linear(ops.cast(x, "float32"), this.weight(`${name}.weight`), this.weight(`${name}.bias`)),
    );
  }

  linearOfParts(x: Tensor, name: string, { rows, columns }: Parts): Tensor {
    return scope(() => {
      const [batch, channels] = x.shape;
      const means = networkOps.adaptiveAveragePool(ops.cast(x, "float32"), rows, columns);
      const parts = ops.reshape(ops.permute(means, [0, 2, 3, 1]), [batch, rows * columns, channels]);
      return ops.reshape(networkOps.linear(parts, this.weight(`${name}.weight`), null), [batch, rows * columns]);
    });
  }

  averagePool(x: Tensor, size: number): Tensor {
    return networkOps.averagePool(x, size);
  }

  maxPool(x: Tensor, size: number, stride: number, padding: number): Tensor {
    return networkOps.maxPool(x, size, stride, padding);
  }

  padChannels(x: Tensor, channels: number): Tensor {
    return ops.padChannels(x, channels);
  }

  globalAveragePool(x: Tensor): Tensor {
    return networkOps.globalAveragePool(x);
  }

  add(x: Tensor, y: Tensor): Tensor {
    return ops.add(x, y);
  }

  scaled(x: Tensor, factor: number): Tensor {
    return ops.scale(x, factor);
  }

  mirrored(x: Tensor): Tensor {
    return ops.flip(x, [3]);
  }

  shifted(x: Tensor, by: number): Tensor {
    return scope(() => [2, 3].reduce((moved, dim) => shiftedAlong(moved, dim, by), x));
  }

  block(body: () => Tensor): Tensor {
    return scope(body);
  }
}

function shiftedAlong(x: Tensor, dim: number, by: number): Tensor {
  const size = x.shape[dim];
  const edge = by > 0 ? ops.slice(x, dim, 0, 1) : ops.slice(x, dim, size - 1, size);
  const edges = Array<Tensor>(Math.abs(by)).fill(edge);
  const rest = by > 0 ? ops.slice(x, dim, 0, size - by) : ops.slice(x, dim, -by, size);
  return ops.concat(by > 0 ? [...edges, rest] : [rest, ...edges], dim);
}
