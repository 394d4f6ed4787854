/**
 * A step that runs again and again on the same input tensors: on a GPU it is captured once as a graph and replayed, which
 * costs one launch instead of hundreds; elsewhere it is called. The same results either way: the steps before the
 * capture are steps like any other, and the capture's own is its first replay.
 *
 * What must hold while a graph exists, and who ensures it:
 * - Inputs are written into the tensors that the body reads, outside the graph (`inputs.ts`).
 * - The body's memory belongs to the graph, although the allocator considers it free: nothing is allocated while a graph
 *   exists. Whoever wants to compute something else releases the graph first ({@link CapturedStep.release}); then the
 *   allocator may hand out, or return to the driver, whatever the graph had used. The run after the next captures again.
 * - Results are copied out of the graph's memory before the next replay overwrites them.
 * - What the body does besides work on the GPU is repeated by {@link onEveryRun}.
 */
import type { CapturingStream, Graph } from "./cuda.ts";
import { copyInto, select } from "./ops.ts";
import { keep, scope } from "./scope.ts";
import { empty, type Tensor } from "./tensor.ts";

/** Tensors by name. */
export type Outputs<O> = { readonly [Name in keyof O]: Tensor | undefined };

export interface CaptureOptions {
  /** Absent: the body is called each time. */
  stream?: CapturingStream | undefined;
  /** The results of this many runs are kept; then the oldest is overwritten. */
  window: number;
}

/** Runs before the first capture: libraries load kernels, make handles and choose algorithms in them. */
const warmUpRuns = 3;
/** Before a later capture of the same step. */
const warmUpAgain = 1;

let effects: (() => void)[] | undefined;

/** Does what is not work on the GPU, such as counting: now, and at each replay of the step that is being captured. */
export function onEveryRun(effect: () => void): void {
  effects?.push(effect);
  effect();
}

interface Captured<O extends Outputs<O>> {
  readonly graph: Graph;
  readonly outputs: O;
  readonly effects: readonly (() => void)[];
}

export class CapturedStep<O extends Outputs<O>> {
  readonly #body: () => O;
  readonly #stream: CapturingStream | undefined;
  readonly #window: number;
  #warmUpLeft = warmUpRuns;
  #captured: Captured<O> | undefined;
  /** By output: the last results, [window, …]. */
  #results = new Map<string, Tensor>();
  #runs = 0;

  /** @param body reads and writes tensors that outlive it, and reads nothing back */
  constructor(body: () => O, { stream, window }: CaptureOptions) {
    this.#body = body;
    this.#stream = stream;
    this.#window = window;
  }

  /** One step. The results belong to the caller, and hold for `window` runs. */
  run(): O {
    if (this.#stream === undefined) return kept(scope(this.#body));
    if (this.#captured === undefined && this.#warmUpLeft > 0) {
      this.#warmUpLeft -= 1;
      const outputs = kept(scope(this.#body));
      this.#makeRoom(outputs);
      return outputs;
    }
    if (this.#captured === undefined) this.#captured = this.#capture(this.#stream);
    else for (const effect of this.#captured.effects) effect();
    this.#captured.graph.launch();
    return this.#copyOut(this.#captured.outputs);
  }

  /** Frees the graph, so that its memory may be used for other things. */
  release(): void {
    if (this.#captured === undefined) return;
    const { graph, outputs } = this.#captured;
    this.#captured = undefined;
    graph.free();
    for (const [, tensor] of present(outputs)) tensor.free();
    this.#warmUpLeft = warmUpAgain;
  }

  free(): void {
    this.release();
    for (const results of this.#results.values()) results.free();
    this.#results.clear();
  }

  #capture(stream: CapturingStream): Captured<O> {
    const own: (() => void)[] = [];
    let outputs: O | undefined;
    effects = own;
    try {
      const graph = stream.capture(() => {
        outputs = kept(scope(this.#body));
      });
      return { graph, outputs: outputs!, effects: own };
    } catch (error) {
      for (const [, tensor] of outputs === undefined ? [] : present(outputs)) tensor.free();
      throw error;
    } finally {
      effects = undefined;
    }
  }

  /** Before the capture: memory handed out after it may be what the graph had used and will use again. */
  #makeRoom(outputs: O): void {
    for (const [name, tensor] of present(outputs)) {
      if (this.#results.has(name)) continue;
      this.#results.set(name, keep(empty([this.#window, ...tensor.shape], tensor.dtype, tensor.device)));
    }
  }

  #copyOut(outputs: O): O {
    const slot = this.#runs++ % this.#window;
    const copies = present(outputs).map(([name, tensor]) => {
      const place = keep(select(this.#results.get(name)!, 0, slot));
      copyInto(place, tensor);
      return [name, place] as const;
    });
    return Object.fromEntries(copies) as unknown as O;
  }
}

function present<O extends Outputs<O>>(outputs: O): [string, Tensor][] {
  return Object.entries<Tensor | undefined>(outputs).filter((one): one is [string, Tensor] => one[1] !== undefined);
}

/** Takes results, of any shape, out of every scope: the caller frees them. */
export function kept<O extends Outputs<O>>(outputs: O): O {
  for (const [, tensor] of present(outputs)) keep(tensor);
  return outputs;
}
