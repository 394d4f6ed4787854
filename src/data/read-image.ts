/** One image file as a network gets it outside training. Many files go through decode-pool.ts, on threads of their own. */
import { fault } from "../errors.ts";
import { decodePixels } from "./decode.ts";
import { DecodeMemory } from "./decode-memory.ts";
import { type TransformName, transforms } from "./transforms.ts";

/**
 * Decodes a file and applies the test form of a model's transform.
 * @param model what the image is for: its size S in pixels, and its transform
 * @param maxImageBytes most bytes that decoding may take; 512 MiB when absent
 * @returns bytes [S, S, 3]
 * @throws input: not an image, cut off, too large, not bytes of RGB or grey
 */
export async function readImage(
  path: string,
  { imageSize, transform }: { imageSize: number; transform: TransformName },
  maxImageBytes?: number,
): Promise<Uint8Array> {
  const pixels = await decodePixels(path, new DecodeMemory(maxImageBytes)).catch((error: Error) => {
    throw fault("input", { where: path, rule: "must be an image that can be read", got: error.message }, error);
  });
  const bytes = new Uint8Array(imageSize * imageSize * 3);
  transforms[transform](pixels, imageSize, bytes);
  return bytes;
}
