/** The layers on tensors that training and inference compute alike. Shapes are those of `Layers`. */
import * as networkOps from "../tensor/network-ops.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import { type Tensor, zeros } from "../tensor/tensor.ts";
import type { Parts, PatchesSpec } from "./layers.ts";

/**
 * oneDNN makes new code for every number of images, or patches, that it has not seen, and keeps it: a tenth of a pass's time, and
 * gigabytes within minutes. So few numbers are used.
 */
const granule = 32;

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

  /**
   * Maps lie with their channels last throughout, so that a patch is cut out and put back in runs of whole pixels. The patches that are
   * there are filled up to a multiple of {@link granule} by the first of them once more, of which only a batch's statistics learn.
   */
  ofPatches(x: Tensor, _name: string, spec: PatchesSpec, body: (patches: Tensor) => Tensor): Tensor {
    const { rows, columns, channels, shrink } = spec;
    const [batch, all, height, width] = x.shape;
    const [h, w] = [height / rows, width / columns];
    const count = batch * rows * columns;
    return scope(() => {
      const cut = ops.permute(
        ops.reshape(ops.permute(x, [0, 2, 3, 1]), [batch, rows, h, columns, w, all]),
        [0, 1, 3, 2, 4, 5],
      );
      const patches = ops.reshape(cut, [count, h, w, all]);
      const there = ops.nonzero(ops.view(firstOfEach(patches, all - 1), [count]));
      const [some] = there.shape;
      const isWhole = some === count;
      const found = ops.view(there, [some]);
      const empty = () => zeros([count, h / shrink, w / shrink, channels], x.dtype, x.device);
      const made = () => {
        const more = isWhole ? 0 : Math.min(Math.ceil(some / granule) * granule, 2 * some) - some;
        const index = more === 0 ? found : ops.concat([found, ops.slice(found, 0, 0, more)], 0);
        const seen = ops.slice(patches, 3, 0, all - 1);
        const chosen = isWhole ? seen : ops.indexSelect(seen, 0, index);
        const own = ops.permute(body(ops.channelsLast(ops.permute(chosen, [0, 3, 1, 2]))), [0, 2, 3, 1]);
        return more === 0 ? own : ops.slice(own, 0, 0, some);
      };
      const maps = some === 0 ? empty() : isWhole ? made() : ops.indexCopy(empty(), 0, found, made());
      const apart = ops.reshape(maps, [batch, rows, columns, h / shrink, w / shrink, channels]);
      const together = ops.reshape(ops.permute(apart, [0, 1, 3, 2, 4, 5]), [
        batch,
        height / shrink,
        width / shrink,
        channels,
      ]);
      return ops.permute(together, [0, 3, 1, 2]);
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

/** Of [N, h, w, C], a channel of the top-left pixel: [N] */
function firstOfEach(maps: Tensor, channel: number): Tensor {
  return scope(() => ops.select(ops.select(ops.select(maps, 1, 0), 1, 0), 1, channel));
}

function shiftedAlong(x: Tensor, dim: number, by: number): Tensor {
  const size = x.shape[dim];
  const edge = by > 0 ? ops.slice(x, dim, 0, 1) : ops.slice(x, dim, size - 1, size);
  const edges = Array<Tensor>(Math.abs(by)).fill(edge);
  const rest = by > 0 ? ops.slice(x, dim, 0, size - by) : ops.slice(x, dim, -by, size);
  return ops.concat(by > 0 ? [...edges, rest] : [rest, ...edges], dim);
}
