/**
 * What was chosen, as GeoJSON: all cells, and the chosen ones as one MultiPolygon that can be sent to an image provider.
 * Without a georeference cells have no geometry. Source: RFC 7946.
 */

import type { JsonObject, JsonValue } from "../files/json.ts";
import type { Grid } from "../method/grid.ts";
import { pacer } from "../utils/pacer.ts";
import type { Georeference, Position } from "./georeference.ts";
import { type CellPlace, mergeCells } from "./merge-cells.ts";
import type { Window } from "./patch-source.ts";
import type { Cell, Size } from "./scene.ts";

/** A cell with what was decided about it. */
export interface DecidedCell {
  readonly cell: Cell;
  /** Of the window that it belongs to, counted from the left and from the top. */
  readonly window: CellPlace;
  readonly chosen: boolean;
  /** Of being chosen, 0 … 1. */
  readonly probability: number;
  /** Of the tiles that were fetched for this cell first. */
  readonly bytes: number;
}

/** Eight decimals of a degree are a millimetre. */
const perDegree = 1e8;

export function cellFeature({ cell, window, ...said }: DecidedCell, place: Georeference | undefined): JsonObject {
  const { x, y, width, height } = cell.inside;
  return {
    type: "Feature",
    geometry: place === undefined ? null : { type: "Polygon", coordinates: [closed(cornersOf(cell.inside, place))] },
    properties: {
      ...said,
      patch: cell.patch,
      window: [window.column, window.row],
      pixels: { x, y, width, height },
    },
  };
}

/** The corners of a box: counterclockwise on a map whose north is up. */
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
  const turn = pacer();
  const polygons: JsonValue[][] = [];
  for (const rings of await mergeCells(cells)) {
    await turn();
    const outlines = rings.map((ring, n) => {
      const positions = ring.slice(1).map(([column, row]) => {
        return place.toWgs84(Math.min(column * patchWidth, size.width), Math.min(row * patchHeight, size.height));
      });
      // Outer rings counterclockwise, holes clockwise.
      return closed(isCounterclockwise(positions) === (n === 0) ? positions : positions.reverse());
    });
    polygons.push(outlines);
  }
  return { type: "Feature", geometry: { type: "MultiPolygon", coordinates: polygons }, properties };
}

/** A ring as GeoJSON writes it: rounded, with the first position repeated at the end. */
export function closed(ring: readonly Position[]): JsonValue {
  return [...ring, ring[0]].map((position) => position.map((degrees) => Math.round(degrees * perDegree) / perDegree));
}

function isCounterclockwise(ring: readonly Position[]): boolean {
  let twice = 0;
  for (const [i, [x, y]] of ring.entries()) {
    const [nextX, nextY] = ring[(i + 1) % ring.length];
    twice += x * nextY - nextX * y;
  }
  return twice > 0;
}
