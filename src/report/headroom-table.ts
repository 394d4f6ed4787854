/** What could be had beyond the best fixed mask, as text and as a chart. */
import type { Interval } from "../utils/bootstrap.ts";
import { alignedText, decimals, gainText, percent } from "./table.ts";
import { type TradeoffSeries, tradeoffFile } from "./tradeoff.ts";

/** A way to choose, at one budget. Accuracies are within 0..1. */
interface Way {
  readonly patches: number;
  readonly accuracy: number;
  /** Above the best fixed mask with as many patches. */
  readonly gain: Interval;
}

export interface HeadroomTable {
  readonly checkpoint: string;
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
  }[];
  readonly verdict: { readonly sentence: string };
}

const ways = [
  { key: "many", title: "how many" },
  { key: "rounds", title: "rounds" },
  { key: "where", title: "where" },
] as const;

export function headroomText(table: HeadroomTable): string {
  const { checkpoint, dataset, split, images, none, all, budgets, verdict } = table;
  const rows = [
    ["patches", "fixed mask", ...ways.flatMap(({ title }) => [title, "S", "gain (95 %)"])],
    ...budgets.map((one) => [
      String(one.budget),
      percent(one.fixed),
      ...ways.flatMap(({ key }) => [
        percent(one[key].accuracy),
        decimals(one[key].patches, 2),
        gainText(one[key].gain),
      ]),
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
export function headroomChart({ dataset, split, none, all, budgets }: HeadroomTable): Promise<string> {
  const level = (label: string, accuracy: number): TradeoffSeries => {
    return { label: `${label} ${percent(accuracy)} %`, kind: "reference", points: [{ patches: 0, accuracy }] };
  };
  const fixed = budgets.map(({ budget, fixed: accuracy }) => ({ patches: budget, accuracy }));
  return tradeoffFile(`Headroom: ${dataset}, ${split}`, [
    ...ways.map(({ key, title }) => ({
      label: title,
      kind: "policy" as const,
      points: budgets.map((one) => one[key]),
    })),
    { label: "best fixed mask", kind: "baseline", points: fixed },
    level("no patch", none),
    level("all patches", all),
  ]);
}
