/** What a run's networks cost, as text, and as the axis of a chart: accuracy against milliseconds an image. */
import { computerText } from "../utils/profile.ts";
import { alignedText, decimals } from "./table.ts";
import type { TradeoffSeries } from "./tradeoff.ts";

/** Beside the networks' own names, "dense" is the model's own classifier, which computes on the whole image. */
type Network = "agent" | "resnet_hr" | "resnet_lr" | "dense";

export interface ComputeTable {
  readonly machine: {
    readonly processor: string;
    readonly device: string;
    readonly threads: number;
    readonly precision: string;
    readonly libtorch: string;
    /** ISO 8601. */
    readonly date: string;
    /** Processors that other programs kept busy meanwhile. */
    readonly busyElsewhere?: number | undefined;
  };
  /** P */
  readonly patches: number;
  /** In which the policy decides, at most. */
  readonly rounds: number;
  /** All per image. */
  readonly rows: readonly {
    readonly network: Network;
    /** S, where it matters. */
    readonly patches?: number | undefined;
    readonly batch: number;
    readonly multiplyAdds: number;
    readonly milliseconds: { readonly low: number; readonly median: number; readonly high: number };
    readonly joules?: number | undefined;
  }[];
  /** Why there are no joules. */
  readonly noJoules?: string | undefined;
}

const names: Readonly<Record<Network, string>> = {
  agent: "policy",
  resnet_hr: "classifier",
  dense: "dense classifier",
  resnet_lr: "LR classifier",
};

/** The table for a terminal, ending in a line break. */
export function computeText(table: ComputeTable & { readonly checkpoint: string }): string {
  const { checkpoint, patches, rounds, rows, noJoules } = table;
  const cells = rows.map(({ network, patches: taken, batch, multiplyAdds, milliseconds, joules }) => [
    network === "agent" && rounds > 1 ? `${names.agent}, one of ${rounds} rounds` : names[network],
    taken === undefined ? "–" : String(taken),
    String(batch),
    decimals(multiplyAdds / 1e6, 2),
    millisecondsText(milliseconds.median),
    `${millisecondsText(milliseconds.low)} … ${millisecondsText(milliseconds.high)}`,
    ...(noJoules === undefined ? [joules === undefined ? "–" : joules.toPrecision(3)] : []),
  ]);
  const header = ["network", "S", "batch", "million multiply-adds", "ms", "half of the passes"];
  return [
    `${checkpoint}\n${machineText(table)}\n${patches} patches an image\n\n`,
    alignedText([noJoules === undefined ? [...header, "J"] : header, ...cells]),
    noJoules === undefined ? "" : `\nno joules: ${noJoules}\n`,
  ].join("");
}

/** Of a hundredth, and of short times as many digits as tell them apart. */
function millisecondsText(ms: number): string {
  return ms < 1 ? ms.toPrecision(3) : decimals(ms, 2);
}

/** "AMD EPYC, 2 threads, fp32 on cpu, libtorch 2.12.0, 2026-11-29; other programs kept 0.1 processors busy" */
export function machineText({ machine }: Pick<ComputeTable, "machine">): string {
  const { processor, libtorch, date, busyElsewhere } = machine;
  const others =
    busyElsewhere === undefined ? "" : `; other programs kept ${decimals(busyElsewhere, 1)} processors busy`;
  return `${processor}, ${computerText(machine)}, libtorch ${libtorch}, ${date.slice(0, 10)}${others}`;
}

/** A sweep against milliseconds an image, and what its caption must say. */
export interface TimedTradeoff {
  readonly series: readonly TradeoffSeries[];
  readonly machine: string;
  /** Images that were computed at once. */
  readonly batch: number;
}

/** Kinds of series by what it costs to choose the patches. */
interface Choosing {
  /** Labels of series that classify each image once without a patch before they choose. */
  readonly lookFirst: readonly string[];
}

/**
 * The series of a sweep, whose every S becomes the milliseconds of an image with as many patches, as the table has them for its largest
 * batches: between two numbers of patches that were measured, in proportion. With two streams, the low resolution's is added; so is the
 * policy's, where it chooses.
 * @returns why there is none, as a half-sentence, where a sweep and the table do not say what a point costs
 */
export function timedTradeoff(
  series: readonly TradeoffSeries[],
  table: ComputeTable,
  { lookFirst }: Choosing,
): TimedTradeoff | { readonly why: string } {
  const batch = Math.max(...table.rows.map((row) => row.batch));
  const rows = table.rows.filter((row) => row.batch === batch);
  const curve = rows.flatMap(({ network, patches, milliseconds }) =>
    network === "resnet_hr" && patches !== undefined ? [{ patches, ms: milliseconds.median }] : [],
  );
  if (curve.length === 0) return { why: "its checkpoint holds no classifier of the high resolution" };
  if (table.rounds > 1)
    return { why: "it decides in rounds, and how many of them an image took is not known of a sweep" };
  const onceOf = (name: Network) => rows.find(({ network }) => network === name)?.milliseconds.median ?? 0;
  const choosing = ({ kind, label }: TradeoffSeries) => {
    if (kind === "policy" || kind === "chosen") return onceOf("agent");
    return lookFirst.includes(label) ? millisecondsAt(curve, 0) : 0;
  };
  const timed = series.map((one) => {
    const once = choosing(one) + onceOf("resnet_lr");
    const points = one.points.map((point) => ({ ...point, milliseconds: millisecondsAt(curve, point.patches) + once }));
    return { ...one, points };
  });
  return { series: timed, machine: machineText(table), batch };
}

/**
 * Milliseconds of an image with a mean of `patches` patches.
 * @param curve by rising number of patches, from none to all
 */
export function millisecondsAt(
  curve: readonly { readonly patches: number; readonly ms: number }[],
  patches: number,
): number {
  const above = Math.max(
    1,
    curve.findIndex((one) => one.patches >= patches),
  );
  const [from, to] = [curve[above - 1], curve[above]];
  return from.ms + ((patches - from.patches) / (to.patches - from.patches)) * (to.ms - from.ms);
}
