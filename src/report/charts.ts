/**
 * The charts of a report, as SVG drawn by Observable Plot on a document of linkedom: learning curves, and accuracy
 * against the number of patches. Series differ in dash and symbol, not in colour alone, so that they survive a grey
 * printer; colours are the page's variables, so that they follow its light or dark scheme.
 */
import type { Markish, PlotOptions, SymbolType } from "@observablehq/plot";
import { html, Markup } from "./html.ts";
import { decimals, percent } from "./table.ts";

type PlotModule = typeof import("@observablehq/plot");

/** What one epoch measured on one split; further fields are not drawn. */
export interface MetricRecord {
  readonly epoch: number;
  readonly split: "train" | "test";
  /** Share of images classified rightly, 0 … 1. */
  readonly accuracy: number;
  readonly reward?: number;
  /** S: mean number of patches of an image. */
  readonly patches?: number;
  readonly loss?: number;
}

export interface StageRecords {
  /** E.g. "pretrain". */
  readonly name: string;
  readonly records: readonly MetricRecord[];
}

/** One line of the chart of accuracy against patches. */
export interface TradeoffSeries {
  readonly label: string;
  readonly kind: "policy" | "baseline";
  readonly points: readonly {
    /** Mean number of patches of an image. */
    readonly patches: number;
    /** Share of images classified rightly, 0 … 1. */
    readonly accuracy: number;
  }[];
}

interface Point {
  readonly x: number;
  readonly y: number;
}

interface Style {
  readonly color: string;
  /** Lengths of dashes and gaps; none for a solid line. */
  readonly dash?: string;
  /** Drawn at each point; none for a line only. */
  readonly symbol?: SymbolType;
  readonly hollow?: boolean;
}

const metrics = [
  { key: "accuracy", title: "accuracy, %", text: percent, scale: 100 },
  { key: "patches", title: "patches of an image, S", text: (value: number) => decimals(value, 2), scale: 1 },
  { key: "reward", title: "reward", text: (value: number) => decimals(value, 3), scale: 1 },
  { key: "loss", title: "loss", text: (value: number) => decimals(value, 3), scale: 1 },
] as const;

type Metric = (typeof metrics)[number];

const splits: readonly { split: "train" | "test"; style: Style }[] = [
  { split: "train", style: { color: "var(--muted)", dash: "4 3", symbol: "circle", hollow: true } },
  { split: "test", style: { color: "var(--accent)", symbol: "circle" } },
];

/** More points than this on a curve are drawn without symbols. */
const mostSymbols = 20;
const symbols: readonly SymbolType[] = ["circle", "square", "triangle", "diamond", "star", "wye", "cross"];
const textStyle = { fontSize: "12px", overflow: "visible" };

/** One block a stage: a small chart for each metric that the stage recorded. */
export async function learningCurves(stages: readonly StageRecords[]): Promise<Markup> {
  const legend = await Promise.all(splits.map(({ split, style }) => legendEntry(split, style)));
  const blocks = await Promise.all(stages.map(stageCurves));
  return html`<p class="key">${legend}</p>
${blocks}`;
}

/** Accuracy against the mean number of patches, with its legend. */
export async function tradeoffChart(series: readonly TradeoffSeries[]): Promise<Markup> {
  const styled = series.map((one, i) => ({ ...one, style: tradeoffStyle(one.kind, i), points: finitePoints(one) }));
  const spoken = styled.map(({ label, points }) => {
    const list = points.map(({ x, y }) => `${decimals(y, 1)} % at ${decimals(x, 2)} patches`);
    return `${label}: ${list.join(", ") || "no values"}`;
  });
  const all = styled.flatMap(({ points }) => points);
  const most = Math.max(1, ...all.map(({ x }) => Math.ceil(x)));
  const chart = await drawn(`Accuracy against the mean number of patches. ${spoken.join(". ")}`, (plot) => ({
    width: 480,
    height: 340,
    style: textStyle,
    marginLeft: 44,
    marginTop: 30,
    marginBottom: 40,
    x: {
      label: "mean number of patches",
      labelAnchor: "center",
      labelArrow: "none",
      domain: [0, most],
      ticks: wholeTicks([0, most]),
      tickFormat: String,
    },
    y: { label: "accuracy, %", labelArrow: "none", domain: range(all), nice: true, grid: true, ticks: 6 },
    // Policies last: they lie on top of what they are compared with.
    marks: [...styled.filter(isBaseline), ...styled.filter((one) => !isBaseline(one))].flatMap(({ points, style }) =>
      seriesMarks(plot, points, style),
    ),
  }));
  const legend = await Promise.all(
    styled.map(({ label, style, points }) => legendEntry(label, style, points.length > 1)),
  );
  return html`${chart}<p class="key">${legend}</p>`;
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
  return [html`<figure><figcaption>${metric.title}</figcaption>${svg}</figure>`];
}

/** A value that is not finite stays in as a gap of the line. */
function curve(records: readonly MetricRecord[], split: "train" | "test", metric: Metric): Point[] {
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

function finitePoints(series: TradeoffSeries): Point[] {
  return series.points
    .map(({ patches, accuracy }) => ({ x: patches, y: accuracy * 100 }))
    .filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y))
    .sort((a, b) => a.x - b.x);
}

function isBaseline({ kind }: { kind: TradeoffSeries["kind"] }): boolean {
  return kind === "baseline";
}

function tradeoffStyle(kind: TradeoffSeries["kind"], index: number): Style {
  const symbol = symbols[index % symbols.length];
  return kind === "policy"
    ? { color: "var(--accent)", symbol }
    : { color: "var(--muted)", symbol, dash: "4 3", hollow: true };
}

function withSymbols(style: Style, points: number): Style {
  return points > mostSymbols ? { ...style, symbol: undefined } : style;
}

/** A line through the points, and a symbol at each. */
function seriesMarks(plot: PlotModule, points: readonly Point[], style: Style, symbolsAt = points): Markish[] {
  const line = plot.line(points, {
    x: "x",
    y: "y",
    stroke: style.color,
    strokeWidth: 1.75,
    strokeDasharray: style.dash,
  });
  if (style.symbol === undefined) return [line];
  const fill = style.hollow ? "var(--surface)" : style.color;
  const dot = plot.dot(symbolsAt, {
    x: "x",
    y: "y",
    symbol: style.symbol,
    r: style.hollow ? 4 : 3.5,
    fill,
    stroke: style.color,
    strokeWidth: 1.5,
  });
  return [line, dot];
}

/** The series' symbol, on a short piece of its line if it has one, beside its name. */
async function legendEntry(label: string, style: Style, line = true): Promise<Markup> {
  const ends = line ? [0, 1].map((x) => ({ x, y: 0 })) : [];
  const sample = await drawn("", (plot) => ({
    width: 34,
    height: 14,
    margin: 3,
    axis: null,
    x: { domain: [0, 1] },
    marks: seriesMarks(plot, ends, style, [{ x: 0.5, y: 0 }]),
  }));
  return html`<span class="entry">${sample}${label}</span>`;
}

/** The lowest and the highest finite value; around a single one there is a tenth of it on both sides. */
function range(points: readonly Point[]): [number, number] {
  const values = points.map(({ y }) => y).filter(Number.isFinite);
  if (values.length === 0) return [0, 1];
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = low < high ? 0 : Math.abs(low) / 10 || 1;
  return [low - room, high + room];
}

/** At most nine whole numbers from the lowest of `values` to the highest, 1, 2 or 5 times a power of ten apart. */
function wholeTicks(values: readonly number[]): number[] {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((size) => (high - low) / size <= 8) ?? high - low;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}

/** Draws a chart. `label` is its alternative text; a chart without one is decoration and hidden from screen readers. */
async function drawn(label: string, options: (plot: PlotModule) => PlotOptions): Promise<Markup> {
  const [plot, { parseHTML }] = await Promise.all([import("@observablehq/plot"), import("linkedom")]);
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const svg: { outerHTML: string } = plot.plot({ ...options(plot), document });
  // Not by setAttribute: linkedom leaves & and < as they are in an attribute.
  const attributes = label === "" ? html`aria-hidden="true"` : html`role="img" aria-label="${label}"`;
  return new Markup(svg.outerHTML.replace("<svg", () => `<svg ${attributes}`));
}
