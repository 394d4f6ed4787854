/** What an acquisition counts on its way: cells, areas, time; and the contents of savings.json. */

import { fault } from "../errors.ts";
import { areaKm2 } from "./earth.ts";
import { cornersOf, type DecidedCell } from "./geojson.ts";
import { type Count, type Ledger, type Purpose, purposes } from "./ledger.ts";
import type { PatchPolicy } from "./patch-policy.ts";
import type { PatchSource, SceneTiles } from "./patch-source.ts";
import { type Prices, type Savings, savingsOf, type TileCount } from "./savings.ts";
import type { Cell } from "./scene.ts";

/** The contents of savings.json. */
export interface Acquired extends Summed {
  readonly source: string;
  /** Of the scene, in pixels. */
  readonly size: { readonly width: number; readonly height: number };
  /** What the low resolution was made of. */
  readonly low_from: string;
}

/** What several scenes have in sum. */
export interface Summed extends Savings {
  readonly checkpoint: string;
  readonly windows: number;
  /** Windows that the other image, where one is looked at, shows nothing of: nothing is chosen in them. */
  readonly unseen?: number | undefined;
  /** Windows that left early, with --exit. */
  readonly left?: number | undefined;
  /** Whether the image does not exist yet: nothing was read of it. */
  readonly planned?: true | undefined;
  readonly cells: {
    readonly all: number;
    readonly chosen: number;
    /** Those that were used besides, since they cost nothing; where that was asked for. */
    readonly free?: number | undefined;
  };
  /** Of the full resolution; null of a picture that was read as a whole. */
  readonly tiles: TileCount | null;
  /** What each round that the policy has brought. */
  readonly rounds: readonly Round[];
  /** What was read, in total and by purpose. */
  readonly read: Count & { readonly retries: number; readonly by: Readonly<Record<Purpose, Count>> };
  readonly seconds: Readonly<Record<Work, number>>;
  readonly area_km2: { readonly whole: number; readonly chosen: number } | null;
  readonly prices: Prices;
}

/** What was asked for in a round, and what it took to acquire it. */
export interface Round {
  /** Those that asked for something. */
  windows: number;
  /** Of the scene. */
  patches: number;
  requests: number;
  seconds: number;
}

/** The kinds of work that are timed separately. */
export type Work = "look" | "decide" | "acquire" | "classify" | "write";

export class Tally {
  /** In the order of the scene's windows. */
  readonly chosen: Cell[] = [];
  readonly #free: Cell[] = [];
  readonly #source: PatchSource;
  readonly #policy: PatchPolicy;
  readonly #ledger: Ledger;
  readonly #rounds: readonly Round[];
  /** In which somebody waited for work or did it. */
  readonly #timed: Record<Work, number> = { look: 0, decide: 0, acquire: 0, classify: 0, write: 0 };
  /** When the first work began. */
  #began: number | undefined;
  /** Of acquiring, as far as they were counted for a round. */
  #roundSeconds = 0;
  readonly #areaKm2 = { whole: 0, chosen: 0 };
  #cells = 0;
  #windows = 0;
  #unseen = 0;
  #left = 0;

  constructor(source: PatchSource, policy: PatchPolicy, ledger: Ledger) {
    this.#source = source;
    this.#policy = policy;
    this.#ledger = ledger;
    const nothing = () => ({ windows: 0, patches: 0, requests: 0, seconds: 0 });
    this.#rounds = Array.from({ length: policy.rounds }, nothing);
  }

  /**
   * Until now, by kind of work, as far as each went on by itself: what is read comes while others are decided on and classified, so that
   * requests may have been under way for longer than anybody waited for them.
   */
  get seconds(): Readonly<Record<Work, number>> {
    const { look, acquire } = this.#timed;
    return {
      ...this.#timed,
      look: Math.max(look, this.#ledger.secondsOf("low")),
      acquire: Math.max(acquire, this.#ledger.secondsOf("high")),
    };
  }

  /** Does work and adds its wall time to that of its kind. */
  async timed<T>(kind: Work, work: () => T | Promise<T>): Promise<T> {
    const began = performance.now();
    this.#began ??= began;
    try {
      return await work();
    } finally {
      this.#timed[kind] += (performance.now() - began) / 1000;
    }
  }

  /** Counts what was asked for in a round (1, 2, …). */
  asked(round: number, { windows, patches, requests }: Omit<Round, "seconds">): void {
    const own = this.#rounds[round - 1];
    own.windows += windows;
    own.patches += patches;
    own.requests += requests;
  }

  /** Takes what a round brought, and counts for it what acquiring took since the last time. */
  async taking(round: number, work: () => Promise<void>): Promise<void> {
    await this.timed("acquire", work);
    const { acquire } = this.seconds;
    this.#rounds[round - 1].seconds += acquire - this.#roundSeconds;
    this.#roundSeconds = acquire;
  }

  /** What looking, deciding and acquiring took together, whatever else was done meanwhile. */
  get #usedSeconds(): number {
    const { look, acquire, classify, write } = this.seconds;
    const all = this.#began === undefined ? 0 : (performance.now() - this.#began) / 1000;
    // Without the other two it would have been as long as reading at least, and not longer than with them.
    return Math.min(all, Math.max(look + acquire, all - classify - write));
  }

  /** Counts a window: whether the low resolution shows something of it, and whether it left early. */
  look(isSeen: boolean, hasLeft: boolean): void {
    this.#windows++;
    if (!isSeen) this.#unseen++;
    if (hasLeft) this.#left++;
  }

  /** @throws input: another image that shows nothing at all */
  mustHaveSeen(): void {
    const { lowWhere, where } = this.#source;
    if (lowWhere === undefined || this.#unseen < this.#windows) return;
    const rule = lowWhere === where ? "must have data somewhere" : `must have data where ${where} lies`;
    const got = `none in any of ${this.#windows} windows (nodata, transparent or outside)`;
    throw fault("input", { where: lowWhere, rule, got, next: "give an image with data of the same place" });
  }

  add({ cell, chosen, free }: DecidedCell): void {
    const { georeference } = this.#source;
    const area = georeference === undefined ? 0 : areaKm2(cornersOf(cell.inside, georeference));
    this.#cells++;
    this.#areaKm2.whole += area;
    if (free === true) this.#free.push(cell);
    if (!chosen) return;
    this.#areaKm2.chosen += area;
    this.chosen.push(cell);
  }

  acquired(prices: Prices, takesFree = false): Acquired {
    const ledger = this.#ledger;
    const { width, height, wholeBytes, where, georeference, lowFrom, lowWhere, isPlanned = false } = this.#source;
    const tiles = this.#source.tiles === undefined ? null : countOf(this.#source.tiles);
    const { lowSize } = this.#policy.model;
    const [windows, seen] = [this.#windows, this.#windows - this.#unseen];
    const read = ledger.total;
    const area = georeference === undefined ? undefined : this.#areaKm2;
    const measured = {
      pixels: { whole: width * height, low: seen * lowSize ** 2, high: areaOf(this.chosen) + areaOf(this.#free) },
      bytes: isPlanned ? undefined : { whole: wholeBytes, read: read.bytes, high: ledger.of("high").bytes },
      seconds: { used: this.#usedSeconds, acquire: this.seconds.acquire },
      areaKm2: area,
      tiles,
    };
    const by = Object.fromEntries(purposes.map((purpose) => [purpose, ledger.of(purpose)])) as Record<Purpose, Count>;
    return {
      source: where,
      checkpoint: this.#policy.checkpoint,
      size: { width, height },
      low_from: lowFrom,
      windows,
      ...(lowWhere === undefined ? {} : { unseen: this.#unseen }),
      ...(this.#policy.exit === undefined ? {} : { left: this.#left }),
      ...(isPlanned ? { planned: true } : {}),
      cells: { all: this.#cells, chosen: this.chosen.length, ...(takesFree ? { free: this.#free.length } : {}) },
      tiles,
      rounds: this.#rounds,
      ...savingsOf(measured, prices),
      read: { ...read, retries: ledger.retries, by },
      seconds: this.seconds,
      area_km2: area ?? null,
      prices,
    };
  }
}

function countOf({ count, needed }: SceneTiles): TileCount {
  return { all: count, read: needed };
}

/** What there is to say of a scene besides patches and savings, a line each. */
export function remarkLines(acquired: Summed): string[] {
  return [planLines, unseenLines, leftLines, roundLines].flatMap((linesOf) => linesOf(acquired));
}

/** Where there may be several rounds. */
function roundLines({ rounds }: Summed): string[] {
  if (rounds.length === 1) return [];
  const used = rounds.filter(({ windows }) => windows > 0);
  const each = used.map(({ windows, patches }, n) =>
    n === 0 ? `${patches} patches in ${windows} windows` : `${patches} in ${windows}`,
  );
  return [`rounds  ${used.length} of ${rounds.length}${used.length > 0 ? `: ${each.join(", ")}` : ""}`];
}

/** Of a plan by a policy that decides in rounds, which is of the first of them. */
function planLines({ planned, rounds }: Summed): string[] {
  if (planned === undefined || rounds.length === 1) return [];
  return [`plan    the first of ${rounds.length} rounds: the others look at patches that were acquired`];
}

/** Of the windows that another image shows nothing of, where there are any. */
function unseenLines({ unseen = 0, windows }: Summed): string[] {
  return unseen === 0
    ? []
    : [`unseen  ${unseen} of ${windows} windows: --low shows nothing of them, nothing is chosen there`];
}

/** Of the windows that left early, where they may. */
function leftLines({ left, windows }: Summed): string[] {
  return left === undefined ? [] : [`left    ${left} of ${windows} windows early, sure enough of their class`];
}

/** Pixels of cells that lie in the scene. */
export function areaOf(cells: readonly Cell[]): number {
  return cells.reduce((sum, { inside }) => sum + inside.width * inside.height, 0);
}
