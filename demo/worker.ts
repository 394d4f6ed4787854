/**
 * The networks, in a thread of their own, so that the page stays awake while they compute. Answers the calls of engine.ts
 * one after the other.
 *
 * Shapes: S image size, P patches, K classes.
 */
import { env } from "onnxruntime-web";
import { type ModelFile, OnnxNetworks } from "../src/inference/onnx-networks.ts";
import { type Grid, makeGrid } from "../src/method/grid.ts";
import { dropPatches, toPlanes } from "../src/method/planes.ts";
import type { SetDescription } from "./description.ts";

/** What can be asked, and what comes back. */
export interface Calls {
  /** Opens a set of models in the place of the one before; `models` are addresses by file name. */
  open(set: { models: ReadonlyMap<string, string>; description: SetDescription }): Promise<void>;
  /** The policy's probabilities [P] for the picture [S, S, 3]. */
  decide(bytes: Uint8Array): Promise<Float32Array>;
  /** Probabilities of the classes [K] for each mask [P] of the picture. */
  classify(request: { bytes: Uint8Array; masks: readonly Uint8Array[] }): Promise<Float32Array[]>;
}

export type CallName = keyof Calls;
export interface Call {
  readonly id: number;
  readonly name: CallName;
  readonly argument: unknown;
}
export type Reply = { readonly id: number } & ({ readonly result: unknown } | { readonly error: string });

env.wasm.numThreads = 1;
env.logLevel = "error";

interface Opened {
  readonly networks: OnnxNetworks;
  readonly description: SetDescription;
  readonly grid: Grid;
}
let opened: Opened | undefined;

const calls: Calls = {
  async open({ models, description }) {
    await opened?.networks.free();
    opened = undefined;
    const grid = makeGrid(description.imageSize, description.patchSize);
    const files = await Promise.all(
      Array.from(models, async ([file, url]) => [file as ModelFile, await fetchBytes(url)] as const),
    );
    const sizes = { imageSize: grid.imageSize, patches: grid.patches, classes: description.classes.length, rounds: 1 };
    opened = { networks: await OnnxNetworks.open(new Map(files), sizes, description.title), description, grid };
  },

  async decide(bytes) {
    const { networks, description } = current();
    return (await networks.decide(toPlanes(bytes, description.imageSize, description)))!;
  },

  async classify({ bytes, masks }) {
    const { networks, description, grid } = current();
    const { imageSize, lowSize, fill, classes } = description;
    const picture = toPlanes(bytes, imageSize, description);
    const images = new Float32Array(masks.length * picture.length);
    const all = new Uint8Array(masks.length * grid.patches);
    for (const [i, mask] of masks.entries()) {
      images.set(picture, i * picture.length);
      all.set(mask, i * grid.patches);
    }
    const masked = dropPatches(images, all, grid, fill === "lr" ? lowSize : undefined);
    const probabilities = await networks.classify(images, masked);
    return masks.map((_, i) => probabilities.slice(i * classes.length, (i + 1) * classes.length));
  },
};

function current(): Opened {
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
