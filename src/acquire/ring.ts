/** A closed line of positions, as in a plane of longitudes and latitudes. The first position is not repeated at the end. */
import type { Position } from "./georeference.ts";

/**
 * In square degrees; above zero where it goes counterclockwise. Counted from its first corner: of a small ring far from (0, 0) the products
 * would keep no digits of its area.
 */
export function signedArea(ring: readonly Position[]): number {
  const [[left, bottom]] = ring;
  let twice = 0;
  for (const [i, [x, y]] of ring.entries()) {
    const [nextX, nextY] = ring[(i + 1) % ring.length];
    twice += (x - left) * (nextY - bottom) - (nextX - left) * (y - bottom);
  }
  return twice / 2;
}

export function isCounterclockwise(ring: readonly Position[]): boolean {
  return signedArea(ring) > 0;
}
