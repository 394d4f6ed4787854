/**
 * What was chosen, as GeoJSON: all cells, and the chosen ones as one MultiPolygon that can be sent to an image provider.
 * Without a georeference cells have no geometry. Source: RFC 7946.
 */

import type { JsonObject, JsonValue } from "../files/json.ts";
import type { Grid } from "../method/grid.ts";
import { pacer } from "../utils/pacer.ts";
import { partOf, rounded, turnsOf } from "./antimeridian.ts";
import type { Georeference, Position } from "./georeference.ts";
import { type CellPlace, type Corner, mergeCells } from "./merge-cells.ts";
import type { Window } from "./patch-source.ts";
import { isCounterclockwise } from "./ring.ts";
import type { Cell, Size } from "./scene.ts";

/** A cell with what was decided about it. */
export interface DecidedCell {
  readonly cell: Cell;
  /** Of the window that it belongs to, counted from the left and from the top. */
  readonly window: CellPlace;
  readonly chosen: boolean;
  /** Not chosen, and yet used, since what it takes was read for others; said where that was asked for. */
  readonly free?: boolean | undefined;
  /** Of a window that the low resolution shows nothing of, so that nobody decided. */
  readonly low?: "missing" | undefined;
  /** Of being chosen, 0 … 1. */
  readonly probability: number;
  /** Of the tiles that were fetched for this cell first. */
  readonly bytes: number;
}

export function cellFeature({ cell, window, ...said }: DecidedCell, place: Georeference | undefined): JsonObject {
  const { x, y, width, height } = cell.inside;
  return {
    type: "Feature",
    geometry: place === undefined ? null : geometryOf(cornersOf(cell.inside, place)),
    properties: {
      ...said,
      patch: cell.patch,
      window: [window.column, window.row],
      pixels: { x, y, width, height },
    },
  };
}

/** The corners of a box, in order; they may go on beyond 180°. */
export function cornersOf({ x, y, width, height }: Window, place: Georeference): Position[] {
  return [
    place.toWgs84(x, y + height),
    place.toWgs84(x + width, y + height),
    place.toWgs84(x + width, y),
    place.toWgs84(x, y),
  ];
}

/** One feature: the chosen cells merged. @param grid that of a window, whose patches are the cells */
export async function orderFeature(
  cells: readonly CellPlace[],
  { grid: { patchWidth, patchHeight }, size, place }: { grid: Grid; size: Size; place: Georeference },
  properties: JsonObject,
): Promise<JsonObject> {
  const pause = pacer();
  const positionOf = ([column, row]: Corner) =>
    rounded(place.toWgs84(Math.min(column * patchWidth, size.width), Math.min(row * patchHeight, size.height)));
  // Merged on each side of 180° by themselves: cut only afterwards, what is joined beyond it alone would not come apart.
  const sides = new Map<number, CellPlace[]>();
  for (const cell of cells) {
    await pause();
    for (const turn of turnsOf(cornersOfCell(cell).map(positionOf))) {
      const side = sides.get(turn);
      if (side === undefined) sides.set(turn, [cell]);
      else side.push(cell);
    }
  }
  const polygons: JsonValue[][] = [];
  for (const [turn, side] of sides) {
    for (const rings of await mergeCells(side)) {
      await pause();
      const outlines = rings.map((ring) => ring.slice(1).map(positionOf));
      polygons.push(polygonOf(outlines, turn));
    }
  }
  return { type: "Feature", geometry: { type: "MultiPolygon", coordinates: polygons }, properties };
}

function cornersOfCell({ column, row }: CellPlace): Corner[] {
  return [
    [column, row],
    [column + 1, row],
    [column + 1, row + 1],
    [column, row + 1],
  ];
}

/** What a ring encloses: a polygon, or several where it crosses 180°. */
export function geometryOf(ring: readonly Position[]): JsonObject {
  const outline = ring.map(rounded);
  const polygons = turnsOf(outline).map((turn) => polygonOf([outline], turn));
  return polygons.length === 1
    ? { type: "Polygon", coordinates: polygons[0] }
    : { type: "MultiPolygon", coordinates: polygons };
}

/**
 * The part of a polygon of rounded rings that lies in a turn of the Earth, as GeoJSON writes it: the outer ring counterclockwise, holes
 * clockwise, each with the first position repeated at the end.
 */
function polygonOf(rings: readonly (readonly Position[])[], turn: number): JsonValue[] {
  const there = rings.filter((ring) => turnsOf(ring).includes(turn));
  return there.map((ring, n) => {
    const part = partOf(ring, turn);
    if (isCounterclockwise(part) !== (n === 0)) part.reverse();
    return [...part, part[0]].map((position) => [...rounded(position)]);
  });
}
