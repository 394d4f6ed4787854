/** What several scenes saved together: the savings.json of all of them. */

import { purposes } from "./ledger.ts";
import { type Figure, figure, type Money, whyNot } from "./savings.ts";
import type { Acquired, Round, Summed } from "./tally.ts";

/** The sums, and in `scenes` what each scene's own savings.json has, by its id. */
export interface AcquiredScenes extends Summed {
  readonly scenes: Readonly<Record<string, Acquired>>;
}

/** @param scenes one or more, of one run and the same prices */
export function sumOf(scenes: Readonly<Record<string, Acquired>>): AcquiredScenes {
  return { ...addUp(Object.values(scenes)), scenes };
}

/** @param all one or more scenes or sums, of one run and the same prices */
export function addUp(all: readonly Summed[]): Summed {
  const [{ checkpoint, prices }] = all;
  const areas = all.flatMap(({ area_km2 }) => area_km2 ?? []);
  const counts = all.flatMap(({ tiles }) => tiles ?? []);
  const tiles = counts.length === 0 ? null : sums(counts);
  const figures = {
    pixels: figureOf(all.map(({ pixels }) => pixels))!,
    bytes: figureOf(all.flatMap(({ bytes }) => bytes ?? [])),
    time: figureOf(all.flatMap(({ time }) => time ?? [])),
    money: moneyOf(all.flatMap(({ money }) => money ?? [])),
  };
  return {
    checkpoint,
    windows: sum(all.map(({ windows }) => windows)),
    ...(all[0].unseen === undefined ? {} : { unseen: sum(all.map(({ unseen }) => unseen ?? 0)) }),
    ...(all[0].left === undefined ? {} : { left: sum(all.map(({ left }) => left ?? 0)) }),
    cells: cellsOf(all),
    rounds: all[0].rounds.map((_, n): Round => sums(all.map(({ rounds }) => rounds[n]))),
    tiles,
    ...figures,
    why: whyNot(figures, tiles),
    read: {
      bytes: sum(all.map(({ read }) => read.bytes)),
      requests: sum(all.map(({ read }) => read.requests)),
      retries: sum(all.map(({ read }) => read.retries)),
      by: Object.fromEntries(purposes.map((one) => [one, sums(all.map(({ read }) => read.by[one]))])) as never,
    },
    seconds: sums(all.map(({ seconds }) => seconds)),
    area_km2: areas.length === 0 ? null : sums(areas),
    prices,
  };
}

function cellsOf(all: readonly Summed[]): Acquired["cells"] {
  const of = (key: "all" | "chosen" | "free") => sum(all.map(({ cells }) => cells[key] ?? 0));
  const isFree = all.some(({ cells }) => cells.free !== undefined);
  return { all: of("all"), chosen: of("chosen"), ...(isFree ? { free: of("free") } : {}) };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

/** Key by key. */
function sums<T extends Readonly<Record<keyof T, number>>>(records: readonly T[]): T {
  const keys = Object.keys(records[0]) as (keyof T)[];
  return Object.fromEntries(keys.map((key) => [key, sum(records.map((one) => one[key]))])) as T;
}

/** Null where no scene has it. */
function figureOf(figures: readonly Figure[]): Figure | null {
  if (figures.length === 0) return null;
  return figure(sum(figures.map(({ whole }) => whole)), sum(figures.map(({ used }) => used)));
}

function moneyOf(moneys: readonly Money[]): Money | null {
  const total = figureOf(moneys);
  if (total === null) return null;
  const order = figureOf(moneys.flatMap(({ order }) => order ?? []));
  return { ...total, order, egress: figureOf(moneys.flatMap(({ egress }) => egress ?? [])) };
}
