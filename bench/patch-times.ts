/**
 * What bench/patches.ts makes of its times: how many patches it times, and its table.
 */
import { countsOf } from "../src/evaluation/staged.ts";
import { markdownTable } from "./markdown-table.ts";
import { median } from "./measure.ts";

export const sides = ["dense", "patches"] as const;
export type TimedSide = (typeof sides)[number];

/** Of a grid's patches; of the usual sixteen 0, 2, 4, 8, 12 and 16. */
const shares = [0, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1];
/** Where this share of the patches is there, the classifier is to be so many times as fast as the dense one. */
const fast = { share: 1 / 4, times: 2.5 } as const;
/** Of the time with all patches, what is to be left with none; the rest is to fall in proportion. */
const fixedShare = 0.15;
const tolerance = 0.05;

/** The numbers of patches that are timed. */
export const timedCounts = (patches: number): number[] => countsOf(shares, patches);

/** What is asked of the time with `count` patches, as a share of that with all. */
export function aimOf(count: number, patches: number): number {
  return fixedShare + (1 - fixedShare) * (count / patches);
}

/** Whether a share is at the aim, or at most 5 % above it. */
export function isAtAim(share: number, aim: number): boolean {
  return share <= (1 + tolerance) * aim;
}

/** One side with so many patches. */
export interface Timed {
  readonly side: TimedSide;
  readonly count: number;
  /** By round, an image. */
  readonly milliseconds: readonly number[];
}

/** The sides of one engine at one batch size, which took turns. */
export interface TimedCase {
  /** With its precision and threads. */
  readonly engine: string;
  readonly batch: number;
  readonly patches: number;
  readonly timed: readonly Timed[];
}

/** By the number of patches: medians of both sides, and how they stand to the aims. */
export interface Row {
  readonly count: number;
  readonly dense: number;
  readonly own: number;
  readonly overDense: number;
  /** Of the time with all patches. */
  readonly share: number;
  readonly aim: number;
  readonly isAtAim: boolean;
}

export function rowsOf({ patches, timed }: TimedCase): Row[] {
  const of = (side: TimedSide, count: number) => {
    const { milliseconds } = timed.find((one) => one.side === side && one.count === count)!;
    return median(milliseconds);
  };
  const all = of("patches", patches);
  return timedCounts(patches).map((count) => {
    const [dense, own, aim] = [of("dense", count), of("patches", count), aimOf(count, patches)];
    const share = own / all;
    return { count, dense, own, overDense: dense / own, share, aim, isAtAim: isAtAim(share, aim) };
  });
}

/** All cases, and then what each has at a quarter of the patches. */
export function tableOf(cases: readonly TimedCase[]): string {
  const header = [
    "engine",
    "batch",
    "patches",
    "dense ms",
    "patches ms",
    "dense/patches",
    "of all",
    "aim",
    "at most 5 % above",
  ];
  const rows = cases.flatMap((one) =>
    rowsOf(one).map(({ count, dense, own, overDense, share, aim, isAtAim }) => [
      ...[one.engine, String(one.batch), `${count} of ${one.patches}`, dense.toFixed(3), own.toFixed(3)],
      ...[overDense.toFixed(2), share.toFixed(3), aim.toFixed(3), isAtAim ? "yes" : "no"],
    ]),
  );
  return `${markdownTable(header, rows, 1)}\n${cases.map(lineOf).join("")}`;
}

function lineOf(one: TimedCase): string {
  const count = Math.round(fast.share * one.patches);
  const { overDense } = rowsOf(one).find((row) => row.count === count)!;
  const reached = overDense >= fast.times ? "reached" : "not reached";
  return `${one.engine}, batch ${one.batch}: ${overDense.toFixed(2)} times as fast as dense with ${count} patches; the aim of ${fast.times} is ${reached}\n`;
}
