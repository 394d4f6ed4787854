/** A table of results, of one run or over seeds, one row a way to classify, in two forms: for a page and for a terminal. */
import { unseenCharacters } from "../errors.ts";
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
  /** Which one that is, e.g. "quadratic, penalty -1"; unknown to older evaluations. */
  readonly rewardName?: string;
  /** Of a baseline: the policy's accuracy above it, with an interval of 95 %. */
  readonly gain?: Interval;
}

export interface ResultTable {
  readonly rows: readonly ResultRow[];
}

/** A row of several seeds' tables: means over the seeds, with intervals of 95 % over them. */
export interface SeedsRow extends Pick<ResultRow, "name" | "kind" | "gain"> {
  readonly accuracy: Interval;
  readonly patches: Interval;
}

export interface SeedsTable {
  readonly seeds: readonly number[];
  /** Stages whose seed the file sets: they are the same for all seeds. */
  readonly sameForAll: readonly string[];
  readonly rows: readonly SeedsRow[];
}

/** In the place of a value that there is not. */
const none = "–";

/** Header, its meaning, and a row's value as text; the first column is the row's name. */
interface Column<Row> {
  readonly header: string;
  readonly meaning: string;
  readonly cell: (row: Row) => string;
  /** Left out of a table none of whose rows has it. */
  readonly isOptional?: boolean;
}

const accuracy = { header: "accuracy %", meaning: "share of test images classified correctly" };
const patches = { header: "S", meaning: "mean number of patches per image" };
const gain = {
  header: "policy's gain",
  meaning: "points that the policy is above it",
  cell: ({ gain }: Pick<ResultRow, "gain">) => (gain === undefined ? none : gainText(gain)),
  isOptional: true,
};

const columnsBefore: readonly Column<ResultRow>[] = [
  { ...accuracy, cell: (row) => percent(row.accuracy) },
  { ...patches, cell: (row) => decimals(row.patches, 2) },
  { header: "V", meaning: "standard deviation of that number over images", cell: (row) => decimals(row.patchesStd, 2) },
  { header: "masks", meaning: "different masks", cell: (row) => decimals(row.distinctMasks, 0) },
];

/** What the policies of a table earned: a column for each reward, since no two of them can be compared. */
function rewardColumns(rows: readonly ResultRow[]): Column<ResultRow>[] {
  const names = [...new Set(rows.flatMap(({ reward, rewardName = "" }) => (reward === undefined ? [] : rewardName)))];
  if (names.length === 0) return [rewardColumn("reward", "")];
  return names.map((name, n) => rewardColumn(names.length > 1 ? `reward ${n + 1}` : "reward", name));
}

function rewardColumn(header: string, name: string): Column<ResultRow> {
  const meaning = name === "" ? "mean reward" : `mean reward: ${name}`;
  return { header, meaning, cell: (row) => decimals((row.rewardName ?? "") === name ? row.reward : undefined, 3) };
}

const gainColumn: Column<ResultRow> = { ...gain, meaning: `${gain.meaning}, with a paired interval of 95 %` };

const seedsColumns: readonly Column<SeedsRow>[] = [
  { ...accuracy, cell: (row) => plusMinus(row.accuracy, percent) },
  { ...patches, cell: (row) => plusMinus(row.patches, (value) => decimals(value, 2)) },
  gain,
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

/** A value with its interval, which lies evenly around it: "84.5 ± 0.6". */
function plusMinus({ mean, high }: Interval, shown: (value: number) => string): string {
  return `${shown(mean)} ± ${shown(high - mean)}`;
}

function columnsOf(table: ResultTable | SeedsTable) {
  if ("seeds" in table) return filled(seedsColumns, table.rows);
  return filled([...columnsBefore, ...rewardColumns(table.rows), gainColumn], table.rows);
}

function filled<Row>(columns: readonly Column<Row>[], rows: readonly Row[]) {
  const all = columns.map(({ cell, ...column }) => ({ ...column, cells: rows.map(cell) }));
  return all.filter(({ cells, isOptional }) => isOptional !== true || cells.some((text) => text !== none));
}

/** How the numbers of several seeds' table came about; nothing of one run's. */
function footOf(table: ResultTable | SeedsTable): string | undefined {
  if (!("seeds" in table)) return undefined;
  const { seeds, sameForAll } = table;
  const freedom = seeds.length - 1;
  const how = `Student's t, ${freedom} ${freedom === 1 ? "degree" : "degrees"} of freedom`;
  const means = `Means over ${seeds.length} seeds (${seeds.join(", ")}) with intervals of 95 % over the seeds (${how}).`;
  return sameForAll.length === 0 ? means : `${means} The file sets the seed of ${sameForAll.join(", ")}: one for all.`;
}

/** The table for a page, with the meaning of its columns below. */
export function htmlTable(table: ResultTable | SeedsTable): Markup {
  const columns = columnsOf(table);
  const foot = footOf(table);
  const header = columns.map((column) => html`<th scope="col">${column.header}</th>`);
  const rows = table.rows.map(({ name, kind }, i) => {
    const cells = columns.map(({ header, cells }) => {
      const kind = cells[i] === none ? html` class="none"` : "";
      return html`<td${kind} data-name="${header}">${cells[i].replaceAll("-", "−")}</td>`;
    });
    return html`<tr class="${kind}"><th scope="row">${name}</th>${cells}</tr>`;
  });
  const meanings = columns.map(
    ({ header, meaning }) => html`<span><b>${header}</b> ${meaning.replace(" -", " −")}</span>`,
  );
  return html`<table class="${"seeds" in table ? "results over-seeds" : "results"}">
<thead><tr><th scope="col"><span class="unseen">way to classify</span></th>${header}</tr></thead>
<tbody>
${rows}
</tbody>
</table>
<p class="meanings">${meanings}</p>${foot === undefined ? "" : html`<p class="note">${foot}</p>`}`;
}

/** The table for a terminal: aligned, without colour, ending in a line break. */
export function textTable(table: ResultTable | SeedsTable): string {
  const foot = footOf(table);
  return `${alignedText(textCells(table))}${foot === undefined ? "" : `\n${foot}\n`}`;
}

/** Lines of cells, the first of them the header; names left, numbers right. What would not be seen is replaced. */
export function alignedText(table: readonly (readonly string[])[]): string {
  const cells = table.map((line) => line.map((cell) => cell.replace(unseenCharacters, "\uFFFD")));
  const widths = cells[0].map((_, i) => Math.max(...cells.map((line) => line[i].length)));
  const lines = cells.map((line) =>
    line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))),
  );
  const rule = widths.map((width) => "-".repeat(width));
  return [lines[0], rule, ...lines.slice(1)].map((line) => `${line.join("  ").trimEnd()}\n`).join("");
}

function textCells(table: ResultTable | SeedsTable): string[][] {
  const columns = columnsOf(table);
  const header = ["", ...columns.map((column) => column.header)];
  return [header, ...table.rows.map(({ name }, i) => [name, ...columns.map(({ cells }) => cells[i])])];
}
