/**
 * Which cells a budget buys where tiles are paid for: a tile is bought once for all cells that lie in it, and a cell is there when all
 * its tiles are. Greedy by value for cost, as for a knapsack (Dantzig, "Discrete-variable extremum problems", 1957). Where each cell
 * lies in one tile and costs nothing besides, the better of that and of the best single purchase has at least half of the value that
 * any choice has. Where cells lie in several tiles, no good bound is known for any method that is fast: it is the densest subhypergraph
 * problem with weights. Pure.
 */

import { Heap } from "../utils/priority-queue.ts";

/** What can be bought: cells and tiles by number. */
export interface Offer {
  /** Of each cell; one of 0 or less is not wanted. */
  readonly values: ArrayLike<number>;
  /** What a cell costs besides its tiles. */
  costOf(cell: number): number;
  tilesOf(cell: number): readonly number[];
  /** Of each tile; 0 of one that is there already. */
  readonly tileCosts: ArrayLike<number>;
}

export interface Purchase {
  /** 1 for a cell that is taken, [cells] */
  readonly taken: Uint8Array;
  readonly value: number;
  readonly cost: number;
}

/** Lets others have their turn. */
type Pause = () => Promise<void> | undefined;

/** @throws what `pause` throws */
export async function buyByValue(offer: Offer, budget: number, pause: Pause = () => undefined): Promise<Purchase> {
  const groups = await groupsOf(offer, pause);
  const bought = await new Buyer(offer, groups, budget).buy(pause);
  const other = new Buyer(offer, groups, budget);
  const single = await other.bestAlone(pause);
  if (single === undefined || single.value <= bought.value) return bought;
  other.take(single);
  return other.buy(pause);
}

/** Wanted cells that lie in the same tiles. */
interface Group {
  readonly tiles: readonly number[];
  /** Those of the most value for what they cost themselves first. */
  readonly cells: readonly number[];
}

async function groupsOf({ values, costOf, tilesOf }: Offer, pause: Pause): Promise<Group[]> {
  const found = new Map<string, { tiles: readonly number[]; cells: number[] }>();
  for (let cell = 0; cell < values.length; cell++) {
    await pause();
    if (!(values[cell] > 0)) continue;
    const tiles = tilesOf(cell);
    const key = tiles.join();
    const group = found.get(key);
    if (group === undefined) found.set(key, { tiles, cells: [cell] });
    else group.cells.push(cell);
  }
  const worth = (cell: number) => values[cell] / costOf(cell);
  for (const { cells } of found.values()) cells.sort((a, b) => byFalling(worth(a), worth(b)));
  return [...found.values()];
}

/** Infinity is not less than itself, nor is their difference a number. */
function byFalling(one: number, other: number): number {
  return one === other ? 0 : other > one ? 1 : -1;
}

/** Tiles, and cells that they complete. */
interface Bundle {
  readonly tiles: readonly number[];
  readonly cells: readonly number[];
  readonly value: number;
  readonly cost: number;
}

class Buyer {
  readonly #offer: Offer;
  readonly #groups: readonly Group[];
  /** Of each tile. */
  readonly #touching = new Map<number, number[]>();
  readonly #isThere: Uint8Array;
  readonly #taken: Uint8Array;
  #left: number;
  #cost = 0;
  #value = 0;

  constructor(offer: Offer, groups: readonly Group[], budget: number) {
    this.#offer = offer;
    this.#groups = groups;
    this.#left = budget;
    this.#taken = new Uint8Array(offer.values.length);
    this.#isThere = Uint8Array.from(offer.tileCosts, (cost) => (cost === 0 ? 1 : 0));
    for (const [n, { tiles }] of groups.entries()) {
      for (const tile of tiles) {
        const touching = this.#touching.get(tile);
        if (touching === undefined) this.#touching.set(tile, [n]);
        else touching.push(n);
      }
    }
  }

  /** Buys what has most value for its cost, again and again, while the budget pays for something. */
  async buy(pause: Pause): Promise<Purchase> {
    const heap = new Heap<{ group: number; version: number }>();
    const versions = new Uint32Array(this.#groups.length);
    const offer = (group: number) => {
      const bundle = this.#bundle(group, false);
      if (bundle !== undefined) heap.push({ group, version: ++versions[group] }, -worthOf(bundle));
    };
    for (const group of this.#groups.keys()) {
      await pause();
      offer(group);
    }
    for (let first = heap.pop(); first !== undefined; first = heap.pop()) {
      await pause();
      const { group, version } = first.item;
      if (version !== versions[group]) continue;
      // Less is left than when it was offered.
      const bundle = this.#bundle(group, false);
      if (bundle === undefined) continue;
      if (worthOf(bundle) < -first.key) {
        offer(group);
        continue;
      }
      this.take(bundle);
      for (const other of this.#near(bundle.tiles, group)) offer(other);
    }
    return { taken: this.#taken, value: this.#value, cost: this.#cost };
  }

  /** The most value that a single purchase has. */
  async bestAlone(pause: Pause): Promise<Bundle | undefined> {
    let best: Bundle | undefined;
    for (const group of this.#groups.keys()) {
      await pause();
      const bundle = this.#bundle(group, true);
      if (bundle !== undefined && bundle.value > (best?.value ?? 0)) best = bundle;
    }
    return best;
  }

  take({ tiles, cells, value, cost }: Bundle): void {
    for (const tile of tiles) this.#isThere[tile] = 1;
    for (const cell of cells) this.#taken[cell] = 1;
    this.#left -= cost;
    this.#cost += cost;
    this.#value += value;
  }

  /**
   * The tiles that a group misses, with the cells that these complete, of all groups: those that raise the value for the cost, or, where all
   * are wanted, those that the budget pays for. Undefined where there are none.
   */
  #bundle(group: number, all: boolean): Bundle | undefined {
    const { values, costOf, tileCosts } = this.#offer;
    const tiles = this.#missing(group);
    let cost = tiles.reduce((sum, tile) => sum + tileCosts[tile], 0);
    if (cost > this.#left) return undefined;
    const own = (cell: number) => values[cell] / costOf(cell);
    const cells: number[] = [];
    let value = 0;
    for (const cell of this.#completedBy(tiles, group).sort((a, b) => byFalling(own(a), own(b)))) {
      const more = cost + costOf(cell);
      if (more > this.#left) continue;
      if (!all && value > 0 && own(cell) < value / cost) break;
      cells.push(cell);
      value += values[cell];
      cost = more;
    }
    return cells.length === 0 ? undefined : { tiles, cells, value, cost };
  }

  #missing(group: number): number[] {
    return this.#groups[group].tiles.filter((tile) => this.#isThere[tile] === 0);
  }

  /** Cells that are not taken, of the groups that miss none but these tiles. */
  #completedBy(tiles: readonly number[], group: number): number[] {
    const inside =
      tiles.length === 0
        ? [group]
        : this.#touchingAny(tiles).filter((one) => this.#missing(one).every((tile) => tiles.includes(tile)));
    return inside.flatMap((one) => this.#groups[one].cells.filter((cell) => this.#taken[cell] === 0));
  }

  #touchingAny(tiles: readonly number[]): number[] {
    return [...new Set(tiles.flatMap((tile) => this.#touching.get(tile) ?? []))];
  }

  /** The groups whose bundles are others once these tiles are there. */
  #near(tiles: readonly number[], group: number): number[] {
    const touching = this.#touchingAny(tiles);
    return [...new Set([group, ...this.#touchingAny(touching.flatMap((one) => this.#missing(one))), ...touching])];
  }
}

function worthOf({ value, cost }: Bundle): number {
  return value / cost;
}
