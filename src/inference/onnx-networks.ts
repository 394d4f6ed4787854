/**
 * The exported networks of a run in ONNX Runtime: a policy that decides and classifiers that classify. Takes and gives
 * plain arrays; knows no files and nothing of Node, so that the browser page computes with it too.
 *
 * Shapes: B batch, S image size, C bands, P patches, K classes. Planes are float32 [B, C, S, S], normalized; those of a policy that
 * decides in rounds [B, C + 2, S, S].
 */
import { InferenceSession, Tensor } from "onnxruntime-web";
import { fault } from "../errors.ts";
import { type Arch, acquiredChannels } from "../method/arch.ts";
import { roundChannels } from "../method/rounds.ts";

export const modelFiles = ["policy.onnx", "classifier.onnx", "lr_classifier.onnx"] as const;
export type ModelFile = (typeof modelFiles)[number];

/** The bytes of the models that there are. */
export type Models = ReadonlyMap<ModelFile, Uint8Array>;

/** What the models' inputs and outputs must fit. */
export interface NetworkSizes {
  readonly imageSize: number;
  readonly patches: number;
  readonly classes: number;
  /** In how many rounds the policy decides, at most. */
  readonly rounds: number;
  /** Bands of an image. */
  readonly channels: number;
  /** The classifier, where it is not the model's own. */
  readonly arch: Arch | undefined;
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
        sessions.set(file, await openModel(bytes, shapesOf(file, sizes)));
      }
    } catch (error) {
      await release(sessions);
      const file = modelFiles.find((one) => models.has(one) && !sessions.has(one));
      const rule = "must be a model that ONNX Runtime takes";
      throw fault("input", { where: `${where}: ${file}`, rule, got: reasonOf(error) }, error);
    }
    return new OnnxNetworks(sessions, sizes);
  }

  /** The policy's probabilities to take a patch, [B, P]; none where there is no policy. @param planes what it sees */
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

  free(): Promise<void> {
    return release(this.#sessions);
  }

  /** A model that was exported for a fixed number of images per run gets that many, with zeros behind the last. */
  async #run(file: ModelFile, planes: Float32Array): Promise<Float32Array | undefined> {
    const session = this.#sessions.get(file);
    if (session === undefined) return undefined;
    const { outputs } = shapesOf(file, this.#sizes);
    const { fixedBatch, image } = inputOf(session);
    const length = image.reduce((product, side) => product * side, 1);
    const count = planes.length / length;
    const batch = fixedBatch ?? count;
    const results = new Float32Array(Math.ceil(count / batch) * batch * outputs);
    for (let first = 0; first < count; first += batch) {
      const part = new Float32Array(batch * length);
      part.set(planes.subarray(first * length, (first + batch) * length));
      const seen = new Tensor("float32", part, [batch, ...image]);
      const { [session.outputNames[0]]: output } = await session.run({ [session.inputNames[0]]: seen });
      results.set(output.data as Float32Array, first * outputs);
    }
    return results.subarray(0, count * outputs);
  }
}

/** Of one image: what goes into a model, in channels × height × width, and how many numbers come out. */
interface Shapes {
  readonly image: string;
  readonly outputs: number;
}

function shapesOf(file: ModelFile, { imageSize, patches, classes, rounds, channels, arch }: NetworkSizes): Shapes {
  const isPolicy = file === "policy.onnx";
  const ofClassifier = file === "classifier.onnx" ? acquiredChannels(channels, arch) : channels;
  const seen = isPolicy && rounds > 1 ? roundChannels(channels) : ofClassifier;
  return { image: asText([seen, imageSize, imageSize]), outputs: isPolicy ? patches : classes };
}

const asText = (shape: readonly number[]) => shape.join(" × ");

/** @throws what ONNX Runtime throws; an Error for a model of other shapes */
async function openModel(bytes: Uint8Array, wanted: Shapes): Promise<InferenceSession> {
  const session = await InferenceSession.create(bytes);
  const [output] = session.outputMetadata;
  const outputs = output.isTensor ? output.shape.at(-1) : undefined;
  const image = asText(inputOf(session).image);
  if (outputs === wanted.outputs && image === wanted.image) return session;
  await session.release();
  if (outputs !== wanted.outputs) throw new Error(`${outputs} outputs instead of ${wanted.outputs}`);
  throw new Error(`an input of ${image} instead of ${wanted.image}`);
}

/** What a model takes: images of those channels, height and width, and how many of them where their number is fixed. */
export function inputOf(session: InferenceSession): { fixedBatch: number | undefined; image: number[] } {
  const [input] = session.inputMetadata;
  const [batch, ...image] = input.isTensor ? input.shape : [];
  return { fixedBatch: typeof batch === "number" && batch > 0 ? batch : undefined, image: image.map(Number) };
}

async function release(sessions: Sessions): Promise<void> {
  for (const session of sessions.values()) await session.release();
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
