/** Which items are wanted: by place, by time, by their properties. */

import { type ArchiveOptions, type Box, type Condition, type Span, timeOf } from "../options/archive-group.ts";
import type { Item } from "./item.ts";

export function isWanted({ bbox: own, properties }: Item, { bbox, datetime, query = [] }: ArchiveOptions): boolean {
  return (
    (bbox === undefined || (own !== undefined && meet(own, bbox))) &&
    (datetime === undefined || overlap(spanOf(properties), datetime)) &&
    query.every((condition) => holds(condition, properties[condition.property]))
  );
}

/** Whether two boxes have a point in common, on the sphere: at 180° and −180° is the same meridian. */
export function meet(one: Box, other: Box): boolean {
  if (Math.max(one[1], other[1]) > Math.min(one[3], other[3])) return false;
  return [-360, 0, 360].some((turn) => {
    const [[west, east], [otherWest, otherEast]] = [longitudes(one), longitudes(other)];
    return Math.max(west, otherWest + turn) <= Math.min(east, otherEast + turn);
  });
}

/** The east as a number that is not below the west. */
function longitudes([west, , east]: Box): [number, number] {
  return [west, east < west ? east + 360 : east];
}

function spanOf({ datetime, start_datetime: start, end_datetime: end }: Item["properties"]): Span {
  const [from, to] = [start ?? datetime, end ?? datetime];
  return { from: timeOf(from ?? ""), to: timeOf(to ?? "") };
}

function overlap(one: Span, other: Span): boolean {
  return one.from <= other.to && other.from <= one.to;
}

/** A property that is not there, or of another kind, is not as it must be, whatever that is. */
function holds({ comparison, value }: Condition, found: unknown): boolean {
  // The id of an orbit or a tile may be a number to us and a text to the archive.
  const own = typeof found === "string" && typeof value !== "string" ? textOf(found, value) : found;
  if (typeof own !== typeof value) return false;
  const [a, b] = [own as string, value as string];
  switch (comparison) {
    case "=":
      return a === b;
    case "!=":
      return a !== b;
    case "<":
      return a < b;
    case "<=":
      return a <= b;
    case ">":
      return a > b;
    case ">=":
      return a >= b;
  }
}

function textOf(found: string, value: number | boolean): unknown {
  return found === String(value) ? value : found;
}
