/** One network as the bytes of an ONNX model that agrees with libtorch on given images. */
import { encodeOnnx } from "../formats/onnx.ts";
import type { StateDict } from "../formats/safetensors.ts";
import { withContentHash } from "../inference/content-hash.ts";
import { lowResolution } from "../method/images.ts";
import { softmax } from "../method/planes.ts";
import type { Model } from "../models/registry.ts";
import type { Network } from "../nn/layers.ts";
import { loadWeights } from "../nn/load-weights.ts";
import { Parameters } from "../nn/parameters.ts";
import { forward } from "../nn/training.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import { fromArray } from "../tensor/tensor.ts";
import { version } from "../utils/version.ts";
import { type GraphInput, graphOf } from "./graph.ts";
import { largestDifference, runOnnx } from "./parity.ts";

export interface Source {
  readonly network: Network;
  /** What is computed with its parameters; the network itself when absent. */
  readonly reading?: ((network: Network) => Network) | undefined;
  readonly state: StateDict;
  /** Names the network in errors. */
  readonly where: string;
  /** What the model's file says about itself. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** What becomes of a network. */
export interface Role {
  readonly file: string;
  readonly input: GraphInput;
  /** The low resolution is made of the image within the graph. */
  readonly seesLow: boolean;
  /** "probabilities" are the sigmoids of the logits. */
  readonly output: "logits" | "probabilities";
}

export interface ExportSetting {
  readonly model: Pick<Model, "imageSize" | "lowSize" | "lowInput">;
  /** What the graph takes, [B, C, imageSize, imageSize], to compare on. */
  readonly images: Float32Array;
  /** Images a run, of which B is a multiple; any number when absent. */
  readonly batch: number | undefined;
}

export interface ProvedModel {
  readonly bytes: Uint8Array;
  readonly outputs: number;
  /** Largest difference of a probability between ONNX Runtime and libtorch. */
  readonly difference: number;
}

/** @throws kind "input" for a state of another network, "notFinite" for NaN in one, "internal" for a model that does not agree */
export async function exportNetwork(
  { network: declared, reading = (whole) => whole, state, where, metadata }: Source,
  { file, input, seesLow, output }: Role,
  { model, images, batch }: ExportSetting,
): Promise<ProvedModel> {
  const size = model.imageSize;
  const count = images.length / (input.channels * size * size);
  const network = reading(declared);
  const parameters = new Parameters(declared, seesLow ? model.lowInput : size, "cpu", input.channels);
  const { outputs } = parameters.declaration;
  const byLibtorch = () => {
    const whole = fromArray(images, [count, input.channels, size, size]);
    const seen = seesLow ? lowResolution(whole, model) : whole;
    const logits = forward({ network, parameters }, seen, "fp32", "eval");
    return output === "probabilities" ? ops.sigmoid(logits).toFloat32() : softmax(logits.toFloat32(), outputs);
  };
  let expected: Float32Array;
  try {
    loadWeights({ network, parameters }, state, where);
    expected = scope(byLibtorch);
  } finally {
    parameters.free();
  }

  const graph = graphOf({ network, state, imageSize: size, input, low: seesLow ? model : undefined, output, batch });
  const bytes = withContentHash(encodeOnnx(graph, { producer: "patchdrop", producerVersion: version(), metadata }));
  const got = await runOnnx(bytes, images, batch ?? count);
  const probabilities = output === "probabilities" ? got : softmax(got, outputs);
  return { bytes, outputs, difference: largestDifference(file, probabilities, expected) };
}
