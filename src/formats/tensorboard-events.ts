/**
 * Scalars as the records of a TensorBoard event file; written only. An event file is a sequence of TFRecords:
 * length (uint64), masked CRC-32C of the length, data, masked CRC-32C of the data, all little-endian, each record's
 * data being one `Event` message. Its fields, from tensorflow/core/util/event.proto and framework/summary.proto:
 *
 *   Event   { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
 *   Summary { repeated Value value = 1; }
 *   Value   { string tag = 1; float simple_value = 2; }
 *
 * Sources: those two files; tensorflow/core/lib/io/record_writer.h and lib/hash/crc32c.h for the record and its mask.
 */

import { fault } from "../errors.ts";
import { double, float, int, message, text } from "./protobuf.ts";

/** The record that an event file must begin with. `wallTime` is in seconds since 1970. */
export function encodeFileVersion(wallTime: number): Uint8Array {
  return encodeRecord(Buffer.concat([double(1, wallTime), text(3, "brain.Event:2")]));
}

/**
 * One record that holds a value for each tag at `step` (a whole number ≥ 0). `wallTime` is in seconds since 1970. Values
 * are kept as float32, which is what TensorBoard stores.
 */
export function encodeScalars(wallTime: number, step: number, values: ReadonlyMap<string, number>): Uint8Array {
  if (!Number.isSafeInteger(step) || step < 0) {
    throw fault("internal", { where: "encodeScalars", rule: "the step must be a whole number ≥ 0", got: step });
  }
  const summary = [...values].map(([tag, value]) => message(1, [text(1, tag), float(2, value)]));
  return encodeRecord(Buffer.concat([double(1, wallTime), int(2, step), message(5, summary)]));
}

/** A TFRecord around `data`. */
function encodeRecord(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(8 + 4 + data.length + 4);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc32c(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc32c(data), true);
  return record;
}

/** A CRC of bytes that hold CRCs is weak, so records store it rotated by 15 bits with a constant added. */
export function maskedCrc32c(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** CRC-32C (Castagnoli; reflected polynomial 0x82f63b78), as in RFC 3720, appendix B.4. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crcTable[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return ~crc >>> 0;
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});
