/** Values of a raster between the middles of its pixels, none of which takes anything from a value that is missing. */

/** Values [height, width, bands] as floating-point numbers; NaN for one that is missing. */
export interface FloatRaster {
  readonly width: number;
  readonly height: number;
  readonly bands: number;
  readonly values: Float32Array;
}

/** As close to a pixel's middle as this, it is that pixel: so that grids which coincide give its value to the last digit. */
const near = 1e-6;

/**
 * A band's value at a point, in pixels from the top left corner: bilinear among the four pixels around it, those that are missing
 * left out. NaN outside, and within a pixel that is missing.
 */
export function bilinear(raster: FloatRaster, x: number, y: number, band: number): number {
  const at = (column: number, row: number) => {
    const isInside = column >= 0 && row >= 0 && column < raster.width && row < raster.height;
    return isInside ? raster.values[(row * raster.width + column) * raster.bands + band] : Number.NaN;
  };
  if (Number.isNaN(at(Math.floor(x), Math.floor(y)))) return Number.NaN;
  const [left, right] = split(x);
  const [top, bottom] = split(y);
  let [sum, weights] = [0, 0];
  for (const row of [top, bottom]) {
    for (const column of [left, right]) {
      const weight = row.share * column.share;
      const value = weight > 0 ? at(column.pixel, row.pixel) : Number.NaN;
      if (Number.isNaN(value)) continue;
      sum += weight * value;
      weights += weight;
    }
  }
  return sum / weights;
}

/** The two pixels that a coordinate lies between the middles of, and what share each has in it. */
function split(coordinate: number) {
  const first = Math.floor(coordinate - 0.5 + near);
  const beyond = Math.max(0, coordinate - 0.5 - first);
  const share = beyond < near ? 0 : beyond;
  return [
    { pixel: first, share: 1 - share },
    { pixel: first + 1, share },
  ] as const;
}
