/** The page of an experiment over several seeds: their common table, their curves, and the way to the page of each. */
import { html } from "./html.ts";
import { commandLine, framed, type PageFrame } from "./page.ts";
import { large, type Section } from "./policies.ts";
import { htmlTable, type SeedsTable } from "./table.ts";
import { type TradeoffSeries, tradeoffChart } from "./tradeoff.ts";

export interface SeedsPage extends PageFrame {
  readonly table: SeedsTable;
  /** The stage whose policy was swept, and lines of all seeds; none for no section. */
  readonly gallery: string | undefined;
  readonly tradeoff: readonly TradeoffSeries[];
  /** The page of each seed, as an address relative to this one. */
  readonly pages: readonly { readonly seed: number; readonly address: string }[];
  /** The command line that made the results. */
  readonly command: string;
}

/** The whole page as text, ending in a line break. */
export async function renderSeedsPage(input: SeedsPage): Promise<string> {
  const { table, pages, command } = input;
  const links = pages.map(({ seed, address }) => html`<li><a href="${address}">seed ${seed}</a></li>`);
  return framed(input, [
    { heading: "Results", content: htmlTable(table) },
    ...(await curves(input)),
    { heading: "Each seed", content: html`<ul>${links}</ul>` },
    { heading: "How this was made", content: commandLine(command) },
  ]);
}

async function curves({ gallery = "", tradeoff }: SeedsPage): Promise<Section[]> {
  if (tradeoff.length === 0) return [];
  const chart = await tradeoffChart(tradeoff, large);
  const note = html`<p class="note">The policy of ${gallery}: ${howToRead}</p>`;
  return [{ heading: "Accuracy against patches", content: html`${chart}${note}` }];
}

const howToRead =
  "along its line its most probable patches are added, from none to all. The baseline is the one that is best on average " +
  "along these lines; it takes the same number of each image.";
