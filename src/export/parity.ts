/**
 * Whether an ONNX model computes what the network does: ONNX Runtime, in its WebAssembly build, compared with libtorch on
 * the same images. libtorch computes the network as it is trained, in fp32 and with batch norm of its own, so that folding
 * is part of what is checked.
 *
 * Shapes: B images, K outputs.
 */
import { env, InferenceSession, Tensor as OnnxTensor } from "onnxruntime-web";
import { fault } from "../errors.ts";
import { inputOf } from "../inference/onnx-networks.ts";

/**
 * Largest difference of a probability. So masks agree wherever the policy's probability is farther than this from one
 * half, and classes wherever the two best are farther apart than twice this.
 */
export const tolerance = 1e-5;

/** The models are checked once: threads would cost more to start than they save. */
env.wasm.numThreads = 1;
env.logLevel = "error";

/**
 * The model's output [B, K], `batch` images a run; B is a multiple of it.
 * @param values what the model takes, [B, C, S, S]
 * @throws kind "internal" for a model refused
 */
export async function runOnnx(model: Uint8Array, values: Float32Array, batch: number): Promise<Float32Array> {
  const results: number[] = [];
  try {
    const session = await InferenceSession.create(model);
    const [input] = session.inputNames;
    const [output] = session.outputNames;
    const { image } = inputOf(session);
    const length = image.reduce((product, side) => product * side, batch);
    for (let start = 0; start < values.length; start += length) {
      const part = new OnnxTensor("float32", values.slice(start, start + length), [batch, ...image]);
      const { [output]: result } = await session.run({ [input]: part });
      for (const number of result.data as Float32Array) results.push(number);
    }
    await session.release();
  } catch (error) {
    throw fault("internal", { where: "ONNX Runtime", rule: "must take the model", got: reason(error) }, error);
  }
  return Float32Array.from(results);
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The largest difference of two lists of probabilities. @throws kind "internal" when they are not those of one network */
export function largestDifference(where: string, onnx: Float32Array, libtorch: Float32Array): number {
  const differences = Array.from(libtorch, (value, i) => Math.abs(value - onnx[i]));
  // A missing number or one that is not finite makes the largest NaN, which is not within the tolerance.
  const largest = Math.max(...differences);
  if (onnx.length === libtorch.length && largest <= tolerance) return largest;
  throw fault("internal", {
    where,
    rule: `${libtorch.length} probabilities must be within ${tolerance} of libtorch's`,
    got: onnx.length === libtorch.length ? `a difference of ${largest}` : onnx.length,
    next: "nothing was written; please report it",
  });
}
