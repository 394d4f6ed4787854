/**
 * The report of a run, or of several: one HTML page with everything in it. It loads nothing, needs no script, follows
 * the reader's light or dark scheme and prints. Made from plain data; where that comes from is not known here.
 */
import { classSection, confusionSection, type RunClasses } from "./by-class.ts";
import { type HeadroomTable, headroomSection } from "./headroom-table.ts";
import { html, Markup } from "./html.ts";
import { learningCurves, type StageRecords } from "./learning-curves.ts";
import { exampleSection, type PolicyReport, policySections, type Section } from "./policies.ts";
import { styleSheet } from "./style.ts";
import { htmlTable, type ResultTable } from "./table.ts";
import { type NamedTimes, timeSections } from "./time-table.ts";

/** Names and values in the order in which they are shown: a Map, or `Object.entries` of an object. */
export type Entries = Iterable<readonly [string, unknown]>;

/** What made a run. */
export interface RunFacts {
  readonly name: string;
  readonly configuration: Entries;
  /** Versions of the program and of what it computes with. */
  readonly versions: Entries;
}

/** What stands above and below the sections of a page. */
export interface PageFrame {
  readonly title: string;
  /** What was found, in one sentence. */
  readonly summary: string;
  readonly generated: Date;
}

export interface PageInput extends PageFrame {
  readonly table: ResultTable;
  /** Learning curves; none for no section. */
  readonly stages: readonly StageRecords[];
  /** What was measured with classifiers; none for no section. */
  readonly headrooms: readonly { readonly name: string; readonly table: HeadroomTable }[];
  /** None for no sections. */
  readonly policies: readonly PolicyReport[];
  /** Of policies and classifiers; none for no sections. */
  readonly classes: readonly RunClasses[];
  /** What was measured with `--profile`; none for no section. */
  readonly times: readonly NamedTimes[];
  readonly runs: readonly RunFacts[];
  /** The command line that made the results. */
  readonly command: string;
}

/** Forbids the page to load or run anything, whatever it holds. */
const securityPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

const about =
  "PatchDrop looks at a coarse image and decides which parts of the sharp one are worth reading. A policy network sees " +
  "the coarse image and takes some of the patches of the sharp one; a classifier sees only these.";

/** The whole page as text, ending in a line break. */
export async function renderPage(input: PageInput): Promise<string> {
  const curves = input.stages.length > 0 ? await learningCurves(input.stages) : undefined;
  const sections: Section[] = [
    { heading: "Results", content: htmlTable(input.table) },
    ...(await headroomSections(input)),
    ...(await policySections(input.policies)),
    ...(await classSection(input.policies, input.classes)),
    ...confusionSection(input.classes),
    ...(await exampleSection(input.policies)),
    ...(curves === undefined ? [] : [{ heading: "Learning curves", content: curves }]),
    ...timeSections(input.times),
    { heading: "How this was made", content: origin(input) },
  ];
  return framed(input, sections);
}

async function headroomSections({ headrooms }: PageInput): Promise<Section[]> {
  if (headrooms.length === 0) return [];
  const parts = headrooms.map(async ({ name, table }) => {
    return html`${headrooms.length > 1 ? html`<h3>${name}</h3>` : ""}${await headroomSection(table)}`;
  });
  return [{ heading: "Can looking pay?", content: html`${await Promise.all(parts)}` }];
}

/** A page of these sections as text, ending in a line break. */
export function framed({ title, summary, generated }: PageFrame, sections: readonly Section[]): string {
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${securityPolicy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${new Markup(styleSheet)}</style>
</head>
<body>
<main>
<header>
<h1>${title}</h1>
<p class="summary">${summary}</p>
<p class="about">${about}</p>
${contents(sections)}
</header>
<div class="cards">
${sections.map(card)}
</div>
<footer>Generated ${dateTime(generated)}</footer>
</main>
</body>
</html>
`;
  return page.toString();
}

function contents(sections: readonly Section[]): Markup {
  const links = sections.map(({ heading }) => html`<li><a href="#${anchor(heading)}">${heading}</a></li>`);
  return html`<nav class="contents" aria-label="Contents"><ul>${links}</ul></nav>`;
}

/** "Can looking pay?" is "can-looking-pay". */
function anchor(heading: string): string {
  return (
    heading
      .toLowerCase()
      .match(/[a-z0-9]+/g)
      ?.join("-") ?? ""
  );
}

function card({ heading, content, width }: Section): Markup {
  return html`<section class="card ${width ?? "whole"}" id="${anchor(heading)}">
<h2>${heading}</h2>
${content}
</section>`;
}

/** The command line that made a page. */
export function commandLine(command: string): Markup {
  return html`<pre><code>${command}</code></pre>`;
}

function origin({ command, runs }: PageInput): Markup {
  return html`${commandLine(command)}
${facts(
  "Configuration",
  runs.map(({ name, configuration }) => [name, configuration]),
)}
${facts(
  "Versions",
  runs.map(({ name, versions }) => [name, versions]),
)}`;
}

/** What all runs have in common once, and what they differ in as a table with a column a run. */
function facts(heading: string, runs: readonly (readonly [string, Entries])[]): Markup {
  const columns = runs.map(([name, entries]) => ({ name, values: new Map(entries) }));
  const names = [...new Set(columns.flatMap(({ values }) => [...values.keys()]))];
  const row = (name: string) => columns.map(({ values }) => (values.has(name) ? valueText(values.get(name)) : "–"));
  const isCommon = (name: string) => new Set(row(name)).size === 1;
  const common = names.filter(isCommon).map((name) => [name, row(name)[0]] as const);
  const differing = names.filter((name) => !isCommon(name));
  return html`<h3>${heading}</h3>${definitions(common)}${differing.length > 0 ? comparison(columns, differing, row) : ""}`;
}

function comparison(
  columns: readonly { readonly name: string }[],
  names: readonly string[],
  row: (name: string) => readonly string[],
): Markup {
  const heads = columns.map(({ name }) => html`<th scope="col">${name}</th>`);
  const rows = names.map(
    (name) => html`<tr><th scope="row">${name}</th>${row(name).map((text) => html`<td>${text}</td>`)}</tr>`,
  );
  return html`<div class="scroll"><table class="plain facts">
<thead><tr><th scope="col"><span class="unseen">option</span></th>${heads}</tr></thead>
<tbody>${rows}</tbody>
</table></div>`;
}

function definitions(entries: Entries): Markup {
  const pairs = Array.from(entries, ([name, value]) => html`<dt>${name}</dt><dd>${valueText(value)}</dd>`);
  return html`<dl class="facts">${pairs}</dl>`;
}

function valueText(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "–");
}

/** To the minute, in UTC. */
function dateTime(date: Date): Markup {
  const text = date.toISOString();
  return html`<time datetime="${text}">${text.slice(0, 10)} ${text.slice(11, 16)} UTC</time>`;
}
