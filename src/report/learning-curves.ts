/** Learning curves: what each stage measured, epoch by epoch, a small chart a metric. */
import { html, type Markup } from "./html.ts";
import { drawn, legendEntry, type Point, range, type Style, seriesMarks, textStyle, wholeTicks } from "./plot.ts";
import { decimals, percent } from "./table.ts";

/** Validation images where some were held out, else test images. */
export type Split = "train" | "val" | "test";

/** What one epoch measured on one split; further fields are not drawn. */
export interface MetricRecord {
  readonly epoch: number;
  readonly split: Split;
  /** Share of images classified correctly, 0 … 1. */
  readonly accuracy: number;
  readonly reward?: number;
  /** Distinct masks. */
  readonly distinctMasks?: number;
  /** S: mean number of patches per image. */
  readonly patches?: number;
  readonly loss?: number;
}

export interface StageRecords {
  /** E.g. "pretrain". */
  readonly name: string;
  /** Which reward it learned by, see `rewardName`; none of a classifier. */
  readonly rewardName?: string | undefined;
  readonly records: readonly MetricRecord[];
}

const metrics = [
  { key: "accuracy", title: "accuracy, %", text: percent, scale: 100 },
  { key: "patches", title: "patches per image, S", text: (value: number) => decimals(value, 2), scale: 1 },
  { key: "distinctMasks", title: "distinct masks", text: (value: number) => decimals(value, 0), scale: 1 },
  { key: "reward", title: "reward", text: (value: number) => decimals(value, 3), scale: 1 },
  { key: "loss", title: "loss", text: (value: number) => decimals(value, 3), scale: 1 },
] as const;

type Metric = (typeof metrics)[number];

const splits: readonly { split: Split; style: Style }[] = [
  { split: "train", style: { color: "var(--muted)", dash: "4 3", symbol: "circle", inside: "page" } },
  { split: "val", style: { color: "var(--accent)", symbol: "circle" } },
  { split: "test", style: { color: "var(--accent)", symbol: "circle" } },
];

/** More points than this on a curve are drawn without symbols. */
const mostSymbols = 20;

/** One block a stage: a small chart for each metric that the stage recorded. */
export async function learningCurves(stages: readonly StageRecords[]): Promise<Markup> {
  const isThere = (split: Split) => stages.some(({ records }) => records.some((record) => record.split === split));
  const there = splits.filter(({ split }) => isThere(split));
  const legend = await Promise.all(there.map(({ split, style }) => legendEntry(split, style)));
  const blocks = await Promise.all(stages.map(stageCurves));
  return html`<p class="key">${legend}</p>
${blocks}`;
}

async function stageCurves(stage: StageRecords): Promise<Markup> {
  const charts = await Promise.all(metrics.map((metric) => metricChart(stage, metric)));
  return html`<section class="stage"><h3>${stage.name}</h3><div class="charts">
${charts.flat()}
</div></section>`;
}

/** The chart of one metric over epochs, or none where the stage has no value of it. */
async function metricChart(stage: StageRecords, metric: Metric): Promise<Markup[]> {
  const curves = splits
    .map(({ split, style }) => ({ split, style, points: curve(stage.records, split, metric) }))
    .filter(({ points }) => points.length > 0);
  if (curves.length === 0) return [];
  const spoken = curves.map(({ split, points }) => `${split} ${spokenCurve(points, metric)}`).join("; ");
  const points = curves.flatMap((one) => one.points);
  const svg = await drawn(`${stage.name}, ${metric.title} by epoch: ${spoken}`, (plot) => ({
    width: 270,
    height: 185,
    style: textStyle,
    marginLeft: 44,
    marginBottom: 34,
    x: {
      label: "epoch",
      labelAnchor: "center",
      labelArrow: "none",
      ticks: wholeTicks(points.map(({ x }) => x)),
      tickFormat: String,
    },
    y: { label: null, domain: range(points), nice: true, grid: true, ticks: 5 },
    marks: curves.flatMap(({ points, style }) => seriesMarks(plot, points, withSymbols(style, points.length))),
  }));
  const which =
    metric.key === "reward" && stage.rewardName !== undefined ? ` (${stage.rewardName.replace(" -", " −")})` : "";
  return [html`<figure><figcaption>${metric.title}${which}</figcaption>${svg}</figure>`];
}

/** A value that is not finite stays in as a gap of the line. */
function curve(records: readonly MetricRecord[], split: Split, metric: Metric): Point[] {
  return records.flatMap((record) => {
    const value = record[metric.key];
    if (record.split !== split || value === undefined) return [];
    return [{ x: record.epoch, y: Number.isFinite(value) ? value * metric.scale : Number.NaN }];
  });
}

function spokenCurve(points: readonly Point[], metric: Metric): string {
  const at = ({ x, y }: Point) => `${metric.text(y / metric.scale)} at epoch ${x}`;
  const first = points[0];
  const last = points[points.length - 1];
  return first === last ? at(first) : `from ${at(first)} to ${at(last)}`;
}

function withSymbols(style: Style, points: number): Style {
  return points > mostSymbols ? { ...style, symbol: undefined } : style;
}
