/**
 * `patchdrop acquire`: a policy looks at the low resolution of a scene, window by window, and only the patches that it chose
 * are read. The scene goes by row of windows; what is held does not grow with its height.
 */

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { fault } from "../errors.ts";
import { countPatches, maskBits } from "../method/grid.ts";
import { likeliest, rounded } from "../predict/lines.ts";
import { makeFolderAtomic } from "../run/atomic.ts";
import { toJson } from "../run/json.ts";
import { type Reporter, Stopped, silentReporter } from "../run/reporter.ts";
import { areaKm2 } from "./earth.ts";
import { cornersOf, type DecidedCell, featureCollection, orderFeature } from "./geojson.ts";
import { Ledger, purposes } from "./ledger.ts";
import { openSource } from "./open-source.ts";
import type { AcquireOptions } from "./options.ts";
import { fileNames, Outputs } from "./outputs.ts";
import type { PatchSource, Window } from "./patch-source.ts";
import type { PatchPolicy } from "./policy.ts";
import { type Savings, savingsOf } from "./savings.ts";
import { type Cell, cellsOf, type Scene, sceneOf, windowsOf } from "./scene.ts";
import { stacItem } from "./stac.ts";
import { areaOf, paste, Strip } from "./strip.ts";

/** What savings.json says. */
export interface Acquired extends Savings {
  readonly source: string;
  readonly checkpoint: string;
  readonly windows: number;
  readonly cells: { readonly all: number; readonly chosen: number };
  readonly [more: string]: unknown;
}

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
      acquired = await new Acquisition(source, policy, options, ledger).write(folder, reporter);
    } finally {
      await source.close();
    }
  });
  return acquired!;
}

/** A batch of windows with what was decided of them. */
interface Batch {
  readonly windows: readonly Window[];
  /** Of the first window, in its row. */
  readonly column: number;
  readonly row: number;
  /** [B, L, L, 3] */
  readonly low: Uint8Array;
  /** [B, P]; 0 for what lies outside the scene. */
  readonly mask: Uint8Array;
  /** [B, P] */
  readonly probabilities: Float32Array;
  /** Those of each window that lie in the scene. */
  readonly cells: readonly (readonly Cell[])[];
}

/** The kinds of work whose time is told apart. */
type Work = "look" | "decide" | "acquire" | "classify" | "write";

class Acquisition {
  readonly #source: PatchSource;
  readonly #policy: PatchPolicy;
  readonly #options: Choices;
  readonly #ledger: Ledger;
  readonly #scene: Scene;
  /** Wall time. */
  readonly #seconds: Record<Work, number> = { look: 0, decide: 0, acquire: 0, classify: 0, write: 0 };
  readonly #chosen: Cell[] = [];
  readonly #areaKm2 = { whole: 0, chosen: 0 };
  #cells = 0;

  constructor(source: PatchSource, policy: PatchPolicy, options: Choices, ledger: Ledger) {
    this.#source = source;
    this.#policy = policy;
    this.#options = options;
    this.#ledger = ledger;
    this.#scene = sceneOf(source, policy.model.grid);
  }

  /** Goes through the scene and writes all files. */
  async write(folder: string, reporter: Reporter): Promise<Acquired> {
    const { columns, rows } = this.#scene;
    const outputs = new Outputs(folder, this.#source);
    const bar = reporter.progress("acquire", columns * rows);
    try {
      for (let row = 0; row < rows; row++) {
        await this.#row(row, outputs);
        bar.update((row + 1) * columns, { patches: `${this.#chosen.length} of ${this.#cells}` });
        await new Promise(setImmediate);
        const signal = reporter.stopping();
        if (signal !== undefined) throw new Stopped(signal);
      }
      const acquired = this.#summary();
      outputs.finish(this.#files(acquired));
      return acquired;
    } finally {
      bar.stop();
      outputs.close();
    }
  }

  /** Look, decide, acquire, classify, write: a row of windows. */
  async #row(row: number, outputs: Outputs): Promise<void> {
    const { imageSize, lowSize } = this.#policy.model;
    const windows = windowsOf(this.#scene, row);
    const low = await this.#timed("look", () => this.#source.readLow(windows));
    const strip = new Strip(this.#scene, row);
    strip.enlarge(low, lowSize);
    const { batch_size: size } = this.#options;
    for (let column = 0; column < windows.length; column += size) {
      const some = windows.slice(column, column + size);
      const one = lowSize * lowSize * 3;
      const seen = low.subarray(column * one, (column + some.length) * one);
      const batch = await this.#timed("decide", async () => this.#decide(some, seen, { column, row }));
      const images = new Uint8Array(some.length * imageSize * imageSize * 3);
      const costs = await this.#timed("acquire", () => this.#acquire(batch, images, strip));
      const classes = await this.#timed("classify", async () => this.#policy.classify(images, batch.mask, seen));
      await this.#timed("write", async () => this.#describe(batch, costs, classes, outputs));
    }
    await this.#timed("write", () => outputs.rows(strip.pixels));
  }

  #decide(windows: readonly Window[], low: Uint8Array, place: { column: number; row: number }): Batch {
    const { patches } = this.#policy.model.grid;
    const { mask: wanted, patches: probabilities } = this.#policy.decide(low);
    const cells = windows.map((window) => cellsOf(this.#scene, window));
    const mask = new Uint8Array(wanted.length);
    for (const [i, some] of cells.entries()) {
      for (const { patch } of some) mask[i * patches + patch] = wanted[i * patches + patch];
    }
    return { windows, ...place, low, mask, probabilities, cells };
  }

  /**
   * Reads the chosen patches into the windows' images [B, S, S, 3] and the strip.
   * @returns the bytes of each chosen cell
   */
  async #acquire({ mask, cells }: Batch, images: Uint8Array, strip: Strip): Promise<ReadonlyMap<Cell, number>> {
    const { imageSize, grid } = this.#policy.model;
    const chosen = cells.flatMap((some, i) =>
      some.filter(({ patch }) => mask[i * grid.patches + patch] === 1).map((cell) => ({ cell, i })),
    );
    const patches = await this.#source.readPatches(chosen.map(({ cell }) => cell.box));
    const costs = new Map<Cell, number>();
    for (const [n, { cell, i }] of chosen.entries()) {
      const { pixels, bytes } = patches[n];
      const image = images.subarray(i * imageSize * imageSize * 3, (i + 1) * imageSize * imageSize * 3);
      paste({ pixels, box: cell.box }, image, {
        x: cell.box.x % imageSize,
        y: cell.box.y % imageSize,
        width: imageSize,
      });
      strip.paste(pixels, cell);
      costs.set(cell, bytes);
      this.#chosen.push(cell);
    }
    return costs;
  }

  /** A line a window, a feature a cell. */
  #describe(batch: Batch, costs: ReadonlyMap<Cell, number>, classes: Float32Array, outputs: Outputs): void {
    const { checkpoint, classes: names, model } = this.#policy;
    const count = model.grid.patches;
    for (const [i, { x, y, width, height }] of batch.windows.entries()) {
      const window = { column: batch.column + i, row: batch.row };
      const mask = batch.mask.subarray(i * count, (i + 1) * count);
      const probabilities = Array.from(batch.probabilities.subarray(i * count, (i + 1) * count), rounded);
      const decided = batch.cells[i].map((cell) => ({
        ...{ cell, window, chosen: mask[cell.patch] === 1 },
        ...{ probability: probabilities[cell.patch], bytes: costs.get(cell) ?? 0 },
      }));
      for (const one of decided) this.#measure(one);
      outputs.cells(decided);
      const top = likeliest(classes.subarray(i * names.length, (i + 1) * names.length), names, this.#options.top);
      const bytes = decided.reduce((sum, one) => sum + one.bytes, 0);
      const inside = decided.reduce((sum, { chosen, cell }) => sum + (chosen ? areaOf(cell.inside) : 0), 0);
      outputs.prediction({
        ...{ window: [window.column, window.row], box: { x, y, width, height }, class: top[0].class },
        ...{ top: top as never, mask: maskBits(mask), patches: countPatches(mask), patch_probabilities: probabilities },
        ...{ pixels: inside + model.lowSize ** 2, bytes, checkpoint },
      });
    }
  }

  #measure({ cell, chosen }: DecidedCell): void {
    const { georeference } = this.#source;
    const area = georeference === undefined ? 0 : areaKm2(cornersOf(cell.inside, georeference));
    this.#areaKm2.whole += area;
    if (chosen) this.#areaKm2.chosen += area;
    this.#cells++;
  }

  #summary(): Acquired {
    const { width, height, wholeBytes, where, georeference, lowFrom } = this.#source;
    const { columns, rows } = this.#scene;
    const [total, high] = [this.#ledger.total, this.#ledger.of("high")];
    const low = columns * rows * this.#policy.model.lowSize ** 2;
    const highPixels = this.#chosen.reduce((sum, { inside }) => sum + areaOf(inside), 0);
    const area = georeference === undefined ? undefined : this.#areaKm2;
    const { price_per_km2: pricePerKm2, min_area_km2: minAreaKm2, egress_per_gb: egressPerGb } = this.#options;
    const measured = {
      pixels: { whole: width * height, low, high: highPixels },
      bytes: { whole: wholeBytes, read: total.bytes, high: high.bytes },
      ...{ seconds: this.#seconds, areaKm2: area },
    };
    return {
      ...{ source: where, checkpoint: this.#policy.checkpoint, size: { width, height }, low_from: lowFrom },
      ...{ windows: columns * rows, cells: { all: this.#cells, chosen: this.#chosen.length } },
      ...savingsOf(measured, { pricePerKm2, minAreaKm2, egressPerGb }),
      read: {
        ...{ bytes: total.bytes, requests: total.requests, retries: this.#ledger.retries },
        by: Object.fromEntries(purposes.map((purpose) => [purpose, this.#ledger.of(purpose)])),
      },
      ...{ seconds: this.#seconds, area_km2: area ?? null },
      prices: { price_per_km2: pricePerKm2, min_area_km2: minAreaKm2, egress_per_gb: egressPerGb },
    };
  }

  /** The files that are written at the end. An order needs a place on the Earth. */
  #files(acquired: Acquired) {
    const { georeference: place } = this.#source;
    const { grid } = this.#policy.model;
    const properties = { source: acquired.source, cells: this.#chosen.length, area_km2: this.#areaKm2.chosen };
    const order =
      place && orderFeature(this.#chosen, { patchSize: grid.patchSize, size: this.#scene, place }, properties);
    return {
      [fileNames.savings]: toJson(acquired),
      ...(order && { [fileNames.order]: featureCollection([order]) }),
      [fileNames.item]: stacItem(this.#source, { acquired, isOrdered: order !== undefined, created: new Date() }),
    };
  }

  async #timed<T>(kind: Work, work: () => Promise<T>): Promise<T> {
    const began = performance.now();
    try {
      return await work();
    } finally {
      this.#seconds[kind] += (performance.now() - began) / 1000;
    }
  }
}
