/** A table of results, one row a way to classify, in two forms: for a page and for a terminal. */
import type { Interval } from "../utils/bootstrap.ts";
import { html, type Markup } from "./html.ts";

export interface ResultRow {
  /** E.g. "HR classifier, all patches". */
  readonly name: string;
  /** A policy's row stands out; what it is compared with does not. */
  readonly kind: "policy" | "baseline";
  /** Share of the test images that are classified correctly, 0 … 1. */
  readonly accuracy: number;
  /** S: mean number of patches per image. */
  readonly patches?: number;
  /** V: standard deviation of the number of patches over images. */
  readonly patchesStd?: number;
  /** How many different masks there were. */
  readonly distinctMasks?: number;
  /** Mean reward. */
  readonly reward?: number;
  /** Of a baseline: the policy's accuracy above it, with an interval of 95 %. */
  readonly gain?: Interval;
}

export interface ResultTable {
  readonly rows: readonly ResultRow[];
}

/** In the place of a value that there is not. */
const none = "–";

/** Header, its meaning, and a row's value as text; the first column is the row's name. */
interface Column {
  readonly header: string;
  readonly meaning: string;
  readonly cell: (row: ResultRow) => string;
  /** Left out of a table none of whose rows has it. */
  readonly isOptional?: boolean;
}

const columns: readonly Column[] = [
  { header: "accuracy %", meaning: "share of test images classified correctly", cell: (row) => percent(row.accuracy) },
  { header: "S", meaning: "mean number of patches per image", cell: (row) => decimals(row.patches, 2) },
  { header: "V", meaning: "standard deviation of that number over images", cell: (row) => decimals(row.patchesStd, 2) },
  { header: "masks", meaning: "different masks", cell: (row) => decimals(row.distinctMasks, 0) },
  { header: "reward", meaning: "mean reward", cell: (row) => decimals(row.reward, 3) },
  {
    header: "policy's gain",
    meaning: "points that the policy is above it, with a paired interval of 95 %",
    cell: ({ gain }) => (gain === undefined ? none : gainText(gain)),
    isOptional: true,
  },
];

/** A share as a percentage with one decimal: 0.8764 is "87.6". */
export function percent(share: number): string {
  return decimals(share * 100, 1);
}

/** A difference of accuracies in points, with its interval: "+1.2 (+0.3 … +2.1)". */
export function gainText({ mean, low, high }: Interval): string {
  const signed = (share: number) =>
    `${percent(share).startsWith("-") || percent(share) === "0.0" ? "" : "+"}${percent(share)}`;
  return `${signed(mean)} (${signed(low)} … ${signed(high)})`;
}

/** A number with a fixed number of decimals; "–" for none, and no "-0.00". */
export function decimals(value: number | undefined, places: number): string {
  if (value === undefined) return none;
  return value.toFixed(places).replace(/^-(?=[0.]*$)/, "");
}

function columnsOf({ rows }: ResultTable): readonly Column[] {
  return columns.filter(({ cell, isOptional }) => isOptional !== true || rows.some((row) => cell(row) !== none));
}

/** The table for a page, with the meaning of its columns below. */
export function htmlTable(table: ResultTable): Markup {
  const columns = columnsOf(table);
  const header = columns.map((column) => html`<th scope="col">${column.header}</th>`);
  const rows = table.rows.map((row) => {
    const cells = columns.map((column) => html`<td>${column.cell(row).replaceAll("-", "−")}</td>`);
    return html`<tr class="${row.kind}"><th scope="row">${row.name}</th>${cells}</tr>`;
  });
  const meanings = columns.map(({ header, meaning }) => html`<span><b>${header}</b> ${meaning}</span>`);
  return html`<table class="results">
<thead><tr><th scope="col"><span class="unseen">way to classify</span></th>${header}</tr></thead>
<tbody>
${rows}
</tbody>
</table>
<p class="meanings">${meanings}</p>`;
}

/** The table for a terminal: aligned, without colour, ending in a line break. */
export function textTable(table: ResultTable): string {
  return alignedText(textCells(table));
}

/** Lines of cells, the first of them the header; names left, numbers right. Control characters are replaced. */
export function alignedText(table: readonly (readonly string[])[]): string {
  const cells = table.map((line) => line.map((cell) => cell.replace(/\p{Cc}/gu, "\uFFFD")));
  const widths = cells[0].map((_, i) => Math.max(...cells.map((line) => line[i].length)));
  const lines = cells.map((line) =>
    line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))),
  );
  const rule = widths.map((width) => "-".repeat(width));
  return [lines[0], rule, ...lines.slice(1)].map((line) => `${line.join("  ").trimEnd()}\n`).join("");
}

function textCells(table: ResultTable): string[][] {
  const columns = columnsOf(table);
  const header = ["", ...columns.map((column) => column.header)];
  return [header, ...table.rows.map((row) => [row.name, ...columns.map((column) => column.cell(row))])];
}
