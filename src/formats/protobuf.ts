/**
 * Fields of protobuf messages; written only. A message is its fields one after the other.
 * Source: protobuf.dev, "Encoding".
 */

const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** A whole number ≥ 0. */
export function int(field: number, value: number): Uint8Array {
  return Buffer.concat([key(field, wire.varint), varint(value)]);
}

export function double(field: number, value: number): Uint8Array {
  const eight = new Uint8Array(8);
  new DataView(eight.buffer).setFloat64(0, value, true);
  return Buffer.concat([key(field, wire.fixed64), eight]);
}

export function float(field: number, value: number): Uint8Array {
  const four = new Uint8Array(4);
  new DataView(four.buffer).setFloat32(0, value, true);
  return Buffer.concat([key(field, wire.fixed32), four]);
}

export function text(field: number, value: string): Uint8Array {
  return bytes(field, new TextEncoder().encode(value));
}

export function message(field: number, fields: readonly Uint8Array[]): Uint8Array {
  return bytes(field, Buffer.concat(fields));
}

export function bytes(field: number, value: Uint8Array): Uint8Array {
  return Buffer.concat([key(field, wire.bytes), varint(value.length), value]);
}

function key(field: number, type: number): Uint8Array {
  return varint((field << 3) | type);
}

/** Seven bits a byte, least significant first, the top bit set on all bytes but the last. */
function varint(value: number): Uint8Array {
  const digits: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) digits.push((rest % 0x80) | 0x80);
  return Uint8Array.from([...digits, rest]);
}
