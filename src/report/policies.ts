/**
 * What a page shows of policies, several of them side by side: accuracy against patches, where the patches lie, whether
 * the policy looks at its images at all, and all that class by class.
 */
import type { Interval } from "../utils/bootstrap.ts";
import { type GalleryGroup, gallery } from "./gallery.ts";
import { heatMap } from "./heat-map.ts";
import { html, Markup } from "./html.ts";
import { drawn, textStyle, wholeTicks } from "./plot.ts";
import { decimals, gainText, percent } from "./table.ts";
import { type TradeoffSeries, tradeoffChart, tradeoffCharts } from "./tradeoff.ts";

export interface ClassReport {
  readonly name: string;
  readonly images: number;
  /** Share of the class's images classified correctly, 0 … 1. */
  readonly accuracy: number;
  /** S: mean number of patches of its images. */
  readonly patches: number;
  /** Share of its images for which each patch was taken [P], 0 … 1. */
  readonly patchUse: readonly number[];
  /** Accuracy against patches of this class alone; none where there was no sweep. */
  readonly tradeoff: readonly TradeoffSeries[];
}

export interface HealthReport {
  /** Mean entropy of an image's mask in bits, 0 … P. */
  readonly entropyBits: number;
  /** Distinct masks. */
  readonly distinctMasks: number;
  /** Share of images with the most frequent mask, 0 … 1. */
  readonly commonestMask: number;
  /** How many images had 0, 1, … P patches taken, [P + 1]. */
  readonly imagesByPatches: readonly number[];
  /** Share of the images classified correctly, 0 … 1. */
  readonly accuracy: number;
  /** The best of what needs no policy, with the same mean number of patches: one fixed mask, a cascade. */
  readonly bestBaseline: {
    readonly name: string;
    readonly accuracy: number;
    /** The policy's accuracy above it, with a paired interval of 95 %; unknown to older evaluations. */
    readonly gain?: Interval;
  };
}

export interface PolicyReport {
  readonly name: string;
  /** Accuracy against patches, with what it is compared with; none where there was no sweep. */
  readonly tradeoff: readonly TradeoffSeries[];
  /** Share of the images for which each patch was taken [P], 0 … 1. */
  readonly patchUse: readonly number[];
  /** How many patches lie side by side in the image. */
  readonly columns: number;
  readonly classes: readonly ClassReport[];
  readonly health: HealthReport;
  readonly gallery: readonly GalleryGroup[];
}

/** A part of the page with a heading. */
export interface Section {
  readonly heading: string;
  readonly content: Markup;
  /** Where it stands beside another; alone in its line when absent. */
  readonly width?: "wide" | "narrow";
}

/** Of two or more policies each has its name above what is shown of it. */
export async function policySections(policies: readonly PolicyReport[]): Promise<Section[]> {
  if (policies.length === 0) return [];
  const examples = await Promise.all(
    policies
      .filter((policy) => policy.gallery.length > 0)
      .map((policy) => titled(policies, policy, gallery(policy.gallery))),
  );
  return [
    ...(await tradeoffs(policies)),
    { heading: "Which patches", content: patchUse(policies), ...widthOf(policies, "narrow") },
    { heading: "Does the policy look?", content: await health(policies) },
    { heading: "By class", content: await byClass(policies) },
    ...(examples.length > 0 ? [{ heading: "Examples", content: html`${examples}` }] : []),
  ];
}

/** Of one policy, its chart and its heat map have room beside each other. */
function widthOf(policies: readonly PolicyReport[], width: "wide" | "narrow"): Pick<Section, "width"> {
  return policies.length === 1 && policies[0].tradeoff.length > 0 ? { width } : {};
}

/** One large chart; of several policies a common one of their lines, and one each with its baselines. */
async function tradeoffs(policies: readonly PolicyReport[]): Promise<Section[]> {
  const swept = policies.filter(({ tradeoff }) => tradeoff.length > 0);
  if (swept.length === 0) return [];
  const heading = "Accuracy against patches";
  const note = html`<p class="note">${howToRead}</p>`;
  if (policies.length === 1) {
    return [{ heading, content: html`${await tradeoffChart(swept[0].tradeoff)}${note}`, width: "wide" }];
  }
  if (swept.length === 1) return [{ heading, content: html`${await tradeoffChart(swept[0].tradeoff, large)}${note}` }];
  const common = swept.map(({ name, tradeoff }) => ({ ...tradeoff[0], label: name }));
  const charts = swept.map(({ name, tradeoff }) => ({ title: name, series: tradeoff }));
  const content = html`${await tradeoffChart(common, large)}<h3>Each with its baselines</h3>${await tradeoffCharts(charts)}${note}`;
  return [{ heading, content }];
}

const howToRead =
  "Along a policy's line its most probable patches are added, from none to all; the baselines take the same number of " +
  "each image. Thin lines: the classifier with all patches, and the low-resolution classifier.";
/** A chart that stands alone in its line. */
export const large = { width: 760, height: 360 };

/** A column a policy, under its name. */
function sideBySide(policies: readonly PolicyReport[], show: (policy: PolicyReport) => Markup): Markup {
  return html`<div class="side">${policies.map((policy) => html`<div>${nameOf(policies, policy)}${show(policy)}</div>`)}</div>`;
}

function nameOf(policies: readonly PolicyReport[], { name }: PolicyReport): Markup {
  return policies.length > 1 ? html`<h3>${name}</h3>` : new Markup("");
}

async function titled(policies: readonly PolicyReport[], policy: PolicyReport, content: Promise<Markup>) {
  return html`<div class="titled">${nameOf(policies, policy)}${await content}</div>`;
}

function patchUse(policies: readonly PolicyReport[]): Markup {
  const map = (policy: PolicyReport) =>
    heatMap(policy.patchUse, policy.columns, "Share of the images for which each patch was taken");
  return html`<div class="use">${sideBySide(policies, map)}
<p class="note">Share of the images for which each patch was taken, in %, where it lies in the image.</p></div>`;
}

/** From here on, images get the same patches, whatever they show: half of them, nearly all of them. */
const flat = { half: 0.5, nearlyAll: 0.9 };
/** Bits a patch from which on a policy might as well toss coins: a probability of a half has one bit, of 0.2 three quarters. */
const unsure = 0.7;

const healthLines: readonly (readonly [string, (policy: PolicyReport) => string])[] = [
  ["distinct masks", ({ health: { distinctMasks } }) => distinctMasks.toLocaleString("en")],
  ["images with the commonest mask", ({ health: { commonestMask } }) => `${percent(commonestMask)} %`],
  ["entropy of a mask", ({ health, patchUse: { length } }) => `${decimals(health.entropyBits, 2)} of ${length} bits`],
  [
    "gain over what needs no policy",
    ({ health: { accuracy, bestBaseline } }) => {
      const { name, accuracy: its, gain } = bestBaseline;
      const points = 100 * (accuracy - its);
      const signed = gain === undefined ? `${points > 0 ? "+" : ""}${decimals(points, 1)}` : gainText(gain);
      return `${signed.replaceAll("-", "−")} points (${name}: ${percent(its)} %)`;
    },
  ],
];

async function health(policies: readonly PolicyReport[]): Promise<Markup> {
  const blocks = await Promise.all(
    policies.map(async (policy) => {
      const lines = healthLines.map(([name, value]) => html`<dt>${name}</dt><dd>${value(policy)}</dd>`);
      const said = html`<div><p class="verdict">${healthVerdict(policy)}</p><dl>${lines}</dl></div>`;
      return html`<div>${nameOf(policies, policy)}<div class="health">${said}${await patchCounts(policy)}</div></div>`;
    }),
  );
  return html`<div class="side">${blocks}</div>
<p class="note">Entropy is 0 bits where the policy is certain of every patch, and one bit per patch where it tosses coins.</p>`;
}

/** Looking is only worth something where it wins: different masks alone may be noise. */
function healthVerdict({ health, patchUse: { length } }: PolicyReport): string {
  const { commonestMask, distinctMasks, entropyBits, bestBaseline } = health;
  if (entropyBits > length * unsure) return "It has hardly learned: of most patches it is as good as undecided.";
  if (distinctMasks === 1) return "It does not look: every image gets the same patches.";
  if (commonestMask >= flat.nearlyAll) return "It hardly looks: nearly all images get the same patches.";
  if (commonestMask >= flat.half || distinctMasks < length) return "It looks a little: a few masks serve most images.";
  const isCertain = bestBaseline.gain === undefined || bestBaseline.gain.low > 0;
  if (!isCertain) return "It looks, but nothing is won by it: what needs no policy is as good.";
  return "It does: different images get different patches, and that wins.";
}

/** How many images had how many patches taken, as bars. */
function patchCounts({ health: { imagesByPatches } }: PolicyReport): Promise<Markup> {
  const all = imagesByPatches.reduce((sum, images) => sum + images, 0);
  const bars = imagesByPatches.map((images, patches) => ({ patches, share: (100 * images) / all }));
  const spoken = bars
    .filter(({ share }) => share > 0)
    .map(({ patches, share }) => `${patches}: ${decimals(share, 1)} %`);
  return drawn(`Share of images by number of patches. ${spoken.join(", ")}`, (plot) => ({
    width: 360,
    height: 170,
    style: textStyle,
    marginLeft: 40,
    marginBottom: 38,
    x: {
      type: "band",
      label: "patches per image",
      labelAnchor: "center",
      labelArrow: "none",
      padding: 0.2,
      ticks: wholeTicks([0, imagesByPatches.length - 1]),
    },
    y: { label: "images, %", labelArrow: "none", grid: true, ticks: 4 },
    marks: [
      plot.barY(bars, { x: "patches", y: "share", fill: "var(--accent)" }),
      plot.ruleY([0], { stroke: "var(--rule)" }),
    ],
  }));
}

/** More classes than this are not all drawn: those with the fewest and the most patches are. */
const mostDrawn = 12;

function drawnClasses(classes: readonly ClassReport[]): readonly ClassReport[] {
  const some = classes.filter(({ images }) => images > 0);
  if (some.length <= mostDrawn) return some;
  const order = some.sort((a, b) => a.patches - b.patches);
  return [...order.slice(0, mostDrawn / 2), ...order.slice(-mostDrawn / 2)];
}

async function byClass(policies: readonly PolicyReport[]): Promise<Markup> {
  return html`${sideBySide(policies, classUse)}
<p class="note">Share of the class's images for which each patch was taken, in %, and S, the mean number of its patches.</p>
${await classCharts(policies)}
${classTable(policies)}`;
}

/** A class of the first policy a row, accuracy and S of each policy. */
function classTable(policies: readonly PolicyReport[]): Markup {
  const heads = policies.map(({ name }) => html`<th scope="colgroup" colspan="2">${name}</th>`);
  const columns = policies.map(() => html`<th scope="col">accuracy %</th><th scope="col">S</th>`);
  const shown = policies[0].classes.filter(({ images }) => images > 0);
  const rows = shown.map(({ name, images }) => {
    const cells = policies.map(({ classes }) => {
      const own = classes.find((one) => one.name === name);
      return html`<td>${own === undefined ? "–" : percent(own.accuracy)}</td><td>${decimals(own?.patches, 2)}</td>`;
    });
    return html`<tr><th scope="row">${name}</th><td>${images.toLocaleString("en")}</td>${cells}</tr>`;
  });
  const over = policies.length > 1 ? html`<tr><th colspan="2"></th>${heads}</tr>` : new Markup("");
  return html`<div class="scroll"><table class="plain classes">
<thead>${over}<tr><th scope="col">class</th><th scope="col">images</th>${columns}</tr></thead>
<tbody>
${rows}
</tbody>
</table></div>`;
}

function classUse({ classes, columns }: PolicyReport): Markup {
  const figures = drawnClasses(classes).map(({ name, patches, patchUse: use }) => {
    const map = heatMap(use, columns, `${name}: share of its images for which each patch was taken`);
    return html`<figure><figcaption>${name} <span class="count">S ${decimals(patches, 2)}</span></figcaption>${map}</figure>`;
  });
  return html`<div class="maps">${figures}</div>${chosenOf(classes)}`;
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
  return html`<h3>Accuracy in % against the mean number of patches</h3>${await tradeoffCharts(charts)}`;
}

function classSeries(swept: readonly PolicyReport[], { name, tradeoff }: ClassReport): readonly TradeoffSeries[] {
  if (swept.length === 1) return tradeoff;
  return swept.flatMap((policy) => {
    const own = policy.classes.find((one) => one.name === name);
    return own === undefined ? [] : [{ ...own.tradeoff[0], label: policy.name }];
  });
}
