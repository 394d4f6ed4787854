/**
 * What an ONNX model says about itself: the texts of ModelProto's `metadata_props` (onnx.ts has the messages). The graph is
 * skipped, not read.
 * Source: protobuf.dev, "Encoding"; onnx/onnx.proto.
 */
import { fault } from "../errors.ts";
import { ByteReader } from "./byte-reader.ts";

const metadataField = 14;
const [keyField, valueField] = [1, 2];

/** @param where names the file in errors @throws input: bytes that are not a protobuf message, or texts that are not UTF-8 */
export function readOnnxMetadata(bytes: Uint8Array, where: string): Map<string, string> {
  const metadata = new Map<string, string>();
  for (const [field, value] of fieldsOf(new ByteReader(bytes, where))) {
    if (field !== metadataField || value === undefined) continue;
    const entry = new Map(fieldsOf(new ByteReader(value, where)));
    metadata.set(textOf(entry.get(keyField), where), textOf(entry.get(valueField), where));
  }
  return metadata;
}

/** The bytes of the file that lie outside its metadata with that key, in parts. @throws as {@link readOnnxMetadata} */
export function outsideMetadata(key: string, bytes: Uint8Array, where: string): Uint8Array[] {
  const reader = new ByteReader(bytes, where);
  const parts: Uint8Array[] = [];
  let [start, end] = [0, 0];
  for (const [field, value] of fieldsOf(reader)) {
    if (field === metadataField && value !== undefined && keyOf(value, where) === key) {
      parts.push(bytes.subarray(start, end));
      start = reader.offset;
    }
    end = reader.offset;
  }
  return [...parts, bytes.subarray(start)];
}

function keyOf(entry: Uint8Array, where: string): string {
  return textOf(new Map(fieldsOf(new ByteReader(entry, where))).get(keyField), where);
}

/** The message's fields in order, with the values of those that are bytes. */
function* fieldsOf(reader: ByteReader): Generator<[field: number, value: Uint8Array | undefined]> {
  while (reader.remaining > 0) {
    const key = varint(reader);
    yield [Math.floor(key / 8), fieldValue(reader, key % 8)];
  }
}

function fieldValue(reader: ByteReader, wire: number): Uint8Array | undefined {
  switch (wire) {
    case 0:
      varint(reader);
      return undefined;
    case 1:
      reader.take(8);
      return undefined;
    case 2:
      return reader.take(varint(reader));
    case 5:
      reader.take(4);
      return undefined;
    default:
      throw reader.malformed("must be a field of a protobuf message", `wire type ${wire}`);
  }
}

/** Not exact beyond 2^53; {@link ByteReader} refuses lengths that large anyway. */
function varint(reader: ByteReader): number {
  let value = 0;
  for (let factor = 1; factor < 2 ** 70; factor *= 128) {
    const byte = reader.uint8();
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return value;
  }
  throw reader.malformed("must be a number of at most ten bytes");
}

function textOf(bytes: Uint8Array | undefined, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw fault("input", { where, rule: "must have metadata in UTF-8" });
  }
}
