/**
 * The four pictures of the method: what the policy sees, how much it wants each patch, what it takes, what the classifier
 * sees. For a screen reader the second is a table that also says what is taken.
 */
import { countPatches, makeGrid } from "../src/method/grid.ts";
import { lowPixels } from "../src/method/pixels.ts";
import { dropPatches, toBytes, toPlanes } from "../src/method/planes.ts";
import { countAdded, isWanted, type Look } from "./choose.ts";
import type { SetDescription } from "./description.ts";
import { byId, make, patchesOf, percent, unseen } from "./dom.ts";

/**
 * How strong a cell's colour is, 0 … 1. It jumps where the policy's own mask does, so that the mask shows and no cell
 * has a middling colour, on which neither dark nor light text could be read.
 */
function strengthOf(probability: number): number {
  return isWanted(probability) ? 0.5 + probability / 2 : probability;
}

/** A look of the policy at the picture [S, S, 3], and what comes of it. */
export function showLook(bytes: Uint8Array, look: Look, description: SetDescription): void {
  showSight(bytes, look, description);
  showWishes(look, description);
  showTaken(bytes, look, description);
  showSeen(bytes, look, description);
}

/** What the policy sees: the coarse picture, and in later rounds the patches that are there. */
function showSight(bytes: Uint8Array, { before, sure }: Look, description: SetDescription): void {
  const { imageSize, lowSize } = description;
  const low = byId("low", "canvas");
  const had = countPatches(before);
  if (had === 0) paint(low, lowPixels(bytes, imageSize, lowSize, 3), lowSize);
  else paint(low, withDropped(bytes, before, description, lowSize), imageSize);
  const size = `${lowSize} × ${lowSize} pixels`;
  const more = had === 0 ? "" : ` and ${patchesOf(had)}`;
  const told = sure === undefined ? "" : `, and that the classifier is ${percent(sure)} sure of it`;
  low.ariaLabel = `The coarse picture, ${size}${more}${told}, which is all that the policy sees`;
  byId("low-size", "span").textContent = size + more + told;
}

/** How much it wants each patch. */
function showWishes({ before, after, probabilities, leaves }: Look, { imageSize, patchSize }: SetDescription): void {
  const grid = makeGrid(imageSize, patchSize);
  const { rows, columns, patches } = grid;
  const cells = Array.from(probabilities, (probability, k) => {
    const place = `row ${Math.floor(k / columns) + 1}, column ${(k % columns) + 1}`;
    const what = after[k] === 1 ? "taken" : "dropped";
    const wish = before[k] === 1 ? "there" : leaves === undefined ? "asked" : "unasked";
    const text = {
      there: "taken before",
      asked: `${percent(probability)}, ${what}`,
      unasked: "the policy is not asked",
    };
    const cell = wishCell(probability, wish, `${place}: ${text[wish]}`);
    cell.style.setProperty("--k", String(k));
    return cell;
  });
  const lines = Array.from({ length: rows }, (_, row) =>
    make("tr", {}, ...cells.slice(row * columns, (row + 1) * columns)),
  );
  const caption = make("caption", { class: "unseen" }, "How much the policy wants each patch, and what is taken");
  byId("wants", "table").replaceChildren(caption, make("tbody", {}, ...lines));
  const stages = byId("stages", "section");
  stages.style.setProperty("--patches", String(patches));
  stages.style.setProperty("--columns", String(columns));
}

/** A patch that is there already can't be wanted, nor one of a picture that leaves. */
function wishCell(probability: number, wish: "there" | "asked" | "unasked", text: string): HTMLElement {
  const shown = { there: "✓", asked: String(Math.round(probability * 100)), unasked: "–" }[wish];
  const cell = make(
    "td",
    { "data-probability": String(probability) },
    make("span", { "aria-hidden": "true" }, shown),
    unseen(text),
  );
  cell.style.setProperty("--strength", (wish === "asked" ? strengthOf(probability) : 0).toFixed(3));
  cell.classList.toggle("wanted", wish === "asked" && isWanted(probability));
  return cell;
}

function showTaken(bytes: Uint8Array, look: Look, { imageSize }: SetDescription): void {
  const takes = byId("takes", "canvas");
  paint(takes, bytes, imageSize);
  takes.ariaLabel = `The sharp picture, ${imageSize} × ${imageSize} pixels`;
  byId("taken", "div").replaceChildren(...veilsOf(look));
  const { before, after, leaves } = look;
  const count = `${countPatches(after)} of ${after.length} patches`;
  const added = countAdded(look);
  const all = before.includes(1) ? `${added || "nothing"} more: ${count}` : count;
  byId("taken-count", "span").textContent =
    leaves === undefined ? all : `${all}, since the classifier is ${percent(leaves)} sure, calibrated`;
}

/** What hides the patches of a picture that are dropped, and frames those that are taken. */
function veilsOf({ before, after }: Pick<Look, "before" | "after">): HTMLElement[] {
  return Array.from(after, (taken, k) => {
    const veil = make("i", { class: taken === 1 ? "taken" : "dropped" });
    veil.toggleAttribute("data-before", before[k] === 1);
    veil.style.setProperty("--k", String(k));
    return veil;
  });
}

/** What the classifier then sees. */
function showSeen(bytes: Uint8Array, { after }: Look, description: SetDescription): void {
  const { imageSize, lowSize, fill } = description;
  const sees = byId("sees", "canvas");
  paint(sees, withDropped(bytes, after, description, fill === "lr" ? lowSize : undefined), imageSize);
  const elsewhere = fill === "lr" ? " and the coarse one elsewhere" : "";
  sees.ariaLabel = `The sharp picture with only ${patchesOf(countPatches(after))}${elsewhere}, which is all that the classifier sees`;
  byId("sees-what", "span").textContent = fill === "lr" ? "these, and the coarse picture elsewhere" : "only these";
}

/** The picture [S, S, 3] with patches dropped, to the mean colour or to a low resolution. */
function withDropped(
  bytes: Uint8Array,
  mask: Uint8Array,
  description: SetDescription,
  lowSize: number | undefined,
): Uint8Array {
  const { imageSize, patchSize } = description;
  const planes = toPlanes(bytes, imageSize, description);
  return toBytes(dropPatches(planes, mask, makeGrid(imageSize, patchSize), lowSize), imageSize, description);
}

/** The patches come one after the other, unless the visitor has asked for less motion (style.css). */
export function reveal(): void {
  const stages = byId("stages", "section");
  stages.classList.remove("reveal");
  // Reading a size makes the browser notice that the class was gone: the animations start anew.
  void stages.offsetWidth;
  stages.classList.add("reveal");
}

/** A budget is not a new picture: nothing is revealed again. */
export function showAtOnce(): void {
  byId("stages", "section").classList.remove("reveal");
}

/** Small pictures are enlarged to squares of colour, as the networks see them. */
export function isSmall(size: number): boolean {
  return size <= 96;
}

/** A small picture of what is there after a look. */
export function thumbnail(bytes: Uint8Array, look: Look, { imageSize }: SetDescription): HTMLElement {
  const canvas = make("canvas");
  paint(canvas, bytes, imageSize);
  return make(
    "span",
    { class: "square", "aria-hidden": "true" },
    canvas,
    make("span", { class: "patches" }, ...veilsOf(look)),
  );
}

function paint(canvas: HTMLCanvasElement, bytes: Uint8Array, size: number): void {
  canvas.width = size;
  canvas.height = size;
  canvas.classList.toggle("enlarged", isSmall(size));
  const image = new ImageData(size, size);
  for (let from = 0, to = 0; from < bytes.length; from += 3, to += 4) {
    image.data.set([bytes[from], bytes[from + 1], bytes[from + 2], 255], to);
  }
  canvas.getContext("2d")!.putImageData(image, 0, 0);
}
