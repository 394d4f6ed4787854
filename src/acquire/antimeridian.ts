/**
 * Outlines that cross 180°. Inside, longitudes go on beyond it (180.5 is −179.5), so that areas and outlines are those of any
 * other place; what is written lies within −180 … 180, and is cut there. Source: RFC 7946, sections 3.1.9 and 5.2.
 */

import type { Position } from "./georeference.ts";

/** Eight decimals of a degree are a millimetre. */
const perDegree = 1e8;

/** A place as it is written. */
export function rounded([longitude, latitude]: Position): Position {
  const round = (degrees: number) => Math.round(degrees * perDegree) / perDegree;
  return [round(longitude), round(latitude)];
}

/** The turns of the Earth in which a rounded ring has area: 0 is −180 … 180°, 1 the next one to the east. */
export function turnsOf(ring: readonly Position[]): number[] {
  let [west, east] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const [longitude] of ring) [west, east] = [Math.min(west, longitude), Math.max(east, longitude)];
  const first = Math.floor((west + 180) / 360);
  const last = Math.max(first, Math.ceil((east + 180) / 360) - 1);
  return Array.from({ length: last - first + 1 }, (_, n) => first + n);
}

/** The part of a ring that lies in a turn, in longitudes of −180 … 180. */
export function partOf(ring: readonly Position[], turn: number): Position[] {
  const within = cut(cut(ring, 360 * turn - 180, 1), 360 * turn + 180, -1);
  return within.map(([longitude, latitude]) => [longitude - 360 * turn, latitude]);
}

/** What lies to the east of a meridian (1), or to the west (−1): Sutherland and Hodgman's clipping. */
function cut(ring: readonly Position[], meridian: number, side: 1 | -1): Position[] {
  return ring.flatMap((to, i) => {
    const from = ring.at(i - 1)!;
    const [before, after] = [from, to].map(([longitude]) => side * (longitude - meridian));
    const latitude = from[1] + (before / (before - after)) * (to[1] - from[1]);
    return [...(before * after < 0 ? [[meridian, latitude] as const] : []), ...(after >= 0 ? [to] : [])];
  });
}

/** West, south, east and north: west is the larger number where 180° lies between. */
export function boundsOf(corners: readonly Position[]): [number, number, number, number] {
  const ring = corners.map(rounded);
  const [longitudes, latitudes] = [0, 1].map((axis) => ring.map((position) => position[axis]));
  const [west, east] = [Math.min(...longitudes), Math.max(...longitudes)];
  const turns = turnsOf(ring);
  const isAround = east - west >= 360;
  const [left, bottom] = rounded([isAround ? -180 : west - 360 * turns[0], Math.min(...latitudes)]);
  const [right, top] = rounded([isAround ? 180 : east - 360 * turns.at(-1)!, Math.max(...latitudes)]);
  return [left, bottom, right, top];
}
