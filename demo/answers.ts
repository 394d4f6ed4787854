/** What the classifier says of a picture, what was read for it, and how that compares with other patches. */
import { countPatches, makeGrid, pixelsRead } from "../src/method/grid.ts";
import type { Evaluation, SetDescription } from "./description.ts";
import { byId, make, patchesOf, percent, whole } from "./dom.ts";

const mostBars = 5;

/** What is known of a picture: its true class where it is a sample. */
export interface Known {
  readonly label?: string;
}

/** The most probable class. @param probabilities [K] */
export function likeliest(probabilities: Float32Array): number {
  return probabilities.indexOf(Math.max(...probabilities));
}

/** The answer in large, its rivals as bars. */
export function showAnswer(probabilities: Float32Array, { label }: Known, { classes }: SetDescription): void {
  const order = Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  const answer = classes[order[0]];
  byId("answer", "b").textContent = answer;
  const verdict = byId("verdict", "span");
  verdict.className = answer === label ? "right" : "wrong";
  verdict.textContent = verdictOf(answer, label);
  const bars = order.slice(0, mostBars).map((k) => {
    const bar = make("i", { "aria-hidden": "true" });
    bar.style.setProperty("--share", String(probabilities[k]));
    const row = make("li", {}, make("span", {}, classes[k]), bar, make("span", {}, percent(probabilities[k])));
    row.dataset.probability = String(probabilities[k]);
    return row;
  });
  byId("bars", "ol").replaceChildren(...bars);
}

function verdictOf(answer: string, label: string | undefined): string {
  if (label === undefined) return "";
  return answer === label ? "✓ right" : `✗ wrong: it is ${label}`;
}

/** Pixels in numbers and as a bar; more than the picture has where all patches are read. */
export function showRead(mask: Uint8Array, { imageSize, patchSize, lowSize }: SetDescription): void {
  const grid = makeGrid(imageSize, patchSize);
  const patches = countPatches(mask);
  const [read, low, all] = [pixelsRead(grid, patches, lowSize), lowSize ** 2, imageSize ** 2];
  byId("read", "b").textContent = `${whole(read)} of ${whole(all)} pixels`;
  byId("read-share", "span").textContent =
    read <= all ? `${percent(1 - read / all)} less` : `${percent(read / all - 1)} more`;
  byId("read-sum", "p").textContent =
    `${whole(low)} for the coarse picture, and ${patchesOf(patches)} of ${grid.patchWidth} × ${grid.patchHeight} = ${whole(read - low)}.`;
  const meter = byId("meter", "div");
  meter.style.setProperty("--low", String(low / Math.max(all, read)));
  meter.style.setProperty("--read", String((read - low) / Math.max(all, read)));
}

/** What came of the patches of one way to choose them. */
export interface Compared {
  readonly name: string;
  /** Of each draw, [K]; one where nothing is random. */
  readonly draws: readonly Float32Array[];
  readonly pixels: number;
}

/** A row a way to choose, the policy's first. @param reference the class whose probability is compared */
export function showComparison(
  rows: readonly Compared[],
  reference: number,
  { classes }: SetDescription,
  { label }: Known,
): void {
  byId("compare-class", "th").textContent = `probability of ${classes[reference]}`;
  const shown = rows.map(({ name, draws, pixels }, at) => {
    const mean = draws.reduce((sum, one) => sum + one[reference], 0) / draws.length;
    const answer = draws.length === 1 ? classes[likeliest(draws[0])] : among(draws, reference, classes[reference]);
    const cells = [answer, percent(mean), whole(pixels)].map((text) => make("td", {}, text));
    const row = make("tr", at === 0 ? { class: "policy" } : {}, make("th", { scope: "row" }, name), ...cells);
    row.dataset.probability = String(mean);
    if (label !== undefined && draws.length === 1) {
      cells[0].append(likeliest(draws[0]) === reference ? "\u00a0✓" : "\u00a0✗");
    }
    return row;
  });
  byId("comparison", "tbody").replaceChildren(...shown);
  byId("compare-note", "p").textContent =
    label === undefined
      ? `What your picture shows is not known here: ${classes[reference]} is the answer to all patches.`
      : "";
}

function among(draws: readonly Float32Array[], reference: number, name: string): string {
  const hits = draws.filter((one) => likeliest(one) === reference).length;
  return `${name} in ${hits} of ${draws.length}`;
}

/** What the run's evaluation found; nothing where there is none. */
export function showEvaluation(evaluation: Evaluation | undefined): void {
  byId("reached", "section").hidden = evaluation === undefined;
  if (evaluation === undefined) return;
  const rows = evaluation.rows.map(({ name, accuracy, patches }, at) =>
    make(
      "tr",
      at === 0 ? { class: "policy" } : {},
      make("th", { scope: "row" }, name),
      make("td", {}, `${(accuracy * 100).toFixed(1)}\u00a0%`),
      make("td", {}, patches.toFixed(2)),
    ),
  );
  byId("reached-rows", "tbody").replaceChildren(...rows);
  const { images, split, dataset } = evaluation;
  byId("reached-note", "p").textContent =
    `Share of the ${whole(images)} ${split} pictures of ${dataset} that are classified correctly, and the mean number of patches read. “Same number” means: for each picture the same number of patches as the policy took.`;
}
