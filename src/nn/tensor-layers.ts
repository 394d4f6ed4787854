/** The layers without weights, on tensors: what training and inference compute alike. Shapes are those of `Layers`. */
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";

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

  flatten(x: Tensor): Tensor {
    return ops.reshape(x, [x.shape[0], -1]);
  }

  block(body: () => Tensor): Tensor {
    return scope(body);
  }
}
