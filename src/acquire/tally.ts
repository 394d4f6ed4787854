/** What an acquisition counts on its way: cells, areas, time; and the contents of savings.json. */

import { areaKm2 } from "./earth.ts";
import { cornersOf, type DecidedCell } from "./geojson.ts";
import { type Count, type Ledger, type Purpose, purposes } from "./ledger.ts";
import type { PatchPolicy } from "./patch-policy.ts";
import type { PatchSource } from "./patch-source.ts";
import { type Prices, type Savings, savingsOf } from "./savings.ts";
import type { Cell } from "./scene.ts";

/** The contents of savings.json. */
export interface Acquired extends Savings {
  readonly source: string;
  readonly checkpoint: string;
  /** Of the scene, in pixels. */
  readonly size: { readonly width: number; readonly height: number };
  /** What the low resolution was made of. */
  readonly low_from: string;
  readonly windows: number;
  readonly cells: { readonly all: number; readonly chosen: number };
  /** What was read, in total and by purpose. */
  readonly read: Count & { readonly retries: number; readonly by: Readonly<Record<Purpose, Count>> };
  readonly seconds: Readonly<Record<Work, number>>;
  readonly area_km2: { readonly whole: number; readonly chosen: number } | null;
  readonly prices: Prices;
}

/** The kinds of work that are timed separately. */
export type Work = "look" | "decide" | "acquire" | "classify" | "write";

export class Tally {
  /** In the order of the scene's windows. */
  readonly chosen: Cell[] = [];
  readonly #source: PatchSource;
  readonly #policy: PatchPolicy;
  readonly #seconds: Record<Work, number> = { look: 0, decide: 0, acquire: 0, classify: 0, write: 0 };
  readonly #areaKm2 = { whole: 0, chosen: 0 };
  #cells = 0;

  constructor(source: PatchSource, policy: PatchPolicy) {
    this.#source = source;
    this.#policy = policy;
  }

  /** Does work and adds its wall time to that of its kind. */
  async timed<T>(kind: Work, work: () => T | Promise<T>): Promise<T> {
    const began = performance.now();
    try {
      return await work();
    } finally {
      this.#seconds[kind] += (performance.now() - began) / 1000;
    }
  }

  add({ cell, chosen }: DecidedCell): void {
    const { georeference } = this.#source;
    const area = georeference === undefined ? 0 : areaKm2(cornersOf(cell.inside, georeference));
    this.#cells++;
    this.#areaKm2.whole += area;
    if (!chosen) return;
    this.#areaKm2.chosen += area;
    this.chosen.push(cell);
  }

  acquired(ledger: Ledger, prices: Prices): Acquired {
    const { width, height, wholeBytes, where, georeference, lowFrom } = this.#source;
    const { imageSize, lowSize } = this.#policy.model;
    const windows = Math.ceil(width / imageSize) * Math.ceil(height / imageSize);
    const read = ledger.total;
    const area = georeference === undefined ? undefined : this.#areaKm2;
    const measured = {
      pixels: { whole: width * height, low: windows * lowSize ** 2, high: areaOf(this.chosen) },
      bytes: { whole: wholeBytes, read: read.bytes, high: ledger.of("high").bytes },
      seconds: this.#seconds,
      areaKm2: area,
    };
    const by = Object.fromEntries(purposes.map((purpose) => [purpose, ledger.of(purpose)])) as Record<Purpose, Count>;
    return {
      source: where,
      checkpoint: this.#policy.checkpoint,
      size: { width, height },
      low_from: lowFrom,
      windows,
      cells: { all: this.#cells, chosen: this.chosen.length },
      ...savingsOf(measured, prices),
      read: { ...read, retries: ledger.retries, by },
      seconds: this.#seconds,
      area_km2: area ?? null,
      prices,
    };
  }
}

/** Pixels of cells that lie in the scene. */
export function areaOf(cells: readonly Cell[]): number {
  return cells.reduce((sum, { inside }) => sum + inside.width * inside.height, 0);
}
