/**
 * A scene on its way: look, decide, acquire, classify, write, by batches of the windows of a row. While the patches of some batches are
 * fetched, others are decided on and classified. Memory grows with the scene's width, and little with its height.
 */

import { rgb } from "../data/rendering.ts";
import type { JsonObject } from "../files/json.ts";
import type { WrittenForm } from "../formats/tiff-writer.ts";
import { type Asked, askInRounds } from "../inference/look-in-rounds.ts";
import type { AcquireOptions } from "../options/acquire-options.ts";
import { newPixels, type PixelArray, type PixelType } from "../utils/pixel-array.ts";
import { breathe, type Reporter, untilStopped } from "../utils/reporter.ts";
import { row as rowOf } from "../utils/rows.ts";
import { describeWindows } from "./describe-windows.ts";
import { orderFeature } from "./geojson.ts";
import type { Ledger } from "./ledger.ts";
import { doesLookFirst, lookFirst, type SceneLook, type SceneWork } from "./look-first.ts";
import { LowAhead } from "./low-ahead.ts";
import type { SceneOutputs } from "./outputs.ts";
import type { PatchPolicy } from "./patch-policy.ts";
import type { PatchSource, Window } from "./patch-source.ts";
import { type Piece, Relay } from "./relay.ts";
import { type Scene, sceneOf, windowsOf } from "./scene.ts";
import type { BudgetOptions } from "./scene-budget.ts";
import { Strip } from "./strip.ts";
import { type Acquired, Tally } from "./tally.ts";
import { type Chosen, WindowBatch } from "./window-batch.ts";

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

/** A row of windows on its way. */
interface Row {
  readonly number: number;
  /** [windows, L, L, C] */
  readonly low: PixelArray;
  /** Where pixels are wanted, and the first of its batches has ended. */
  strip?: Strip | undefined;
}

/** Batches that go through all steps together. */
interface Together extends Piece {
  readonly batches: readonly WindowBatch[];
}

/** What is held of images of batches that are on their way, besides the first; and of bytes that are being fetched for them. */
const mostHeldBytes = 64 * 2 ** 20;
/** More of them than keep a server busy. */
const mostBehind = 8;

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
  /** Of the last row that was complete. */
  #writing: Promise<void> = Promise.resolve();

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
    const ended = (row: number) => bar.update((row + 1) * columns, { patches: String(this.#tally.chosen.length) });
    try {
      if (doesLookFirst(this.#options)) this.#look = await lookFirst(this.#work);
      const relay = new Relay<Together>({ steps: this.#rounds + 1, lag: this.#lag });
      const piecesInRow = Math.ceil(columns / this.#pieceWindows);
      const ahead = new LowAhead(this.#source, this.#scene, 1 + Math.ceil((this.#rounds * this.#lag) / piecesInRow));
      for (let number = 0; number < rows; number++) {
        const row = { number, low: await this.#lowOf(number, ahead) };
        for (const piece of this.#piecesOf(row, outputs, ended)) {
          await relay.begin(piece);
          while (bytesDue(relay.underway) > mostHeldBytes) await relay.goOn();
        }
      }
      await relay.end();
      await this.#written();
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

  /** In which patches are acquired: once where nothing can be, as later rounds look at what was. */
  get #rounds(): number {
    return this.#source.isPlanned ? 1 : this.#policy.rounds;
  }

  /** Windows that go through all steps together, at most: those of a row where it matters what was read for others of it. */
  get #pieceWindows(): number {
    const { columns } = this.#scene;
    return this.#takesFree ? columns : Math.min(this.#options.batch_size, columns);
  }

  /** How many pieces are decided on while one is being fetched. */
  get #lag(): number {
    const { type, bands } = this.#form;
    const each = this.#policy.model.imageSize ** 2 * bands.length * newPixels(type, 1).BYTES_PER_ELEMENT;
    const fitting = Math.floor(mostHeldBytes / (this.#pieceWindows * each * this.#rounds));
    return Math.max(this.#takesFree ? 0 : 1, Math.min(mostBehind, fitting));
  }

  /** Decide, acquire, classify, write: the windows of a row. */
  *#piecesOf(row: Row, outputs: SceneOutputs, ended: (row: number) => void): Generator<Together> {
    const windows = windowsOf(this.#scene, row.number);
    const batches = this.#together(windows, this.#options.batch_size);
    const made = ({ start, end, isSeen }: (typeof batches)[number]) => {
      const length = row.low.length / windows.length;
      const low = row.low.subarray(start * length, end * length);
      return new WindowBatch(windows.slice(start, end), isSeen, low, this.#work);
    };
    // Only when all windows of the row have decided is it known what lies in tiles that were read.
    const groups = this.#takesFree ? [batches] : batches.map((one) => [one]);
    for (const group of groups) {
      const own = group.map(made);
      const steps = this.#takesFree ? this.#acquireWithFree(own) : this.#acquire(own[0]);
      yield {
        batches: own,
        step: async () => void (await steps.next()),
        finish: async () => {
          this.#pay(own);
          for (const batch of own) await this.#finish(batch, row, outputs);
          if (group.at(-1)!.end < windows.length) return;
          const { strip } = row;
          if (strip !== undefined) await this.#write(strip, outputs);
          ended(row.number);
        },
      };
    }
  }

  /** [windows, L, L, C] */
  #lowOf(row: number, ahead: LowAhead): Promise<PixelArray> | PixelArray {
    if (this.#look === undefined) return this.#tally.timed("look", () => this.#unlessStopped(ahead.read(row)));
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

  /** Whoever comes first in the scene pays for a tile, in whichever order it was asked for; what was chosen before what is free. */
  #pay(batches: readonly WindowBatch[]): void {
    for (const batch of batches) batch.payChosen();
    for (const batch of batches) batch.payFree(this.#isWhole);
  }

  /** Classifies and describes a batch for which everything is there. */
  async #finish(batch: WindowBatch, row: Row, outputs: SceneOutputs): Promise<void> {
    await breathe(this.#reporter);
    const { images, mask, low, isSeen } = batch;
    const classes =
      isSeen && !this.#source.isPlanned
        ? await this.#tally.timed("classify", () => this.#policy.classify(images, mask, low))
        : undefined;
    const describing = { policy: this.#policy, tally: this.#tally, takesFree: this.#takesFree, top: this.#options.top };
    await this.#tally.timed("write", () => describeWindows(batch, classes, outputs, describing));
    if (!outputs.takesPixels) return;
    row.strip ??= await this.#stripOf(row);
    this.#show(batch, row.strip);
  }

  /** Packing a row takes other threads than the networks do: it goes on meanwhile, until the next one is to be written. */
  async #write({ pixels }: Strip, outputs: SceneOutputs): Promise<void> {
    await this.#written();
    this.#writing = outputs.rows(pixels);
    this.#writing.catch(() => undefined);
  }

  #written(): Promise<void> {
    return this.#tally.timed("write", () => this.#unlessStopped(this.#writing));
  }

  /** The low resolution of a row. */
  async #stripOf({ number, low }: Row): Promise<Strip> {
    const strip = new Strip(this.#scene, number, { type: this.#form.type, bands: this.#form.bands.length });
    await strip.enlarge(this.#policy.shownLow?.(low) ?? low, this.#policy.model.lowSize);
    return strip;
  }

  /** Puts the patches of a batch over it. */
  #show(batch: WindowBatch, strip: Strip): void {
    for (const { cell, i } of batch.cellsWhere((cell, i) => batch.has(cell, i))) {
      strip.paste(batch.imageOf(i), batch.windows[i], cell);
    }
  }

  /**
   * Decides and acquires, round by round, until no window asks for more; it pauses while patches are being fetched. For the policy, cells
   * outside the scene that it asked for are there from then on, so that it does not ask for them again.
   */
  async *#acquire(batch: WindowBatch): AsyncGenerator<void, void> {
    const { windows, images, isSeen, low } = batch;
    const { patches } = this.#policy.model.grid;
    const looking = { rounds: isSeen ? this.#rounds : 0, count: windows.length, patches };
    const rounds = askInRounds(looking, async (mask) => {
      await breathe(this.#reporter);
      return (
        this.#decidedBefore(windows) ?? this.#tally.timed("decide", () => this.#policy.decide(low, { images, mask }))
      );
    });
    for (;;) {
      const { done, value } = await rounds.next();
      if (done) {
        batch.decided = value;
        return;
      }
      const { further, round } = value;
      const asking = windows.filter((_, i) => rowOf(further, i, patches).includes(1)).length;
      const chosen = batch.cellsWhere(({ patch }, i) => further[i * patches + patch] === 1);
      const order = batch.ask(chosen);
      const requests = order?.fetched.requests ?? 0;
      this.#tally.asked(round, { windows: asking, patches: chosen.length, requests });
      yield;
      if (order !== undefined) await this.#tally.taking(round, () => batch.take(order));
    }
  }

  /** What was decided on neighbouring windows of a row when all were looked at. */
  #decidedBefore(windows: readonly Window[]): Asked | undefined {
    if (this.#look?.isFinal !== true) return undefined;
    const { mask, probabilities, left } = this.#look;
    const first = this.#numberOf(windows[0]);
    const of = <T extends Uint8Array | Float32Array>(all: T, each: number) =>
      all.subarray(first * each, (first + windows.length) * each) as T;
    const { patches } = this.#scene.grid;
    return { mask: of(mask, patches), patches: of(probabilities, patches), leaves: of(left, 1) };
  }

  /** Also takes, besides what was chosen in a row's batches, what lies in tiles that are read for it. */
  async *#acquireWithFree(batches: readonly WindowBatch[]): AsyncGenerator<void, void> {
    const steps = batches.map((batch) => this.#acquire(batch));
    for (const one of steps) {
      // Further rounds may read further tiles.
      while (!(await one.next()).done && this.#rounds > 1);
    }
    const free = batches.map((batch) => batch.ask(this.#freeOf(batch), true));
    yield;
    for (const one of steps) await one.next();
    for (const [n, batch] of batches.entries()) {
      const order = free[n];
      if (order !== undefined) await this.#tally.timed("acquire", () => batch.take(order));
    }
  }

  #freeOf(batch: WindowBatch): Chosen[] {
    if (!batch.isSeen) return [];
    return batch.cellsWhere((cell, i) => !batch.has(cell, i) && (this.#isWhole || this.#source.isFree(cell.box)));
  }

  #unlessStopped<T>(work: Promise<T>): Promise<T> {
    return untilStopped(this.#reporter, work);
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

const bytesDue = (pieces: readonly Together[]) =>
  pieces.reduce((sum, { batches }) => sum + batches.reduce((all, { due }) => all + due, 0), 0);
