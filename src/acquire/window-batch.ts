/**
 * A batch of windows with what is acquired for them: chosen cells are asked for, put into the windows' images when they are there, and
 * paid at last.
 *
 * Shapes: B batch, S image size, L low size, C bands, P patches.
 */

import type { Decided } from "../inference/look-in-rounds.ts";
import { enlargePixels } from "../method/pixels.ts";
import { newPixels, type PixelArray } from "../utils/pixel-array.ts";
import { untilStopped } from "../utils/reporter.ts";
import { row as rowOf } from "../utils/rows.ts";
import type { SceneWork } from "./look-first.ts";
import type { FetchedPatches, Window } from "./patch-source.ts";
import { type Cell, cellsOf } from "./scene.ts";
import { paste } from "./strip.ts";

/** A chosen cell of the batch's window `i`. */
export interface Chosen {
  readonly cell: Cell;
  readonly i: number;
}

/** Cells that are being fetched. */
export interface AskedFor {
  readonly chosen: readonly Chosen[];
  readonly fetched: FetchedPatches;
  /** Whether nobody chose them. */
  readonly isFree: boolean;
}

/** What a batch needs of the acquisition. */
type BatchWork = Pick<SceneWork, "source" | "policy" | "scene" | "form" | "reporter">;

export class WindowBatch {
  readonly windows: readonly Window[];
  /** Whether the low resolution shows something of them; else nobody decides. */
  readonly isSeen: boolean;
  /** Those of each window that lie in the scene. */
  readonly cells: readonly (readonly Cell[])[];
  /** Its low resolution, [B, L, L, C]. */
  readonly low: PixelArray;
  /** [B, S, S, C] */
  readonly images: PixelArray;
  /** 1 for what is there or being fetched, [B, P]; 0 for what lies outside the scene. */
  readonly mask: Uint8Array;
  /** The bytes of each cell that was paid for. */
  readonly costs = new Map<Cell, number>();
  /** What nobody chose. */
  readonly free = new Set<Cell>();
  /** Once all rounds are over. */
  decided?: Decided;
  readonly #work: BatchWork;
  /** What was chosen, round by round, and at last what nobody chose and costs nothing. */
  readonly #orders: AskedFor[] = [];
  #due = 0;

  /** Nothing is acquired yet. @param low [B, L, L, C] */
  constructor(windows: readonly Window[], isSeen: boolean, low: PixelArray, work: BatchWork) {
    const { policy, scene, form } = work;
    this.#work = work;
    this.windows = windows;
    this.isSeen = isSeen;
    this.cells = windows.map((window) => cellsOf(scene, window));
    this.low = low;
    this.images = newPixels(form.type, windows.length * policy.model.imageSize ** 2 * form.bands);
    this.mask = new Uint8Array(windows.length * policy.model.grid.patches);
    for (const [i, { length }] of this.cells.entries()) if (length < policy.model.grid.patches) this.#showLow(i);
  }

  /** There is nothing more to see of a cell outside the scene than the low resolution, whoever asks for it. */
  #showLow(i: number): void {
    const { policy, form } = this.#work;
    const { imageSize, lowSize } = policy.model;
    const seen = rowOf(this.low, i, lowSize ** 2 * form.bands);
    const own = policy.shownLow?.(seen) ?? seen;
    this.imageOf(i).set(enlargePixels(own, lowSize, imageSize, form.bands));
  }

  /** That of window `i`, [S, S, C]. */
  imageOf(i: number): PixelArray {
    const { policy, form } = this.#work;
    return rowOf(this.images, i, policy.model.imageSize ** 2 * form.bands);
  }

  /** Bytes that are being fetched for it. */
  get due(): number {
    return this.#due;
  }

  /** Those of its cells for which this holds. */
  cellsWhere(holds: (cell: Cell, i: number) => boolean): Chosen[] {
    return this.cells.flatMap((some, i) => some.filter((cell) => holds(cell, i)).map((cell) => ({ cell, i })));
  }

  /** Whether a cell of window `i` is there or being fetched. */
  has({ patch }: Cell, i: number): boolean {
    return this.mask[i * this.#work.policy.model.grid.patches + patch] === 1;
  }

  /** Begins to fetch chosen patches; undefined of an image that does not exist yet. */
  ask(chosen: readonly Chosen[], isFree = false): AskedFor | undefined {
    const { source, policy } = this.#work;
    for (const { cell, i } of chosen) this.mask[i * policy.model.grid.patches + cell.patch] = 1;
    if (source.isPlanned) return undefined;
    const fetched = source.fetchPatches(chosen.map(({ cell }) => cell.box));
    this.#due += fetched.bytes;
    const order = { chosen, fetched, isFree };
    this.#orders.push(order);
    return order;
  }

  /** Waits for chosen patches, and puts them into their images. */
  async take({ chosen, fetched }: AskedFor): Promise<void> {
    const { policy, reporter } = this.#work;
    const { imageSize } = policy.model;
    const patches = await untilStopped(reporter, fetched.read());
    this.#due -= fetched.bytes;
    for (const [n, { cell, i }] of chosen.entries()) {
      const { x, y } = cell.box;
      const place = { x: x % imageSize, y: y % imageSize, width: imageSize };
      paste({ pixels: patches[n], box: cell.box }, this.imageOf(i), place);
    }
  }

  /** Pays for what was chosen. */
  payChosen(): void {
    this.#pay(false, (bytes) => bytes);
  }

  /** Pays for what nobody chose: nothing, unless all of the scene is read. */
  payFree(isWhole: boolean): void {
    this.#pay(true, (bytes) => (isWhole ? bytes : 0));
  }

  #pay(isFree: boolean, costOf: (bytes: number) => number): void {
    for (const { chosen, fetched } of this.#orders.filter((order) => order.isFree === isFree)) {
      const bytes = fetched.pay();
      for (const [n, { cell }] of chosen.entries()) {
        if (isFree) this.free.add(cell);
        this.costs.set(cell, costOf(bytes[n]));
      }
    }
  }
}
