import type { RandomAccess } from "../../src/formats/tiff.ts";

/** A file of which `bytes` are the beginning; zeros follow. */
export function inMemory(bytes: Uint8Array, size = bytes.length): RandomAccess {
  const read = async (offset: number, length: number) => {
    const part = new Uint8Array(length);
    part.set(bytes.subarray(offset, offset + length));
    return part;
  };
  return { where: "x.tif", size, read };
}
