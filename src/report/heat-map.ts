/** One number of 0 … 1 for each patch, drawn where the patch lies: darker is more, and the percentage stands in it. */
import { fault } from "../errors.ts";
import { type Grid, makeGrid, patchBox } from "../method/grid.ts";
import { html, type Markup } from "./html.ts";

const cellSize = 40;
/** From here on, the cell is dark enough for light text. */
const darkFrom = 0.65;

/** The grid of `patches` patches over an image of `imageSize` pixels; a bug of the caller's if it is not square. */
export function squareGrid(imageSize: number, patches: number): Grid {
  const side = Math.sqrt(patches);
  if (!Number.isInteger(side) || side < 1) {
    throw fault("internal", { where: "report", rule: "the number of patches must be a square number", got: patches });
  }
  return makeGrid(imageSize, imageSize / side);
}

/** Draws shares [P], row by row. `label` is the alternative text, to which the percentages are added. */
export function heatMap(shares: readonly number[], label: string): Markup {
  const grid = squareGrid(Math.sqrt(shares.length) * cellSize, shares.length);
  const percentages = shares.map((share) => Math.round(share * 100));
  const cells = shares.map((share, k) => {
    const { x, y, width, height } = patchBox(grid, k);
    const text = share >= darkFrom ? "on-dark" : "on-light";
    return html`<rect x="${x + 1}" y="${y + 1}" width="${width - 2}" height="${height - 2}" rx="3" fill-opacity="${share.toFixed(2)}"/><text class="${text}" x="${x + width / 2}" y="${y + height / 2}" dy="0.35em">${percentages[k]}</text>`;
  });
  const lines = Array.from({ length: grid.rows }, (_, row) =>
    percentages.slice(row * grid.columns, (row + 1) * grid.columns).join(" "),
  );
  return html`<svg class="heat" viewBox="0 0 ${grid.imageSize} ${grid.imageSize}" role="img" aria-label="${label}, in % by row: ${lines.join("; ")}">
${cells}
</svg>`;
}
