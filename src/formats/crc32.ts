import zlib from "node:zlib";

/** CRC-32 as zip has it (reflected polynomial 0xedb88320). Node's own came with 20.15. */
export const crc32: (bytes: Uint8Array) => number = (zlib.crc32 as typeof zlib.crc32 | undefined) ?? tableCrc32;

function tableCrc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crcTable[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return ~crc >>> 0;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  return crc;
});
