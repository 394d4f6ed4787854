/**
 * What a page shows of policies, several of them side by side: accuracy against patches, where the patches lie, whether
 * the policy looks at its images at all, and images. Classes: by-class.ts.
 */
import type { Interval } from "../utils/bootstrap.ts";
import type { TimedTradeoff } from "./compute-table.ts";
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
  /** Of a policy whose curriculum was not over: how many patches it had learned to decide. */
  readonly decided?: number | undefined;
  /** How many images left early, of a policy of which images do. */
  readonly exits?: { readonly confidence: number; readonly atOnce: number; readonly later: number } | undefined;
  /** The best of what needs no policy, with the same mean number of patches: one fixed mask, a cascade. */
  readonly bestBaseline: Compared;
  /** The best of what takes as many patches of each image as the policy, elsewhere: fixed masks, random ones. */
  readonly sameNumber: Compared;
}

/** What a policy is compared with. */
export interface Compared {
  readonly name: string;
  readonly accuracy: number;
  /** The policy's accuracy above it, with a paired interval of 95 %; unknown to older evaluations. */
  readonly gain?: Interval;
}

export interface PolicyReport {
  readonly name: string;
  /** Accuracy against patches, with what it is compared with; none where there was no sweep. */
  readonly tradeoff: readonly TradeoffSeries[];
  /** The same against milliseconds, where `patchdrop profile` measured them. */
  readonly timed?: TimedTradeoff | undefined;
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
  return [
    ...(await tradeoffs(policies)),
    { heading: "Which patches", content: patchUse(policies), ...widthOf(policies, "narrow") },
    ...(await timedSections(policies)),
    { heading: "Does the policy look?", content: await health(policies) },
  ];
}

/** Images of those policies that have some. */
export async function exampleSection(policies: readonly PolicyReport[]): Promise<Section[]> {
  const shown = policies.filter((policy) => policy.gallery.length > 0);
  if (shown.length === 0) return [];
  const examples = await Promise.all(shown.map((policy) => titled(policies, policy, gallery(policy.gallery))));
  return [{ heading: "Examples", content: html`${examples}` }];
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
  const names = swept.map(({ name }) => name);
  const whose = names.length === 1 ? `The line is that of ${names[0]}.` : `The lines are those of ${names.join(", ")}.`;
  const note = html`<p class="note">${whose} ${howToRead}</p>`;
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
  "each image. Thin lines: the classifier with all patches and, where one was given, the low-resolution classifier.";
/** A chart each: they may have been measured on different machines. */
async function timedSections(policies: readonly PolicyReport[]): Promise<Section[]> {
  const charts = await Promise.all(
    policies.flatMap((policy) =>
      policy.timed === undefined ? [] : titled(policies, policy, timedChart(policy.timed)),
    ),
  );
  return charts.length === 0 ? [] : [{ heading: "Accuracy against milliseconds an image", content: html`${charts}` }];
}

async function timedChart({ series, machine, batch }: TimedTradeoff): Promise<Markup> {
  const note =
    `${machine}; ${batch === 1 ? "one image at a time" : `batches of ${batch} images`}. What the networks take, the policy's own look ` +
    "within its line; reading and decoding images is not in it.";
  return html`${await tradeoffChart(series, { ...large, against: "milliseconds" })}<p class="note">${note}</p>`;
}

/** A chart that stands alone in its line. */
export const large = { width: 680, height: 340 };

/** A column a policy, under its name. */
export function sideBySide(policies: readonly PolicyReport[], show: (policy: PolicyReport) => Markup): Markup {
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

/** What is undefined of a policy is left out. */
const healthLines: readonly (readonly [string, (policy: PolicyReport) => string | undefined])[] = [
  ["the curriculum", ({ health, patchUse: { length } }) => curriculumText(health, length)],
  ["distinct masks", ({ health: { distinctMasks } }) => distinctMasks.toLocaleString("en")],
  ["images with the commonest mask", ({ health: { commonestMask } }) => `${percent(commonestMask)} %`],
  ["entropy of a mask", ({ health, patchUse: { length } }) => `${decimals(health.entropyBits, 2)} of ${length} bits`],
  ["gain over what needs no policy", ({ health }) => gainOver(health, health.bestBaseline)],
  ["gain by where they lie", ({ health }) => gainOver(health, health.sameNumber)],
  ["left early", ({ health }) => exitsText(health)],
];

function gainOver({ accuracy }: HealthReport, { name, accuracy: its, gain }: Compared): string {
  const points = 100 * (accuracy - its);
  const signed = gain === undefined ? `${points > 0 ? "+" : ""}${decimals(points, 1)}` : gainText(gain);
  return `${signed.replaceAll("-", "−")} points (${name}: ${percent(its)} %)`;
}

function curriculumText({ decided }: HealthReport, patches: number): string | undefined {
  return decided === undefined ? undefined : `was not over: learned to decide ${decided} of ${patches} patches`;
}

function exitsText({ exits, imagesByPatches }: HealthReport): string | undefined {
  if (exits === undefined) return undefined;
  const images = imagesByPatches.reduce((sum, count) => sum + count, 0);
  const { confidence, atOnce, later } = exits;
  const after = later > 0 ? `, ${percent(later / images)} % after some` : "";
  return `${percent(atOnce / images)} % without a patch${after}, from a confidence of ${percent(confidence)} % on`;
}

async function health(policies: readonly PolicyReport[]): Promise<Markup> {
  const blocks = await Promise.all(
    policies.map(async (policy) => {
      const lines = healthLines.flatMap(([name, value]) => {
        const line = value(policy);
        return line === undefined ? [] : [html`<dt>${name}</dt><dd>${line}</dd>`];
      });
      const said = html`<div><p class="verdict">${healthVerdict(policy)}</p><dl>${lines}</dl></div>`;
      return html`<div>${nameOf(policies, policy)}<div class="health">${said}${await patchCounts(policy)}</div></div>`;
    }),
  );
  return html`<div class="side">${blocks}</div>
<p class="note">Entropy is 0 bits where the policy is certain of every patch, and one bit per patch where it tosses coins.</p>`;
}

/**
 * Looking is only worth something where it wins: different masks alone may be noise, and so may a gain whose interval
 * reaches zero.
 */
function healthVerdict(policy: PolicyReport): string {
  const { bestBaseline, sameNumber } = policy.health;
  const objection = objectionOf(policy);
  const isKnown = bestBaseline.gain !== undefined && sameNumber.gain !== undefined;
  if (!isKnown) return `${objection ?? "It looks."} Whether that wins is not known: the evaluation has no intervals.`;
  const won = [bestBaseline, sameNumber].map(isCertain);
  if (objection !== undefined)
    return `${objection} ${won.every(Boolean) ? "What it takes wins all the same." : rival(policy)}`;
  if (won.every(Boolean)) return "It does: different images get different patches, and that wins.";
  if (won[0])
    return "It wins by how many patches it takes, not by where they lie: as many in fixed places are as good.";
  return `It looks, but nothing is won by it. ${rival(policy)}`;
}

/** What is said of what the policy does not beat. */
function rival({ health: { bestBaseline, sameNumber } }: PolicyReport): string {
  const isBetter = [bestBaseline, sameNumber].some(({ gain }) => gain !== undefined && gain.high < 0);
  return `What needs no policy is ${isBetter ? "better" : "as good"}.`;
}

/** What speaks against a policy's having learned to look. */
function objectionOf({ health, patchUse: { length } }: PolicyReport): string | undefined {
  const { commonestMask, distinctMasks, entropyBits } = health;
  if (entropyBits > length * unsure) return "It has hardly learned: of most patches it is as good as undecided.";
  if (distinctMasks === 1) return "It does not look: every image gets the same patches.";
  if (commonestMask >= flat.nearlyAll) return "It hardly looks: nearly all images get the same patches.";
  if (commonestMask >= flat.half || distinctMasks < length) return "It looks a little: a few masks serve most images.";
  return undefined;
}

function isCertain({ gain }: Compared): boolean {
  return gain !== undefined && gain.low > 0;
}

/** How many images had how many patches taken, as bars. */
function patchCounts({ health: { imagesByPatches } }: PolicyReport): Promise<Markup> {
  const all = imagesByPatches.reduce((sum, images) => sum + images, 0);
  const bars = imagesByPatches.map((images, patches) => ({ patches, share: (100 * images) / all }));
  const spoken = bars
    .filter(({ share }) => share > 0)
    .map(({ patches, share }) => `${patches}: ${decimals(share, 1)} %`);
  return drawn(`Share of images by number of patches. ${spoken.join(", ")}`, (plot) => ({
    width: 320,
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
