/** The layers without weights, on tensors: what training and inference compute alike. Shapes are those of `Layers`. */
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Parts } from "./layers.ts";

/** `Layers.linearOfParts`, in float32. x [B, C, H, W], weight [1, C] → [B, rows·columns] */
export function linearOfParts(x: Tensor, weight: Tensor, { rows, columns }: Parts): Tensor {
  return scope(() => {
    const [batch, channels] = x.shape;
    const means = ops.adaptiveAveragePool(ops.cast(x, "float32"), rows, columns);
    const parts = ops.reshape(ops.permute(means, [0, 2, 3, 1]), [batch, rows * columns, channels]);
    return ops.reshape(ops.linear(parts, weight, null), [batch, rows * columns]);
  });
}

export class TensorLayers {
  averagePool(x: Tensor, size: number): Tensor {
    return ops.averagePool(x, size);
  }

  maxPool(x: Tensor, size: number, stride: number, padding: number): Tensor {
    return ops.maxPool(x, size, stride, padding);
  }

  padChannels(x: Tensor, channels: number): Tensor {
    return ops.padChannels(x, channels);
  }

  globalAveragePool(x: Tensor): Tensor {
    return ops.globalAveragePool(x);
  }

  add(x: Tensor, y: Tensor): Tensor {
    return ops.add(x, y);
  }

  block(body: () => Tensor): Tensor {
    return scope(body);
  }
}
