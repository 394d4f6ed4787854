/** Classes one by one: where policies look at them, how well each run knows them, and which it takes for which. */
import { heatMap } from "./heat-map.ts";
import { html, Markup } from "./html.ts";
import { type ClassReport, type PolicyReport, type Section, sideBySide } from "./policies.ts";
import { decimals, percent } from "./table.ts";
import { type TradeoffSeries, tradeoffCharts } from "./tradeoff.ts";

/** What is known of the classes of any run, a policy's or a classifier's. */
export interface RunClasses {
  readonly name: string;
  /** By label, [K]. */
  readonly classes: readonly Pick<ClassReport, "name" | "images" | "accuracy" | "patches">[];
  /** How often images of one class were taken for another, by their labels, the commonest first; none where that is unknown. */
  readonly confusions: readonly { readonly label: number; readonly prediction: number; readonly images: number }[];
}

/** More classes than this are not all drawn: those with the fewest and the most patches are. */
const mostDrawn = 12;

function drawnClasses(classes: readonly ClassReport[]): readonly ClassReport[] {
  const some = classes.filter(({ images }) => images > 0);
  if (some.length <= mostDrawn) return some;
  const order = some.sort((a, b) => a.patches - b.patches);
  return [...order.slice(0, mostDrawn / 2), ...order.slice(-mostDrawn / 2)];
}

/** Policies' patches and lines, then the numbers of all runs, which classifiers have too. */
export async function classSection(policies: readonly PolicyReport[], runs: readonly RunClasses[]): Promise<Section[]> {
  if (runs.length === 0) return [];
  const content = html`${policies.length === 0 ? "" : await policyClasses(policies)}${classTable(runs)}`;
  return [{ heading: "By class", content }];
}

async function policyClasses(policies: readonly PolicyReport[]): Promise<Markup> {
  return html`${sideBySide(policies, classUse)}
<p class="note">Share of the class's images for which each patch was taken, in %, and S, the mean number of its patches.</p>
${await classCharts(policies)}`;
}

/** A class of the first run a row, accuracy and S of each run. */
function classTable(runs: readonly RunClasses[]): Markup {
  const heads = runs.map(({ name }) => html`<th scope="colgroup" colspan="2">${name}</th>`);
  const columns = runs.map(() => html`<th scope="col">accuracy %</th><th scope="col">S</th>`);
  const shown = runs[0].classes.filter(({ images }) => images > 0);
  const rows = shown.map(({ name, images }) => {
    const cells = runs.map(({ classes }) => {
      const own = classes.find((one) => one.name === name);
      return html`<td>${own === undefined ? "–" : percent(own.accuracy)}</td><td>${decimals(own?.patches, 2)}</td>`;
    });
    return html`<tr><th scope="row">${name}</th><td>${images.toLocaleString("en")}</td>${cells}</tr>`;
  });
  const over = runs.length > 1 ? html`<tr><th colspan="2"></th>${heads}</tr>` : new Markup("");
  return html`<div class="scroll"><table class="plain classes">
<caption class="unseen">Accuracy and mean number of patches by class</caption>
<thead>${over}<tr><th scope="col">class</th><th scope="col">images</th>${columns}</tr></thead>
<tbody>
${rows}
</tbody>
</table></div>
<p class="note"><b>S</b> mean number of patches of the class's images.</p>`;
}

function classUse({ classes, columns }: PolicyReport): Markup {
  const figures = drawnClasses(classes).map(({ name, patches, patchUse: use }) => {
    const map = heatMap(use, columns, `${name}: share of its images for which each patch was taken`);
    return html`<figure><figcaption>${name} <span class="count">S ${decimals(patches, 2)}</span></figcaption>${map}</figure>`;
  });
  return html`<div class="maps" style="--map: ${mapRems(columns)}rem">${figures}</div>${chosenOf(classes)}`;
}

/** Wide enough for numbers of three digits side by side that can be read. */
function mapRems(columns: number): number {
  return Math.max(8, 2.2 * columns);
}

function chosenOf({ length }: readonly ClassReport[]): Markup {
  const text = `Of ${length} classes, the ${mostDrawn / 2} with the fewest patches and the ${mostDrawn / 2} with the most.`;
  return length > mostDrawn ? html`<p class="note">${text}</p>` : new Markup("");
}

/** A chart a class: of one policy with its baselines, of several with each policy's line. */
async function classCharts(policies: readonly PolicyReport[]): Promise<Markup> {
  const swept = policies.filter(({ tradeoff }) => tradeoff.length > 0);
  if (swept.length === 0) return new Markup("");
  const classes = drawnClasses(swept[0].classes);
  const charts = classes.map((one) => ({ title: one.name, series: classSeries(swept, one) }));
  const names = swept.map(({ name }) => name).join(", ");
  return html`<h3>Accuracy in % against the mean number of patches: ${names}</h3>${await tradeoffCharts(charts)}`;
}

function classSeries(swept: readonly PolicyReport[], { name, tradeoff }: ClassReport): readonly TradeoffSeries[] {
  if (swept.length === 1) return tradeoff;
  return swept.flatMap((policy) => {
    const own = policy.classes.find((one) => one.name === name);
    return own === undefined ? [] : [{ ...own.tradeoff[0], label: policy.name }];
  });
}

/** With more classes than this, a matrix cannot be read: the pairs that are confused most are listed. */
const mostInMatrix = 30;
const pairsListed = 20;

/** Of each run that confuses classes which ones; of several the last, where a chain of stages ends, is open. */
export function confusionSection(runs: readonly RunClasses[]): Section[] {
  const confused = runs.filter(({ confusions }) => confusions.length > 0);
  if (confused.length === 0) return [];
  const blocks = confused.map((run, i) => {
    const shown = run.classes.length <= mostInMatrix ? matrix(run) : pairs(run);
    if (confused.length === 1) return html`<h3>${run.name}</h3>${shown}`;
    const open = i === confused.length - 1 ? new Markup(" open") : "";
    return html`<details${open}><summary>${run.name}</summary><div>${shown}</div></details>`;
  });
  return [{ heading: "Which classes are confused", content: html`${blocks}` }];
}

/** A class a row, in a column for each class what share of its images was taken for that. */
function matrix({ name, classes, confusions }: RunClasses): Markup {
  const images = new Map(confusions.map((one) => [`${one.label} ${one.prediction}`, one.images]));
  const shareOf = (label: number, prediction: number) => {
    if (label === prediction) return classes[label].accuracy;
    return (images.get(`${label} ${prediction}`) ?? 0) / classes[label].images;
  };
  const heads = classes.map((one, k) => html`<th scope="col" title="${one.name}">${k + 1}</th>`);
  const rows = classes.flatMap((own, label) => {
    if (own.images === 0) return [];
    const cells = classes.map((_, prediction) => matrixCell(shareOf(label, prediction), label === prediction));
    return html`<tr><th scope="row" title="${own.name}"><b>${label + 1}</b> ${own.name}</th>${cells}</tr>`;
  });
  return html`<div class="scroll"><table class="matrix">
<caption class="unseen">${name}: share of each class's images, in %, by the class that they were taken for</caption>
<thead><tr><th scope="col"><span class="unseen">class</span></th>${heads}</tr></thead>
<tbody>
${rows}
</tbody>
</table></div>
<p class="note">A row is a class, a column the class that its images were taken for, under the same number; in % of the class's images. Blank: none.</p>`;
}

/** Darker for a larger share; from two thirds on, text is light. */
function matrixCell(share: number, isOwn: boolean): Markup {
  if (share === 0) return html`<td></td>`;
  const kind = `${isOwn ? "own" : "other"}${share > 0.65 ? " much" : ""}`;
  const text = share < 0.005 ? "<1" : decimals(100 * share, 0);
  return html`<td class="${kind}" style="--share: ${Math.round(100 * share)}%">${text}</td>`;
}

function pairs({ name, classes, confusions }: RunClasses): Markup {
  const rows = confusions.slice(0, pairsListed).map(({ label, prediction, images }) => {
    const share = percent(images / classes[label].images);
    return html`<tr><th scope="row">${classes[label].name}</th><td>${classes[prediction].name}</td><td>${images.toLocaleString("en")}</td><td>${share}</td></tr>`;
  });
  return html`<div class="scroll"><table class="plain pairs">
<caption class="unseen">${name}: the classes that are confused most</caption>
<thead><tr><th scope="col">class</th><th scope="col">taken for</th><th scope="col">images</th><th scope="col">% of the class</th></tr></thead>
<tbody>
${rows}
</tbody>
</table></div>
<p class="note">Of ${classes.length} classes, the ${rows.length} pairs that are confused most often.</p>`;
}
