/** What could be had beyond the best fixed mask, as text and as a chart. */
import type { Interval } from "../utils/bootstrap.ts";
import { html, type Markup } from "./html.ts";
import { large } from "./policies.ts";
import { alignedText, decimals, gainText, percent } from "./table.ts";
import { type TradeoffSeries, tradeoffChart, tradeoffFile } from "./tradeoff.ts";

/** A way to choose, at one budget. Accuracies are within 0..1. */
interface Way {
  readonly patches: number;
  readonly accuracy: number;
  /** Above the best fixed mask with as many patches. */
  readonly gain: Interval;
}

export interface HeadroomTable {
  readonly dataset: string;
  readonly split: string;
  readonly images: number;
  /** Accuracy without a patch, and with all. */
  readonly none: number;
  readonly all: number;
  readonly budgets: readonly {
    readonly budget: number;
    readonly fixed: number;
    readonly many: Way;
    readonly rounds: Way;
    readonly where: Way;
    readonly label?: Way | undefined;
  }[];
  readonly verdict: { readonly sentence: string };
}

const allWays = [
  { key: "many", title: "how many" },
  { key: "rounds", title: "rounds" },
  { key: "where", title: "where" },
  { key: "label", title: "by the label" },
] as const;

/** Those that were measured, at each budget. */
function waysOf(budgets: HeadroomTable["budgets"]) {
  const measured = allWays.map(({ key, title }) => ({ title, at: budgets.flatMap((one) => one[key] ?? []) }));
  return measured.filter(({ at }) => at.length === budgets.length);
}

export function headroomText(table: HeadroomTable & { readonly checkpoint: string }): string {
  const { checkpoint, dataset, split, images, none, all, budgets, verdict } = table;
  const ways = waysOf(budgets);
  const rows = [
    ["patches", "fixed mask", ...ways.flatMap(({ title }) => [title, "S", "gain (95 %)"])],
    ...budgets.map(({ budget, fixed }, b) => [
      String(budget),
      percent(fixed),
      ...ways.flatMap(({ at }) => [percent(at[b].accuracy), decimals(at[b].patches, 2), gainText(at[b].gain)]),
    ]),
  ];
  return [
    `${checkpoint}\n${dataset}, ${split}, ${images} images\n`,
    `accuracy ${percent(none)} % without a patch, ${percent(all)} % with all\n\n`,
    "Accuracy % at a mean number of patches S, and points above the best fixed mask with as many:\n\n",
    `${alignedText(rows)}\n${verdict.sentence}\n`,
  ].join("");
}

/** The chart as an SVG file. */
export function headroomChart(table: HeadroomTable): Promise<string> {
  return tradeoffFile(`Headroom: ${table.dataset}, ${table.split}`, headroomSeries(table));
}

/** The chart with the verdict, as a part of a page. */
export async function headroomSection(table: HeadroomTable): Promise<Markup> {
  const { dataset, split, images, none, all, verdict } = table;
  const judged = `${images.toLocaleString("en")} images of ${dataset}, ${split}`;
  return html`<p>${verdict.sentence}</p>${await tradeoffChart(headroomSeries(table), large)}<p class="note">What is there beyond the best fixed mask, without a policy: ${judged}. Thin lines: ${percent(none)} % without a patch, ${percent(all)} % with all.</p>`;
}

function headroomSeries({ none, all, budgets }: HeadroomTable): TradeoffSeries[] {
  const level = (label: string, accuracy: number): TradeoffSeries => {
    return { label: `${label} ${percent(accuracy)} %`, kind: "reference", points: [{ patches: 0, accuracy }] };
  };
  const fixed = budgets.map(({ budget, fixed: accuracy }) => ({ patches: budget, accuracy }));
  return [
    ...waysOf(budgets).map(({ title, at }) => ({ label: title, kind: "policy" as const, points: at })),
    { label: "best fixed mask", kind: "baseline", points: fixed },
    level("no patch", none),
    level("all patches", all),
  ];
}
