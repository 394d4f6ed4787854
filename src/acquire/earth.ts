/**
 * Areas on the WGS84 ellipsoid. A polygon is mapped to the sphere of the same area by authalic latitudes, where its area is
 * a sum over its sides; these are parallels and meridians in small steps, so for cells of a few kilometres the error is far
 * below what matters for a price. Source: Snyder, "Map Projections – A Working Manual" (USGS PP 1395), equations 3-11 to 3-13.
 */

import type { Position } from "./georeference.ts";

const semiMajorKm = 6378.137;
const flattening = 1 / 298.257223563;
const e2 = flattening * (2 - flattening);
const e = Math.sqrt(e2);

/** Snyder's q: the area between equator and a latitude, in units of half the square of the semi-major axis per radian. */
function q(latitude: number): number {
  const sine = Math.sin((latitude * Math.PI) / 180);
  return (1 - e2) * (sine / (1 - e2 * sine * sine) - Math.log((1 - e * sine) / (1 + e * sine)) / (2 * e));
}

/** In km². @param ring corners in order, without repeating the first at the end */
export function areaKm2(ring: readonly Position[]): number {
  let sum = 0;
  for (const [i, [longitude, latitude]] of ring.entries()) {
    const [nextLongitude, nextLatitude] = ring[(i + 1) % ring.length];
    // Area under a side: its stretch in longitude times q at its middle.
    sum += ((nextLongitude - longitude) * (q(latitude) + q(nextLatitude))) / 2;
  }
  return Math.abs((sum * Math.PI) / 180) * (semiMajorKm ** 2 / 2);
}
