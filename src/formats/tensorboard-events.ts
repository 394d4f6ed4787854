/**
 * The records of a TensorBoard event file; written only. An event file is a sequence of TFRecords: length (uint64), masked
 * CRC-32C of the length, data, masked CRC-32C of the data, all little-endian, each record's data being one `Event`
 * message. Its fields, from tensorflow/core/util/event.proto and framework/summary.proto:
 *
 *   Event           { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; }
 *   Summary         { repeated Value value = 1; }
 *   Value           { string tag = 1; float simple_value = 2; Image image = 4; SummaryMetadata metadata = 9; }
 *   Image           { int32 height = 1; int32 width = 2; int32 colorspace = 3; bytes encoded_image_string = 4; }
 *   SummaryMetadata { PluginData plugin_data = 1; }
 *   PluginData      { string plugin_name = 1; bytes content = 2; }
 *
 * and, from tensorboard/plugins/hparams/plugin_data.proto and api.proto, what the plugin "hparams" has for content:
 *
 *   HParamsPluginData { SessionStartInfo session_start_info = 3; }
 *   SessionStartInfo  { map<string, google.protobuf.Value> hparams = 1; }
 *   Value             { double number_value = 2; string string_value = 3; bool bool_value = 4; }
 *
 * Sources: those files; tensorflow/core/lib/io/record_writer.h and lib/hash/crc32c.h for the record and its mask.
 */

import { fault } from "../errors.ts";
import { crcBy } from "./crc32.ts";
import { bytes, double, float, int, message, text } from "./protobuf.ts";

/** The record that an event file must begin with. `wallTime` is in seconds since 1970. */
export function encodeFileVersion(wallTime: number): Uint8Array {
  return encodeRecord(Buffer.concat([double(1, wallTime), text(3, "brain.Event:2")]));
}

/**
 * One record that holds a value for each tag at `step` (a whole number ≥ 0). `wallTime` is in seconds since 1970. Values
 * are kept as float32, which is what TensorBoard stores.
 */
export function encodeScalars(wallTime: number, step: number, values: ReadonlyMap<string, number>): Uint8Array {
  return encodeSummary(
    { wallTime, step },
    [...values].map(([tag, value]) => message(1, [text(1, tag), float(2, value)])),
  );
}

/** An image as the bytes of a PNG file; sizes in pixels. */
export interface PngImage {
  readonly width: number;
  readonly height: number;
  readonly png: Uint8Array;
}

/** One record that holds an RGB image under `tag` at `step`. */
export function encodeImage(wallTime: number, step: number, tag: string, { width, height, png }: PngImage): Uint8Array {
  const rgb = 3;
  const image = message(4, [int(1, height), int(2, width), int(3, rgb), bytes(4, png)]);
  return encodeSummary({ wallTime, step }, [message(1, [text(1, tag), image])]);
}

/** The record by which TensorBoard's table of hyperparameters knows a run. */
export function encodeHyperparameters(
  wallTime: number,
  values: ReadonlyMap<string, number | boolean | string>,
): Uint8Array {
  const entries = [...values].map(([name, value]) => message(1, [text(1, name), message(2, [protobufValue(value)])]));
  const metadata = message(9, [message(1, [text(1, "hparams"), message(2, [message(3, entries)])])]);
  return encodeSummary({ wallTime, step: 0 }, [message(1, [text(1, "_hparams_/session_start_info"), metadata])]);
}

/** A field of `google.protobuf.Value`. */
function protobufValue(value: number | boolean | string): Uint8Array {
  if (typeof value === "number") return double(2, value);
  return typeof value === "string" ? text(3, value) : int(4, value ? 1 : 0);
}

function encodeSummary(
  { wallTime, step }: { readonly wallTime: number; readonly step: number },
  values: readonly Uint8Array[],
): Uint8Array {
  if (!Number.isSafeInteger(step) || step < 0) {
    throw fault("internal", { where: "event file", rule: "the step must be a whole number ≥ 0", got: step });
  }
  // What is zero is left out, as protobuf's own writers leave it out.
  const at = step === 0 ? [] : [int(2, step)];
  return encodeRecord(Buffer.concat([double(1, wallTime), ...at, message(5, values)]));
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
export const crc32c = crcBy(0x82f63b78);
