/**
 * The report of a run, or of several: one HTML page with everything in it. It loads nothing, needs no script, follows
 * the reader's light or dark scheme and prints. Made from plain data; where that comes from is not known here.
 */
import { type GalleryItem, gallery } from "./gallery.ts";
import { heatMap } from "./heat-map.ts";
import { html, Markup } from "./html.ts";
import { learningCurves, type StageRecords } from "./learning-curves.ts";
import { styleSheet } from "./style.ts";
import { htmlTable, type ResultTable } from "./table.ts";
import { type TradeoffSeries, tradeoffChart } from "./tradeoff.ts";

/** Names and values in the order in which they are shown: a Map, or `Object.entries` of an object. */
export type Entries = Iterable<readonly [string, unknown]>;

export interface PageInput {
  readonly title: string;
  /** What was found, in one sentence. */
  readonly summary: string;
  readonly table: ResultTable;
  /** Learning curves; none for no section. */
  readonly stages: readonly StageRecords[];
  /** Accuracy against patches; none for no section. */
  readonly tradeoff: readonly TradeoffSeries[];
  /** Share of the test images for which each patch was taken [P], 0 … 1; none for no section. */
  readonly patchUse?: readonly number[];
  /** Example images; none for no section. */
  readonly gallery: readonly GalleryItem[];
  readonly configuration: Entries;
  /** Versions of the program and of what it computes with. */
  readonly versions: Entries;
  /** The command line that made the results. */
  readonly command: string;
  readonly generated: Date;
}

/** Forbids the page to load or run anything, whatever it holds. */
const securityPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

const about =
  "PatchDrop looks at a coarse image and decides which parts of the sharp one are worth reading. A policy network sees " +
  "the coarse image and takes some of the patches of the sharp one; a classifier sees nothing but these.";

/** The whole page as text, ending in a line break. */
export async function renderPage(input: PageInput): Promise<string> {
  const sections = [
    card("Results", htmlTable(input.table)),
    await choices(input),
    input.stages.length > 0 ? card("Learning curves", await learningCurves(input.stages)) : nothing,
    input.gallery.length > 0 ? card("Examples from the test images", await gallery(input.gallery)) : nothing,
    origin(input),
  ];
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${securityPolicy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${input.title}</title>
<style>${new Markup(styleSheet)}</style>
</head>
<body>
<main>
<header>
<h1>${input.title}</h1>
<p class="summary">${input.summary}</p>
<p class="about">${about}</p>
</header>
${sections}
<footer>Generated ${dateTime(input.generated)}</footer>
</main>
</body>
</html>
`;
  return page.toString();
}

const nothing = new Markup("");

function card(heading: string, content: Markup, style = ""): Markup {
  return html`<section class="card ${style}">
<h2>${heading}</h2>
${content}
</section>`;
}

/** Accuracy against patches, and beside it where the patches lie. */
async function choices({ tradeoff, patchUse }: PageInput): Promise<Markup> {
  const cards = [];
  if (tradeoff.length > 0) cards.push(card("Accuracy against patches", await tradeoffChart(tradeoff)));
  if (patchUse !== undefined) {
    const map = heatMap(patchUse, "Share of the test images for which each patch was taken");
    const note = html`<p>Share of the test images for which each patch was taken, in %, where it lies in the image.</p>`;
    cards.push(card("Which patches", html`${map}${note}`, "use"));
  }
  return cards.length > 0 ? html`<div class="pair">${cards}</div>` : nothing;
}

function origin(input: PageInput): Markup {
  return card(
    "How this was made",
    html`<pre><code>${input.command}</code></pre>
<div class="facts">
<div><h3>Configuration</h3>${definitions(input.configuration)}</div>
<div><h3>Versions</h3>${definitions(input.versions)}</div>
</div>`,
  );
}

function definitions(entries: Entries): Markup {
  const pairs = Array.from(entries, ([name, value]) => html`<dt>${name}</dt><dd>${valueText(value)}</dd>`);
  return html`<dl>${pairs}</dl>`;
}

function valueText(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "–");
}

/** To the minute, in UTC. */
function dateTime(date: Date): Markup {
  const text = date.toISOString();
  return html`<time datetime="${text}">${text.slice(0, 10)} ${text.slice(11, 16)} UTC</time>`;
}
