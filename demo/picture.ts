/**
 * A picture as the networks take it: decoded by the browser, then resized and cut to its middle square by the product's
 * own code, as `patchdrop predict` does it. Nothing leaves the machine.
 */
import { transforms } from "../src/data/transforms.ts";
import type { SetDescription } from "./description.ts";

/** What canvases hold everywhere; a larger picture is shrunk by the browser first. */
const mostPixels = 16_000_000;

/**
 * Bytes [S, S, 3].
 * @throws an Error that says in plain words why the picture can't be used
 */
export async function readPicture(
  file: Blob,
  { transform, imageSize }: Pick<SetDescription, "transform" | "imageSize">,
): Promise<Uint8Array> {
  const image = await createImageBitmap(file).catch((error: unknown) => {
    throw new Error("This is not a picture that the browser can read. PNG, JPEG and WebP files are.", { cause: error });
  });
  const { width, height, data } = pixelsOf(image);
  const bytes = new Uint8Array(imageSize * imageSize * 3);
  transforms[transform]({ pixels: withoutAlpha(data), width, height }, imageSize, bytes);
  return bytes;
}

function pixelsOf(image: ImageBitmap): ImageData {
  const factor = Math.min(1, Math.sqrt(mostPixels / (image.width * image.height)));
  const width = Math.max(1, Math.floor(image.width * factor));
  const height = Math.max(1, Math.floor(image.height * factor));
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  image.close();
  return context.getImageData(0, 0, width, height);
}

/** [H, W, 4] → [H, W, 3] */
function withoutAlpha(pixels: Uint8ClampedArray): Uint8Array {
  const bytes = new Uint8Array((pixels.length / 4) * 3);
  for (let from = 0, to = 0; from < pixels.length; from += 4, to += 3) {
    bytes[to] = pixels[from];
    bytes[to + 1] = pixels[from + 1];
    bytes[to + 2] = pixels[from + 2];
  }
  return bytes;
}
