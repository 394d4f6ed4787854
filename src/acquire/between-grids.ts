/** Where the pixels of one raster lie in another one, by what both say of their place on the Earth. */

import { type Georeference, inverted, isUtm, mapped } from "./georeference.ts";
import type { Size } from "./scene.ts";

/** From a point in pixels of one raster to that in pixels of another; NaN where that one has no place for it. */
export type Way = (x: number, y: number) => readonly [x: number, y: number];

/**
 * @param to the other raster, and its size: of the longitudes that are a whole turn of the Earth apart, those around its middle
 *   are meant
 */
export function wayBetween(from: Georeference, to: { readonly place: Georeference } & Size): Way {
  const { place, width, height } = to;
  if (from.epsg === place.epsg && isUtm(place.epsg)) {
    const back = inverted(place.affine);
    return (x, y) => mapped(back, ...mapped(from.affine, x, y));
  }
  const [middle] = place.toWgs84(width / 2, height / 2);
  return (x, y) => {
    const [longitude, latitude] = from.toWgs84(x, y);
    return place.fromWgs84(longitude + 360 * Math.round((middle - longitude) / 360), latitude);
  };
}
