/**
 * Test images as the method treats them, side by side: what the policy sees, how much it wants each patch, what it
 * takes, and what the classifier then sees.
 */
import { fault } from "../errors.ts";
import { countPatches, type Grid, patchBox } from "../method/grid.ts";
import { heatMap } from "./heat-map.ts";
import { html, type Markup } from "./html.ts";

/** A square image, as bytes [size, size, 3] (rows, columns, RGB). */
export interface RawImage {
  /** Height and width, in pixels. */
  readonly size: number;
  readonly pixels: Uint8Array;
}

export interface GalleryItem {
  /** The high-resolution image, all of it. */
  readonly image: RawImage;
  /** What the policy sees; of its own size. */
  readonly lowResolution: RawImage;
  /** What the classifier sees: the image with the dropped patches filled. */
  readonly masked: RawImage;
  /** The policy's probability to take each patch [P], 0 … 1. */
  readonly probabilities: readonly number[];
  /** How the image is cut into patches. */
  readonly grid: Grid;
  /** The patches that were taken [P], of zeros and ones. */
  readonly mask: ArrayLike<number>;
  /** Name of the true class. */
  readonly label: string;
  /** Name of the class that the classifier chose. */
  readonly prediction: string;
  /** The classifier's probability of that class, 0 … 1. */
  readonly confidence?: number;
  readonly correct: boolean;
}

/** The one line that explains the pictures to a stranger. */
export const galleryLegend =
  "From left to right: the coarse image that the policy sees; how much it wants each patch, in\u00a0%; the sharp image with " +
  "the patches that it takes outlined and the others faded; all that the classifier sees of it.";

/** Images that show the same thing, e.g. "Most patches". */
export interface GalleryGroup {
  readonly title: string;
  readonly items: readonly GalleryItem[];
}

/** The gallery, one figure per image, group by group. */
export async function gallery(groups: readonly GalleryGroup[]): Promise<Markup> {
  const blocks = groups.map(async ({ title, items }) => {
    const figures = await Promise.all(items.map(figure));
    return html`<div class="group"><h4>${title}</h4>
<div class="gallery">
${figures}
</div></div>`;
  });
  return html`<p class="legend">${galleryLegend}</p>
${await Promise.all(blocks)}`;
}

/** The image as a PNG file in a data address; its pixels are kept exactly. */
export async function pngAddress(image: RawImage): Promise<string> {
  const { size, pixels } = image;
  if (!Number.isInteger(size) || size < 1 || pixels.length !== size * size * 3) {
    throw fault("internal", {
      where: "report: image",
      rule: `must have size × size × 3 bytes, of size ${size}`,
      got: pixels.length,
    });
  }
  const { default: sharp } = await import("sharp");
  const png = await sharp(pixels, { raw: { width: size, height: size, channels: 3 } })
    .png()
    .toBuffer();
  return `data:image/png;base64,${png.toString("base64")}`;
}

async function figure(item: GalleryItem): Promise<Markup> {
  const [low, high, masked] = await Promise.all([item.lowResolution, item.image, item.masked].map(pngAddress));
  const taken = countPatches(item.mask);
  const count = `${taken} of ${item.mask.length} patches`;
  return html`<figure class="item">
<figcaption>${verdict(item)}<span class="count">${count}</span></figcaption>
<div class="panels">
<div><img class="${scaling(item.lowResolution)}" src="${low}" alt="Low-resolution image of class ${item.label}, which the policy sees"><small>policy sees</small></div>
<div>${heatMap(item.probabilities, item.grid.columns, "Probability of taking each patch")}<small>wants, %</small></div>
<div>${outlined(item, high)}<small>takes</small></div>
<div><img class="${scaling(item.masked)}" src="${masked}" alt="The same image with only ${count}, which the classifier sees"><small>classifier sees</small></div>
</div>
</figure>`;
}

/** Small images are enlarged to squares of colour, as the networks see them; large ones are made smaller smoothly. */
function scaling({ size }: RawImage): string {
  return size <= 96 ? "enlarged" : "reduced";
}

/** The classifier's answer in words, its probability if that is known, and a sign. */
function verdict(item: GalleryItem): Markup {
  const sure = item.confidence === undefined ? "" : `\u00a0(${Math.round(item.confidence * 100)}\u00a0%)`;
  return item.correct
    ? html`<span><b>${item.label}</b>: recognized${sure}\u00a0<span class="right">✓</span></span>`
    : html`<span><b>${item.label}</b>: taken for <b>${item.prediction}</b>${sure}\u00a0<span class="wrong">✗</span></span>`;
}

/** The high-resolution image with the taken patches outlined, light around dark so that it shows on any picture. */
function outlined(item: GalleryItem, address: string): Markup {
  const size = item.image.size;
  const { grid } = item;
  const line = size / 64;
  const inset = line;
  const boxes = Array.from({ length: grid.patches }, (_, k) => {
    const { x, y, width, height } = patchBox(grid, k);
    if (item.mask[k] === 0) return html`<rect class="dropped" x="${x}" y="${y}" width="${width}" height="${height}"/>`;
    const place = html`x="${x + inset}" y="${y + inset}" width="${width - 2 * inset}" height="${height - 2 * inset}"`;
    return html`<rect class="halo" ${place} stroke-width="${2 * line}"/><rect class="taken" ${place} stroke-width="${line}"/>`;
  });
  const numbers = boxes.flatMap((_, k) => (item.mask[k] === 0 ? [] : [k + 1])).join(", ");
  const label = `High-resolution image; taken patches, numbered row by row from 1: ${numbers || "none"}`;
  return html`<svg class="chosen" viewBox="0 0 ${size} ${size}" role="img" aria-label="${label}">
<image class="${scaling(item.image)}" href="${address}" width="${size}" height="${size}"/>
${boxes}
</svg>`;
}
