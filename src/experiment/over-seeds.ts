/** What the results of several seeds say together. */
import type { EvaluationRow, PolicySweep } from "../evaluation/evaluation.ts";
import type { SeedsRow } from "../report/table.ts";
import type { TradeoffSeries } from "../report/tradeoff.ts";
import { meanOf } from "../utils/mean.ts";
import { studentMean } from "../utils/student.ts";

/** The rows that all tables have, by name, which in one table is that of one row only. */
export function meanRows(tables: readonly (readonly EvaluationRow[])[]): SeedsRow[] {
  return tables[0].flatMap(({ name, kind }) => {
    const rows = tables.flatMap((table) => table.find((row) => row.name === name) ?? []);
    if (rows.length < tables.length) return [];
    const gains = rows.flatMap(({ gain }) => gain?.mean ?? []);
    return {
      name,
      kind,
      accuracy: studentMean(rows.map(({ accuracy }) => accuracy)),
      patches: studentMean(rows.map(({ patches }) => patches)),
      ...(gains.length === rows.length ? { gain: studentMean(gains) } : {}),
    };
  });
}

/**
 * The line of each seed's policy, and of the baseline that is best on average over points and seeds; nothing where a seed has
 * no sweep.
 * @param sweeps one a seed, in their order
 */
export function linesOver(seeds: readonly number[], sweeps: readonly PolicySweep[]): TradeoffSeries[] {
  if (sweeps.length < seeds.length) return [];
  const seriesOf = (name: string) =>
    sweeps.flatMap(({ series }, i) => {
      const found = series.filter((one) => one.name === name);
      return found.map(({ kind, points }) => ({ label: `${name}, seed ${seeds[i]}`, kind, points }));
    });
  const [policy, ...baselines] = sweeps[0].series.map(({ name }) => seriesOf(name));
  const best = baselines.reduce((one, other) => (heightOf(other) > heightOf(one) ? other : one));
  return [...policy, ...best];
}

/** Accuracy, averaged over each line's points and then over the lines. */
function heightOf(lines: readonly TradeoffSeries[]): number {
  const heights = lines.map(({ points }) => meanOf(points.map(({ accuracy }) => accuracy)));
  return meanOf(heights);
}
