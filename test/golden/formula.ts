/**
 * Weights, images and uniforms by a formula: the twin of `scripts/golden/formula.py`, which specifies it, bit for bit.
 */

/** The salts of the golden values. A network's tensors have its base + their index in PyTorch's state dict. */
export const salts = { images: 10, uniforms: 30, methodUniforms: 61, checksum: 40 } as const;

/** The hash of position `i` under `salt`, both below 2^32: a multiple of 2^-24 in [0, 1). */
export function hashUniform(i: number, salt: number): number {
  let x = (Math.imul(i, 0x9e3779b9) + salt) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return ((x ^ (x >>> 16)) >>> 8) / 0x1000000;
}

/**
 * The tensor with `index` in a state dict, flattened row-major.
 * @param name PyTorch's name; one that ends in `num_batches_tracked` gives a single 0
 * @param shape [O, I, H, W], [O, I], [C] or []
 * @param base the network's first salt
 */
export function formulaWeights(name: string, shape: readonly number[], index: number, base: number): Float32Array {
  const element = elementOf(name, shape);
  const values = new Float32Array(shape.reduce((product, length) => product * length, 1));
  for (let i = 0; i < values.length; i++) values[i] = element(hashUniform(i, base + index));
  return values;
}

/** How a hash value becomes an element of the tensor `name`. */
function elementOf(name: string, shape: readonly number[]): (value: number) => number {
  const parts = name.split(".");
  const kind = parts.at(-1);
  const batchNorm = /^_?bn/.test(parts.at(-2) ?? "");
  if (kind === "num_batches_tracked") return () => 0;
  if (shape.length === 4) {
    const outputs = shape[1] === 1 ? 1 : shape[0]!;
    const bound = 2 * Math.sqrt(3) * Math.sqrt(2 / (outputs * shape[2]! * shape[3]!));
    return (value) => (value - 0.5) * bound;
  }
  if (shape.length === 2) {
    const bound = 2 * Math.sqrt(3) * (1 / Math.sqrt(shape[1]!));
    return (value) => (value - 0.5) * bound;
  }
  if (kind === "running_mean") return (value) => (value - 0.5) * 0.2;
  if (kind === "running_var") return (value) => 0.5 + value;
  if (!batchNorm) return (value) => (value - 0.5) * 0.5;
  if (kind === "weight") return (value) => 0.4 + value * 0.4;
  return (value) => (value < 0.5 ? -1 : 1) * (0.6 + 1.2 * Math.abs(value - 0.5));
}

/** Images as a data set gives them: bytes [count, size, size, 3], rows, columns, RGB; `size` is a multiple of 4. */
export function formulaImages(count: number, size = 32, salt: number = salts.images): Uint8Array {
  const bytes = new Uint8Array(count * size * size * 3);
  for (let i = 0; i < bytes.length; i++) {
    const channel = i % 3;
    const pixel = (i - channel) / 3;
    const [image, y, x] = [Math.floor(pixel / (size * size)), Math.floor(pixel / size) % size, pixel % size];
    const patch = (image * 4 + Math.floor((4 * y) / size)) * 4 + Math.floor((4 * x) / size);
    const tint = hashUniform(patch * 3 + channel, salt + 1);
    const bright = hashUniform(image * 3 + channel, salt + 2) >= 0.5 ? 0.75 : 0;
    bytes[i] = Math.floor(256 * (0.125 * hashUniform(i, salt) + 0.125 * tint + bright));
  }
  return bytes;
}

/** The uniforms [count, patches] that sample the actions of a golden step, numbered from 0. */
export function formulaUniforms(count: number, patches: number, salt: number): Float32Array {
  return Float32Array.from({ length: count * patches }, (_, i) => hashUniform(i, salt));
}
