/** Cyclic redundancy checks of 32 bits. */
import zlib from "node:zlib";

/** The CRC of bytes, or of what lies before them too, whose CRC is `before`. */
export type Crc = (bytes: Uint8Array, before?: number) => number;

/** CRC-32 as zip has it (reflected polynomial 0xedb88320). Node's own came with 20.15. */
export const crc32: Crc = (zlib.crc32 as typeof zlib.crc32 | undefined) ?? crcBy(0xedb88320);

/** The CRC by another reflected polynomial. */
export function crcBy(polynomial: number): Crc {
  const table = Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? polynomial : 0);
    return crc;
  });
  return (bytes, before = 0) => {
    let crc = ~before;
    for (const byte of bytes) crc = (table[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
    return ~crc >>> 0;
  };
}
