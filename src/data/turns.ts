/** The eight flips and turns of a square: a training transform for scenes seen from above, where no side is up. */
import type { PixelArray } from "../utils/pixel-array.ts";
import { Random } from "../utils/random.ts";
import { row } from "../utils/rows.ts";
import type { Augmentation } from "./transforms.ts";

/**
 * Flips and turns the images of a batch in place, all eight ways alike; position n of the epoch's order owns block n of its
 * stream.
 * @param images [B, size, size, bands]
 */
export function turnImages(images: PixelArray, size: number, bands: number, augmentation: Augmentation): void {
  const { seed, epoch, firstPosition } = augmentation;
  const stream = new Random(seed, "turn", epoch);
  const each = size * size * bands;
  for (let slot = 0; slot * each < images.length; slot++) {
    const way = stream.seek(firstPosition + slot).integer(8);
    turn(row(images, slot, each), size, way);
  }
}

/**
 * Flips and turns an image in place.
 * @param image [size, size, bands]
 * @param way 0 to 7: its bits swap rows and columns (1), then left and right (2), then top and bottom (4) of what is read
 */
export function turn(image: PixelArray, size: number, way: number): void {
  const source = image.slice();
  const bands = image.length / size ** 2;
  let to = 0;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const [row, column] = (way & 1) === 0 ? [y, x] : [x, y];
      const fromRow = (way & 4) === 0 ? row : size - 1 - row;
      const fromColumn = (way & 2) === 0 ? column : size - 1 - column;
      const from = (fromRow * size + fromColumn) * bands;
      for (let band = 0; band < bands; band++) image[to++] = source[from + band];
    }
  }
}
