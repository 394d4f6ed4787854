/**
 * What the charts of a report have in common: SVG drawn by Observable Plot on a document of linkedom. Series differ in
 * dash and symbol, not in colour alone, so that they survive a grey printer; colours are the page's variables, so that
 * they follow its light or dark scheme.
 */
import type { Markish, PlotOptions, SymbolType } from "@observablehq/plot";
import { html, Markup } from "./html.ts";

export type PlotModule = typeof import("@observablehq/plot");

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Style {
  readonly color: string;
  /** Lengths of dashes and gaps; none for a solid line. */
  readonly dash?: string | undefined;
  /** Drawn at each point; none for a line only. */
  readonly symbol?: SymbolType;
  /** Whether the symbol shows the page within, or nothing of itself but its line. */
  readonly inside?: "page" | "nothing";
  /** Of the symbol, in pixels; as fits the symbol when absent. */
  readonly radius?: number;
}

export const textStyle = { fontSize: "12px", overflow: "visible" };

/** A line through the points, and a symbol at each. */
export function seriesMarks(plot: PlotModule, points: readonly Point[], style: Style, symbolsAt = points): Markish[] {
  const line = plot.line(points, {
    x: "x",
    y: "y",
    stroke: style.color,
    strokeWidth: 1.75,
    strokeDasharray: style.dash,
  });
  if (style.symbol === undefined) return [line];
  const fill = { page: "var(--surface)", nothing: "none", itself: style.color }[style.inside ?? "itself"];
  const dot = plot.dot(symbolsAt, {
    x: "x",
    y: "y",
    symbol: style.symbol,
    r: style.radius ?? (style.inside === undefined ? 3.5 : 4),
    fill,
    stroke: style.color,
    strokeWidth: 1.5,
  });
  return [line, dot];
}

/** The series' symbol, on a short piece of its line if it has one, beside its name. */
export async function legendEntry(label: string, style: Style, line = true): Promise<Markup> {
  return html`<span class="entry">${await legendSymbol(style, line)}${label}</span>`;
}

export function legendSymbol(style: Style, line = true): Promise<Markup> {
  const ends = line ? [0, 1].map((x) => ({ x, y: 0 })) : [];
  return drawn("", (plot) => ({
    width: 34,
    height: 18,
    margin: 3,
    axis: null,
    x: { domain: [0, 1] },
    marks: seriesMarks(plot, ends, style, [{ x: 0.5, y: 0 }]),
  }));
}

/** The lowest and the highest finite value; around a single one there is a tenth of it on both sides. */
export function range(points: readonly Point[]): [number, number] {
  const values = points.map(({ y }) => y).filter(Number.isFinite);
  if (values.length === 0) return [0, 1];
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = low < high ? 0 : Math.abs(low) / 10 || 1;
  return [low - room, high + room];
}

/** At most nine whole numbers from the lowest of `values` to the highest, 1, 2 or 5 times a power of ten apart. */
export function wholeTicks(values: readonly number[]): number[] {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((size) => (high - low) / size <= 8) ?? high - low;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}

/** A chart for a page, drawn for a broad one and, with less width, for a phone, where a broad one's text would be too small. */
export async function atBothWidths(draw: (width: "broad" | "slim") => Promise<Markup>): Promise<Markup> {
  const [broad, slim] = await Promise.all([draw("broad"), draw("slim")]);
  return html`<div class="broad">${broad}</div><div class="slim">${slim}</div>`;
}

/** Draws a chart. `label` is its alternative text; a chart without one is decoration and hidden from screen readers. */
export async function drawn(label: string, options: (plot: PlotModule) => PlotOptions): Promise<Markup> {
  const [plot, { parseHTML }] = await Promise.all([import("@observablehq/plot"), import("linkedom")]);
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const svg: { outerHTML: string } = plot.plot({ ...options(plot), document });
  // Not by setAttribute: linkedom leaves & and < as they are in an attribute.
  const attributes = label === "" ? html`aria-hidden="true"` : html`role="img" aria-label="${label}"`;
  return new Markup(svg.outerHTML.replace("<svg", () => `<svg ${attributes}`));
}
