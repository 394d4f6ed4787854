/**
 * `patchdrop acquire`: a policy looks at the low resolution of a scene, window by window, and only the patches that it chose
 * are read. The scene is processed by rows of windows; memory does not grow with its height.
 */

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { fault } from "../errors.ts";
import { makeFolderAtomic } from "../files/atomic.ts";
import type { JsonObject } from "../files/json.ts";
import { countPatches, maskBits } from "../method/grid.ts";
import type { AcquireOptions } from "../options/acquire-options.ts";
import { likeliest, rounded } from "../predict/lines.ts";
import { type Reporter, Stopped, silentReporter } from "../utils/reporter.ts";
import { orderFeature } from "./geojson.ts";
import { Ledger } from "./ledger.ts";
import { openSource } from "./open-source.ts";
import { Outputs } from "./outputs.ts";
import type { PatchPolicy } from "./patch-policy.ts";
import type { PatchSource, Window } from "./patch-source.ts";
import { type Cell, cellsOf, type Scene, sceneOf, windowsOf } from "./scene.ts";
import { paste, Strip } from "./strip.ts";
import { type Acquired, areaOf, Tally } from "./tally.ts";

type Choices = Pick<
  AcquireOptions,
  | "out"
  | "bands"
  | "scale"
  | "allow_full_file"
  | "price_per_km2"
  | "min_area_km2"
  | "egress_per_gb"
  | "top"
  | "batch_size"
>;

/**
 * Acquires what the policy chooses of a scene, and writes the folder `options.out`.
 * @param scene path or http(s) address
 * @throws usage: a folder that exists; what openSource and PatchSource throw; system; Stopped, and then writes nothing
 */
export async function acquire(
  scene: string,
  policy: PatchPolicy,
  options: Choices,
  reporter: Reporter = silentReporter,
): Promise<Acquired> {
  if (existsSync(options.out)) {
    throw fault("usage", { where: `--out ${options.out}`, rule: "must not exist yet", next: "give another folder" });
  }
  const ledger = new Ledger();
  let acquired: Acquired | undefined;
  await makeFolderAtomic(resolve(options.out), async (folder) => {
    const wholeFile = options.allow_full_file ? join(folder, ".whole-file") : undefined;
    const source = await openSource(scene, policy.model, { ...options, ledger, wholeFile });
    try {
      acquired = await new Acquisition(source, policy, options).write(folder, ledger, reporter);
    } finally {
      await source.close();
    }
  });
  return acquired!;
}

/** A batch of windows with what was decided of them. */
interface Batch {
  readonly windows: readonly Window[];
  /** [B, P]; 0 for what lies outside the scene. */
  readonly mask: Uint8Array;
  /** [B, P] */
  readonly probabilities: Float32Array;
  /** Those of each window that lie in the scene. */
  readonly cells: readonly (readonly Cell[])[];
}

class Acquisition {
  readonly #source: PatchSource;
  readonly #policy: PatchPolicy;
  readonly #options: Choices;
  readonly #scene: Scene;
  readonly #tally: Tally;

  constructor(source: PatchSource, policy: PatchPolicy, options: Choices) {
    this.#source = source;
    this.#policy = policy;
    this.#options = options;
    this.#scene = sceneOf(source, policy.model.grid);
    this.#tally = new Tally(source, policy);
  }

  /** Goes through the scene and writes all files. */
  async write(folder: string, ledger: Ledger, reporter: Reporter): Promise<Acquired> {
    const { columns, rows } = this.#scene;
    const { price_per_km2, min_area_km2, egress_per_gb } = this.#options;
    const outputs = new Outputs(folder, this.#source);
    const bar = reporter.progress("acquire", columns * rows);
    try {
      for (let row = 0; row < rows; row++) {
        await this.#row(row, outputs);
        bar.update((row + 1) * columns, { patches: String(this.#tally.chosen.length) });
        await new Promise(setImmediate);
        const signal = reporter.stopping();
        if (signal !== undefined) throw new Stopped(signal);
      }
      const acquired = this.#tally.acquired(ledger, { price_per_km2, min_area_km2, egress_per_gb });
      outputs.finish(acquired, this.#order(acquired));
      return acquired;
    } finally {
      bar.stop();
      outputs.close();
    }
  }

  /** Look, decide, acquire, classify, write: a row of windows. */
  async #row(row: number, outputs: Outputs): Promise<void> {
    const { imageSize, lowSize } = this.#policy.model;
    const { batch_size: size } = this.#options;
    const windows = windowsOf(this.#scene, row);
    const low = await this.#tally.timed("look", () => this.#source.readLow(windows));
    const strip = new Strip(this.#scene, row);
    strip.enlarge(low, lowSize);
    const lowBytes = lowSize * lowSize * 3;
    for (let column = 0; column < windows.length; column += size) {
      const some = windows.slice(column, column + size);
      const seen = low.subarray(column * lowBytes, (column + some.length) * lowBytes);
      const batch = await this.#tally.timed("decide", () => this.#decide(some, seen));
      const images = new Uint8Array(some.length * imageSize * imageSize * 3);
      const costs = await this.#tally.timed("acquire", () => this.#acquire(batch, images, strip));
      const classes = await this.#tally.timed("classify", () => this.#policy.classify(images, batch.mask, seen));
      await this.#tally.timed("write", () => this.#describe(batch, { costs, classes }, outputs));
    }
    await this.#tally.timed("write", () => outputs.rows(strip.pixels));
  }

  async #decide(windows: readonly Window[], low: Uint8Array): Promise<Batch> {
    const { patches } = this.#policy.model.grid;
    const { mask: wanted, patches: probabilities } = await this.#policy.decide(low);
    const cells = windows.map((window) => cellsOf(this.#scene, window));
    const mask = new Uint8Array(wanted.length);
    for (const [i, some] of cells.entries()) {
      for (const { patch } of some) mask[i * patches + patch] = wanted[i * patches + patch];
    }
    return { windows, mask, probabilities, cells };
  }

  /**
   * Reads the chosen patches into the windows' images [B, S, S, 3] and the strip.
   * @returns the bytes of each chosen cell
   */
  async #acquire({ mask, cells }: Batch, images: Uint8Array, strip: Strip): Promise<ReadonlyMap<Cell, number>> {
    const { imageSize, grid } = this.#policy.model;
    const imageBytes = imageSize * imageSize * 3;
    const chosen = cells.flatMap((some, i) =>
      some.filter(({ patch }) => mask[i * grid.patches + patch] === 1).map((cell) => ({ cell, i })),
    );
    const patches = await this.#source.readPatches(chosen.map(({ cell }) => cell.box));
    const costs = new Map<Cell, number>();
    for (const [n, { cell, i }] of chosen.entries()) {
      const { pixels, bytes } = patches[n];
      const { x, y } = cell.box;
      const image = images.subarray(i * imageBytes, (i + 1) * imageBytes);
      paste({ pixels, box: cell.box }, image, { x: x % imageSize, y: y % imageSize, width: imageSize });
      strip.paste(pixels, cell);
      costs.set(cell, bytes);
    }
    return costs;
  }

  /** One line per window, one feature per cell. */
  #describe(
    { windows, mask, probabilities, cells }: Batch,
    { costs, classes }: { costs: ReadonlyMap<Cell, number>; classes: Float32Array },
    outputs: Outputs,
  ): void {
    const { checkpoint, classes: names, model } = this.#policy;
    for (const [i, box] of windows.entries()) {
      const window = { column: box.x / model.imageSize, row: box.y / model.imageSize };
      const own = mask.subarray(i * model.grid.patches, (i + 1) * model.grid.patches);
      const wanted = probabilities.subarray(i * model.grid.patches, (i + 1) * model.grid.patches);
      const decided = cells[i].map((cell) => ({
        cell,
        window,
        chosen: own[cell.patch] === 1,
        probability: rounded(wanted[cell.patch]),
        bytes: costs.get(cell) ?? 0,
      }));
      for (const one of decided) this.#tally.add(one);
      outputs.cells(decided);
      const top = likeliest(classes.subarray(i * names.length, (i + 1) * names.length), names, this.#options.top);
      outputs.prediction({
        window: [window.column, window.row],
        box,
        class: top[0].class,
        top,
        mask: maskBits(own),
        patches: countPatches(own),
        patch_probabilities: Array.from(wanted, rounded),
        pixels: model.lowSize ** 2 + areaOf(decided.filter(({ chosen }) => chosen).map(({ cell }) => cell)),
        bytes: decided.reduce((sum, { bytes }) => sum + bytes, 0),
        checkpoint,
      });
    }
  }

  /** The chosen cells, merged; an order needs a georeference. */
  #order({ source, cells, area_km2 }: Acquired): JsonObject | undefined {
    const { georeference: place } = this.#source;
    if (place === undefined) return undefined;
    const { grid } = this.#policy.model;
    const properties = { source, cells: cells.chosen, area_km2: area_km2?.chosen ?? null };
    return orderFeature(this.#tally.chosen, { grid, size: this.#scene, place }, properties);
  }
}
