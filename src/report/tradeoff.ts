/** Accuracy against the number of patches, or what they cost: of policies, and of what they are compared with, on the same axes. */
import type { Markish, SymbolType } from "@observablehq/plot";
import { html, type Markup } from "./html.ts";
import {
  atBothWidths,
  drawn,
  legendEntry,
  legendSymbol,
  type PlotModule,
  type Point,
  range,
  type Style,
  seriesMarks,
  textStyle,
  wholeTicks,
} from "./plot.ts";
import { plainColours } from "./style.ts";
import { decimals } from "./table.ts";

/** One line of the chart, or one level. */
export interface TradeoffSeries {
  readonly label: string;
  /** "chosen": a policy's point among its others, ringed. "reference": a level to compare with, drawn right across. */
  readonly kind: "policy" | "chosen" | "baseline" | "reference";
  readonly points: readonly {
    /** Mean number of patches per image. */
    readonly patches: number;
    /** Share of images classified correctly, 0 … 1. */
    readonly accuracy: number;
    /** Of an image, where the chart is against them. */
    readonly milliseconds?: number;
  }[];
}

/** What accuracy is shown against. */
const axes = {
  patches: { words: "the mean number of patches", label: "mean number of patches", unit: "patches", places: 2 },
  milliseconds: { words: "milliseconds an image", label: "milliseconds an image", unit: "ms", places: 3 },
} as const;
export type AxisName = keyof typeof axes;

type Styled = TradeoffSeries & { readonly style: Style; readonly drawn: readonly Point[] };

const symbols: readonly SymbolType[] = ["circle", "square", "triangle", "diamond", "star", "wye", "cross"];
const dashes = ["4 3", "1.5 3", "9 3", "9 3 1.5 3"];

/** In pixels. */
export interface ChartSize {
  readonly width?: number;
  readonly height?: number;
  /** One of many: from 0 to 100 %, so that they can be compared, and without the axes' names, which stand above. */
  readonly small?: boolean;
  /** Patches when absent. */
  readonly against?: AxisName;
}

/** On a phone. */
const slim = { width: 320, height: 280 };

/** The chart with its legend. */
export async function tradeoffChart(series: readonly TradeoffSeries[], size: ChartSize = {}): Promise<Markup> {
  const { against = "patches" } = size;
  const styled = styledSeries(series, against);
  const title = `Accuracy against ${axes[against].words}`;
  const both = await atBothWidths((width) => chart(title, styled, width === "broad" ? size : { ...slim, against }));
  return html`${both}<p class="key">${await legend(styled)}</p>`;
}

/** Charts of the same series under titles of their own, with one legend. Names are escaped. */
export async function tradeoffCharts(
  charts: readonly { readonly title: string; readonly series: readonly TradeoffSeries[] }[],
): Promise<Markup> {
  const size = { width: 270, height: 180, small: true };
  const figures = charts.map(async ({ title, series }) => {
    const svg = await chart(`${title}: accuracy against ${axes.patches.words}`, styledSeries(series), size);
    return html`<figure><figcaption>${title}</figcaption>${svg}</figure>`;
  });
  const entries = await legend(styledSeries(charts[0].series));
  return html`<p class="key">${entries}</p><div class="charts">${await Promise.all(figures)}</div>`;
}

/** The chart as the text of an SVG file of its own, light, whatever opens it. */
export async function tradeoffFile(title: string, series: readonly TradeoffSeries[]): Promise<string> {
  const styled = styledSeries(series);
  const [width, height, line] = [640, 400, 22];
  const svg = await chart(title, styled, { width, height });
  const named = styled.filter(inLegend);
  const entries = await Promise.all(
    named.map(async ({ label, style, drawn: { length } }, i) => {
      const [x, y] = [44 + (i % 2) * 290, 50 + height + line * Math.floor(i / 2)];
      const symbol = await legendSymbol(style, length > 1);
      return html`<g transform="translate(${x} ${y})">${symbol}<text x="42" y="11" fill="var(--muted)">${label}</text></g>`;
    }),
  );
  const whole = 62 + height + line * Math.ceil(named.length / 2);
  const file = html`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${whole}" width="${width}" height="${whole}" font-family="system-ui, sans-serif" font-size="13">
<title>${title}</title>
<rect width="${width}" height="${whole}" fill="var(--surface)"/>
<text x="44" y="26" font-size="16" font-weight="650" fill="var(--ink)">${title}</text>
<g transform="translate(0 36)">${svg}</g>
${entries}
</svg>
`;
  return plainColours(file.toString());
}

function styledSeries(series: readonly TradeoffSeries[], against: AxisName = "patches"): Styled[] {
  let baselines = 0;
  return series.map((one, i) => {
    const dash = one.kind === "baseline" ? dashes[baselines++ % dashes.length] : undefined;
    return {
      ...one,
      style: tradeoffStyle(one.kind, symbols[i % symbols.length], dash),
      drawn: finitePoints(one, against),
    };
  });
}

function tradeoffStyle(kind: TradeoffSeries["kind"], symbol: SymbolType, dash: string | undefined): Style {
  if (kind === "policy") return { color: "var(--accent)", symbol };
  if (kind === "chosen") return { color: "var(--accent)", symbol: "circle", inside: "nothing", radius: 8 };
  return { color: "var(--muted)", symbol, inside: "page", dash };
}

function finitePoints(series: TradeoffSeries, against: AxisName): Point[] {
  return series.points
    .map((point) => ({ x: point[against] ?? Number.NaN, y: point.accuracy * 100 }))
    .filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y))
    .sort((a, b) => a.x - b.x);
}

/** A reference is named where it is drawn. */
function inLegend({ kind }: Styled): boolean {
  return kind !== "reference";
}

async function legend(styled: readonly Styled[]): Promise<Markup[]> {
  const entries = styled.filter(inLegend);
  return Promise.all(entries.map(({ label, style, drawn: points }) => legendEntry(label, style, points.length > 1)));
}

/** What is drawn later lies on top: what is compared with, below the policies. */
const layers = ["reference", "baseline", "chosen", "policy"] as const;

function chart(
  title: string,
  styled: readonly Styled[],
  { width = 480, height = 340, small = false, against = "patches" }: ChartSize,
): Promise<Markup> {
  const { label, unit, places } = axes[against];
  const spoken = styled.map(({ label: name, drawn: points }) => {
    const list = points.map(({ x, y }) => `${decimals(y, 1)} % at ${decimals(x, places)} ${unit}`);
    return `${name}: ${list.join(", ") || "no values"}`;
  });
  const all = styled.flatMap(({ drawn: points }) => points);
  const isWhole = against === "patches";
  const end = isWhole ? Math.max(1, ...all.map(({ x }) => Math.ceil(x))) : Math.max(...all.map(({ x }) => x));
  const order = layers.flatMap((layer) => styled.filter(({ kind }) => kind === layer));
  return drawn(`${title}. ${spoken.join(". ")}`, (plot) => ({
    width,
    height,
    style: textStyle,
    marginLeft: 44,
    marginRight: !small && styled.some((one) => !inLegend(one)) ? 84 : 20,
    marginTop: small ? 18 : 30,
    marginBottom: small ? 24 : 40,
    x: {
      label: small ? null : label,
      labelAnchor: "center",
      labelArrow: "none",
      domain: [0, end],
      ...(isWhole ? { ticks: wholeTicks([0, end]), tickFormat: String } : { ticks: 6 }),
    },
    y: {
      label: small ? null : "accuracy, %",
      labelArrow: "none",
      domain: small ? [0, 100] : range(all),
      nice: true,
      grid: true,
      ticks: small ? 5 : 6,
    },
    marks: order.flatMap((one) => (one.kind === "reference" ? level(plot, one, end, small) : line(plot, one))),
  }));
}

function line(plot: PlotModule, { drawn: points, style }: Styled): Markish[] {
  return seriesMarks(plot, points, style);
}

/** A thin line right across, with its name beside it, where no curve is. */
function level(plot: PlotModule, { drawn: points, label }: Styled, end: number, small: boolean): Markish[] {
  return points.flatMap(({ y }) => {
    const line = plot.ruleY([y], { stroke: "var(--muted)", strokeWidth: 1 });
    if (small) return [line];
    const text = label.replace(/ (?=[\d.]+ %$)/, "\n");
    return [line, plot.text([text], { x: end, y, dx: 12, lineHeight: 1.2, textAnchor: "start", fill: "var(--muted)" })];
  });
}
