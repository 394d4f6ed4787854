/**
 * The networks, in a thread of their own, so that the page stays awake while they compute. Answers the calls of engine.ts
 * one after the other.
 *
 * Shapes: S image size, P patches, K classes.
 */
import type { Acquired } from "../src/inference/engine.ts";
import { OnnxEngine } from "../src/inference/onnx-engine.ts";
import type { ModelFile } from "../src/inference/onnx-networks.ts";
import { row } from "../src/utils/rows.ts";
import type { SetDescription } from "./description.ts";

/** What can be asked, and what comes back. */
export interface Calls {
  /** Opens a set of models in the place of the one before; `models` are addresses by file name. */
  open(set: { models: ReadonlyMap<string, string>; description: SetDescription }): Promise<void>;
  /** The policy's probabilities [P] for the picture [S, S, 3]; of one that decides in rounds, where that much is there. */
  decide(request: { bytes: Uint8Array; acquired: Acquired | undefined }): Promise<Float32Array>;
  /** Logits of the classes [K] for each mask [P] of the picture. */
  logits(request: { bytes: Uint8Array; masks: readonly Uint8Array[] }): Promise<Float32Array[]>;
}

export type CallName = keyof Calls;
export interface Call {
  readonly id: number;
  readonly name: CallName;
  readonly argument: unknown;
}
export type Reply = { readonly id: number } & ({ readonly result: unknown } | { readonly error: string });

let opened: OnnxEngine | undefined;

const calls: Calls = {
  async open({ models, description }) {
    await opened?.free();
    opened = undefined;
    const files = await Promise.all(
      Array.from(models, async ([file, url]) => [file as ModelFile, await fetchBytes(url)] as const),
    );
    const { title: where, rounds = 1 } = description;
    const feeding = { ...description, normalization: description, rounds };
    opened = await OnnxEngine.open(new Map(files), feeding, { where, threads: 1 });
  },

  async decide({ bytes, acquired }) {
    return current().hold({ images: bytes }).probabilities(acquired);
  },

  async logits({ bytes, masks }) {
    const images = new Uint8Array(masks.length * bytes.length);
    const all = new Uint8Array(masks.length * masks[0].length);
    for (const [i, mask] of masks.entries()) {
      images.set(bytes, i * bytes.length);
      all.set(mask, i * mask.length);
    }
    const logits = await current().hold({ images }).logits(all);
    return masks.map((_, i) => row(logits, i, logits.length / masks.length).slice());
  },
};

function current(): OnnxEngine {
  if (opened === undefined) throw new Error("The networks are not there. Load the page again.");
  return opened;
}

async function fetchBytes(url: string): Promise<Uint8Array> {
  const response = await fetch(url).catch(() => undefined);
  if (response?.ok) return new Uint8Array(await response.arrayBuffer());
  const reason = response === undefined ? "no answer" : `status ${response.status}`;
  throw new Error(`The networks could not be fetched (${reason}). Load the page again to try once more.`);
}

let last: Promise<unknown> = Promise.resolve();
addEventListener("message", ({ data: { id, name, argument } }: MessageEvent<Call>) => {
  last = last
    .then((): Promise<unknown> => calls[name](argument as never))
    .then((result) => postMessage({ id, result } satisfies Reply))
    .catch((error: unknown) => {
      postMessage({ id, error: error instanceof Error ? error.message : String(error) } satisfies Reply);
    });
});
