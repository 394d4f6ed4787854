/** A zip writer that, unlike a library, also writes what an attacker would: any name, type and checksum (APPNOTE 4.3). */
import { crc32, deflateRawSync } from "node:zlib";

export interface ZipEntry {
  name: string;
  bytes: Uint8Array;
  /** Unix mode with its type bits; a regular file when absent. */
  mode?: number;
  /** Checksum to state instead of the true one. */
  crc?: number;
  /** Unpacked size to state instead of the true one. */
  size?: number;
  /** Where its local header lies, to state instead of the truth. */
  at?: number;
}

export function zip(entries: readonly ZipEntry[]): Buffer {
  const locals: Buffer[] = [];
  const centrals: Buffer[] = [];
  let offset = 0;
  for (const { name, bytes, mode = 0o100644, crc = crc32(bytes), size = bytes.length, at = offset } of entries) {
    const path = Buffer.from(name);
    const packed = deflateRawSync(bytes);
    // Version needed, flags (names are UTF-8), method 8 (deflate), time, date, CRC-32, sizes, length of the name.
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x0800, 2);
    common.writeUInt16LE(8, 4);
    common.writeUInt32LE(crc, 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(size, 18);
    common.writeUInt16LE(path.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), common, path, packed]);
    // Made by Unix; then as above, comment, disk, attributes, where the local header lies.
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE((mode * 0x10000) >>> 0, 6);
    rest.writeUInt32LE(at, 10);
    centrals.push(Buffer.concat([Buffer.from("PK\x01\x02"), Buffer.from([30, 3]), common, rest, path]));
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(centrals);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(entries.length, 4);
  end.writeUInt16LE(entries.length, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...locals, directory, Buffer.from("PK\x05\x06"), end]);
}
