/**
 * The page's style sheet, and its colours, of which a chart in a file of its own has the light ones.
 */

/**
 * Colours of a light page and of paper, and of a screen that asks for dark. `ink` on `surface` and `muted` on `surface` keep a
 * contrast of 4.5 to 1 or more in both.
 */
const light = {
  ...{ page: "#f6f6f3", surface: "#ffffff", ink: "#1d2530", muted: "#5f6975", rule: "#dfe1e0" },
  ...{ accent: "#0b5f87", "accent-soft": "#e9f2f6", heat: "#08506f", "heat-light": "#ffffff", wrong: "#a3342a" },
};
const dark: typeof light = {
  ...{ page: "#13171b", surface: "#1b2026", ink: "#e4e7ea", muted: "#9aa5b0", rule: "#323a43" },
  ...{ accent: "#77bde4", "accent-soft": "#20303b", heat: "#77bde4", "heat-light": "#13171b", wrong: "#f0958a" },
};

/** A drawing that is to be a file of its own: light, and in colours that programs know which know no style sheets. */
export function plainColours(svg: string): string {
  const known = new Map(Object.entries(light));
  return svg
    .replace(/<style>.*?<\/style>/gs, "")
    .replace(/var\(--plot-background\)/g, light.surface)
    .replace(/var\(--([\w-]+)\)/g, (whole, name) => known.get(name) ?? whole)
    .replaceAll("currentColor", light.ink);
}

function variables(palette: typeof light): string {
  const pairs = Object.entries(palette).map(([name, value]) => `--${name}: ${value};`);
  return `:root { color-scheme: light dark; ${pairs.join(" ")} }`;
}

const colours = `
${variables(light)}
@media screen and (prefers-color-scheme: dark) { ${variables(dark)} }
`;

export const styleSheet = `${colours}* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 3rem 1.5rem 4rem; }
h1, h2, h3 { line-height: 1.2; font-weight: 650; margin: 0; letter-spacing: -0.01em; }
h1 { font-size: 2.1rem; }
h2 { font-size: 1.3rem; margin-bottom: 1.1rem; }
h3 { font-size: 1rem; margin-bottom: 0.75rem; }
p { margin: 0; }
a { color: var(--accent); }
ul { margin: 0; padding-left: 1.25rem; }
.contents { margin-top: 1.5rem; font-size: 0.95rem; }
.contents ul { display: flex; flex-wrap: wrap; gap: 0.35rem 1.5rem; padding: 0; list-style: none; }
.summary { font-size: 1.2rem; margin-top: 0.75rem; max-width: 46rem; }
.about, .legend { color: var(--muted); max-width: 46rem; }
.about { margin-top: 0.75rem; }
.card { background: var(--surface); border: 1px solid var(--rule); border-radius: 10px; padding: 1.5rem 1.75rem; overflow-wrap: anywhere; min-width: 0; }
.cards { display: grid; grid-template-columns: 7fr 4fr; gap: 1.5rem; margin-top: 1.5rem; }
.whole { grid-column: 1 / -1; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }

table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 0.5rem 0 0.5rem 1.25rem; border-bottom: 1px solid var(--rule); text-align: right; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { color: var(--muted); font-weight: 500; font-size: 0.875rem; white-space: nowrap; }
tbody th { text-align: left; font-weight: 400; padding-left: 0.75rem; }
td { white-space: nowrap; }
.plain { font-size: 0.9rem; }
.plain th, .plain td { padding: 0.3rem 0 0.3rem 1.25rem; }
.plain tbody th { padding-left: 0; }
.plain th { overflow-wrap: normal; }
.plain thead th:first-child, .facts tbody th { text-align: left; padding-left: 0; white-space: nowrap; }
.classes { width: auto; min-width: min(100%, 30rem); margin-top: 2rem; }
.times tr > :first-child { text-align: left; }
.times tbody tr { background: linear-gradient(to right, var(--accent-soft) var(--share), transparent 0); print-color-adjust: exact; }
.facts td { text-align: left; white-space: normal; min-width: 7rem; }
.facts thead th { text-align: left; }
dl + .scroll { margin-top: 1rem; }
.policy > * { background: var(--accent-soft); font-weight: 600; }
.policy > th { box-shadow: inset 3px 0 var(--accent); }
tr > :last-child { padding-right: 0.75rem; }
.meanings { color: var(--muted); font-size: 0.875rem; margin-top: 1rem; display: flex; flex-wrap: wrap; gap: 0 1.25rem; }
.meanings b { color: var(--ink); font-weight: 600; }

svg { max-width: 100%; height: auto; display: block; }
figure { margin: 0; }
.key { display: flex; flex-wrap: wrap; gap: 0.15rem 1.25rem; font-size: 0.875rem; color: var(--muted); }
.card .slim + .key { margin-top: 0.75rem; }
.entry { display: inline-flex; align-items: center; gap: 0.4rem; }
.entry svg { flex: none; }
.stage { margin-top: 1.5rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); gap: 1.25rem; }

.charts svg, .broad svg, .slim svg { width: 100%; }
.slim { display: none; max-width: 30rem; }
.charts figcaption { color: var(--muted); font-size: 0.875rem; }
.key + .charts { margin-top: 0.75rem; }

.heat rect { fill: var(--heat); stroke: var(--rule); stroke-width: 1; }
.heat text { font: 600 14px system-ui, sans-serif; font-variant-numeric: tabular-nums; text-anchor: middle; }
.heat .on-light { fill: var(--ink); }
.heat .on-dark { fill: var(--heat-light); }
.side { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 18rem), 1fr)); gap: 2rem 2.5rem; }
.side .heat { width: 100%; max-width: 20rem; }
.note { color: var(--muted); font-size: 0.875rem; margin-top: 1rem; max-width: 46rem; }
.verdict { font-weight: 600; margin-bottom: 0.75rem; }
.health { display: flex; flex-wrap: wrap; gap: 1rem 3.5rem; align-items: center; }
.health dl { grid-template-columns: fit-content(60%) 1fr; }
.health svg { flex: 1 1 15rem; min-width: 0; width: 100%; max-width: 26rem; }
.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, var(--map, 8rem)), 1fr)); gap: 1.25rem 1rem; align-items: end; }
.maps figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 0.5rem; font-size: 0.875rem; margin-bottom: 0.35rem; }
.scroll { overflow-x: auto; }
.classes + .note, .scroll + .note { margin-top: 0.75rem; }
details + details { margin-top: 0.75rem; }
summary { cursor: pointer; font-weight: 600; }
summary + * { margin-top: 0.75rem; }
.matrix { width: auto; border-collapse: separate; border-spacing: 1px; font-size: 0.75rem; }
.matrix th, .matrix td { padding: 0.1rem 0.2rem; border: 0; text-align: center; min-width: 1.75rem; height: 1.6rem; }
.matrix tr > :last-child { padding-right: 0.2rem; }
.matrix tbody th { text-align: left; padding-right: 0.75rem; white-space: nowrap; font-size: 0.8rem; position: sticky; left: 0; background: var(--surface); max-width: 11rem; overflow: hidden; text-overflow: ellipsis; }
.matrix thead th { font-size: 0.75rem; }
.matrix .own { background: color-mix(in srgb, var(--accent) var(--share), var(--surface)); }
.matrix .other { background: color-mix(in srgb, var(--wrong) var(--share), var(--surface)); }
.matrix .much { color: var(--heat-light); }
.matrix b { color: var(--muted); font-weight: 600; }
.note + h3, .charts + h3, .key + h3, .scroll + h3, dl + h3 { margin-top: 2rem; }
.titled + .titled { margin-top: 2.5rem; }

h4 { font-size: 0.95rem; font-weight: 600; margin: 2rem 0 0; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); gap: 2rem 2.5rem; margin-top: 1rem; }
.item { break-inside: avoid; min-width: 0; }
.item figcaption { display: flex; justify-content: space-between; gap: 1rem; margin-bottom: 0.5rem; }
.count { color: var(--muted); white-space: nowrap; font-variant-numeric: tabular-nums; }
.right { color: var(--accent); font-weight: 700; }
.wrong { color: var(--wrong); font-weight: 700; }
.panels { display: grid; grid-template-columns: repeat(4, 1fr); gap: 0.6rem; }
.panels small { display: block; text-align: center; color: var(--muted); font-size: 0.8rem; margin-top: 0.25rem; }
.panels img { width: 100%; display: block; }
.enlarged { image-rendering: pixelated; }
.panels svg { width: 100%; }
/* Beside three pictures a map is small: its numbers must be large, and where there are many, they are left out. */
.panels .heat text { font-size: 18px; }
.panels .many text { display: none; }
.dropped { fill: var(--surface); fill-opacity: 0.78; }
.halo, .taken { fill: none; stroke-linejoin: round; }
.halo { stroke: #ffffff; }
.taken { stroke: #0a1a24; }

dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.3rem 1.5rem; margin: 0; font-size: 0.9rem; }
dt { color: var(--muted); }
dd { margin: 0; font-variant-numeric: tabular-nums; }
pre { margin: 0 0 1.5rem; padding: 0.9rem 1.1rem; background: var(--page); border-radius: 6px; white-space: pre-wrap; font: 0.875rem/1.5 ui-monospace, monospace; }
dl.facts { grid-template-columns: repeat(auto-fill, minmax(7rem, max-content) minmax(8rem, 1fr)); }
footer { color: var(--muted); font-size: 0.875rem; margin-top: 1.5rem; }

@media screen and (max-width: 60rem) {
  .cards { grid-template-columns: minmax(0, 1fr); }
  .card { grid-column: 1 / -1; }
}
@media screen and (max-width: 50rem) {
  main { padding: 2rem 1rem 3rem; }
  h1 { font-size: 1.7rem; }
  .summary { font-size: 1.08rem; }
  .card { padding: 1.25rem 1rem; }
  /* A name takes a line of its own; its numbers follow, each with what it is. */
  .results thead { display: none; }
  .results tr { display: flex; flex-wrap: wrap; gap: 0.1rem 1.1rem; padding: 0.5rem 0.75rem; border-bottom: 1px solid var(--rule); }
  .results tbody tr:last-child { border-bottom: 0; }
  .results tr > *, .results tr > :last-child { border-bottom: 0; padding: 0; }
  .results tbody th { flex: 1 0 100%; }
  .results td::before { content: attr(data-name) "\\00a0"; color: var(--muted); font-weight: 400; }
  .results .none { display: none; }
  .policy { background: var(--accent-soft); box-shadow: inset 3px 0 var(--accent); }
  .policy > th { box-shadow: none; }
  .broad { display: none; }
  .slim { display: block; }
  .health dl { grid-template-columns: 1fr; gap: 0; }
  .health dd { margin-bottom: 0.4rem; }
  .gallery { gap: 2rem; }
  .panels { grid-template-columns: repeat(2, 1fr); gap: 0.9rem; }
}
@media print {
  body { background: none; font-size: 10.5pt; }
  main { max-width: none; padding: 0; }
  .card { border: 0; padding: 0; }
  .policy > *, .heat rect, .panels *, .health rect { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  h2, h3, thead, .legend, .key { break-after: avoid; }
  figure, tr, .legend, .wide, .narrow, .stage, .group, .health { break-inside: avoid; }
  th, td { padding-top: 0.3rem; padding-bottom: 0.3rem; }
  .charts { grid-template-columns: repeat(4, 1fr); }
  .side { grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); }
  .maps { grid-template-columns: repeat(auto-fill, minmax(6rem, 1fr)); }
  .panels small { font-size: 0.65rem; }
  .gallery { grid-template-columns: 1fr 1fr; gap: 1.25rem 1.5rem; }
}
`;
