/**
 * TIFF's LZW, which packs codes of 9 to 12 bits from the highest bit on and widens them one code early.
 * Source: TIFF 6.0, section 13.
 */

const clear = 256;
const endOfInformation = 257;
const firstFree = 258;
const mostCodes = 4096;
const narrowest = 9;
const widest = 12;

/** Unpacks to at most `size` bytes; what follows them is ignored. @throws an Error: an impossible code */
export function decodeLzw(packed: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size);
  // A code's string is copied from where it was written first: that position and its length describe it.
  const starts = new Uint32Array(mostCodes);
  const lengths = new Uint32Array(mostCodes);
  let [bits, held, width, free, at, end] = [0, 0, narrowest, firstFree, 0, 0];
  let previous = { start: 0, length: 0 };
  const next = (): number => {
    while (held < width) {
      if (at === packed.length) return endOfInformation;
      bits = ((bits << 8) | packed[at++]) & 0xfffff;
      held += 8;
    }
    held -= width;
    return (bits >> held) & ((1 << width) - 1);
  };
  for (let code = next(); code !== endOfInformation && end < size; code = next()) {
    if (code === clear) {
      [width, free] = [narrowest, firstFree];
      previous = { start: 0, length: 0 };
      continue;
    }
    // The string that is being added is the previous one and the byte after it, which is this string's first.
    if (previous.length > 0 && free < mostCodes) {
      starts[free] = previous.start;
      lengths[free++] = previous.length + 1;
    }
    if (code >= free || code === clear) throw new Error(`LZW code ${code} before it was defined`);
    const start = end;
    if (code < clear) out[end++] = code;
    else {
      const from = starts[code];
      const stop = Math.min(end + lengths[code], size);
      for (let i = from; end < stop; i++) out[end++] = out[i];
    }
    previous = { start, length: end - start };
    if (free + 1 >= 1 << width && width < widest) width++;
  }
  return out.subarray(0, end);
}
