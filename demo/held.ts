/**
 * A picture that the networks' thread computes with. What was computed under a mask is kept: the slider, and a policy that
 * decides in rounds, ask for the same masks again and again.
 *
 * Shapes: S image size, P patches, K classes.
 */
import type { Acquired, HeldBatch } from "../src/inference/engine.ts";
import { maskBits } from "../src/method/grid.ts";
import { softmax } from "../src/method/planes.ts";
import type { Engine } from "./engine.ts";

type ByMask = Map<string, Promise<Float32Array>>;

export class HeldPicture implements HeldBatch {
  readonly #engine: Engine;
  readonly #bytes: Uint8Array;
  readonly #wanted: ByMask = new Map();
  readonly #logits: ByMask = new Map();

  /** @param bytes [S, S, 3] */
  constructor(engine: Engine, bytes: Uint8Array) {
    this.#engine = engine;
    this.#bytes = bytes;
  }

  probabilities(acquired?: Acquired): Promise<Float32Array> {
    const ask = () => this.#engine.call("decide", { bytes: this.#bytes, acquired });
    return kept(this.#wanted, acquired?.mask, ask);
  }

  logits(mask: Uint8Array): Promise<Float32Array> {
    return kept(this.#logits, mask, async () => (await this.#logitsOf([mask]))[0]);
  }

  /** Probabilities of the classes [K]. */
  async classify(mask: Uint8Array): Promise<Float32Array> {
    return probabilitiesOf(await this.logits(mask));
  }

  /** The same under each of many masks, which nobody asks for again. */
  async classifyAll(masks: readonly Uint8Array[]): Promise<Float32Array[]> {
    return (await this.#logitsOf(masks)).map(probabilitiesOf);
  }

  free(): void {}

  #logitsOf(masks: readonly Uint8Array[]): Promise<Float32Array[]> {
    return this.#engine.call("logits", { bytes: this.#bytes, masks });
  }
}

function kept(known: ByMask, mask: Uint8Array = new Uint8Array(), compute: () => Promise<Float32Array>) {
  const key = maskBits(mask);
  const numbers = known.get(key) ?? compute();
  known.set(key, numbers);
  return numbers;
}

function probabilitiesOf(logits: Float32Array): Float32Array {
  return softmax(logits, logits.length);
}
