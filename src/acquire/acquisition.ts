/**
 * A scene on its way: look, decide, acquire, classify, write, by rows of windows; memory grows with the scene's width, and little with
 * its height.
 */

import { rgb } from "../data/rendering.ts";
import type { JsonObject } from "../files/json.ts";
import type { WrittenForm } from "../formats/tiff-writer.ts";
import { type Asked, type Decided, lookInRounds } from "../inference/look-in-rounds.ts";
import { countPatches, maskBits } from "../method/grid.ts";
import { enlargePixels } from "../method/pixels.ts";
import type { AcquireOptions } from "../options/acquire-options.ts";
import { likeliest, rounded } from "../predict/lines.ts";
import { newPixels, type PixelArray, type PixelType } from "../utils/pixel-array.ts";
import { breathe, type Reporter, untilStopped } from "../utils/reporter.ts";
import { row as rowOf } from "../utils/rows.ts";
import { orderFeature } from "./geojson.ts";
import type { Ledger } from "./ledger.ts";
import { doesLookFirst, lookFirst, type SceneLook, type SceneWork } from "./look-first.ts";
import type { SceneOutputs } from "./outputs.ts";
import type { PatchPolicy } from "./patch-policy.ts";
import type { PatchSource, Window } from "./patch-source.ts";
import { type Cell, cellsOf, type Scene, sceneOf, windowsOf } from "./scene.ts";
import type { BudgetOptions } from "./scene-budget.ts";
import { paste, Strip } from "./strip.ts";
import { type Acquired, areaOf, Tally } from "./tally.ts";

/** What of the options decides on patches, their prices, and how they are described. */
export type AcquisitionChoices = Pick<
  AcquireOptions,
  "price_per_km2" | "min_area_km2" | "egress_per_gb" | "free_patches" | "whole_if_cheaper" | "top" | "batch_size"
> &
  BudgetOptions;

/** What the pixels of a scene are, as the policy sees them. */
export type SceneForm = WrittenForm & { readonly type: PixelType };

/** Makes what the results go to, once the scene's header has been read. */
export type OpenOutputs = (source: PatchSource, form: SceneForm) => SceneOutputs | Promise<SceneOutputs>;

/** A batch of windows with what was acquired for them. */
interface Batch {
  readonly windows: readonly Window[];
  /** Whether the low resolution shows something of them; else nobody decides. */
  readonly isSeen: boolean;
  /** Those of each window that lie in the scene. */
  readonly cells: readonly (readonly Cell[])[];
  /** [B, S, S, C] */
  readonly images: PixelArray;
  /** [B, P]; 0 for what lies outside the scene. */
  readonly mask: Uint8Array;
  /** The bytes of each chosen cell. */
  readonly costs: Map<Cell, number>;
  /** Those that nobody chose, and that cost nothing. */
  readonly free: Set<Cell>;
}

/** A batch whose policy has decided. */
interface Looked {
  readonly batch: Batch;
  /** Its low resolution, [B, L, L, C]. */
  readonly seen: PixelArray;
  readonly decided: Decided;
}

/** A chosen cell of the batch's window `i`. */
interface Chosen {
  readonly cell: Cell;
  readonly i: number;
}

export class Acquisition {
  readonly #source: PatchSource;
  readonly #policy: PatchPolicy;
  readonly #options: AcquisitionChoices;
  readonly #reporter: Reporter;
  readonly #scene: Scene;
  /** What its pixels are. */
  readonly #form: SceneForm;
  readonly #tally: Tally;
  readonly #work: SceneWork;
  /** What was decided on all windows before any patch is read, where that is so. */
  #look: SceneLook | undefined;

  constructor(
    source: PatchSource,
    policy: PatchPolicy,
    {
      options,
      ledger,
      reporter,
      openSeconds,
    }: { options: AcquisitionChoices; ledger: Ledger; reporter: Reporter; openSeconds: number },
  ) {
    this.#source = source;
    this.#policy = policy;
    this.#options = options;
    this.#reporter = reporter;
    this.#scene = sceneOf(source, policy.model.grid);
    const { pixelType: type, bands } = policy.description ?? { pixelType: "uint8", bands: rgb };
    this.#form = { type, bands };
    const tally = new Tally(source, policy, ledger);
    this.#tally = tally;
    this.#work = {
      source,
      policy,
      scene: this.#scene,
      form: { type, bands: bands.length },
      options,
      tally,
      ledger,
      reporter,
      openSeconds,
    };
  }

  /** Goes through the scene and writes what is found. */
  async write(open: OpenOutputs): Promise<Acquired> {
    const { columns, rows } = this.#scene;
    const { price_per_km2, min_area_km2, egress_per_gb } = this.#options;
    const outputs = await open(this.#source, this.#form);
    const bar = this.#reporter.progress("acquire", columns * rows);
    try {
      if (doesLookFirst(this.#options)) this.#look = await lookFirst(this.#work);
      for (let row = 0; row < rows; row++) {
        await this.#row(row, outputs);
        bar.update((row + 1) * columns, { patches: String(this.#tally.chosen.length) });
      }
      this.#tally.mustHaveSeen();
      const prices = { price_per_km2, min_area_km2, egress_per_gb };
      const acquired = this.#tally.acquired(prices, this.#takesFree);
      await this.#unlessStopped(this.#order(acquired).then((order) => outputs.finish(acquired, order)));
      return acquired;
    } finally {
      bar.stop();
      outputs.close();
    }
  }

  /** Whether all patches are read. */
  get #isWhole(): boolean {
    return this.#look?.isWhole === true;
  }

  /** Whether patches are used that nobody chose. */
  get #takesFree(): boolean {
    return this.#options.free_patches || this.#isWhole;
  }

  /** Look, decide, acquire, classify, write: a row of windows. */
  async #row(row: number, outputs: SceneOutputs): Promise<void> {
    const { batch_size: size } = this.#options;
    const windows = windowsOf(this.#scene, row);
    const { lowSize } = this.#policy.model;
    const channels = this.#form.bands.length;
    const low = await this.#lowOf(row, windows);
    const form = { type: this.#form.type, bands: channels };
    const strip = outputs.takesPixels ? new Strip(this.#scene, row, form) : undefined;
    await strip?.enlarge(this.#policy.shownLow?.(low) ?? low, lowSize);
    const lowLength = lowSize * lowSize * channels;
    const waiting: Looked[] = [];
    for (const { start, end, isSeen } of this.#together(windows, size)) {
      const seen = low.subarray(start * lowLength, end * lowLength);
      const batch = this.#batchOf(windows.slice(start, end), isSeen, seen);
      const looked = { batch, seen, decided: await this.#inRounds(batch, seen, strip) };
      // Only when all windows of the row have decided is it known what lies in tiles that were read.
      if (this.#takesFree) waiting.push(looked);
      else await this.#classify(looked, outputs);
    }
    for (const { batch } of waiting) await this.#tally.timed("acquire", () => this.#takeFree(batch, strip));
    for (const looked of waiting) await this.#classify(looked, outputs);
    if (strip === undefined) return;
    await this.#tally.timed("write", () => this.#unlessStopped(outputs.rows(strip.pixels)));
  }

  /** [windows, L, L, C] */
  #lowOf(row: number, windows: readonly Window[]): Promise<PixelArray> | PixelArray {
    if (this.#look === undefined)
      return this.#tally.timed("look", () => this.#unlessStopped(this.#source.readLow(windows)));
    const { low } = this.#look;
    const length = low.length / this.#scene.rows;
    return low.subarray(row * length, (row + 1) * length);
  }

  /** Neighbours that the low resolution shows, and those that it does not, `size` at most. */
  #together(windows: readonly Window[], size: number): { start: number; end: number; isSeen: boolean }[] {
    const found: { start: number; end: number; isSeen: boolean }[] = [];
    for (const [start, window] of windows.entries()) {
      const isSeen = !this.#isUnseen(window);
      const last = found.at(-1);
      if (last?.isSeen === isSeen && start - last.start < size) last.end++;
      else found.push({ start, end: start + 1, isSeen });
    }
    return found;
  }

  #isUnseen(window: Window): boolean {
    if (this.#look === undefined) return this.#source.isUnseen?.(window) ?? false;
    return this.#look.unseen[this.#numberOf(window)] === 1;
  }

  /** Of a window of the scene. */
  #numberOf({ x, y }: Window): number {
    const { imageSize } = this.#scene.grid;
    return (y / imageSize) * this.#scene.columns + x / imageSize;
  }

  async #classify({ batch, seen, decided }: Looked, outputs: SceneOutputs): Promise<void> {
    await breathe(this.#reporter);
    const isShown = batch.isSeen && !this.#source.isPlanned;
    const classes = isShown
      ? await this.#tally.timed("classify", () => this.#policy.classify(batch.images, batch.mask, seen))
      : undefined;
    await this.#tally.timed("write", () => this.#describe(batch, { decided, classes }, outputs));
  }

  /** Nothing is acquired yet. @param low [B, L, L, C] */
  #batchOf(windows: readonly Window[], isSeen: boolean, low: PixelArray): Batch {
    const { imageSize, lowSize, grid } = this.#policy.model;
    const { type, bands } = this.#form;
    const each = imageSize ** 2 * bands.length;
    const cells = windows.map((window) => cellsOf(this.#scene, window));
    const images = newPixels(type, windows.length * each);
    for (const [i, some] of cells.entries()) {
      if (some.length === grid.patches) continue;
      // There is nothing more to see of a cell outside the scene than the low resolution, whoever asks for it.
      const seen = rowOf(low, i, lowSize ** 2 * bands.length);
      const own = this.#policy.shownLow?.(seen) ?? seen;
      images.set(enlargePixels(own, lowSize, imageSize, bands.length), i * each);
    }
    return {
      windows,
      isSeen,
      cells,
      images,
      mask: new Uint8Array(windows.length * grid.patches),
      costs: new Map(),
      free: new Set(),
    };
  }

  /**
   * Decides and acquires, round by round, until no window asks for more; once where nothing can be acquired, as later rounds look
   * at what was. For the policy, cells outside the scene that it asked for are there from then on, so that it does not ask for them
   * again.
   */
  #inRounds(batch: Batch, low: PixelArray, strip: Strip | undefined): Promise<Decided> {
    const { windows, cells, images, isSeen } = batch;
    const { patches } = this.#policy.model.grid;
    const rounds = this.#source.isPlanned ? 1 : this.#policy.rounds;
    return lookInRounds(
      { rounds: isSeen ? rounds : 0, count: windows.length, patches },
      async (mask) => {
        await breathe(this.#reporter);
        return (
          this.#decidedBefore(windows) ?? this.#tally.timed("decide", () => this.#policy.decide(low, { images, mask }))
        );
      },
      (further, round) => {
        const asking = windows.filter((_, i) => rowOf(further, i, patches).includes(1)).length;
        const chosen = cells.flatMap((some, i) =>
          some.filter(({ patch }) => further[i * patches + patch] === 1).map((cell) => ({ cell, i })),
        );
        const asked = { windows: asking, patches: chosen.length };
        return this.#tally.acquiring(round, asked, () => this.#acquire(chosen, batch, strip));
      },
    );
  }

  /** What was decided on neighbouring windows of a row when all were looked at. */
  #decidedBefore(windows: readonly Window[]): Asked | undefined {
    if (this.#look?.isFinal !== true) return undefined;
    const { patches } = this.#scene.grid;
    const first = this.#numberOf(windows[0]) * patches;
    const end = first + windows.length * patches;
    return { mask: this.#look.mask.subarray(first, end), patches: this.#look.probabilities.subarray(first, end) };
  }

  /** Takes, besides what was chosen, what lies in tiles that were read for it. */
  async #takeFree(batch: Batch, strip: Strip | undefined): Promise<void> {
    const { patches } = this.#policy.model.grid;
    if (!batch.isSeen) return;
    const free = batch.cells.flatMap((some, i) =>
      some
        .filter(({ patch }) => batch.mask[i * patches + patch] === 0)
        .filter(({ box }) => this.#isWhole || this.#source.isFree(box))
        .map((cell) => ({ cell, i })),
    );
    await this.#acquire(free, batch, strip);
    for (const { cell } of free) {
      batch.free.add(cell);
      if (!this.#isWhole) batch.costs.set(cell, 0);
    }
  }

  /** Reads the chosen patches into the batch and the strip. */
  async #acquire(chosen: readonly Chosen[], { images, mask, costs }: Batch, strip: Strip | undefined): Promise<void> {
    const { imageSize, grid } = this.#policy.model;
    if (this.#source.isPlanned) {
      for (const { cell, i } of chosen) mask[i * grid.patches + cell.patch] = 1;
      return;
    }
    const patches = await this.#unlessStopped(this.#source.readPatches(chosen.map(({ cell }) => cell.box)));
    for (const [n, { cell, i }] of chosen.entries()) {
      const { pixels, bytes } = patches[n];
      const { x, y } = cell.box;
      const image = rowOf(images, i, imageSize ** 2 * this.#form.bands.length);
      paste({ pixels, box: cell.box }, image, { x: x % imageSize, y: y % imageSize, width: imageSize });
      strip?.paste(pixels, cell);
      mask[i * grid.patches + cell.patch] = 1;
      costs.set(cell, bytes);
    }
  }

  #unlessStopped<T>(work: Promise<T>): Promise<T> {
    return untilStopped(this.#reporter, work);
  }

  /** One line per window, one feature per cell. */
  #describe(
    { windows, isSeen, mask, cells, costs, free }: Batch,
    { decided: { probabilities, rounds }, classes }: { decided: Decided; classes: Float32Array | undefined },
    outputs: SceneOutputs,
  ): void {
    const { checkpoint, classes: names, model } = this.#policy;
    for (const [i, box] of windows.entries()) {
      const window = { column: box.x / model.imageSize, row: box.y / model.imageSize };
      const own = rowOf(mask, i, model.grid.patches);
      const wanted = rowOf(probabilities, i, model.grid.patches);
      const decided = cells[i].map((cell) => ({
        cell,
        window,
        chosen: own[cell.patch] === 1 && !free.has(cell),
        ...(this.#takesFree ? { free: free.has(cell) } : {}),
        ...(isSeen ? {} : { low: "missing" as const }),
        probability: rounded(wanted[cell.patch]),
        bytes: costs.get(cell) ?? 0,
      }));
      this.#tally.look(isSeen);
      for (const one of decided) this.#tally.add(one);
      outputs.cells(decided);
      const top = classes && likeliest(rowOf(classes, i, names.length), names, this.#options.top);
      outputs.prediction({
        window: [window.column, window.row],
        box,
        low: isSeen ? undefined : "missing",
        class: top?.[0].class,
        top,
        mask: maskBits(own),
        patches: countPatches(own),
        rounds: this.#policy.rounds > 1 ? rounds[i] : undefined,
        patch_probabilities: isSeen ? Array.from(wanted, rounded) : undefined,
        pixels:
          (isSeen ? model.lowSize ** 2 : 0) +
          areaOf(decided.filter(({ chosen, cell }) => chosen || free.has(cell)).map(({ cell }) => cell)),
        bytes: decided.reduce((sum, { bytes }) => sum + bytes, 0),
        checkpoint,
      });
    }
  }

  /** The chosen cells, merged; an order needs a georeference. */
  async #order({ source, cells, area_km2 }: Acquired): Promise<JsonObject | undefined> {
    const { georeference: place } = this.#source;
    if (place === undefined) return undefined;
    const { grid } = this.#policy.model;
    const properties = { source, cells: cells.chosen, area_km2: area_km2?.chosen ?? null };
    return orderFeature(this.#tally.chosen, { grid, size: this.#scene, place }, properties);
  }
}
