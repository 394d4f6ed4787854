/** The numbers of an image: the bytes of a picture, or measured values, such as reflectances, as they are. */

export const pixelTypes = ["uint8", "float32"] as const;
export type PixelType = (typeof pixelTypes)[number];
/** [rows, columns, bands], of one image or of several, one after the other. */
export type PixelArray = Uint8Array | Float32Array;

/** Of an image. */
export const mostBands = 16;

/** What every pixel of some images is. */
export interface PixelForm {
  readonly type: PixelType;
  /** Numbers a pixel. */
  readonly bands: number;
}

/** Zeros. @param shared in memory that threads share */
export function newPixels(type: PixelType, length: number, { shared = false } = {}): PixelArray {
  const Type = type === "uint8" ? Uint8Array : Float32Array;
  const bytes = length * Type.BYTES_PER_ELEMENT;
  const memory = shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
  return Type === Uint8Array ? new Uint8Array(memory) : new Float32Array(memory);
}

export function pixelTypeOf(pixels: PixelArray): PixelType {
  return pixels instanceof Uint8Array ? "uint8" : "float32";
}

/** The same memory, byte by byte. */
export function bytesIn(pixels: PixelArray): Uint8Array {
  return new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength);
}
