/**
 * Which part of a large image is cut out for a box: the box and some of what is around it, the more the smaller the box.
 * The rule is the fMoW baseline's (github.com/fMoW/baseline, `dataFunctions.py`), with one difference: there a box's width
 * is compared with the image's height, and its height with the width; here each side with its own.
 */

import type { Region, Size } from "../resize.ts";

/** Boxes with a side of at most this many pixels show nothing and are not cut out. */
const tinySide = 2;

export function isTiny({ width, height }: Size): boolean {
  return width <= tinySide || height <= tinySide;
}

/** The box with its context, as far as the image goes; the box must overlap the image. */
export function cropRegion(box: Region, image: Size): Region {
  const [left, right] = widened(box.left, box.width, image.width);
  const [top, bottom] = widened(box.top, box.height, image.height);
  return { left, top, width: right - left, height: bottom - top };
}

export function overlaps({ left, top, width, height }: Region, image: Size): boolean {
  return left < image.width && top < image.height && left + width > 0 && top + height > 0;
}

export function overhangs({ left, top, width, height }: Region, image: Size): boolean {
  return left < 0 || top < 0 || left + width > image.width || top + height > image.height;
}

/** Start and end along one axis. */
function widened(start: number, side: number, imageSide: number): readonly [start: number, end: number] {
  const margin = Math.trunc((side * contextFactor(side / imageSide)) / 2);
  return [Math.max(start - margin, 0), Math.min(start + side + margin, imageSide)];
}

/** How much longer a side becomes, as a share of it. */
function contextFactor(ratio: number): number {
  if (ratio >= 0.5) return 0.15;
  if (ratio >= 0.4) return 0.2;
  if (ratio >= 0.3) return 0.3;
  if (ratio >= 0.2) return 0.5;
  return ratio >= 0.1 ? 1 : 2;
}
