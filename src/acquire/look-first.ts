/**
 * A scene that is looked at as a whole before any of its patches is read: then it is known what these cost together, so that a budget
 * buys those of most value for it, or all are read where these come to as many bytes.
 */

import { fault } from "../errors.ts";
import type { Asked } from "../inference/look-in-rounds.ts";
import { choosePatches } from "../method/budget.ts";
import { budgetNames } from "../options/acquire-options.ts";
import { pacer } from "../utils/pacer.ts";
import { newPixels, type PixelArray, type PixelForm } from "../utils/pixel-array.ts";
import { breathe, type Reporter, untilStopped } from "../utils/reporter.ts";
import type { Ledger } from "./ledger.ts";
import { LowAhead } from "./low-ahead.ts";
import type { PatchPolicy } from "./patch-policy.ts";
import { type PatchSource, type SceneTiles, type Window, within } from "./patch-source.ts";
import { cellAt, type Scene, windowsOf } from "./scene.ts";
import { type BudgetOptions, budgetOf, mustPay, type SceneBudget } from "./scene-budget.ts";
import type { Tally } from "./tally.ts";
import { buyByValue, type Offer } from "./value-for-cost.ts";

/** What a policy decided on all windows of a scene, row by row. Shapes: W windows, L low size, P patches. */
interface Decisions {
  /** [W, L, L, C] */
  readonly low: PixelArray;
  /** [W, P] */
  readonly mask: Uint8Array;
  readonly probabilities: Float32Array;
  /** 1 for a window that the low resolution shows nothing of, [W]. */
  readonly unseen: Uint8Array;
  /** 1 for a window that left early, [W]. */
  readonly left: Uint8Array;
}

export interface SceneLook extends Decisions {
  /** Whether every patch is read, as looking and the tiles of those that were chosen come to as many bytes as all tiles. */
  readonly isWhole: boolean;
  /** Whether nothing else is decided when patches are there: a budget is for what is wanted at first, also of a policy in rounds. */
  readonly isFinal: boolean;
}

/** What is known of an acquisition when it begins. */
export interface SceneWork {
  readonly source: PatchSource;
  readonly policy: PatchPolicy;
  readonly scene: Scene;
  readonly form: PixelForm;
  readonly options: BudgetOptions & { readonly whole_if_cheaper: boolean; readonly batch_size: number };
  readonly tally: Tally;
  readonly ledger: Ledger;
  readonly reporter: Reporter;
  /** What opening the source took. */
  readonly openSeconds: number;
}

/** Whether a scene is looked at as a whole. */
export function doesLookFirst(options: SceneWork["options"]): boolean {
  return options.whole_if_cheaper || budgetNames.some((name) => options[name] !== undefined);
}

/**
 * Looks at all windows, and decides which patches are read of all that the policy wants.
 * @throws usage: a budget that looking takes; resource: a low resolution that is too large to be held; Stopped; what the source throws
 */
export async function lookFirst(work: SceneWork): Promise<SceneLook> {
  const { source, policy, scene, reporter } = work;
  const budget = budgetNow(work);
  const isFinal = budget !== undefined || policy.rounds === 1;
  if (budget !== undefined) mustPay(budget, budget.looking);
  if (budget !== undefined && policy.rounds > 1) {
    reporter.note(
      `${budget.name} is spent on what the policy wants at first: of its ${policy.rounds} rounds, only the first is asked`,
    );
  }
  assertHeld(work);
  const look = emptyLook(work);
  await lookAtAll(look, work);
  if (budget !== undefined) {
    mustPay(budget, 0);
    look.mask.set(await untilStopped(reporter, withinBudget(look, scene, source, budget)));
  }
  return { ...look, isFinal, isWhole: await isWholeCheaper(look, work, budget) };
}

function budgetNow({ options, source, ledger, tally, openSeconds }: SceneWork): SceneBudget | undefined {
  const began = performance.now();
  const seconds = {
    open: openSeconds,
    look: () => tally.seconds.look,
    all: () => openSeconds + (performance.now() - began) / 1000,
  };
  return budgetOf(options, source, { ledger, seconds });
}

/** What may be held of a scene's low resolution. */
const mostLowBytes = 2 ** 30;

function assertHeld({ source, policy, scene, form }: SceneWork): void {
  const { columns, rows } = scene;
  const bytes = columns * rows * policy.model.lowSize ** 2 * form.bands * newPixels(form.type, 1).BYTES_PER_ELEMENT;
  if (bytes <= mostLowBytes) return;
  const rule = `its low resolution must have at most ${mostLowBytes} bytes to be looked at as a whole`;
  throw fault("resource", {
    where: source.where,
    rule,
    got: bytes,
    next: "cut the scene into smaller ones, or give no budget",
  });
}

/** Nothing is decided yet. */
function emptyLook({ policy, scene: { columns, rows, grid }, form }: SceneWork): Decisions {
  const windows = columns * rows;
  return {
    low: newPixels(form.type, windows * policy.model.lowSize ** 2 * form.bands),
    mask: new Uint8Array(windows * grid.patches),
    probabilities: new Float32Array(windows * grid.patches),
    unseen: new Uint8Array(windows),
    left: new Uint8Array(windows),
  };
}

/** Of the low resolution, ahead of the one that is looked at. */
const rowsFetched = 8;

async function lookAtAll({ low, mask, probabilities, unseen, left }: Decisions, work: SceneWork): Promise<void> {
  const { source, policy, scene, options, tally, reporter } = work;
  const { columns, rows, grid } = scene;
  const one = low.length / (columns * rows);
  const rowsAhead = new LowAhead(source, scene, rowsFetched);
  const bar = reporter.progress("look", columns * rows);
  try {
    for (let row = 0; row < rows; row++) {
      const own = low.subarray(row * columns * one, (row + 1) * columns * one);
      const windows = windowsOf(scene, row);
      own.set(await tally.timed("look", () => untilStopped(reporter, rowsAhead.read(row))));
      for (const [n, window] of windows.entries()) unseen[row * columns + n] = source.isUnseen?.(window) ? 1 : 0;
      for (let column = 0; column < columns; column += options.batch_size) {
        await breathe(reporter);
        const count = Math.min(options.batch_size, columns - column);
        const seen = own.subarray(column * one, (column + count) * one);
        const asked = await tally.timed("decide", () => policy.decide(seen, nothingOf(count, work)));
        const at = (row * columns + column) * grid.patches;
        mask.set(wantedIn(asked, policy), at);
        probabilities.set(asked.patches, at);
        if (asked.leaves !== undefined) left.set(asked.leaves, row * columns + column);
      }
      // Of what nobody sees, nothing is wanted.
      for (let n = row * columns; n < (row + 1) * columns; n++) {
        if (unseen[n] === 0) continue;
        for (const all of [mask, probabilities]) all.fill(0, n * grid.patches, (n + 1) * grid.patches);
        left[n] = 0;
      }
      bar.update((row + 1) * columns);
    }
  } finally {
    bar.stop();
  }
}

/** What a policy wants at first, also where it asks in rounds, of which each takes a part of it. [B, P] */
function wantedIn({ mask, patches }: Asked, { rounds, choice, model }: PatchPolicy): Uint8Array {
  if (rounds === 1 || choice === undefined) return mask;
  const wanted = new Uint8Array(mask.length);
  const each = model.grid.patches;
  for (let at = 0; at < mask.length; at += each) wanted.set(choosePatches(patches.subarray(at, at + each), choice), at);
  return wanted;
}

/** What so many windows have before anything was acquired. */
function nothingOf(count: number, { policy: { model }, form }: SceneWork): { images: PixelArray; mask: Uint8Array } {
  const images = newPixels(form.type, count * model.imageSize ** 2 * form.bands);
  return { images, mask: new Uint8Array(count * model.grid.patches) };
}

/** Of those that the policy wants, the cells that a budget buys, by their probabilities. [W, P] */
async function withinBudget(
  { mask, probabilities }: Decisions,
  scene: Scene,
  { tiles }: PatchSource,
  budget: SceneBudget,
): Promise<Uint8Array> {
  const isIn = (cell: number) => mask[cell] === 1 && boxOf(cell, scene) !== undefined;
  const pause = pacer();
  const tileCosts = new Float64Array(tiles?.count ?? 0);
  for (let tile = 0; tile < tileCosts.length; tile++) {
    await pause();
    tileCosts[tile] = budget.costOfTile(tiles!.mostBytesOf(tile));
  }
  const offer: Offer = {
    values: probabilities.map((probability, cell) => (isIn(cell) ? probability : 0)),
    costOf: memory(mask.length, (cell) => budget.costOfCell(boxOf(cell, scene)!)),
    tilesOf: (cell) => tiles?.of(boxOf(cell, scene)!) ?? [],
    tileCosts,
  };
  const left = budget.amount - budget.spent();
  const bought = await buyByValue(offer, left, pause);
  // Cells that come to less than the smallest order cost as much as it.
  const order = bought.taken.reduce((sum, is, cell) => sum + (is === 1 ? offer.costOf(cell) : 0), 0);
  const isPaid = bought.cost + Math.max(0, budget.smallestOrder - order) <= left;
  const fitting = isPaid ? bought : await buyByValue(offer, left - budget.smallestOrder, pause);
  return fitting.taken;
}

/** Numbers that are asked for again and again. */
function memory(count: number, of: (n: number) => number): (n: number) => number {
  const known = new Float64Array(count).fill(-1);
  return (n) => {
    if (known[n] < 0) known[n] = of(n);
    return known[n];
  };
}

/** Whether looking and the tiles of the chosen patches come to what all tiles have. It says so. */
async function isWholeCheaper({ mask }: Decisions, work: SceneWork, budget: SceneBudget | undefined): Promise<boolean> {
  const { source, scene, ledger, reporter } = work;
  if (source.tiles === undefined || !mask.includes(1)) return false;
  const chosen = await untilStopped(reporter, bytesOfChosen(mask, scene, source.tiles));
  const low = ledger.of("low").bytes;
  if (low + chosen < source.wholeBytes) return false;
  if (budget !== undefined && budget.spent() + (await costOfAll(mask, scene, source.tiles, budget)) > budget.amount) {
    return false;
  }
  reporter.note(
    `the tiles of the chosen patches (${chosen} bytes) and the low resolution (${low}) are no less than the whole full resolution (${source.wholeBytes}): all of it is read, and all patches are used`,
  );
  return true;
}

/** What the tiles of chosen patches have. */
async function bytesOfChosen(mask: Uint8Array, scene: Scene, tiles: SceneTiles): Promise<number> {
  const pause = pacer();
  const wanted = new Uint8Array(tiles.count);
  for (const [cell, is] of mask.entries()) {
    await pause();
    const box = is === 1 ? boxOf(cell, scene) : undefined;
    for (const tile of box === undefined ? [] : tiles.of(box)) wanted[tile] = 1;
  }
  let bytes = 0;
  for (let tile = 0; tile < tiles.count; tile++) if (wanted[tile] === 1) bytes += tiles.bytesOf(tile);
  return bytes;
}

/** What all tiles cost, and the order of the chosen cells. */
async function costOfAll(mask: Uint8Array, scene: Scene, tiles: SceneTiles, budget: SceneBudget): Promise<number> {
  const pause = pacer();
  let [read, ordered] = [0, 0];
  for (let tile = 0; tile < tiles.count; tile++) read += budget.costOfTile(tiles.mostBytesOf(tile));
  for (const [cell, is] of mask.entries()) {
    await pause();
    const box = is === 1 ? boxOf(cell, scene) : undefined;
    if (box !== undefined) ordered += budget.costOfCell(box);
  }
  return read + Math.max(ordered, budget.smallestOrder);
}

/** The part of a cell that lies in the scene; undefined where none does. */
function boxOf(cell: number, { columns, grid, ...size }: Scene): Window | undefined {
  const [window, patch] = [Math.floor(cell / grid.patches), cell % grid.patches];
  const place = { x: (window % columns) * grid.imageSize, y: Math.floor(window / columns) * grid.imageSize };
  const inside = within(cellAt(grid, patch, place), size);
  return inside.width > 0 && inside.height > 0 ? inside : undefined;
}
