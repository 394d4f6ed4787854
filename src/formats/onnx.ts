/**
 * A graph as the bytes of an ONNX model; written only. The file is one protobuf message, and of its messages these are
 * used, with the field numbers of onnx/onnx.proto:
 *
 *   ModelProto          { int64 ir_version = 1; string producer_name = 2; string producer_version = 3; GraphProto graph = 7;
 *                         repeated OperatorSetIdProto opset_import = 8; repeated StringStringEntryProto metadata_props = 14; }
 *   GraphProto          { repeated NodeProto node = 1; string name = 2; repeated TensorProto initializer = 5;
 *                         repeated ValueInfoProto input = 11; repeated ValueInfoProto output = 12; }
 *   NodeProto           { repeated string input = 1; repeated string output = 2; string name = 3; string op_type = 4;
 *                         repeated AttributeProto attribute = 5; }
 *   AttributeProto      { string name = 1; int64 i = 3; bytes s = 4; repeated int64 ints = 8; AttributeType type = 20; }
 *   TensorProto         { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9; }
 *   ValueInfoProto      { string name = 1; TypeProto type = 2; } with TypeProto { Tensor tensor_type = 1; },
 *                         Tensor { int32 elem_type = 1; TensorShapeProto shape = 2; },
 *                         TensorShapeProto { repeated Dimension dim = 1; },
 *                         Dimension { int64 dim_value = 1; string dim_param = 2; }
 *   OperatorSetIdProto  { string domain = 1; int64 version = 2; }
 *   StringStringEntryProto { string key = 1; string value = 2; }
 *
 * Sources: that file; onnx/docs/IR.md for what must be there; onnx/docs/Operators.md for the operators.
 */

import { bytes, int, message, text } from "./protobuf.ts";

/** Operators mean what version 17 of the standard set says; the files state this, and readers follow it. */
export const opset = 17;
/** The version of the file's own structure that came with that operator set. */
const irVersion = 8;

export interface OnnxNode {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes: Readonly<Record<string, number | string | readonly number[]>>;
}

/** A constant of the graph; not copied. The bits of halves (half.ts) are unsigned shorts. */
export interface OnnxTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array | BigInt64Array | Uint16Array;
}

/** A float32 input or output. A dimension that is a text may have any size, the same wherever that text occurs. */
export interface OnnxValue {
  readonly name: string;
  readonly shape: readonly (number | string)[];
}

export interface OnnxGraph {
  readonly name: string;
  /** In an order in which they can be computed. */
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly input: OnnxValue;
  readonly output: OnnxValue;
}

/** What the file holds besides the graph. */
export interface OnnxOrigin {
  readonly producer: string;
  readonly producerVersion: string;
  readonly metadata: ReadonlyMap<string, string>;
}

export function encodeOnnx(graph: OnnxGraph, { producer, producerVersion, metadata }: OnnxOrigin): Uint8Array {
  return Buffer.concat([
    int(1, irVersion),
    text(2, producer),
    text(3, producerVersion),
    message(7, encodeGraph(graph)),
    message(8, [text(1, ""), int(2, opset)]),
    ...[...metadata].map(metadataEntry),
  ]);
}

/** The model with one text more about itself, behind all that it holds. */
export function withOnnxMetadata(model: Uint8Array, key: string, value: string): Uint8Array {
  return Buffer.concat([model, metadataEntry([key, value])]);
}

function metadataEntry([key, value]: readonly [string, string]): Uint8Array {
  return message(14, [text(1, key), text(2, value)]);
}

function encodeGraph({ name, nodes, initializers, input, output }: OnnxGraph): Uint8Array[] {
  return [
    ...nodes.map((node) => message(1, encodeNode(node))),
    text(2, name),
    ...initializers.map((tensor) => message(5, encodeTensor(tensor))),
    message(11, encodeValue(input)),
    message(12, encodeValue(output)),
  ];
}

function encodeNode({ operator, inputs, output, attributes }: OnnxNode): Uint8Array[] {
  return [
    ...inputs.map((input) => text(1, input)),
    text(2, output),
    text(3, output),
    text(4, operator),
    ...Object.entries(attributes).map(([name, value]) => message(5, [text(1, name), ...encodeAttribute(value)])),
  ];
}

const attributeType = { int: 2, string: 3, ints: 7 } as const;

function encodeAttribute(value: number | string | readonly number[]): Uint8Array[] {
  if (typeof value === "number") return [int(3, value), int(20, attributeType.int)];
  if (typeof value === "string") return [text(4, value), int(20, attributeType.string)];
  return [...value.map((one) => int(8, one)), int(20, attributeType.ints)];
}

/** As TensorProto.DataType has them. */
export const elementType = { float32: 1, int64: 7, float16: 10 } as const;

function elementTypeOf(values: OnnxTensor["values"]): number {
  if (values instanceof Float32Array) return elementType.float32;
  return values instanceof Uint16Array ? elementType.float16 : elementType.int64;
}

function encodeTensor({ name, shape, values }: OnnxTensor): Uint8Array[] {
  const type = elementTypeOf(values);
  const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return [...shape.map((size) => int(1, size)), int(2, type), text(8, name), bytes(9, raw)];
}

function encodeValue({ name, shape }: OnnxValue): Uint8Array[] {
  const dimensions = shape.map((size) => message(1, [typeof size === "number" ? int(1, size) : text(2, size)]));
  const tensorType = [int(1, elementType.float32), message(2, dimensions)];
  return [text(1, name), message(2, [message(1, tensorType)])];
}
