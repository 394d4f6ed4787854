/**
 * The exported networks of a run in ONNX Runtime: a policy that decides and classifiers that classify. Takes and gives
 * plain arrays; knows no files and nothing of Node, so that the browser page computes with it too.
 *
 * Shapes: B batch, S image size, P patches, K classes. Planes are float32 [B, 3, S, S], normalized.
 */
import { InferenceSession, Tensor } from "onnxruntime-web";
import { fault } from "../errors.ts";
import { softmax } from "../method/planes.ts";

export const modelFiles = ["policy.onnx", "classifier.onnx", "lr_classifier.onnx"] as const;
export type ModelFile = (typeof modelFiles)[number];

/** The bytes of the models that there are. */
export type Models = ReadonlyMap<ModelFile, Uint8Array>;

/** What the models' inputs and outputs must fit. */
export interface NetworkSizes {
  readonly imageSize: number;
  readonly patches: number;
  readonly classes: number;
}

type Sessions = ReadonlyMap<ModelFile, InferenceSession>;

export class OnnxNetworks {
  readonly #sessions: Sessions;
  readonly #sizes: NetworkSizes;

  private constructor(sessions: Sessions, sizes: NetworkSizes) {
    this.#sessions = sessions;
    this.#sizes = sizes;
  }

  /** @param where names the models in errors @throws input: a model that ONNX Runtime does not take, or of other sizes */
  static async open(models: Models, sizes: NetworkSizes, where: string): Promise<OnnxNetworks> {
    const sessions = new Map<ModelFile, InferenceSession>();
    try {
      for (const [file, bytes] of models) {
        sessions.set(file, await openModel(bytes, file === "policy.onnx" ? sizes.patches : sizes.classes));
      }
    } catch (error) {
      await release(sessions);
      const file = modelFiles.find((one) => models.has(one) && !sessions.has(one));
      const rule = "must be a model that ONNX Runtime takes";
      throw fault("input", { where: `${where}: ${file}`, rule, got: reasonOf(error) }, error);
    }
    return new OnnxNetworks(sessions, sizes);
  }

  /** The policy's probabilities to take a patch, [B, P]; none where there is no policy. */
  decide(planes: Float32Array): Promise<Float32Array | undefined> {
    return this.#run("policy.onnx", planes);
  }

  /**
   * Logits of the classes [B, K], those of two streams added.
   * @param images what the low resolution is made of, where a classifier sees it
   * @param masked the same images with patches dropped
   */
  async logits(images: Float32Array, masked: Float32Array): Promise<Float32Array> {
    const high = await this.#run("classifier.onnx", masked);
    const low = await this.#run("lr_classifier.onnx", images);
    const logits = high !== undefined && low !== undefined ? high.map((logit, at) => logit + low[at]) : (high ?? low);
    if (logits !== undefined) return logits;
    throw fault("internal", { where: "logits", rule: "there must be a classifier" });
  }

  /** Probabilities of the classes [B, K], from the same. */
  async classify(images: Float32Array, masked: Float32Array): Promise<Float32Array> {
    return softmax(await this.logits(images, masked), this.#sizes.classes);
  }

  free(): Promise<void> {
    return release(this.#sessions);
  }

  /** A model that was exported for a fixed number of images per run gets that many, with zeros behind the last. */
  async #run(file: ModelFile, planes: Float32Array): Promise<Float32Array | undefined> {
    const session = this.#sessions.get(file);
    if (session === undefined) return undefined;
    const { imageSize, patches, classes } = this.#sizes;
    const imageLength = 3 * imageSize ** 2;
    const count = planes.length / imageLength;
    const batch = fixedBatch(session) ?? count;
    const outputs = file === "policy.onnx" ? patches : classes;
    const results = new Float32Array(Math.ceil(count / batch) * batch * outputs);
    for (let first = 0; first < count; first += batch) {
      const part = new Float32Array(batch * imageLength);
      part.set(planes.subarray(first * imageLength, (first + batch) * imageLength));
      const image = new Tensor("float32", part, [batch, 3, imageSize, imageSize]);
      const { [session.outputNames[0]]: output } = await session.run({ [session.inputNames[0]]: image });
      results.set(output.data as Float32Array, first * outputs);
    }
    return results.subarray(0, count * outputs);
  }
}

/** @throws what ONNX Runtime throws; an Error for another number of outputs */
async function openModel(bytes: Uint8Array, outputs: number): Promise<InferenceSession> {
  const session = await InferenceSession.create(bytes);
  const [output] = session.outputMetadata;
  const got = output.isTensor ? output.shape.at(-1) : undefined;
  if (got === outputs) return session;
  await session.release();
  throw new Error(`${got} outputs instead of ${outputs}`);
}

function fixedBatch(session: InferenceSession): number | undefined {
  const [input] = session.inputMetadata;
  const batch = input.isTensor ? input.shape[0] : undefined;
  return typeof batch === "number" && batch > 0 ? batch : undefined;
}

async function release(sessions: Sessions): Promise<void> {
  for (const session of sessions.values()) await session.release();
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
