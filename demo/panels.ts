/**
 * The four pictures of the method: what the policy sees, how much it wants each patch, what it takes, what the classifier
 * sees. For a screen reader the second is a table that also says what is taken.
 */
import { countPatches, type Grid, makeGrid } from "../src/method/grid.ts";
import { dropPatches, toBytes, toPlanes } from "../src/method/planes.ts";
import { isWanted } from "./choose.ts";
import type { SetDescription } from "./description.ts";
import { byId, make, patchesOf, percent, unseen } from "./dom.ts";

/**
 * How strong a cell's colour is, 0 … 1. It jumps where the policy's own mask does, so that the mask shows and no cell
 * has a middling colour, on which neither dark nor light text could be read.
 */
function strengthOf(probability: number): number {
  return isWanted(probability) ? 0.5 + probability / 2 : probability;
}

/** What the policy sees of the picture [S, S, 3], and how much it wants each patch. */
export function showWishes(bytes: Uint8Array, probabilities: Float32Array, description: SetDescription): void {
  const { imageSize, lowSize } = description;
  const low = byId("low", "canvas");
  paint(low, lowBytes(bytes, imageSize, lowSize), lowSize);
  low.ariaLabel = `The coarse picture, ${lowSize} × ${lowSize} pixels, which is all that the policy sees`;
  byId("low-size", "span").textContent = `${lowSize} × ${lowSize} pixels`;
  const takes = byId("takes", "canvas");
  paint(takes, bytes, imageSize);
  takes.ariaLabel = `The sharp picture, ${imageSize} × ${imageSize} pixels`;
  const cells = Array.from(probabilities, wishCell);
  const grid = makeGrid(imageSize, description.patchSize);
  const { rows, columns } = grid;
  const lines = Array.from({ length: rows }, (_, row) =>
    make("tr", {}, ...cells.slice(row * columns, (row + 1) * columns)),
  );
  const caption = make("caption", { class: "unseen" }, "How much the policy wants each patch, and what is taken");
  byId("wants", "table").replaceChildren(caption, make("tbody", {}, ...lines));
  setSteps(grid);
}

function wishCell(probability: number, k: number): HTMLElement {
  const shown = make("span", { "aria-hidden": "true" }, String(Math.round(probability * 100)));
  const cell = make("td", { "data-probability": String(probability) }, shown, unseen(""));
  cell.style.setProperty("--k", String(k));
  cell.style.setProperty("--strength", strengthOf(probability).toFixed(3));
  cell.classList.toggle("wanted", isWanted(probability));
  return cell;
}

/** What is taken and what the classifier then sees. @param mask [P] */
export function showMask(bytes: Uint8Array, mask: Uint8Array, description: SetDescription): void {
  const { imageSize, patchSize, lowSize, fill } = description;
  const grid = makeGrid(imageSize, patchSize);
  for (const [k, cell] of document.querySelectorAll<HTMLElement>("#wants td").entries()) {
    const place = `row ${Math.floor(k / grid.columns) + 1}, column ${(k % grid.columns) + 1}`;
    const probability = Number(cell.dataset.probability);
    cell.lastElementChild!.textContent = `${place}: ${percent(probability)}, ${mask[k] === 1 ? "taken" : "dropped"}`;
  }
  const veils = Array.from(mask, (taken, k) => {
    const veil = make("i", { class: taken === 1 ? "taken" : "dropped" });
    veil.style.setProperty("--k", String(k));
    return veil;
  });
  byId("taken", "div").replaceChildren(...veils);
  const count = countPatches(mask);
  byId("taken-count", "span").textContent = `${count} of ${grid.patches} patches`;
  const planes = toPlanes(bytes, imageSize, description);
  const seen = dropPatches(planes, mask, grid, fill === "lr" ? lowSize : undefined);
  const sees = byId("sees", "canvas");
  paint(sees, toBytes(seen, imageSize, description), imageSize);
  sees.ariaLabel = `The sharp picture with only ${patchesOf(count)}, which is all that the classifier sees`;
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

function setSteps({ patches, columns }: Grid): void {
  const stages = byId("stages", "section");
  stages.style.setProperty("--patches", String(patches));
  stages.style.setProperty("--columns", String(columns));
}

/** The top-left pixel of each block: [S, S, 3] → [lowSize, lowSize, 3] */
function lowBytes(bytes: Uint8Array, imageSize: number, lowSize: number): Uint8Array {
  const block = imageSize / lowSize;
  return Uint8Array.from({ length: lowSize * lowSize * 3 }, (_, at) => {
    const [pixel, channel] = [Math.floor(at / 3), at % 3];
    const [y, x] = [Math.floor(pixel / lowSize), pixel % lowSize];
    return bytes[3 * (y * block * imageSize + x * block) + channel];
  });
}

/** Small pictures are enlarged to squares of colour, as the networks see them. */
export function isSmall(size: number): boolean {
  return size <= 96;
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
