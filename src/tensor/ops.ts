/**
 * Operators on tensors that this program needs, with PyTorch's names and meaning; network-ops.ts has those of networks. Each checks
 * nothing that libtorch checks itself: a wrong shape comes back as an error that names the operator and the shapes. What libtorch
 * would accept by broadcasting and the caller did not mean is checked here.
 *
 * Shapes: B batch, C channels, H W, P patches, K classes; […] is any shape, [] a single number.
 * "Broadcast" is PyTorch's: from the last size on, sizes are equal, or one of them is 1 or missing. The element type stays
 * the same unless stated.
 */
import { fault } from "../errors.ts";
import { check, owned } from "../native/call.ts";
import { library } from "../native/library.ts";
import * as native from "../native/operators.generated.ts";
import { type DType, dtypeCode } from "./device.ts";
import { full, type Shape, Tensor } from "./tensor.ts";

const out = new BigUint64Array(1);

/** libtorch's code of the channels-last memory format (c10/core/MemoryFormat.h). */
const channelsLastFormat = 2;

/** Throws unless `tensor` has the shape; −1 stands for any size. */
export function expectShape(where: string, tensor: Tensor, expected: Shape): void {
  const { shape } = tensor;
  if (shape.length === expected.length && expected.every((size, d) => size === -1 || size === shape[d])) return;
  throw fault("internal", { where, rule: `needs shape [${expected}] (−1: any size)`, got: `[${shape}]` });
}

// Arithmetic, element by element.

/**
 * a + alpha·b. [a…], [b…] → [broadcast…]
 *
 * The dispatcher's C interface cannot pass a Scalar, so addition is the subtraction of −alpha·b, which has a C function of
 * its own.
 */
export function add(a: Tensor, b: Tensor, alpha = 1): Tensor {
  return subtract(a, b, -alpha);
}

/** a − alpha·b. [a…], [b…] → [broadcast…] */
export function subtract(a: Tensor, b: Tensor, alpha = 1): Tensor {
  const status = library().symbols.aoti_torch_aten_subtract_Tensor(a.handle, b.handle, alpha, out);
  check(status, "subtract", () => `[${a.shape}], [${b.shape}]`);
  return new Tensor(owned(out[0]));
}

/** a·b. [a…], [b…] → [broadcast…] */
export const mul = (a: Tensor, b: Tensor): Tensor => new Tensor(native.mul(a.handle, b.handle));
/** a / b. [a…], [b…] → [broadcast…] */
export const div = (a: Tensor, b: Tensor): Tensor => new Tensor(native.div(a.handle, b.handle));

/** a·factor. […] → […] */
export function scale(a: Tensor, factor: number): Tensor {
  const scalar = full([], factor, a.dtype, a.device);
  const result = mul(a, scalar);
  scalar.free();
  return result;
}

/** a + term. […] → […] */
export function shift(a: Tensor, term: number): Tensor {
  const scalar = full([], term, a.dtype, a.device);
  const result = add(a, scalar);
  scalar.free();
  return result;
}

/** −a. […] → […] */
export const neg = (a: Tensor): Tensor => new Tensor(native.neg(a.handle));
/** The natural logarithm. […] → […] */
export const log = (a: Tensor): Tensor => new Tensor(native.log(a.handle));
/** The square root. […] → […] */
export const sqrt = (a: Tensor): Tensor => new Tensor(native.sqrt(a.handle));
/**
 * Overwrites `a` with max(a, 0) and returns it; recorded like any operator. For an `a` that nothing else reads.
 * […] → […], the same memory
 */
export const reluInPlace = (a: Tensor): Tensor => new Tensor(native.reluInPlace(a.handle));
/**
 * {@link reluInPlace}, or with "relu6" min(max(a, 0), 6), in the same memory; with "gelu" a·Φ(a), Φ the normal distribution's, in memory
 * of its own, since the backward pass reads `a`. […] → […]
 */
export function activate(a: Tensor, activation: "relu" | "relu6" | "gelu" = "relu"): Tensor {
  if (activation === "gelu") return new Tensor(native.gelu(a.handle, "none"));
  return activation === "relu" ? reluInPlace(a) : new Tensor(native.relu6InPlace(a.handle));
}
/** The product of matrices. [M, K], [K, N] → [M, N] */
export const matmul = (a: Tensor, b: Tensor): Tensor => new Tensor(native.mm(a.handle, b.handle));
/** The transpose, a view. [M, N] → [N, M] */
export const transpose = (a: Tensor): Tensor => permute(a, [1, 0]);
/** 1 / (1 + e^−a). […] → […] */
export const sigmoid = (a: Tensor): Tensor => new Tensor(native.sigmoid(a.handle));
/** The larger of two. [a…], [b…] → [broadcast…] */
export const maximum = (a: Tensor, b: Tensor): Tensor => new Tensor(native.maximum(a.handle, b.handle));
/** The smaller of two. [a…], [b…] → [broadcast…] */
export const minimum = (a: Tensor, b: Tensor): Tensor => new Tensor(native.minimum(a.handle, b.handle));

/** a + weight·(b − a), exact at weights 0 and 1. [a…], [b…], [weight…] → [broadcast…] */
export const lerp = (a: Tensor, b: Tensor, weight: Tensor): Tensor =>
  new Tensor(native.lerp(a.handle, b.handle, weight.handle));

/** a where `condition` (bool) holds, b elsewhere. [condition…], [a…], [b…] → [broadcast…] */
export const where = (condition: Tensor, a: Tensor, b: Tensor): Tensor =>
  new Tensor(native.where(condition.handle, a.handle, b.handle));

// Comparisons give bool tensors.

/** a = b. [a…], [b…] → bool [broadcast…] */
export const equal = (a: Tensor, b: Tensor): Tensor => new Tensor(native.eq(a.handle, b.handle));
/** a < b. [a…], [b…] → bool [broadcast…] */
export const lessThan = (a: Tensor, b: Tensor): Tensor => new Tensor(native.lt(a.handle, b.handle));

/** a ≥ threshold. […] → bool […] */
export function atLeast(a: Tensor, threshold: number): Tensor {
  const scalar = full([], threshold, a.dtype, a.device);
  const result = new Tensor(native.ge(a.handle, scalar.handle));
  scalar.free();
  return result;
}

// Reductions.

/**
 * The sum over `dims`, which are removed (kept as 1 with `keepDim`); over everything when absent: […] → []. The sum of
 * bool is int64.
 */
export function sum(a: Tensor, dims?: readonly number[], keepDim = false): Tensor {
  return new Tensor(
    dims === undefined ? native.sum(a.handle, null) : native.sumDimIntList(a.handle, dims, keepDim, null),
  );
}

/** The mean over `dims`, which are removed (kept as 1 with `keepDim`); over everything when absent: […] → [] */
export function mean(a: Tensor, dims?: readonly number[], keepDim = false): Tensor {
  return new Tensor(dims === undefined ? native.mean(a.handle, null) : native.meanDim(a.handle, dims, keepDim, null));
}

/** Index of the largest element along `dim`, which is removed; the first of equals. E.g. [B, K], 1 → int64 [B] */
export const argmax = (a: Tensor, dim: number): Tensor => new Tensor(native.argmax(a.handle, dim, false));

/** Whether every element of […] is finite. Reads the answer back. */
export function allFinite(a: Tensor): boolean {
  const finite = new Tensor(native.isfinite(a.handle));
  const all = new Tensor(native.all(finite.handle));
  const answer = all.item() !== 0;
  finite.free();
  all.free();
  return answer;
}

// Shape.

/**
 * […] → [shape…] with the same number of elements, in row-major order; a view where the strides allow it, else a copy. One
 * size may be −1.
 */
export const reshape = (a: Tensor, shape: Shape): Tensor => new Tensor(native.reshape(a.handle, shape));
/**
 * […] → [shape…] with the same number of elements, as a view: never copies, throws where the strides do not allow it. One
 * size may be −1.
 */
export const view = (a: Tensor, shape: Shape): Tensor => new Tensor(native.view(a.handle, shape));
/** The same bytes as another element type, as a view: [..., n] → [..., n · old width / new width] */
export const viewAs = (a: Tensor, dtype: DType): Tensor => new Tensor(native.viewDtype(a.handle, dtypeCode(dtype)));
/** A view whose dimension d is `order[d]` of a's: [B, C, H, W], [0, 2, 3, 1] → [B, H, W, C] */
export const permute = (a: Tensor, order: readonly number[]): Tensor => new Tensor(native.permute(a.handle, order));
/** A view in which sizes of 1 are repeated: [B, 1], [B, P] → [B, P] */
export const expand = (a: Tensor, shape: Shape): Tensor => new Tensor(native.expand(a.handle, shape, false));
/** One after the other along `dim`; the other sizes are equal. E.g. [A, …], [B, …], 0 → [A + B, …] */
export const concat = (tensors: readonly Tensor[], dim: number): Tensor =>
  new Tensor(
    native.cat(
      tensors.map((t) => t.handle),
      dim,
    ),
  );
/** Views of the given sizes along `dim`, which add up to its size. E.g. [N], [n, N − n] → [n] and [N − n] */
export const split = (a: Tensor, sizes: readonly number[], dim = 0): Tensor[] =>
  native.splitWithSizes(a.handle, sizes, dim).map((handle) => new Tensor(handle));
/** Elements start…end − 1 along `dim`, as a view: that size → end − start */
export const slice = (a: Tensor, dim: number, start: number, end: number): Tensor =>
  new Tensor(native.slice(a.handle, dim, start, end, 1));
/** Element `index` along `dim`, as a view without that dimension. E.g. [N, …], 0 → […] */
export const select = (a: Tensor, dim: number, index: number): Tensor =>
  new Tensor(native.select(a.handle, dim, index));
/** Rows `index` (int64 or int32, [N]) of a along `dim`, copied. E.g. [M, …], 0, [N] → [N, …] */
export const indexSelect = (a: Tensor, dim: number, index: Tensor): Tensor =>
  new Tensor(native.indexSelect(a.handle, dim, index.handle));

/** Where a is not 0, in row-major order: int64 [N, dimensions of a]. E.g. [M] → [N, 1] */
export const nonzero = (a: Tensor): Tensor => new Tensor(native.nonzero(a.handle));

/**
 * A copy of a with rows `index` (int64, [N]) along `dim` replaced by those of `source`.
 * E.g. [M, …], 0, [N], [N, …] → [M, …]
 */
export const indexCopy = (a: Tensor, dim: number, index: Tensor, source: Tensor): Tensor =>
  new Tensor(native.indexCopy(a.handle, dim, index.handle, source.handle));

/**
 * The element of a at each position of `index` (int64) along `dim`. E.g. [B, K], 1, [B, N] → [B, N] with
 * result[b, n] = a[b, index[b, n]]
 */
export const gather = (a: Tensor, dim: number, index: Tensor): Tensor =>
  new Tensor(native.gather(a.handle, dim, index.handle, false));

/** Elements in the opposite order along `dims`. […] → […] */
export const flip = (a: Tensor, dims: readonly number[]): Tensor => new Tensor(native.flip(a.handle, dims));

/** Appends channels of zeros. [B, C, H, W] → [B, C + channels, H, W] */
export const padChannels = (a: Tensor, channels: number): Tensor => padded(a, [0, 0, 0, 0, 0, channels]);

/** Appends rows and columns of zeros, as many of each. [B, C, H, W] → [B, C, H + count, W + count] */
export const padBehind = (a: Tensor, count: number): Tensor => padded(a, [0, count, 0, count, 0, 0]);

/** @param sizes zeros before and after, from the last dimension to the channels */
function padded(a: Tensor, sizes: readonly number[]): Tensor {
  for (const [i, size] of sizes.entries()) padSizes[i] = BigInt(size);
  const status = library().symbols.aoti_torch_aten_pad(a.handle, padSizes, padSizes.length, constantMode, zero, out);
  check(status, "pad", () => `[${a.shape}] by [${sizes}]`);
  return new Tensor(owned(out[0]));
}
const padSizes = new BigInt64Array(6);
const zero = new Float64Array(1);
const constantMode = Buffer.from("constant\0");

/** Converts the element type; the same type gives a copy. […] → […] */
export const cast = (a: Tensor, dtype: DType): Tensor =>
  new Tensor(native.toCopy(a.handle, dtypeCode(dtype), null, null, null, false, null));

/** The same values and shape [B, C, H, W], stored as B, H, W, C; the same memory where they already are. */
export const channelsLast = (a: Tensor): Tensor => new Tensor(native.contiguous(a.handle, channelsLastFormat));

/** Overwrites `target` with `source`, converting element type and device. […], [broadcast to it…] */
export function copyInto(target: Tensor, source: Tensor): void {
  check(
    library().symbols.aoti_torch_copy_(target.handle, source.handle, 0),
    "copy_",
    () => `[${target.shape}], [${source.shape}]`,
  );
}

/** Overwrites every element of […] with 0. */
export function zeroInPlace(a: Tensor): void {
  check(library().symbols.aoti_torch_zero_(a.handle), "zero_");
}
