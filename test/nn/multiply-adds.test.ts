/** A network's work by the number of patches, counted by hand. */
import { expect, it } from "vitest";
import { declare, multiplyAddsWith } from "../../src/nn/declare.ts";
import type { Layers } from "../../src/nn/layers.ts";

const names = { conv: "conv", bn: "bn" };

/** Of images [3, 8, 8] in 2 × 2 patches, and the plane of ones: a convolution of each patch, then five classes. */
function byPatches<V>(layers: Layers<V>, seen: V): V {
  const spec = { rows: 2, columns: 2, channels: 3, shrink: 2 };
  const convolved = layers.ofPatches(seen, "patches", spec, (patch) =>
    layers.convBnRelu(patch, names, { channels: 3, kernel: 3, stride: 2 }),
  );
  return layers.linear(layers.globalAveragePool(convolved), "fc", 5);
}

it("falls with each patch that is not there by that patch's own", () => {
  // A patch [3, 4, 4] becomes [3, 2, 2]: 3 · 4 outputs, each of 3 · 9 products, are 324. The classes are 3 · 5 = 15.
  const declared = declare(byPatches, 8, 4);
  expect([0, 1, 4].map((taken) => multiplyAddsWith(declared, taken, 4))).toEqual([15, 339, 1311]);
});

it("is the same whatever is there, of a network that computes on the whole image", () => {
  // [3, 8, 8] becomes [2, 4, 4]: 2 · 16 · 27 = 864, and 2 · 5 = 10.
  const declared = declare((layers, x) => {
    const map = layers.convBnRelu(x, names, { channels: 2, kernel: 3, stride: 2 });
    return layers.linear(layers.globalAveragePool(map), "fc", 5);
  }, 8);
  expect([0, 4].map((taken) => multiplyAddsWith(declared, taken, 4))).toEqual([874, 874]);
});
