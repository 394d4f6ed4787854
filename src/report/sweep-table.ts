/** A sweep as text: accuracy by number of patches, of a policy beside its baselines, and of the policy class by class. */
import { alignedText, decimals, percent } from "./table.ts";
import type { TradeoffSeries } from "./tradeoff.ts";

interface Point {
  /** Mean number of patches per image. */
  readonly patches: number;
  /** Share of images classified correctly, 0 … 1. */
  readonly accuracy: number;
}

/** The policy first; every series has a point for each of the policy's. */
export interface SweepTable {
  readonly rule: "threshold" | "topk";
  /** Names, [K]. */
  readonly classes: readonly string[];
  readonly series: readonly {
    readonly name: string;
    readonly kind: "policy" | "baseline";
    readonly points: readonly (Point & {
      readonly threshold?: number;
      readonly budget?: number;
      /** [K] */
      readonly classes: readonly Point[];
    })[];
  }[];
}

/** Both tables, each under a line that says what it is. */
export function sweepText({ rule, classes, series }: SweepTable): string {
  const [policy] = series;
  const setting = ({ threshold, budget }: (typeof policy.points)[number]) =>
    rule === "topk" ? String(budget) : thresholdText(threshold);
  const overall = [
    ["S", rule === "topk" ? "K" : "threshold", ...series.map(({ name }) => name)],
    ...policy.points.map((point, p) => [
      decimals(point.patches, 2),
      setting(point),
      ...series.map(({ points }) => percent(points[p].accuracy)),
    ]),
  ];
  const byClass = [
    ["class", ...policy.points.map(({ patches }) => decimals(patches, 2))],
    ...classes.flatMap((name, k) => {
      // A class without images has no accuracy.
      const accuracies = policy.points.map((point) => point.classes[k].accuracy);
      return accuracies.every(Number.isFinite) ? [[name, ...accuracies.map(percent)]] : [];
    }),
  ];
  return [
    "Accuracy % by mean number of patches S; the baselines take the same number of each image:\n\n",
    alignedText(overall),
    "\nAccuracy % of the policy by class, at each S:\n\n",
    alignedText(byClass),
  ].join("");
}

/** 0 takes every patch, and what is above 1 none. */
function thresholdText(threshold = Number.NaN): string {
  if (threshold > 1) return "none";
  return threshold === 0 ? "all" : String(Number(threshold.toPrecision(4)));
}

/** The sweep as a chart's series: the line of each, between the levels of the table's rows that have no line. */
export function sweepChart(
  { series }: Pick<SweepTable, "series">,
  rows: readonly (Point & { readonly name: string; readonly kind: "policy" | "baseline" })[],
): TradeoffSeries[] {
  const lines = series.map(({ name, kind, points }) => ({ label: name, kind, points }));
  const chosen = rows.filter(({ kind }) => kind === "policy");
  const level = (name: string, label: string) =>
    rows
      .filter((row) => row.name.startsWith(name))
      .map((row) => ({ label: `${label} ${percent(row.accuracy)} %`, kind: "reference" as const, points: [row] }));
  return [
    ...lines,
    ...chosen.map((row) => ({ label: "as evaluated", kind: "chosen" as const, points: [row] })),
    ...level("all patches", "all patches"),
    ...level("LR classifier", "LR classifier"),
  ];
}
