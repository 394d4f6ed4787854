/** One number of 0 … 1 for each patch, drawn where the patch lies: darker is more, and the percentage stands in it. */
import { fault } from "../errors.ts";
import { html, type Markup } from "./html.ts";

/** Of the shorter side of a cell. */
const cellSize = 40;
/** Cells in a row or column up to which the numbers in them can be read, on a small map and on a large one. */
const mostWithNumbers = { small: 4, large: 8 };
/** From here on, the cell is dark enough for light text. */
const darkFrom = 0.65;

/**
 * Draws shares [P], row by row, in rows of `columns`, as a square like the image that the patches fill: where there are more
 * rows than columns, patches are wider than high. `label` is the alternative text, to which the percentages are added.
 * @throws internal: a last row that is not full
 */
export function heatMap(shares: readonly number[], columns: number, label: string): Markup {
  const rows = shares.length / columns;
  if (!Number.isInteger(rows) || rows < 1) {
    throw fault("internal", { where: "report", rule: `patches must fill rows of ${columns}`, got: shares.length });
  }
  const most = Math.max(rows, columns);
  const side = cellSize * most;
  const [width, height] = [side / columns, side / rows];
  const percentages = shares.map((share) => Math.round(share * 100));
  const cells = shares.map((share, k) => {
    const [x, y] = [(k % columns) * width, Math.floor(k / columns) * height];
    const text = share >= darkFrom ? "on-dark" : "on-light";
    const number = html`<text class="${text}" x="${x + width / 2}" y="${y + height / 2}" dy="0.35em">${percentages[k]}</text>`;
    return html`<rect x="${x + 1}" y="${y + 1}" width="${width - 2}" height="${height - 2}" rx="3" fill-opacity="${share.toFixed(2)}"/>${most > mostWithNumbers.large ? "" : number}`;
  });
  const lines = Array.from({ length: rows }, (_, row) =>
    percentages.slice(row * columns, (row + 1) * columns).join(" "),
  );
  const kind = most > mostWithNumbers.small ? "heat many" : "heat";
  return html`<svg class="${kind}" viewBox="0 0 ${side} ${side}" role="img" aria-label="${label}, in % by row: ${lines.join("; ")}">
${cells}
</svg>`;
}
